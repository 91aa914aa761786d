import { concat, utf8, type Bytes } from '#core/kit/bytes'
import type { Sign } from '#core/seal/receipt-key'

/** A browser's own keys. Nothing that leaves this file tells what they are made of. */
export interface DeviceKey {
  /** Ed25519. */
  publicKey: Bytes
  sign: Sign
  /** The age identity that opens this device's own locks. */
  identity(pq: boolean): Promise<string>
}

/** As kept in IndexedDB. `wrapping` cannot be read out, so that a copy of the database alone opens nothing. */
interface Kept {
  wrapping: CryptoKey
  iv: Bytes
  wrapped: Bytes
  publicKey: Bytes
  /** A key that signs and cannot be read out; null where the browser has no Ed25519. */
  signing: CryptoKey | null
}

const store = 'keys'

// Fetched when needed: pages that only sign with the browser's own Ed25519 stay small.
const softKey = async (seed: Bytes) => (await import('#core/seal/receipt-key')).receiptKey(seed)

function openStore(): Promise<IDBDatabase> {
  const opening = indexedDB.open('safehand', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore(store)
  return settled(opening)
}

/** What a request of IndexedDB comes to. */
export const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'))
  })

/** This browser's key of that name, or undefined when it has none. */
export async function knownKey(name: string): Promise<DeviceKey | undefined> {
  const db = await openStore()
  const kept = await settled<Kept | undefined>(db.transaction(store).objectStore(store).get(name))
  db.close()
  return kept && asKey(kept)
}

/** This browser's key of that name, made when there is none. */
export async function ownKey(name: string): Promise<DeviceKey> {
  const known = await knownKey(name)
  if (known) return known
  const fresh = await makeKey()
  const db = await openStore()
  // `add` fails when another tab was first; then its key is the one.
  await settled(db.transaction(store, 'readwrite', { durability: 'strict' }).objectStore(store).add(fresh, name)).catch(
    () => undefined,
  )
  db.close()
  return (await knownKey(name)) ?? asKey(fresh)
}

async function makeKey(): Promise<Kept> {
  const { subtle } = crypto
  const secret = crypto.getRandomValues(new Uint8Array(32))
  const wrapping = await subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const wrapped = new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv }, wrapping, secret))
  const pair = await subtle.generateKey('Ed25519', false, ['sign', 'verify']).catch(() => null)
  if (pair && 'privateKey' in pair) {
    const publicKey = new Uint8Array(await subtle.exportKey('raw', pair.publicKey))
    return { wrapping, iv, wrapped, publicKey, signing: pair.privateKey }
  }
  return { wrapping, iv, wrapped, publicKey: (await softKey(await derive(secret, 'signing'))).publicKey, signing: null }
}

function asKey({ wrapping, iv, wrapped, publicKey, signing }: Kept): DeviceKey {
  const secret = async () => new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, wrapping, wrapped))
  return {
    publicKey,
    sign: async (message) =>
      signing
        ? new Uint8Array(await crypto.subtle.sign('Ed25519', signing, message))
        : (await softKey(await derive(await secret(), 'signing'))).sign(message),
    // The hybrid and the plain identity come from unrelated secrets: the fall of one must not be the fall of the other.
    async identity(pq) {
      const { identityFrom } = await import('#core/seal/locks')
      return identityFrom(await derive(await secret(), pq ? 'hybrid-identity' : 'x25519-identity'), pq)
    },
  }
}

/** 32 bytes for one use, from the device's secret (HKDF-SHA-256). */
async function derive(secret: Bytes, use: string): Promise<Bytes> {
  const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits'])
  const info = concat(utf8('safehand/device/v1/'), utf8(use))
  const bits = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }, key, 256)
  return new Uint8Array(bits)
}

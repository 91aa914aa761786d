import { sha256 } from '@noble/hashes/sha2.js'
import { concat, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { type ContentWork } from '#core/seal/content'
import { chunkwise, type PayloadCipher } from '#core/seal/stream'

/** A SHA-256 taken piece by piece. Pieces may be reused by their owner once `update` has come back. */
export interface RunningSha256 {
  update(piece: Uint8Array): void
  /** What it comes to. The next piece begins another, at once. */
  digest(): Promise<Bytes>
}

/** What sealing and opening need from the machine they run on. Handed in, so that each can bring its fastest. */
export interface SealTools {
  cipher: PayloadCipher
  sha256: (bytes: Uint8Array) => Promise<Bytes>
  /** Digests of parts to be taken at once: more than one only where the machine takes them beside us. */
  digestsAtOnce: number
  /** For at most `sizeBytes` (and never more than one slice of a file digest). */
  runningSha256: (sizeBytes: number) => RunningSha256
  /** Another thread for the ciphers and digests of content, where there is one. It takes the memory of what it is given. */
  elsewhere?: ContentWork
  /** Fresh unpredictable bytes. */
  randomBytes: (count: number) => Bytes
}

const algorithm = 'ChaCha20-Poly1305'

/** The browser's own ChaCha20-Poly1305 (Chromium, Node 24). */
export const webCipher: PayloadCipher = async (streamKey) => {
  const { subtle } = globalThis.crypto
  // TypeScript's DOM does not know the format 'raw-secret' of the WebCrypto modern algorithms draft yet.
  const key = await subtle.importKey('raw-secret' as 'raw', streamKey, algorithm, false, ['encrypt', 'decrypt'])
  return chunkwise({
    seal: async (iv, plain, into) =>
      into.set(new Uint8Array(await subtle.encrypt({ name: algorithm, iv }, key, plain as Bytes))),
    open: async (iv, sealed, into) => {
      try {
        into.set(new Uint8Array(await subtle.decrypt({ name: algorithm, iv }, key, sealed as Bytes)))
        return true
      } catch (error) {
        if (error instanceof DOMException && error.name === 'OperationError') return false
        throw error
      }
    },
  })
}

/** libsodium as WebAssembly, for browsers without the cipher (Firefox). Fetched only when used. */
export const sodiumCipher: PayloadCipher = async (streamKey) => {
  const { default: sodium } = await import('libsodium-wrappers')
  await sodium.ready
  return chunkwise({
    seal: (nonce, plain, into) =>
      into.set(sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, null, null, nonce, streamKey)),
    open: (nonce, sealed, into) => {
      try {
        into.set(sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, sealed, null, nonce, streamKey))
        return true
      } catch {
        return false // It throws for one reason only: the tag does not fit.
      }
    },
  })
}

/** The tools of a browser: the native cipher where there is one, another where there is not. */
export async function webTools(withoutNative: PayloadCipher = sodiumCipher): Promise<SealTools> {
  const isNative = await webCipher(new Uint8Array(32)).then(
    () => true,
    () => false,
  )
  return {
    cipher: isNative ? webCipher : withoutNative,
    sha256: webSha256,
    digestsAtOnce: 2,
    runningSha256: webRunningSha256,
    randomBytes,
  }
}

/** Bytes of the system's generator. */
export const randomBytes = (count: number): Bytes => globalThis.crypto.getRandomValues(new Uint8Array(count))

const webSha256 = async (bytes: Uint8Array): Promise<Bytes> =>
  new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', bytes as Bytes))

/** Asking the browser for less takes longer than hashing it. */
const hashedHereBytes = 2 * 1024

function sha256Here(): RunningSha256 {
  let hash = sha256.create()
  return {
    update: (piece) => void hash.update(piece),
    digest() {
      const digest = hash.digest() as Bytes
      hash = sha256.create()
      return Promise.resolve(digest)
    },
  }
}

/** Browsers hash whole buffers only, so the pieces are gathered: this is why a file's digest goes by slices. */
function webRunningSha256(sizeBytes: number): RunningSha256 {
  if (sizeBytes <= hashedHereBytes) return sha256Here()
  let gathered: Bytes | undefined
  let used = 0
  let whole: Promise<Bytes> | undefined
  // The browser takes a copy before it comes back (Web Cryptography API, digest method, step 2): the memory is free again.
  return {
    update(piece) {
      if (piece.length === sizeBytes) {
        whole = webSha256(piece)
        whole.catch(() => undefined) // Reported when it is waited for.
        return
      }
      gathered ??= new Uint8Array(sizeBytes)
      gathered.set(piece, used)
      used += piece.length
    },
    digest() {
      const digest = whole ?? webSha256(gathered?.subarray(0, used) ?? new Uint8Array())
      whole = undefined
      used = 0
      return digest
    },
  }
}

export type ManifestVersion = 1 | 2
/** What is sealed today. */
export const manifestVersion = 2

/**
 * How the files' digests of a manifest are taken: a file's SHA-256 up to `wholeBytes`, and above that the SHA-256 over the
 * SHA-256s of its slices, because browsers hash whole buffers only.
 */
export const digestForms: Record<ManifestVersion, { wholeBytes: number; sliceBytes: number }> = {
  1: { wholeBytes: 64 * 2 ** 20, sliceBytes: 64 * 2 ** 20 },
  2: { wholeBytes: limits.digestWholeBytes, sliceBytes: limits.digestSliceBytes },
}

/** Bytes of slices that are hashed while more are gathered: each slice is held until then. */
const hashingBytes = 8 * 2 ** 20

/**
 * The digest of one file, taken as its bytes go by.
 *
 * @param sizeBytes - the size of the file, known beforehand; more than that must not be fed
 * @param version - of the manifest that has the digest
 */
export function fileDigest(sizeBytes: number, tools: SealTools, version: ManifestVersion = manifestVersion) {
  const { wholeBytes, sliceBytes } = digestForms[version]
  const slices: Promise<Bytes>[] = []
  const slicesAtOnce = Math.ceil(hashingBytes / sliceBytes)
  let leftBytes = sizeBytes
  let room = sizeBytes <= wholeBytes ? sizeBytes : sliceBytes
  const slice = tools.runningSha256(room)
  return {
    async update(bytes: Uint8Array): Promise<void> {
      let piece = bytes
      while (piece.length > 0) {
        if (room === 0) {
          await slices.at(-slicesAtOnce)
          slices.push(slice.digest())
          room = Math.min(sliceBytes, leftBytes)
        }
        const taken = piece.subarray(0, room)
        slice.update(taken)
        room -= taken.length
        leftBytes -= taken.length
        piece = piece.subarray(taken.length)
      }
    },
    async finish(): Promise<Bytes> {
      const last = await slice.digest()
      return slices.length === 0 ? last : tools.sha256(concat(...(await Promise.all(slices)), last))
    },
  }
}

import { Encrypter, identityToRecipient } from 'age-encryption'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bech32 } from '@scure/base'
import { fromBase64, fromUtf8, toBase64, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, ProblemError, type Outcome } from '#core/kit/outcome'
import { openAge, sealWhole, type Secret } from '#core/seal/age-file'
import { flowOf, wholeOf } from '#core/seal/flow'
import { newUuid } from '#core/seal/parcel'
import { readPhrase } from '#core/seal/passphrase'
import { receiptKey, type ReceiptKey } from '#core/seal/receipt-key'
import { isHex256, isUuid } from '#core/seal/shapes'
import { type SealTools } from '#core/seal/tools'

/** What a lock's secret is: told words, the sender's own key, the recipient's own key, or the server's key of the day. */
export type LockKind = 'passphrase' | 'sender' | 'key' | 'automatic'
const lockKinds: readonly string[] = ['passphrase', 'sender', 'key', 'automatic'] satisfies LockKind[]

/** A lock to be made. `recipientId` is the server's name for the recipient, null for the sender. */
export interface LockRequest {
  kind: LockKind
  recipientId: string | null
  to: { phrase: string } | { recipient: string }
}

/** A lock as it is handed to the server. */
export interface SealedLock {
  id: string
  kind: LockKind
  recipientId: string | null
  /** Ed25519, base64. */
  receiptPublicKey: string
  /** The age file, base64. */
  age: string
}

/** What a lock holds and binds: the secret of one parcel under one manifest. */
export interface ParcelSecret {
  parcelIdentity: string
  parcelId: string
  /** SHA-256 of `manifest.age`, in hexadecimal. */
  manifestSha256: string
}

export interface OpenedLock extends ParcelSecret {
  lockId: string
  kind: LockKind
  pq: boolean
  receipt: ReceiptKey
}

/** Whether an age identity is a post-quantum hybrid. */
const isPostQuantum = (identity: string): boolean => identity.startsWith('AGE-SECRET-KEY-PQ-1')

/** The only kind of recipient in the header of a file for such an identity. */
export const stanzaFor = (pq: boolean): string => (pq ? 'mlkem768x25519' : 'X25519')

/** An age identity made of 32 secret bytes: ML-KEM-768 + X25519, or X25519 alone. */
export const identityFrom = (secret: Uint8Array, pq: boolean): string =>
  bech32.encodeFromBytes(pq ? 'AGE-SECRET-KEY-PQ-' : 'AGE-SECRET-KEY-', secret).toUpperCase()

/** The age identity that a passkey's PRF output stands for. The same output gives unrelated hybrid and plain keys. */
export const identityFromPasskey = (prfOutput: Uint8Array, pq: boolean): string =>
  identityFrom(hkdf(sha256, prfOutput, undefined, utf8(`safehand/passkey-identity/v1/${stanzaFor(pq)}`), 32), pq)

/**
 * Whether something is an age recipient that a lock of this parcel may be made for.
 *
 * @returns nothing, or `recipient-key-malformed`, or `keys-mixed` when its strength is not the parcel's
 */
export function checkRecipient(recipient: string, pq: boolean): Outcome<undefined> {
  if (!/^age1(pq1)?[02-9ac-hj-np-z]+$/.test(recipient)) return fail('recipient-key-malformed')
  try {
    new Encrypter().addRecipient(recipient)
  } catch {
    return fail('recipient-key-malformed')
  }
  return recipient.startsWith('age1pq1') === pq ? ok() : fail('keys-mixed')
}

/**
 * Makes a lock: at sealing, or later for another recipient or a new phrase from an opened sender's lock.
 *
 * @returns the lock as the server takes it, or the problem of its phrase (`readPhrase`) or recipient (`checkRecipient`)
 */
export async function makeLock(
  request: LockRequest,
  secret: ParcelSecret,
  tools: SealTools,
): Promise<Outcome<SealedLock>> {
  const { kind, recipientId, to } = request
  const id = newUuid(tools.randomBytes)
  const seed = tools.randomBytes(32)
  const checked =
    'phrase' in to ? readPhrase(to.phrase) : checkRecipient(to.recipient, isPostQuantum(secret.parcelIdentity))
  if (!checked.ok) return checked
  if ('phrase' in to !== (kind === 'passphrase')) return fail('lock-malformed')
  const plain = lockText({ ...secret, lockId: id, kind, seed: toBase64(seed) })
  const age = await sealWhole(utf8(plain), 'phrase' in to ? { phrase: checked.value! } : to)
  const receiptPublicKey = toBase64(receiptKey(seed).publicKey)
  return ok({ id, kind, recipientId, receiptPublicKey, age: toBase64(age) })
}

/**
 * Opens a lock and checks that it is the one asked for.
 *
 * @param asked - the ids of parcel and lock as the server's page named them
 * @returns what it holds; or a problem of the phrase (`phrase-length`, `phrase-word`, `phrase-wrong`), of the file
 *   (`sealed-…`), or of what is bound: `lock-malformed`, `lock-version`, `lock-other-parcel`, `lock-swapped`, `keys-mixed`
 */
export async function openLock(
  age: Uint8Array,
  secret: Secret,
  asked: { parcelId: string; lockId: string },
  tools: SealTools,
): Promise<Outcome<OpenedLock>> {
  if (age.length > limits.lockBytes) return fail('lock-malformed')
  const read = 'phrase' in secret ? readPhrase(secret.phrase) : undefined
  if (read && !read.ok) return read
  const opened = await openAge(flowOf(age), read ? { phrase: read.value } : secret, tools)
  if (!opened.ok) return opened
  const plain = await asOutcome(wholeOf(opened.value.plain))
  if (!plain.ok) return plain
  const lines = readLockText(plain.value)
  if (!lines.ok) return lines
  const { seed, ...lock } = lines.value
  if (lock.parcelId !== asked.parcelId) return fail('lock-other-parcel')
  if (lock.lockId !== asked.lockId) return fail('lock-swapped')
  const pq = isPostQuantum(lock.parcelIdentity)
  const stanza = lock.kind === 'passphrase' ? 'scrypt' : stanzaFor(pq)
  if (opened.value.stanzas.length !== 1 || opened.value.stanzas[0] !== stanza) return fail('keys-mixed')
  return ok({ ...lock, pq, receipt: receiptKey(fromBase64(seed)) })
}

/** The outcome of something that says by ProblemError what is wrong. */
export async function asOutcome<T>(work: Promise<T>): Promise<Outcome<T>> {
  try {
    return ok(await work)
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  }
}

interface LockLines extends ParcelSecret {
  lockId: string
  kind: LockKind
  seed: string
}

/** The plain text of a lock, version 1: an age identity file with what it is bound to in comment lines. */
const lockText = (lock: LockLines): string =>
  [
    '# safehand lock 1',
    `# parcel ${lock.parcelId}`,
    `# lock ${lock.lockId}`,
    `# kind ${lock.kind}`,
    `# manifest ${lock.manifestSha256}`,
    `# receipt ${lock.seed}`,
    lock.parcelIdentity,
    '',
  ].join('\n')

const lockPattern =
  /^# safehand lock 1\n# parcel (.*)\n# lock (.*)\n# kind (.*)\n# manifest (.*)\n# receipt ([A-Za-z0-9+/]{43}=)\n(AGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{58})\n$/

function readLockText(bytes: Uint8Array): Outcome<LockLines> {
  let text: string
  try {
    text = fromUtf8(bytes)
  } catch {
    return fail('lock-malformed')
  }
  const version = /^# safehand lock ([1-9][0-9]{0,8})\n/.exec(text)
  if (version && version[1] !== '1') return fail('lock-version')
  const [, parcelId, lockId, kind, manifestSha256, seed, parcelIdentity] = lockPattern.exec(text) ?? []
  if (!isUuid(parcelId) || !isUuid(lockId) || !isHex256(manifestSha256) || !lockKinds.includes(kind!)) {
    return fail('lock-malformed')
  }
  const lock = {
    parcelId,
    lockId,
    kind: kind as LockKind,
    manifestSha256,
    seed: seed!,
    parcelIdentity: parcelIdentity!,
  }
  // The pattern leaves one thing open: checksums, and loose bits at the end of base64.
  const isWhole = isKey(() => fromBase64(lock.seed)) && isKey(() => bech32.decodeToBytes(lock.parcelIdentity).bytes)
  return isWhole ? ok(lock) : fail('lock-malformed')
}

/** Whether something decodes strictly to 32 bytes. */
function isKey(decode: () => Uint8Array): boolean {
  try {
    return decode().length === 32
  } catch {
    return false
  }
}

/** The age recipient of an identity. */
export const recipientOf = (identity: string): Promise<string> => identityToRecipient(identity)

import { ed25519 } from '@noble/curves/ed25519.js'
import { utf8, type Bytes } from '#core/kit/bytes'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { hasExactly, isHex256, isTextUpTo, isUuid } from '#core/seal/shapes'

/** Signs bytes with an Ed25519 key that stays where it is. */
export type Sign = (message: Bytes) => Promise<Uint8Array>

/** A lock's receipt key: whoever opened the lock can sign with it. The public half is committed when sealing. */
export interface ReceiptKey {
  publicKey: Bytes
  sign: Sign
}

/** The receipt key of a lock's 32-byte seed. */
export const receiptKey = (seed: Uint8Array): ReceiptKey => ({
  publicKey: ed25519.getPublicKey(seed) as Bytes,
  sign: (message) => Promise.resolve(ed25519.sign(message, seed)),
})

/** Whether an Ed25519 signature is good (RFC 8032, canonical forms only); false for anything malformed. */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false // A public key that is no point of the curve.
  }
}

/** What a recipient says by signing: that this parcel was opened with this lock, on these terms. */
export interface ReceiptStatement {
  version: 1
  parcelRoot: string
  lockId: string
  acknowledged: { purpose: string; limits: string; handling: string }
  /** The register's latest checkpoint that the recipient had seen: a signed note, or nothing. */
  checkpoint: string
}

/** The one text of a statement. */
export const statementText = (statement: ReceiptStatement): string => canonicalJson(statement as unknown as Json)

/**
 * Reads a statement strictly and gives the bytes that its two signatures cover: the ASCII text
 * `safehand/receipt/v1`, a zero byte, and the statement as canonical JSON.
 *
 * @returns `receipt-malformed` for anything but the one text of a statement
 */
export function statementBytes(text: string): Outcome<{ statement: ReceiptStatement; bytes: Bytes }> {
  let value: unknown
  try {
    value = JSON.parse(text)
    if (canonicalJson(value as Json) !== text) return fail('receipt-malformed')
  } catch {
    return fail('receipt-malformed')
  }
  const { textCharacters, checkpointCharacters } = limits
  const isStatement =
    hasExactly(value, ['version', 'parcelRoot', 'lockId', 'acknowledged', 'checkpoint']) &&
    value.version === 1 &&
    isHex256(value.parcelRoot) &&
    isUuid(value.lockId) &&
    hasExactly(value.acknowledged, ['purpose', 'limits', 'handling']) &&
    Object.values(value.acknowledged).every((said) => isTextUpTo(said, textCharacters)) &&
    isTextUpTo(value.checkpoint, checkpointCharacters)
  if (!isStatement) return fail('receipt-malformed')
  return ok({ statement: value as unknown as ReceiptStatement, bytes: utf8(`safehand/receipt/v1\u0000${text}`) })
}

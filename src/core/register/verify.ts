import type { Json } from '#core/kit/canonical-json'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { parseCheckpoint, type Checkpoint } from '#core/register/checkpoint'
import { leafOf, parseEvidence } from '#core/register/event'
import { leafHash, verifyInclusion } from '#core/register/merkle'
import { openNote, type Vkey } from '#core/register/note'
import { lackingOf, meetsQuorum, type TrustPolicy } from '#core/register/policy'
import { parseProof } from '#core/register/proof'

/** What a receipt that verifies proves: this event stood in that register when it had `size` entries. */
export interface VerifiedReceipt {
  event: string
  at: string
  body: Json
  origin: string
  /** The event's place in the register, counted from 0. */
  index: number
  size: number
  /** Names of the witnesses that vouch for the register as the receipt shows it. */
  witnesses: string[]
  /** Whether nobody but the register's operator had to vouch for it, as the policy's quorum is none. */
  isUnwitnessed: boolean
}

/**
 * A checkpoint that a register of the policy signed, whatever its witnesses did.
 *
 * @returns it and who signed it, or one of the problems `note-malformed`, `checkpoint-malformed`,
 *   `note-signature-unknown`, `note-signature-wrong`, `proof-origin-wrong`
 */
export function openTrusted(note: string, trusted: TrustPolicy): Outcome<Checkpoint & { signedBy: Vkey[] }> {
  const opened = openNote(note, [...trusted.logs, ...trusted.witnesses.values()])
  if (!opened.ok) return opened
  const checkpoint = parseCheckpoint(opened.value.text)
  if (!checkpoint.ok) return checkpoint
  const { signedBy } = opened.value
  const signingLogs = trusted.logs.filter((log) => signedBy.includes(log))
  if (signingLogs.length === 0) return fail('note-signature-unknown')
  if (!signingLogs.some((log) => log.name === checkpoint.value.origin)) return fail('proof-origin-wrong')
  return ok({ ...checkpoint.value, signedBy })
}

/**
 * Verifies a receipt from nothing but its own text and whom the reader trusts: no network, no database.
 *
 * @returns what it proves, or one of the problems `proof-malformed`, `proof-without-evidence`, `note-malformed`,
 *   `checkpoint-malformed`, `note-signature-unknown`, `note-signature-wrong`, `proof-origin-wrong`,
 *   `proof-not-witnessed`, `proof-not-included`
 * @source C2SP tlog-proof (v1), tlog-policy
 */
export function verifyReceipt(receipt: string, trusted: TrustPolicy): Outcome<VerifiedReceipt> {
  const proof = parseProof(receipt)
  if (!proof.ok) return proof
  const { extra, index, hashes } = proof.value
  if (!extra) return fail('proof-without-evidence')
  const evidence = parseEvidence(extra)
  if (!evidence.ok) return evidence
  const leaf = leafHash(leafOf(evidence.value))

  const checkpoint = openTrusted(proof.value.checkpoint, trusted)
  if (!checkpoint.ok) return checkpoint
  const { origin, size, root, signedBy } = checkpoint.value
  const witnesses = [...trusted.witnesses].filter(([, vkey]) => signedBy.includes(vkey)).map(([name]) => name)
  const witnessed = new Set(witnesses)
  if (!meetsQuorum(trusted, witnessed)) {
    return fail('proof-not-witnessed', { detail: lackingOf(trusted, witnessed) })
  }
  if (!verifyInclusion(index, size, leaf, root, hashes)) return fail('proof-not-included')
  const { event, at, body } = evidence.value
  return ok({ event, at, body, origin, index, size, witnesses, isUnwitnessed: trusted.quorum === 'none' })
}

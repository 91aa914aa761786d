import { concat, sameBytes, toBase64, uint64be } from '#core/kit/bytes'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { hashOrNothing, parseCheckpoint, wholeNumber, type Checkpoint } from '#core/register/checkpoint'
import { cosignedMessage } from '#core/register/cosignature'
import { emptyRoot, verifySubtree } from '#core/register/merkle'
import {
  formatSignature,
  isBy,
  openNote,
  parseNote,
  verifySignature,
  type NoteSigner,
  type Vkey,
} from '#core/register/note'
import { HASHES_MAX } from '#core/register/proof'

/** What a register asks a witness to cosign. */
export interface Submission {
  /** How many entries the register had when the witness last signed, as the asker believes. */
  old: number
  /** Consistency proof from `old` to the checkpoint. */
  proof: Uint8Array[]
  checkpoint: Checkpoint
  /** The checkpoint's text: what is signed. */
  text: string
  /** The note, with the register's own signatures and no others. */
  note: string
}

/** The body of an add-checkpoint request. @source C2SP tlog-witness 1.0.0 */
export const formatSubmission = ({ old, proof, note }: Pick<Submission, 'old' | 'proof' | 'note'>): string =>
  [`old ${old}`, ...proof.map(toBase64), '', note].join('\n')

/**
 * A request to cosign, read, and its signature checked against the registers that this witness knows.
 *
 * @returns the submission, or the problem `witness-request-malformed`, `witness-log-unknown` or `witness-not-signed`
 * @source C2SP tlog-witness 1.0.0 (statuses 400, 404, 403)
 */
export function openSubmission(request: string, logs: readonly Vkey[]): Outcome<Submission> {
  const malformed = fail('witness-request-malformed')
  const end = request.indexOf('\n\n')
  if (end < 0) return malformed
  const [first = '', ...lines] = request.slice(0, end).split('\n')
  const old = first.startsWith('old ') ? wholeNumber(first.slice(4)) : undefined
  const proof = lines.map(hashOrNothing).filter((hash) => hash !== undefined)
  if (old === undefined || proof.length !== lines.length || proof.length > HASHES_MAX) return malformed
  const note = request.slice(end + 2)
  const parsed = parseNote(note)
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : parsed
  if (!parsed.ok || !checkpoint.ok) return malformed
  const keys = logs.filter((log) => log.name === checkpoint.value.origin)
  if (keys.length === 0) return fail('witness-log-unknown')
  if (!openNote(note, keys).ok) return fail('witness-not-signed')
  if (old > checkpoint.value.size) return malformed
  const { text, signatures } = parsed.value
  // One line for each key: a note padded with the same line again and again must not become too long to be read back.
  const own = keys.map((key) => signatures.find((line) => isBy(line, key))).filter((line) => line !== undefined)
  return ok({ old, proof, checkpoint: checkpoint.value, text, note: `${text}\n${own.map(formatSignature).join('')}` })
}

/**
 * Whether a witness may cosign, having last cosigned `latest` of this register, or nothing yet.
 *
 * @returns nothing, or the problem `witness-size-differs`, `witness-root-differs` or `witness-inconsistent`
 * @source C2SP tlog-witness 1.0.0 (statuses 409, 409, 422)
 */
export function mayCosign({ old, proof, checkpoint }: Submission, latest?: Checkpoint): Outcome<void> {
  const { size, root } = latest ?? { size: 0, root: emptyRoot() }
  if (old !== size) return fail('witness-size-differs')
  if (old === checkpoint.size && !sameBytes(root, checkpoint.root)) return fail('witness-root-differs')
  return verifySubtree(0, old, checkpoint.size, root, checkpoint.root, proof) ? ok() : fail('witness-inconsistent')
}

/** A witness's signature line under a checkpoint's text, at that time. @source C2SP tlog-cosignature 1.0.1 (Ed25519) */
export async function cosign(text: string, seconds: number, { vkey, sign }: NoteSigner): Promise<string> {
  const signature = concat(uint64be(seconds), await sign(cosignedMessage(seconds, text)))
  return formatSignature({ name: vkey.name, keyId: vkey.id, signature })
}

/**
 * The cosignature of this witness in its answer, checked, as one line to put under the note.
 *
 * Lines of other keys are left out: one that is false would make others refuse the whole note.
 *
 * @param text - of the checkpoint that it was asked to cosign
 * @returns the line, or the problem `note-malformed`, `note-signature-unknown` or `note-signature-wrong`
 */
export function takeCosignature(text: string, answer: string, witness: Vkey): Outcome<string> {
  const parsed = parseNote(`${text}\n${answer}`)
  if (!parsed.ok) return parsed
  // An empty line in the answer would move what counts as the text.
  if (parsed.value.text !== text) return fail('note-malformed')
  const own = parsed.value.signatures.find((line) => isBy(line, witness))
  if (!own) return fail('note-signature-unknown')
  return verifySignature(witness, text, own.signature) ? ok(formatSignature(own)) : fail('note-signature-wrong')
}

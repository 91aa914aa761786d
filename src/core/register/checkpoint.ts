import { toBase64, type Bytes } from '#core/kit/bytes'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { HASH_BYTES } from '#core/register/merkle'
import { base64OrNothing } from '#core/register/note'

/** What a register signs: its name, how many entries it has, and the root over them. */
export interface Checkpoint {
  origin: string
  size: number
  root: Bytes
}

/** A whole number without leading zeros, or undefined. */
export function wholeNumber(text: string): number | undefined {
  return /^(0|[1-9]\d{0,15})$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined
}

/** A hash in base64, or undefined. */
export function hashOrNothing(text: string): Bytes | undefined {
  const hash = base64OrNothing(text)
  return hash?.length === HASH_BYTES ? hash : undefined
}

/** The text of a checkpoint, ready to be signed. @source C2SP tlog-checkpoint 1.0.0 */
export const checkpointText = ({ origin, size, root }: { origin: string; size: number; root: Uint8Array }): string =>
  `${origin}\n${size}\n${toBase64(root)}\n`

/** The checkpoint in a note's text, lines of extension passed over; or the problem `checkpoint-malformed`. */
export function parseCheckpoint(text: string): Outcome<Checkpoint> {
  const lines = text.split('\n')
  const size = wholeNumber(lines[1] ?? '')
  const root = hashOrNothing(lines[2] ?? '')
  // The text ends in a newline, so its last piece and no other is empty.
  if (lines.indexOf('') !== lines.length - 1 || size === undefined || !root) return fail('checkpoint-malformed')
  return ok({ origin: lines[0]!, size, root })
}

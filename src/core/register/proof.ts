import { toBase64, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { hashOrNothing, wholeNumber } from '#core/register/checkpoint'
import { base64OrNothing } from '#core/register/note'

const FIRST_LINE = 'c2sp.org/tlog-proof@v1'

/** A tree has at most this many rows above its entries, so that no proof is longer. */
export const HASHES_MAX = 63

/** An entry's place in a register, shown by hashes that lead to a signed checkpoint. */
export interface Proof {
  /** Anything; no signature covers it. */
  extra?: Bytes
  index: number
  /** The entry's sibling first. */
  hashes: Uint8Array[]
  /** The signed note, as it is. */
  checkpoint: string
}

/** The text of a `.tlog-proof` file. @source C2SP tlog-proof (v1) */
export const formatProof = ({ extra, index, hashes, checkpoint }: Proof): string =>
  [
    FIRST_LINE,
    ...(extra ? [`extra ${toBase64(extra)}`] : []),
    `index ${index}`,
    ...hashes.map(toBase64),
    '',
    checkpoint,
  ].join('\n')

/** A proof taken apart, nothing verified yet; or the problem `proof-malformed`. @source C2SP tlog-proof (v1) */
export function parseProof(text: string): Outcome<Proof> {
  const malformed = fail('proof-malformed')
  const end = text.indexOf('\n\n')
  if (text.length > limits.receiptBytes || end < 0) return malformed
  const [first, ...lines] = text.slice(0, end).split('\n')
  const extra = lines[0]?.startsWith('extra ') ? base64OrNothing(lines.shift()!.slice(6)) : null
  const index = /^index (.*)$/.exec(lines.shift() ?? '')?.[1]
  const at = wholeNumber(index ?? '')
  const hashes = lines.map(hashOrNothing).filter((hash) => hash !== undefined)
  if (first !== FIRST_LINE || extra === undefined || at === undefined) return malformed
  if (hashes.length !== lines.length || hashes.length > HASHES_MAX) return malformed
  return ok({ ...(extra && { extra }), index: at, hashes, checkpoint: text.slice(end + 2) })
}

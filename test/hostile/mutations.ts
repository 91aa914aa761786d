/** Garbage, and valid examples with something wrong in them. */
import fc from 'fast-check'
import { anyText } from './strings.ts'

/** One change to a sequence: something cut, doubled, moved, put in or turned over. */
type Change = {
  kind: 'cut' | 'drop' | 'double' | 'swap' | 'splice' | 'flip' | 'insert'
  at: number
  length: number
  other: number
  with: number[]
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('cut', 'drop', 'double', 'swap', 'splice', 'flip', 'insert'),
  at: fc.nat(1 << 20),
  length: fc.oneof(fc.nat(4), fc.nat(64), fc.nat(4_096)),
  other: fc.nat(1 << 20),
  with: fc.array(fc.nat(255), { minLength: 1, maxLength: 12 }),
})

/** The sequence with the change made; `put` makes elements of numbers, `flip` turns one element over. */
function changed<T>(
  whole: readonly T[],
  second: readonly T[],
  { kind, at, length, other, with: given }: Change,
  put: (byte: number) => T,
  flip: (element: T, byte: number) => T,
): T[] {
  const here = whole.length === 0 ? 0 : at % whole.length
  const end = Math.min(whole.length, here + length)
  const before = whole.slice(0, here)
  const rest = whole.slice(end)
  if (kind === 'cut') return before
  if (kind === 'drop') return [...before, ...rest]
  if (kind === 'double') return [...whole.slice(0, end), ...whole.slice(here)]
  if (kind === 'splice') return [...before, ...second.slice(other % (second.length + 1))]
  if (kind === 'insert') return [...before, ...given.map(put), ...whole.slice(here)]
  if (kind === 'flip') return whole.map((element, i) => (i === here ? flip(element, given[0]!) : element))
  return [
    ...before,
    ...rest.slice(0, other % (rest.length + 1)),
    ...whole.slice(here, end),
    ...rest.slice(other % (rest.length + 1)),
  ]
}

/** Bytes that begin as one of the examples, or are no such thing. */
export const hostileBytes = (examples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 2_000 }) },
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...examples),
          fc.constantFrom(...examples),
          fc.array(change, { minLength: 1, maxLength: 4 }),
        )
        .map(([example, second, changes]) =>
          Uint8Array.from(
            changes.reduce<number[]>(
              (bytes, one) =>
                changed(
                  bytes,
                  [...second],
                  one,
                  (byte) => byte,
                  (byte, bits) => byte ^ bits,
                ),
              [...example],
            ),
          ),
        ),
    },
  )

/** Text that begins as one of the examples, or is no such thing. */
export const hostileText = (examples: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 1, arbitrary: anyText(600) },
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...examples),
          fc.constantFrom(...examples),
          fc.array(change, { minLength: 1, maxLength: 4 }),
        )
        .map(([example, second, changes]) =>
          changes
            .reduce<string[]>(
              (units, one) =>
                changed(
                  units,
                  second.split(''),
                  one,
                  (byte) => String.fromCharCode(byte),
                  (unit, bits) => String.fromCharCode(unit.charCodeAt(0) ^ bits),
                ),
              example.split(''),
            )
            .join(''),
        ),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom(...examples), fc.nat(1 << 20), anyText(80))
        .map(
          ([example, at, text]) =>
            example.slice(0, at % (example.length + 1)) + text + example.slice(at % (example.length + 1)),
        ),
    },
    // Numbers where numbers are, beyond what they may be.
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...examples),
          fc.constantFrom('-1', '9007199254740993', '1e400', '99999999999999999999999', '00', '0x10', '1.5'),
          fc.nat(40),
        )
        .map(([example, number, nth]) => {
          let n = 0
          return example.replace(/\d+/g, (found) => (n++ === nth ? number : found))
        }),
    },
  )

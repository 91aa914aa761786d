import type { Readable } from 'node:stream'
import { assert, type Outcome } from '#core/kit/outcome'

/** What was stored, as measured on the way in. `sha256` is lower-case hexadecimal. */
export interface Stored {
  sizeBytes: number
  sha256: string
}

/** One blob of a list, and when it was last put. */
export interface Listed {
  key: string
  sizeBytes: number
  putAt: Date
}

/**
 * Where bytes are kept under keys such as `parcels/<id>/content/0`. Made by `fileBlobs` and `memoryBlobs`, which pass the
 * same tests. Everything streams; nothing is held whole. The outside failing (disk, network) throws.
 */
export interface Blobs {
  /**
   * Stores what the source gives, in place of what was there. When this comes back `ok`, the bytes outlive a loss of
   * power. When it comes back with a problem, what was there before is there still. When it throws, what is there is
   * the old or the new, whole: put it again.
   *
   * @param source - the memory of a piece may be used for something else once the next is asked for
   * @param expected - `sizeMax` in bytes; `sha256` in lower-case hexadecimal when it is known beforehand
   * @returns `too-large` above `sizeMax`, `digest-differs` when the bytes are others than expected
   */
  put(
    key: string,
    source: AsyncIterable<Uint8Array>,
    expected: { sizeMax: number; sha256?: string },
  ): Promise<Outcome<Stored>>
  /**
   * A stream of the bytes from `start` up to but not including `end`; all of them without a range.
   *
   * @throws when there is no such blob or it is shorter than the range, before anything is streamed
   */
  read(key: string, range?: { start?: number; end?: number }): Promise<Readable>
  /** The size in bytes, or null when there is no such blob. */
  size(key: string): Promise<number | null>
  /** Every blob at or below a folder of keys (all of them for `''`), in no particular order. */
  list(folder: string): AsyncIterable<Listed>
  /** Removes one blob. Nothing happens when there is none. */
  remove(key: string): Promise<void>
  /** Removes every blob at or below a folder of keys, but never all there are. Nothing happens when there are none. */
  removeAll(folder: string): Promise<void>
}

/**
 * Ends us when a key could lead anywhere but to a file of its own on every system: segments of lower-case letters,
 * digits, dots, hyphens and underscores that begin with a letter or digit.
 */
export function checkKey(key: string): void {
  const segment = '[a-z0-9][a-z0-9._-]{0,99}'
  assert(key.length <= 500 && new RegExp(`^${segment}(/${segment})*$`).test(key), 'the key of a blob is well formed')
}

/** The bytes that a range asks of a blob. Throws when the blob does not hold them. */
export function checkRange(range: { start?: number; end?: number }, sizeBytes: number): { start: number; end: number } {
  const { start = 0, end = sizeBytes } = range
  const isForward = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end
  if (!isForward || end > sizeBytes)
    throw new RangeError(`A blob of ${sizeBytes} bytes does not hold ${start} to ${end}`)
  return { start, end }
}

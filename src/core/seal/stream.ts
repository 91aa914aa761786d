import { type Bytes } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import { type ProblemSlug } from '#core/kit/problems'
import { blocksOf, mapInOrder, memoryOf, type Block, type ByteFlow } from '#core/seal/flow'

/** Plain bytes in one chunk of an age payload, and the tag each chunk carries when sealed. */
export const chunkBytes = 64 * 1024
export const tagBytes = 16
export const sealedChunkBytes = chunkBytes + tagBytes

/** Chunks handed to the cipher together, and how many such runs are under way at once. */
const runChunks = 16
const runsAtOnce = 3
export const runBytes = runChunks * chunkBytes

/** Consecutive chunks of one payload, from chunk number `first`; `isLast` when the payload ends with them. */
export interface Run {
  first: number
  isLast: boolean
  bytes: Uint8Array
}

/** Seals and opens runs under one key. A run is the unit that can be given to another thread. */
export interface RunCipher {
  /** Writes the run, sealed, to `into`, which has just the size. */
  seal(run: Run, into: Bytes): Promise<void>
  /** The plain bytes up to the first chunk that does not open, and whether that was all of them. */
  open(run: Run): Promise<{ plain: Bytes; isWhole: boolean }>
}

/** ChaCha20-Poly1305 as this machine has it: a cipher for a payload's 32-byte key. */
export type PayloadCipher = (streamKey: Bytes) => Promise<RunCipher>

/** One chunk under its 12-byte nonce, written to `into`, which has just the size. `open` says whether it is authentic. */
export interface ChunkCipher {
  seal(nonce: Bytes, plain: Uint8Array, into: Bytes): void | Promise<void>
  open(nonce: Bytes, sealed: Uint8Array, into: Bytes): boolean | Promise<boolean>
}

/** A run's cipher from a chunk's cipher, all chunks of the run in flight together. */
export function chunkwise(one: ChunkCipher): RunCipher {
  return {
    async seal({ first, isLast, bytes }, sealed) {
      const count = chunkCount(bytes.length, chunkBytes)
      const sealing = Array.from({ length: count }, async (_, i) => {
        const nonce = chunkNonce(first + i, isLast && i === count - 1)
        return one.seal(nonce, part(bytes, i, chunkBytes), part(sealed, i, sealedChunkBytes))
      })
      await Promise.all(sealing)
    },
    async open({ first, isLast, bytes }) {
      const count = chunkCount(bytes.length, sealedChunkBytes)
      // A last chunk may be shorter than a tag.
      const plain = new Uint8Array(Math.max(bytes.length - count * tagBytes, (count - 1) * chunkBytes))
      const opening = Array.from({ length: count }, async (_, i) => {
        const isEnd = isLast && i === count - 1
        const chunk = part(bytes, i, sealedChunkBytes)
        // A last chunk may be empty only when it is the only one: otherwise one plaintext would have two forms.
        if (chunk.length < tagBytes || (isEnd && chunk.length === tagBytes && first + i > 0)) return false
        const into = plain.subarray(i * chunkBytes, i * chunkBytes + chunk.length - tagBytes)
        return one.open(chunkNonce(first + i, isEnd), chunk, into)
      })
      const bad = (await Promise.all(opening)).indexOf(false)
      const goodBytes = bad < 0 ? bytes.length - count * tagBytes : bad * chunkBytes
      return { plain: plain.subarray(0, goodBytes), isWhole: bad < 0 }
    },
  }
}

const chunkCount = (sizeBytes: number, chunk: number): number => Math.max(1, Math.ceil(sizeBytes / chunk))
const part = <T extends Uint8Array>(bytes: T, i: number, size: number): T =>
  bytes.subarray(i * size, (i + 1) * size) as T

/** Eleven bytes of big-endian counter and one byte that marks the last chunk. */
function chunkNonce(counter: number, isLast: boolean): Bytes {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setBigUint64(3, BigInt(counter))
  nonce[11] = isLast ? 1 : 0
  return nonce
}

/** Size of a payload when sealed. */
export const sealedSize = (plainBytes: number): number => plainBytes + tagBytes * chunkCount(plainBytes, chunkBytes)

/**
 * Seals a payload in order. The caller must never seal two different payloads under one key: same key and same
 * place means the same plain bytes, or both are readable.
 *
 * @source age v1 (C2SP age 1.1.0), section Payload: the STREAM construction over 64 KiB ChaCha20-Poly1305 chunks
 */
export async function* sealPayload(cipher: RunCipher, plain: ByteFlow): AsyncGenerator<Bytes> {
  for await (const { bytes } of sealRuns(cipher, blocksOf(plain, runBytes))) yield bytes
}

/** The same for a payload that is cut into blocks of `runBytes` already, and by somebody who gives memory back. */
export function sealRuns(cipher: RunCipher, runs: AsyncIterable<Block>): AsyncGenerator<Omit<Block, 'isLast'>> {
  const { take, free } = memoryOf(sealedSize(runBytes))
  return mapInOrder(runs, runsAtOnce, async (run, n) => {
    const bytes = run.bytes.length === runBytes ? take() : new Uint8Array(sealedSize(run.bytes.length))
    await cipher.seal({ first: n * runChunks, bytes: run.bytes, isLast: run.isLast }, bytes)
    run.free(run.bytes)
    return { bytes, free }
  })
}

/**
 * Opens a payload in order, releasing only authentic bytes.
 *
 * @param sealed - the payload from chunk number `first` to its end, or to a whole chunk when `reachesEnd` is false
 * @throws ProblemError `sealed-altered`, or `sealed-truncated` when it stops at a chunk that was not the last
 */
export async function* openPayload(
  cipher: RunCipher,
  sealed: ByteFlow,
  { first = 0, reachesEnd = true } = {},
): AsyncGenerator<Bytes> {
  const runs = blocksOf(sealed, runChunks * sealedChunkBytes)
  const opened = mapInOrder(runs, runsAtOnce, async (block, n) => {
    const run = { first: first + n * runChunks, bytes: block.bytes, isLast: block.isLast && reachesEnd }
    const opened = await cipher.open(run)
    if (opened.isWhole) block.free(block.bytes)
    return { run, ...opened }
  })
  for await (const { run, plain, isWhole } of opened) {
    if (plain.length > 0) yield plain
    if (isWhole) continue
    const failed = await failureOf(cipher, run, plain.length)
    if (failed.plain.length > 0) yield failed.plain
    throw new ProblemError({ slug: failed.slug })
  }
}

/**
 * Why a chunk does not open. A full one may be authentic but in the wrong place: one from the middle at the end tells
 * that the rest was cut off, a last one in the middle that something was put behind it. Its bytes are genuine.
 */
async function failureOf(cipher: RunCipher, run: Run, goodBytes: number): Promise<{ slug: ProblemSlug; plain: Bytes }> {
  const place = goodBytes / chunkBytes
  const isEnd = run.isLast && run.bytes.length <= (place + 1) * sealedChunkBytes
  const chunk = run.bytes.subarray(place * sealedChunkBytes, (place + 1) * sealedChunkBytes)
  const plain = new Uint8Array()
  if (chunk.length < sealedChunkBytes)
    return { slug: chunk.length === 0 ? 'sealed-truncated' : 'sealed-altered', plain }
  const other = await cipher.open({ first: run.first + place, isLast: !isEnd, bytes: chunk })
  return { slug: other.isWhole && isEnd ? 'sealed-truncated' : 'sealed-altered', plain: other.plain }
}

import { concat, type Bytes } from '#core/kit/bytes'

/** Bytes that arrive piece by piece: what `fetch`, `File` and Node's file streams give. */
export type ByteFlow = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>

/** The pieces of a flow. Stopping early cancels it. Some browsers cannot iterate a ReadableStream by themselves. */
export async function* piecesOf(flow: ByteFlow): AsyncGenerator<Uint8Array> {
  if (!('getReader' in flow)) {
    yield* flow
    return
  }
  const reader = flow.getReader()
  let isDone = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      isDone = done
      if (done) return
      yield value
    }
  } finally {
    if (!isDone) await reader.cancel().catch(() => undefined)
  }
}

/**
 * The bytes of a blob in pieces of `pieceBytes`, of which one is read ahead. Not by its stream: that brings small pieces,
 * and Chromium's stops for ever when it is read into given memory by somebody slower than the disk.
 */
export async function* piecesOfBlob(blob: Blob, pieceBytes: number): AsyncGenerator<Bytes> {
  const read = (at: number) => {
    // Each slice is one more blob for the browser to know of.
    const piece = blob.size <= pieceBytes ? blob : blob.slice(at, at + pieceBytes)
    const bytes = piece.arrayBuffer()
    bytes.catch(() => undefined) // Reported when it is waited for.
    return bytes
  }
  let coming = read(0)
  for (let at = pieceBytes; at < blob.size + pieceBytes; at += pieceBytes) {
    const bytes = await coming
    if (at < blob.size) coming = read(at)
    yield new Uint8Array(bytes)
  }
}

/** A ReadableStream of an iterable: an error inside ends it with that error, never with a quiet close. */
export function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Bytes> {
  const pieces = source[Symbol.asyncIterator]()
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value as Bytes)
      },
      async cancel() {
        await pieces.return?.()
      },
    },
    { highWaterMark: 1 },
  )
}

export interface Block {
  bytes: Bytes
  isLast: boolean
  /** Gives the memory back, for a later block. Whoever keeps it need not. */
  free: (bytes: Bytes) => void
}

/**
 * Memory of one size that is used again when it was given back. New memory costs as much as what is done with it: the
 * system clears every page.
 */
export function memoryOf(sizeBytes: number) {
  const spare: Bytes[] = []
  return {
    take: (): Bytes => spare.pop() ?? new Uint8Array(sizeBytes),
    free: (bytes: Bytes): void => void (bytes.length === sizeBytes && spare.push(bytes)),
  }
}

/**
 * Cuts a flow into blocks of exactly `sizeBytes`, all but the last. There is always one, empty if nothing came. A piece
 * of the flow is copied before the next is asked for, so that its owner may use its memory again.
 */
export async function* blocksOf(flow: ByteFlow, sizeBytes: number): AsyncGenerator<Block> {
  const { take, free } = memoryOf(sizeBytes)
  let block = take()
  let used = 0
  for await (let piece of piecesOf(flow)) {
    while (piece.length > 0) {
      // A full block waits for one more byte, so that the last one is known to be the last.
      if (used === sizeBytes) {
        yield { bytes: block, isLast: false, free }
        block = take()
        used = 0
      }
      const taken = Math.min(sizeBytes - used, piece.length)
      block.set(taken === piece.length ? piece : piece.subarray(0, taken), used)
      used += taken
      piece = piece.subarray(taken)
    }
  }
  yield { bytes: used === sizeBytes ? block : block.slice(0, used), isLast: true, free }
}

/**
 * Does `work` on every item, at most `atOnce` at a time, and yields the results in the order of the items.
 *
 * When the source or a piece of work fails, the rest settles first: nothing runs on behind the caller's back.
 */
export async function* mapInOrder<T, U>(
  source: AsyncIterable<T> | Iterable<T>,
  atOnce: number,
  work: (item: T, n: number) => Promise<U>,
): AsyncGenerator<U> {
  const underWay: Promise<U>[] = []
  let n = 0
  try {
    for await (const item of source) {
      const result = work(item, n++)
      result.catch(() => undefined) // Reported when its turn comes; until then it is not 'unhandled'.
      underWay.push(result)
      if (underWay.length >= atOnce) yield await underWay.shift()!
    }
    while (underWay.length > 0) yield await underWay.shift()!
  } finally {
    await Promise.allSettled(underWay)
  }
}

/** Reads a flow by counts of bytes instead of by the pieces in which it happens to arrive. */
export class ByteReader {
  readonly #pieces: AsyncGenerator<Uint8Array>
  #held: Uint8Array = new Uint8Array()

  constructor(flow: ByteFlow) {
    this.#pieces = piecesOf(flow)
  }

  /** The next `count` bytes without taking them; fewer only at the end. */
  async peek(count: number): Promise<Uint8Array> {
    const parts = this.#held.length > 0 ? [this.#held] : []
    let held = this.#held.length
    while (held < count) {
      const { done, value } = await this.#pieces.next()
      if (done) break
      parts.push(value)
      held += value.length
    }
    if (parts.length === 1) this.#held = parts[0]!
    else if (parts.length > 1) this.#held = concat(...parts)
    return this.#held.subarray(0, count)
  }

  /** Takes the next `count` bytes; fewer only at the end. */
  async take(count: number): Promise<Uint8Array> {
    const bytes = await this.peek(count)
    this.#held = this.#held.subarray(bytes.length)
    return bytes
  }

  /** Takes at most `count` of the bytes that are there, waiting for some; none only at the end. */
  async takeSome(count: number): Promise<Uint8Array> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#pieces.next()
      if (done) return this.#held
      this.#held = value
    }
    const bytes = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(bytes.length)
    return bytes
  }

  /** All that is left, as it comes. */
  async *rest(): AsyncGenerator<Uint8Array> {
    if (this.#held.length > 0) yield this.#held
    this.#held = new Uint8Array()
    yield* this.#pieces
  }

  /** Stops reading and lets go of the source. */
  async close(): Promise<void> {
    await this.#pieces.return(undefined)
  }
}

/** All bytes of a flow as one array. For flows whose size is limited already. */
export async function wholeOf(flow: ByteFlow): Promise<Bytes> {
  const parts: Uint8Array[] = []
  for await (const piece of piecesOf(flow)) parts.push(piece)
  return concat(...parts)
}

/** One array as a flow. */
export async function* flowOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

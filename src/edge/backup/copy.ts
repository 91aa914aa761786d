import { once } from 'node:events'
import type { ClientBase, Connection, Submittable } from 'pg'
import { limits } from '#core/kit/limits'
import { assert } from '#core/kit/outcome'

/** What `pg` hands to whoever submits to it; the part of it that COPY needs is in no types. */
type CopyConnection = Connection & {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** One COPY under way on a connection: how `pg` tells it what the server answers. @source pg 8, Query's own handlers */
abstract class Copying implements Submittable {
  readonly #text: string
  #rows = 0
  readonly #ended = Promise.withResolvers<number>()
  readonly ended = this.#ended.promise
  isEnded = false
  protected connection!: CopyConnection

  constructor(text: string) {
    this.#text = text
    // Whoever waits for the end is told; whoever stopped waiting has an error of their own.
    this.ended.catch(() => {})
  }
  submit(connection: Connection): void {
    this.connection = connection as CopyConnection
    connection.query(this.#text)
  }
  handleCommandComplete({ text }: { text: string }): void {
    this.#rows = Number(/^COPY (\d+)$/.exec(text)?.[1])
  }
  handleReadyForQuery(): void {
    this.isEnded = true
    this.#ended.resolve(this.#rows)
  }
  handleError(error: Error): void {
    this.isEnded = true
    this.#ended.reject(error)
  }
}

class CopyingOut extends Copying {
  #held: Uint8Array[] = []
  #heldBytes = 0
  #wake = () => {}

  handleCopyData({ chunk }: { chunk: Uint8Array }): void {
    // Copied (a Buffer's own slice would not be): pg uses the memory again for what comes next.
    this.#held.push(new Uint8Array(chunk))
    this.#heldBytes += chunk.length
    if (this.#heldBytes > limits.copyAheadBytes) this.connection.stream.pause()
    this.#wake()
  }
  override handleReadyForQuery(): void {
    super.handleReadyForQuery()
    this.#wake()
  }
  override handleError(error: Error): void {
    super.handleError(error)
    this.#wake()
  }
  /** All that has come, waiting for some; nothing only at the end. */
  async take(): Promise<Uint8Array[]> {
    if (this.#held.length === 0 && !this.isEnded) await new Promise<void>((resolve) => (this.#wake = resolve))
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    this.connection.stream.resume()
    return held
  }
}

/**
 * What `COPY … TO STDOUT` gives, as it comes, and at the end the number of rows. The server is held up while the caller
 * is busy, so memory does not grow with the table. A caller that stops early must not use the connection again.
 */
export async function* copyOut(client: ClientBase, text: string): AsyncGenerator<Uint8Array, number> {
  const copying = client.query(new CopyingOut(text))
  for (let pieces = await copying.take(); pieces.length > 0; pieces = await copying.take()) yield* pieces
  return copying.ended
}

class CopyingIn extends Copying {
  readonly #source: AsyncIterable<Uint8Array>
  #cause: unknown

  constructor(text: string, source: AsyncIterable<Uint8Array>) {
    super(text)
    this.#source = source
  }
  handleCopyInResponse(): void {
    void this.#send()
  }
  override handleError(error: Error): void {
    super.handleError(this.#cause instanceof Error ? this.#cause : error)
  }
  async #send(): Promise<void> {
    const { connection } = this
    try {
      for await (const piece of this.#source) {
        if (this.isEnded) return
        connection.sendCopyFromChunk(Buffer.from(piece.buffer, piece.byteOffset, piece.length))
        if (connection.stream.writableNeedDrain) await Promise.race([once(connection.stream, 'drain'), this.ended])
      }
      connection.endCopyFrom()
    } catch (error) {
      // The server refuses what it has got so far, and its answer ends us with the true cause.
      this.#cause = error
      if (!this.isEnded) connection.sendCopyFail('The source failed.')
    }
  }
}

/** Hands a source to `COPY … FROM STDIN`: all of it is taken, or nothing. Throws what the source or the server throws. */
export async function copyIn(client: ClientBase, text: string, source: AsyncIterable<Uint8Array>): Promise<number> {
  const rows = await client.query(new CopyingIn(text, source)).ended
  assert(Number.isSafeInteger(rows), 'COPY says how many rows it took')
  return rows
}

import { Readable } from 'node:stream'
import { letGo } from '#core/kit/bytes'

/**
 * Bytes that go out piece by piece, the next read while one leaves. A piece's memory is freed as soon as the connection has
 * taken it. Left to the collector, which is called for by the memory and then looks through everything, it cost more of
 * the processor's time than reading and sending did.
 *
 * @param pieces - theirs alone is the memory of each
 */
export function outgoing(pieces: AsyncIterable<Uint8Array>): Readable {
  const stream = Readable.from(pieces)
  const send = async (to: NodeJS.WritableStream) => {
    for await (const piece of stream as AsyncIterable<Uint8Array>) {
      // Only the connection knows when a piece has left, and says so of each.
      await new Promise<void>((resolve, reject) => to.write(piece, (error) => (error ? reject(error) : resolve())))
      letGo(piece)
    }
    to.end()
  }
  stream.pipe = (to) => {
    send(to).catch((error: Error) => stream.destroy(error))
    return to
  }
  return stream
}

import type { FileHandle } from 'node:fs/promises'
import { letGo } from '#core/kit/bytes'

// Not by Node's streams: one that is made by a handle keeps it from being closed, and one by its number closes that itself.

/** Written bytes that the disk is asked for at a time, while the next ones come. */
const forcedBytes = 64 * 2 ** 20

/** Writes a flow into a file from one of its bytes on, and forces it to the disk. */
export async function saveFlow(file: FileHandle, flow: AsyncIterable<Uint8Array>, start: number): Promise<void> {
  let forcing = Promise.resolve()
  async function* forced() {
    let waitingBytes = 0
    for await (const piece of flow) {
      waitingBytes += piece.length
      yield piece
      if (waitingBytes < forcedBytes) continue
      await forcing
      forcing = file.datasync()
      forcing.catch(() => undefined) // Reported when it is waited for.
      waitingBytes = 0
    }
    await forcing
  }
  await writeFlow(file, forced(), start)
  await file.sync()
}

/** Writes a flow into a file from one of its bytes on. The memory of its pieces, where it is theirs alone, is taken. */
export async function writeFlow(file: FileHandle, flow: AsyncIterable<Uint8Array>, start: number): Promise<void> {
  let at = start
  for await (const piece of flow) {
    for (let done = 0; done < piece.length;) {
      const { bytesWritten } = await file.write(piece, done, piece.length - done, at)
      done += bytesWritten
      at += bytesWritten
    }
    letGo(piece)
  }
}

/**
 * A file's bytes from one of them on, in pieces of at most `pieceBytes`, of which one is read ahead. The memory of a piece
 * is used again as soon as the next is asked for.
 */
export async function* readFlow(file: FileHandle, pieceBytes: number, start = 0): AsyncGenerator<Uint8Array> {
  const pieces = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)]
  let at = start
  const readOn = (n: number) => {
    const read = file.read(pieces[n % 2]!, 0, pieceBytes, at)
    read.catch(() => undefined) // Reported when it is waited for.
    return read
  }
  let reading = readOn(0)
  try {
    for (let n = 1; ; n += 1) {
      const { bytesRead, buffer } = await reading
      if (bytesRead === 0) return
      at += bytesRead
      reading = readOn(n)
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await reading.catch(() => undefined)
  }
}

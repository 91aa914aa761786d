import type { FileHandle } from 'node:fs/promises'

// Not by Node's streams: one that is made by a handle keeps it from being closed, and one by its number closes that itself.

/** Writes a flow into a file from one of its bytes on. */
export async function writeFlow(file: FileHandle, flow: AsyncIterable<Uint8Array>, start: number): Promise<void> {
  let at = start
  for await (const piece of flow) {
    for (let done = 0; done < piece.length;) {
      const { bytesWritten } = await file.write(piece, done, piece.length - done, at)
      done += bytesWritten
      at += bytesWritten
    }
  }
}

/** A file's bytes from its beginning, in pieces of `pieceBytes`. */
export async function* readFlow(file: FileHandle, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(pieceBytes), 0, pieceBytes, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

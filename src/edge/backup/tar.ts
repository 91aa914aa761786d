import { fromUtf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, orThrow } from '#core/kit/outcome'
import { ByteReader, type ByteFlow } from '#core/seal/flow'
import { entryHeader } from '#core/seal/tar-index'

const blockBytes = 512
const padding = (sizeBytes: number): number => (blockBytes - (sizeBytes % blockBytes)) % blockBytes

/** One file of a tar, as a flow. `bytes` must give exactly `sizeBytes`. */
export async function* tarEntry(
  path: string,
  sizeBytes: number,
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  modifiedSeconds: number,
): AsyncGenerator<Uint8Array> {
  yield entryHeader({ path, type: 'file', sizeBytes, modifiedSeconds })
  let written = 0
  for await (const piece of bytes) {
    written += piece.length
    yield piece
  }
  if (written !== sizeBytes) throw new Error(`${path} was to have ${sizeBytes} bytes and has ${written}`)
  yield new Uint8Array(padding(sizeBytes))
}

/** The end of a tar. */
export const tarEnd = (): Uint8Array => new Uint8Array(2 * blockBytes)

/** A file in a tar that is read. `bytes` is read once, before the next entry is asked for; what is left is passed over. */
export interface TarEntry {
  path: string
  sizeBytes: number
  bytes: AsyncIterable<Uint8Array>
}

/** The files of a tar of ours, in order; ends with the problem `backup-malformed` on anything that we do not write. */
export async function* tarEntries(tar: ByteFlow): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(tar)
  try {
    for (;;) {
      const header = await readHeader(reader)
      if (!header) return
      let left = header.sizeBytes
      const take = async function* () {
        while (left > 0) {
          const piece = await reader.takeSome(left)
          if (piece.length === 0) malformed()
          left -= piece.length
          yield piece
        }
      }
      yield { ...header, bytes: take() }
      for await (const _ of take());
      await reader.take(padding(header.sizeBytes))
    }
  } finally {
    await reader.close()
  }
}

const malformed = (): never => orThrow(fail('backup-malformed'))

/** The next file's name and size, with what a pax header before it says; undefined at the end. */
async function readHeader(reader: ByteReader): Promise<{ path: string; sizeBytes: number } | undefined> {
  const block = (await reader.take(blockBytes)).slice()
  if (block.length < blockBytes) malformed()
  if (block.every((byte) => byte === 0)) return undefined
  const text = (at: number, length: number) => fromUtf8(block.subarray(at, at + length)).replace(/\0.*$/s, '')
  const sizeBytes = Number.parseInt(text(124, 12), 8)
  const flag = text(156, 1)
  if (!text(257, 6).startsWith('ustar') || !Number.isSafeInteger(sizeBytes)) malformed()
  if (flag === '0') return { path: text(0, 100), sizeBytes }
  if (flag !== 'x' || sizeBytes > limits.ageHeaderBytes) malformed()
  const records = fromUtf8((await reader.take(sizeBytes)).slice())
  await reader.take(padding(sizeBytes))
  const header = (await readHeader(reader)) ?? malformed()
  const record = (key: string) => new RegExp(`(?:^|\\n)\\d+ ${key}=(.*)\\n`).exec(records)?.[1]
  return { path: record('path') ?? header.path, sizeBytes: Number(record('size') ?? header.sizeBytes) }
}

import { randomUUID } from 'node:crypto'
import { mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { Readable } from 'node:stream'
import { limits } from '#core/kit/limits'
import { ProblemError, type Outcome } from '#core/kit/outcome'
import { blocksOf } from '#core/seal/flow'
import { checkKey, checkRange, type Blobs, type Listed, type Stored } from '#edge/blobs/blobs'
import { measure } from '#edge/blobs/measure'

/**
 * Blobs as files below a folder, which is made when missing. What a killed process left half written is removed here,
 * once it is too old to be another process's work.
 */
export async function fileBlobs(folder: string): Promise<Blobs> {
  const root = resolve(folder)
  const kept = join(root, 'kept')
  const arriving = arrivingIn(root)
  await mkdir(kept, { recursive: true, mode: 0o700 })
  await mkdir(arriving, { recursive: true, mode: 0o700 })
  await syncFolders(kept, dirname(root))
  await removeOld(arriving)
  return blobsIn(root)
}

/** Where bytes are while they come in. */
export const arrivingIn = (folder: string): string => join(folder, 'arriving')

/** The blobs of a folder as it is: nothing is made and nothing removed. */
export function blobsIn(folder: string): Blobs {
  const root = resolve(folder)
  const kept = join(root, 'kept')
  const arriving = arrivingIn(root)
  const pathOf = (key: string): string => {
    checkKey(key)
    return join(kept, key)
  }

  return {
    async put(key, source, expected) {
      const target = pathOf(key)
      const temporary = join(arriving, randomUUID())
      try {
        const outcome = await write(temporary, source, expected)
        if (!outcome.ok) return outcome
        await mkdir(dirname(target), { recursive: true, mode: 0o700 })
        await rename(temporary, target)
        // All the way up: whoever made a folder above may not have had it on disk yet.
        await syncFolders(dirname(target), kept)
        return outcome
      } finally {
        await rm(temporary, { force: true })
      }
    },
    async read(key, range = {}) {
      const file = await open(pathOf(key))
      try {
        const { start, end } = checkRange(range, (await file.stat()).size)
        if (start < end) return file.createReadStream({ start, end: end - 1, highWaterMark: limits.blobPieceBytes })
      } catch (error) {
        await file.close()
        throw error
      }
      await file.close()
      return Readable.from([])
    },
    async size(key) {
      const found = await unlessMissing(stat(pathOf(key)))
      return found?.isFile() ? found.size : null
    },
    list: (under) => list(kept, under === '' ? kept : pathOf(under)),
    async remove(key) {
      const target = pathOf(key)
      await unlessMissing(rm(target))
      await unlessMissing(syncFolders(dirname(target), dirname(target)))
    },
    async removeAll(under) {
      const target = pathOf(under)
      await rm(target, { recursive: true, force: true })
      await unlessMissing(syncFolders(dirname(target), dirname(target)))
    },
  }
}

/** Writes a new file and has it on disk before it answers. A file that failed is for the caller to remove. */
async function write(
  path: string,
  source: AsyncIterable<Uint8Array>,
  expected: { sizeMax: number; sha256?: string },
): Promise<Outcome<Stored>> {
  const measured = measure(source, expected)
  const file = await open(path, 'wx', 0o600)
  try {
    // A connection brings pieces of 64 KiB; handing each to the disk's thread takes longer than writing it.
    for await (const { bytes, free } of blocksOf(measured.bytes(), limits.blobPieceBytes)) {
      for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten
      free(bytes)
    }
    await file.datasync()
    return measured.result()
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  } finally {
    await file.close()
  }
}

/** Has the entries of a folder on disk, and of those above it up to and including the last. */
async function syncFolders(first: string, last: string): Promise<void> {
  for (let at = first; ; at = dirname(at)) {
    const folder = await open(at)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
    if (at === last) return
  }
}

async function* list(kept: string, path: string): AsyncGenerator<Listed> {
  const found = await unlessMissing(stat(path))
  if (found?.isFile())
    yield { key: relative(kept, path).replaceAll(sep, '/'), sizeBytes: found.size, putAt: found.mtime }
  const folder = found?.isDirectory() ? await unlessMissing(opendir(path)) : null
  if (folder) for await (const { name } of folder) yield* list(kept, join(path, name))
}

async function removeOld(arriving: string): Promise<void> {
  for await (const { name } of await opendir(arriving)) {
    const path = join(arriving, name)
    const found = await unlessMissing(stat(path))
    if (found && Date.now() - found.mtimeMs > limits.blobArrivingMs) await rm(path, { force: true })
  }
}

/** What is asked for, or null when there is no such file or folder. */
async function unlessMissing<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw error
  }
}

import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sameBytes } from '#core/kit/bytes'
import { HASH_BYTES } from '#core/register/merkle'
import { TILE_WIDTH, tilePath, type ReadTile } from '#core/register/tile'

/** Where the register is published, by paths below its address. */
export interface Tiles {
  /** The file at this path, or undefined when there is none. */
  read: (path: string) => Promise<Uint8Array | undefined>
  /** Writes for good: when it returns, the file outlives a power cut. A tile is never changed: other bytes throw. */
  write: (path: string, bytes: Uint8Array) => Promise<void>
}

/** The one file that changes. */
export const CHECKPOINT_PATH = 'checkpoint'

/** Tiles as files in a folder, which any web server can serve as it is. */
export function tileFolder(folder: string): Tiles {
  const read = async (path: string) => {
    try {
      return new Uint8Array(await readFile(join(folder, path)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  return {
    read,
    async write(path, bytes) {
      const before = await read(path)
      if (before && sameBytes(before, bytes)) return
      if (before && path !== CHECKPOINT_PATH) throw new Error(`${path} is published with other content`)
      const whole = join(folder, path)
      const made = await mkdir(dirname(whole), { recursive: true })
      const unfinished = `${whole}.${randomBytes(6).toString('hex')}.unfinished`
      const file = await open(unfinished, 'wx', 0o644)
      await file.writeFile(bytes)
      await file.sync()
      await file.close()
      await rename(unfinished, whole)
      // A new folder must itself be written down in the one above it.
      for (let at = dirname(whole); ; at = dirname(at)) {
        await syncFolder(at)
        if (made === undefined || at === dirname(made)) break
      }
    },
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  await folder.sync()
  await folder.close()
}

/** Reads a tile of hashes; where a partial tile was tidied away, the full one holds the same hashes. */
export const tileReader =
  (tiles: Pick<Tiles, 'read'>): ReadTile =>
  async (place) => {
    const bytes = (await tiles.read(tilePath(place))) ?? (await tiles.read(tilePath({ ...place, width: TILE_WIDTH })))
    if (!bytes || bytes.length < place.width * HASH_BYTES) throw new Error(`${tilePath(place)} is not published whole`)
    return bytes.subarray(0, place.width * HASH_BYTES)
  }

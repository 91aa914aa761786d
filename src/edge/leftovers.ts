import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '#core/kit/limits'
import { arrivingIn } from '#edge/blobs/filesystem'
import type { Config } from '#edge/house'

/**
 * Files that a killed process left half written: the whole paths of those older than `blobArrivingMs`, since younger
 * ones may be in use.
 */
export async function* leftovers(config: Pick<Config, 'dataFolder' | 'keysFolder'>, now: Date): AsyncGenerator<string> {
  const places: [folder: string, name: RegExp][] = [
    [arrivingIn(join(config.dataFolder, 'blobs')), /./],
    [join(config.dataFolder, 'register'), /\.unfinished$/],
    [config.keysFolder, /^register\.pem\.[0-9a-f]{12}$/],
    [join(config.keysFolder, 'keyring'), /\.new$/],
  ]
  for (const [folder, name] of places) {
    for (const entry of await entriesOf(folder)) {
      if (!entry.isFile() || !name.test(entry.name)) continue
      const path = join(entry.parentPath, entry.name)
      const found = await stat(path).catch(() => null)
      if (found && now.valueOf() - found.mtimeMs > limits.blobArrivingMs) yield path
    }
  }
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

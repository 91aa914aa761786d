/** An installation for the rows about the register: a demonstration's folder, whose own Postgres runs in this process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { demonstrationMarker, readConfig } from '#config'
import { orThrow } from '#core/kit/outcome'
import type { Config } from '#edge/house'
import { openDatabase, type Store } from '#edge/store/database'
import { startEmbedded } from '#edge/store/embedded'
import { openReady, type OpenAs } from '#edge/store/installation'

export interface Installed {
  config: Config
  /** As the server, for the system. */
  store: Store
  open: OpenAs
  stop: () => Promise<void>
}

/** Makes one, with every write forced to disk as in real use. It goes with `stop`. */
export async function anInstallation(): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-bench-'))
  const config = orThrow(readConfig({ data: folder, demonstration: true }, {}))
  await writeFile(join(folder, demonstrationMarker.name), demonstrationMarker.words)
  const server = orThrow(await startEmbedded({ folder: join(folder, 'postgres') }))
  const stores: Store[] = []
  const open: OpenAs = (role) => {
    stores.push(openDatabase({ socketFolder: server.socketFolder, role }))
    return stores.at(-1)!
  }
  const store = orThrow(await openReady(open, true))
  return {
    config,
    store,
    open,
    async stop() {
      for (const each of stores) if (!each.pool.ended) await each.close()
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

import { join } from 'node:path'
import { ok, type Outcome } from '#core/kit/outcome'
import type { Config } from '#edge/house'
import { openDatabase, type Store } from '#edge/store/database'
import { startEmbedded } from '#edge/store/embedded'
import { findPostmaster } from '#edge/store/postmaster'

/**
 * The database of an installation, for a command: the external one, the embedded one of a running server, or the
 * embedded one started for as long as the command takes.
 */
export async function openInstalled(
  config: Pick<Config, 'dataFolder' | 'databaseUrl'>,
): Promise<Outcome<{ store: Store; close: () => Promise<void> }>> {
  if (config.databaseUrl !== undefined) return ok(closing(openDatabase({ url: config.databaseUrl })))
  const folder = join(config.dataFolder, 'postgres')
  const running = await findPostmaster(join(folder, 'data'))
  if (running.state === 'supervised') return ok(closing(openDatabase({ socketFolder: running.socketFolder })))
  const server = await startEmbedded({ folder })
  if (!server.ok) return server
  return ok(closing(openDatabase({ url: server.value.connectionString }), () => server.value.stop()))
}

const closing = (store: Store, stop: () => Promise<void> = () => Promise.resolve()) => ({
  store,
  close: async () => {
    await store.close()
    await stop()
  },
})

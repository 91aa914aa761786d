import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { limits } from '#core/kit/limits'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { demonstrationMarker, readConfig } from '#config'
import { checkDatabaseRestored, checkRestored } from '#edge/backup/unfinished'
import type { Config } from '#edge/house'
import { openDatabase, type Store } from '#edge/store/database'
import { startEmbedded } from '#edge/store/embedded'
import { openExternal } from '#edge/store/installation'
import { findPostmaster } from '#edge/store/postmaster'
import { untilRecovered } from '#edge/store/recovery'
import type { DatabaseRole } from '#edge/store/roles'
import type { Call } from '#shell/cli/command'

/**
 * The settings of the installation that a command is about. Whether it is a demonstration, its data folder says.
 *
 * @returns the settings; or `setting-wrong`, also when nothing is installed there
 */
export function installedConfig({ values, io }: Pick<Call, 'values' | 'io'>): Outcome<Config> {
  const data = values.data as string | undefined
  const config = readConfig({ data, demonstration: values.demonstration === true }, io.env)
  if (!config.ok) return config
  const { dataFolder, databaseUrl } = config.value
  if (existsSync(join(dataFolder, demonstrationMarker.name)))
    return readConfig({ data: dataFolder, demonstration: true }, io.env)
  if (databaseUrl !== undefined || existsSync(join(dataFolder, 'postgres'))) return config
  return fail('setting-wrong', {
    detail: `There is no Safehand in ${dataFolder}. Make one with safehand init, or choose another with --data.`,
  })
}

/**
 * Does a command's work with the database of the installation it is about, and closes it whatever happens.
 *
 * @param role - as whom; the server's own role, as the system, unless said
 */
export async function withInstalled<T>(
  call: Pick<Call, 'values' | 'io'>,
  work: (store: Store, config: Config) => Promise<T>,
  role: DatabaseRole = 'app',
): Promise<T> {
  const config = orThrow(installedConfig(call))
  orThrow(await checkRestored(config.dataFolder))
  const { store, close } = orThrow(await openInstalled(config, role))
  try {
    orThrow(await checkDatabaseRestored(store.db))
    return await work(store, config)
  } finally {
    await close()
  }
}

/**
 * The database of an installation as somebody, for a command: the external one, the embedded one of a running server, or
 * the embedded one started for as long as the command takes. One that recovers from a crash is waited for.
 */
export async function openInstalled(
  config: Pick<Config, 'dataFolder' | 'databaseUrl' | 'databaseMigrateUrl'>,
  role: DatabaseRole,
): Promise<Outcome<{ store: Store; close: () => Promise<void> }>> {
  if (config.databaseUrl !== undefined)
    return ok(await answering(openExternal(config.databaseUrl, config.databaseMigrateUrl)(role), false))
  const folder = join(config.dataFolder, 'postgres')
  const ofAnother = async () => {
    const socketFolder = await findSocket(join(folder, 'data'))
    return socketFolder === null ? null : answering(openDatabase({ socketFolder, role }), true)
  }
  const found = await ofAnother()
  if (found) return ok(found)
  const server = await startEmbedded({ folder })
  if (server.ok) {
    const { socketFolder } = server.value
    return ok(await answering(openDatabase({ socketFolder, role }), true, () => server.value.stop()))
  }
  // A running Safehand has brought its own back meanwhile.
  const back = await ofAnother()
  return back ? ok(back) : server
}

/** Where the server of a running Safehand answers; null when there is none. One that starts says so last. */
async function findSocket(dataFolder: string): Promise<string | null> {
  const until = Date.now() + limits.databaseRevivalWaitMs
  for (;;) {
    const found = await findPostmaster(dataFolder)
    if (found.state !== 'supervised' || Date.now() > until) return null
    if (found.socketFolder !== '') return found.socketFolder
    await rest(limits.databaseRecoveryPollMs)
  }
}

/** An opened database once it answers. */
async function answering(store: Store, isOurs: boolean, stop: () => Promise<void> = () => Promise.resolve()) {
  const close = async () => {
    await store.close()
    await stop()
  }
  try {
    await untilRecovered(store, isOurs)
    return { store, close }
  } catch (error) {
    await close()
    throw error
  }
}

import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { demonstrationMarker } from '#config'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { loadRulebook } from '#core/policy/rulebook'
import { stack } from '#core/policy/stack'
import { loadVocabulary } from '#core/policy/vocabulary'
import { checkDatabaseRestored, checkRestored } from '#edge/backup/unfinished'
import { namesIn } from '#edge/folder'
import { fileBlobs } from '#edge/blobs/filesystem'
import type { Config, House } from '#edge/house'
import { startJobs } from '#edge/jobs/runner'
import { openRegister } from '#edge/keeper/installation'
import { startKeeper } from '#edge/keeper/keeper'
import { openKeyring } from '#edge/keyring'
import { mailDelivery } from '#edge/mail/deliver'
import { deliverHeld } from '#edge/mail/outbox'
import { inTransaction, openDatabase, type Store } from '#edge/store/database'
import { startEmbedded } from '#edge/store/embedded'
import { migrate } from '#edge/store/migrate'
import { ratesKeyOf, tidyRates } from '#edge/web/rates'
import { replayErasures } from '#features/copies/erase'
import { destroyParcel, tidy } from '#features/parcels/keeping'
import { tidySessions } from '#features/people/queries'
import { seedDemonstration } from '#shell/demonstration'
import { assetsFolder, buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'

/** Where the package's own files are: rulebooks, built assets. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** Methods Safehand carries itself or guides a person through; only these are recommended. */
const offered = [
  'managed_transfer',
  'encrypted_email',
  'internal_email',
  'standard_email',
  'public_page',
  'telephone',
  'cjsm_email',
  'partner_space',
]

/** The vocabulary and the organisation's rulebooks, stacked. */
export async function loadPolicy(folder = join(root, 'rulebooks'), names = ['council.yaml']) {
  const vocabularyText = await readFile(join(folder, 'vocabulary.yaml'), 'utf8')
  const vocabulary = loadVocabulary('vocabulary.yaml', vocabularyText)
  if (!vocabulary.ok) return vocabulary
  const rulebooks = []
  const versions = []
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8')
    const rulebook = loadRulebook(name, text, vocabulary.value)
    if (!rulebook.ok) return rulebook
    rulebooks.push(rulebook.value)
    const sha256 = createHash('sha256').update(vocabularyText).update('\0').update(text).digest('hex')
    versions.push({ id: rulebook.value.id, version: rulebook.value.version, sha256 })
  }
  return ok({ policy: stack(vocabulary.value, rulebooks, offered), rulebookVersions: versions })
}

/**
 * The marker of a demonstration, made with the data folder and never changed: a demonstration stays one, and a real
 * folder never becomes one.
 */
async function checkMarker(config: Config): Promise<Outcome<undefined>> {
  const marker = join(config.dataFolder, demonstrationMarker.name)
  const names = await namesIn(config.dataFolder)
  const isDemonstration = names.includes(demonstrationMarker.name)
  if (isDemonstration !== config.demonstration && names.length > 0) {
    return fail('setting-wrong', {
      detail: isDemonstration
        ? `${config.dataFolder} is a demonstration’s. Start it with --demonstration, or choose another folder.`
        : `${config.dataFolder} is not a demonstration’s. Start it without --demonstration, or choose another folder.`,
    })
  }
  await mkdir(config.dataFolder, { recursive: true, mode: 0o700 })
  if (config.demonstration) await writeFile(marker, demonstrationMarker.words)
  return ok()
}

const never = new Promise<Error>(() => {})

async function openStore(
  config: Config,
): Promise<Outcome<{ store: Store; lost: Promise<Error>; stop: () => Promise<void> }>> {
  if (config.databaseUrl) {
    return ok({ store: openDatabase({ url: config.databaseUrl }), lost: never, stop: async () => {} })
  }
  const server = await startEmbedded({ folder: join(config.dataFolder, 'postgres') })
  if (!server.ok) return server
  const { connectionString, lost } = server.value
  return ok({ store: openDatabase({ url: connectionString }), lost, stop: () => server.value.stop() })
}

/** A Safehand that runs. */
export interface Running {
  house: House
  /** Address it answers at. */
  url: string
  /** Comes true when the database is gone and does not come back: then the process must end. */
  lost: Promise<Error>
  stop: () => Promise<void>
}

/**
 * Starts everything: database, register, jobs, web.
 *
 * @param now - the clock; tests choose another
 * @returns the running Safehand, or the problem that keeps it from starting
 */
export async function startSafehand(config: Config, now: () => Date = () => new Date()): Promise<Outcome<Running>> {
  const restored = await checkRestored(config.dataFolder)
  const marked = restored.ok ? await checkMarker(config) : restored
  if (!marked.ok) return marked
  const loaded = await loadPolicy()
  if (!loaded.ok) return loaded
  const opened = await openStore(config)
  if (!opened.ok) return opened
  const { store, lost, stop: stopDatabase } = opened.value
  const whole = await checkDatabaseRestored(store.db)
  const migrated = whole.ok ? await migrate(store.db) : whole
  // Before anybody can ask: what was erased while a process was killed, or after a backup.
  const replayed = migrated.ok ? await replayErasures(store.db, config.erasuresFile) : migrated
  const register = replayed.ok ? await openRegister(store.db, config) : replayed
  if (!register.ok) {
    await store.close()
    await stopDatabase()
    return register
  }
  const report = (what: unknown) => console.error(what)
  const keeper = startKeeper({ db: store.db, ...register.value, restMs: limits.keeperRestMs, report })
  const jobs = await startJobs(store)
  const house: House = {
    config,
    db: store.db,
    blobs: await fileBlobs(join(config.dataFolder, 'blobs')),
    keeper,
    keyring: openKeyring(join(config.keysFolder, 'keyring'), config.postQuantum),
    ratesKey: await ratesKeyOf(register.value.signer),
    ...loaded.value,
    now,
  }
  if (config.demonstration) await seedDemonstration(house)
  await jobs.work('deliver-mail', (ids) =>
    mailDelivery(store.db, { smtpUrl: config.smtpUrl, from: config.mailFrom })(ids.id!),
  )
  await jobs.work('tidy', async () => {
    await tidySessions(store.db, house.now())
    await tidyRates(store.db, house.now())
    await tidy(house)
  })
  await jobs.work('destroy-parcel', (ids) => destroyParcel(house, ids.parcelId!))
  await jobs.repeat('tidy', '* * * * *')
  if (config.smtpUrl) await inTransaction(store.db, async (tx) => ok(await deliverHeld(tx)))
  const built = await builtAssets()
  const app = await buildApp(house, allRoutes(house.policy), built)
  await app.listen({ host: config.host, port: config.port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error
    orThrow(
      fail('setting-wrong', {
        detail: `Something else answers at port ${config.port} already. Choose another with --port.`,
      }),
    )
  })
  return ok({
    house,
    url: config.publicUrl,
    lost,
    async stop() {
      await app.close()
      await jobs.stop()
      await keeper.stop()
      await store.close()
      await stopDatabase()
    },
  })
}

/** The built islands and styles, at an address that changes whenever they do, so that they can be kept for ever. */
async function builtAssets() {
  const folder = assetsFolder(root)
  const hash = createHash('sha256')
  for (const name of (await readdir(folder)).toSorted()) hash.update(name).update(await readFile(join(folder, name)))
  return {
    folder,
    url: `/assets/${hash.digest('hex').slice(0, 16)}`,
    version: JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version as string,
  }
}

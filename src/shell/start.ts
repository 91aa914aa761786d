import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { demonstrationMarker } from '#config'
import { fail, ok, orThrow, ProblemError, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { nearest } from '#core/policy/shape'
import { loadVocabulary } from '#core/policy/vocabulary'
import { checkRestored } from '#edge/backup/unfinished'
import { namesIn } from '#edge/folder'
import { fileBlobs } from '#edge/blobs/filesystem'
import type { Config, House, PolicyInForce, Release } from '#edge/house'
import { startJobs } from '#edge/jobs/runner'
import { openRegister } from '#edge/keeper/installation'
import { startKeeper } from '#edge/keeper/keeper'
import { openKeyring } from '#edge/keyring'
import { mailDelivery } from '#edge/mail/deliver'
import { deliverHeld } from '#edge/mail/outbox'
import { inTransaction, openDatabase, type Store } from '#edge/store/database'
import { startEmbedded } from '#edge/store/embedded'
import { openExternal, openReady, type OpenAs } from '#edge/store/installation'
import { logFor } from '#edge/watch/log'
import { standingOf } from '#edge/watch/standing'
import { ratesKeyOf, tidyRates } from '#edge/web/rates'
import { isAllErased, replayErasures } from '#features/copies/erase'
import { destroyParcel, tidy } from '#features/parcels/keeping'
import { tidySessions } from '#features/people/queries'
import { compile, policyInForce, sha256Of } from '#features/rulebooks/in-force'
import { seedDemonstration } from '#shell/demonstration'
import { serveMetrics, standingFamilies } from '#shell/metrics'
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

/**
 * The vocabulary and the organisation's rulebooks as the release has them, stacked. What is published comes on top.
 *
 * @param ids - which rulebooks, in this order
 * @returns `setting-wrong`, naming the nearest, for one that does not ship; else what reading them finds wrong
 */
export async function loadPolicy(
  ids: readonly string[] = ['council'],
): Promise<Outcome<PolicyInForce & { release: Release }>> {
  const folder = join(root, 'rulebooks')
  const read = (name: string) => readFile(join(folder, name), 'utf8')
  const shipped = (await readdir(folder)).flatMap((name) =>
    name.endsWith('.yaml') && name !== 'vocabulary.yaml' ? basename(name, '.yaml') : [],
  )
  const unknown = ids.find((id) => !shipped.includes(id))
  if (unknown !== undefined)
    return fail('setting-wrong', {
      detail: `SAFEHAND_RULEBOOKS: there is no rulebook ‘${unknown}’. ${nearest(unknown, shipped)}`,
    })
  const vocabularyText = await read('vocabulary.yaml')
  const vocabulary = loadVocabulary('vocabulary.yaml', vocabularyText)
  if (!vocabulary.ok) return vocabulary
  const books = await Promise.all(ids.map(async (id) => ({ id, text: await read(`${id}.yaml`) })))
  const files = (await readdir(join(folder, 'cases'), { recursive: true })).filter((name) => name.endsWith('.yaml'))
  const cases = files.toSorted().map(async (file) => ({ file, text: await read(join('cases', file)) }))
  const release: Release = {
    vocabulary: vocabulary.value,
    vocabularySha256: sha256Of(vocabularyText),
    books,
    cases: await Promise.all(cases),
    offered,
  }
  const compiled = compile(release, books)
  return compiled.ok ? ok({ ...compiled.value, release }) : compiled
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

/** The database as each of those who work with it. */
interface Stores {
  store: Store
  keeperStore: Store
  /** Where this process has the owner's login, and so may erase. */
  erasureStore: Store | undefined
  lost: Promise<Error>
  stop: () => Promise<void>
}

/** The database, brought forward and looked at; the embedded one is started. */
async function openStores(config: Config): Promise<Outcome<Stores>> {
  const { databaseUrl, databaseMigrateUrl } = config
  const server = databaseUrl ? undefined : await startEmbedded({ folder: join(config.dataFolder, 'postgres') })
  if (server && !server.ok) return server
  const open: OpenAs = server
    ? (role) => openDatabase({ socketFolder: server.value.socketFolder, role })
    : openExternal(databaseUrl!, databaseMigrateUrl)
  const stopServer = async () => server?.value.stop()
  const isOwner = !databaseUrl || databaseMigrateUrl !== undefined
  const store = await openReady(open, isOwner)
  if (!store.ok) {
    await stopServer()
    return store
  }
  const keeperStore = open('keeper')
  const erasureStore = isOwner ? open('erasure') : undefined
  const stop = async () => {
    await store.value.close()
    await keeperStore.close()
    await erasureStore?.close()
    await stopServer()
  }
  return ok({ store: store.value, keeperStore, erasureStore, lost: server?.value.lost ?? never, stop })
}

/** Before anybody can ask: what was erased while a process was killed, or after a backup. */
async function eraseAgain({ store, erasureStore }: Stores, list: string): Promise<Outcome<unknown>> {
  if (erasureStore) return replayErasures(erasureStore.db, list)
  const all = await isAllErased(store.db, list)
  return all.ok && !all.value ? fail('database-older') : all
}

/** A Safehand that runs. */
export interface Running {
  /** Address it answers at. */
  url: string
  /** Comes true when the database is gone and does not come back: then the process must end. */
  lost: Promise<Error>
  /** Lets requests and jobs under way end, for a while, then ends the rest in order, the database last. */
  stop: () => Promise<void>
  /** While it stops: waits for no request any more. */
  cut: () => void
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
  const loaded = await loadPolicy(config.rulebooks)
  if (!loaded.ok) return loaded
  const opened = await openStores(config)
  if (!opened.ok) return opened
  const { lost, stop: stopDatabase } = opened.value
  const ends = [stopDatabase]
  const stop = async () => {
    for (const end of ends.toReversed()) await end()
  }
  try {
    const app = await begin({ config, stores: opened.value, release: loaded.value.release, now }, ends)
    return ok({ url: config.publicUrl, lost, stop, cut: () => app.server.closeAllConnections() })
  } catch (error) {
    await stop()
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  }
}

/**
 * Starts what stands on the database.
 *
 * @param ends - is given how to end each thing, in the order in which they were begun
 * @throws ProblemError for what keeps it from starting
 */
async function begin(
  parts: Pick<House, 'config' | 'release' | 'now'> & { stores: Stores },
  ends: (() => Promise<unknown>)[],
): Promise<FastifyInstance> {
  const { stores, ...given } = parts
  const { config } = given
  const { store, keeperStore } = stores
  orThrow(await eraseAgain(stores, config.erasuresFile))
  const register = orThrow(await openRegister(keeperStore.db, config))
  const keeper = startKeeper({
    db: keeperStore.db,
    ...register,
    restMs: limits.keeperRestMs,
    report: logFor('register'),
  })
  ends.push(() => keeper.stop())
  const house: House = {
    ...given,
    ...(await policyInForce({ release: given.release, system: store.db })),
    db: store.db,
    system: store.db,
    confine: store.confine,
    blobs: await fileBlobs(join(config.dataFolder, 'blobs')),
    keeper,
    keyring: openKeyring(join(config.keysFolder, 'keyring'), config.postQuantum),
    ratesKey: await ratesKeyOf(register.signer),
  }
  if (config.demonstration) await seedDemonstration(house)
  const jobs = await startJobs(store, logFor('jobs'))
  ends.push(() => jobs.stop())
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
  const app = await buildApp(house, allRoutes(house.policy), await builtAssets())
  ends.push(() => closeWithin(app, limits.stopRequestsMs))
  await listening(app.listen({ host: config.host, port: config.port }), config.port, '--port')
  if (config.metrics) {
    const families = async () => [...app.requestFamilies(), ...standingFamilies(await standingOf(house))]
    ends.push(await listening(serveMetrics(config.metrics, families), config.metrics.port, 'SAFEHAND_METRICS'))
  }
  return app
}

/** Lets requests under way end, for so long; then they are broken off. */
async function closeWithin(app: FastifyInstance, milliseconds: number): Promise<void> {
  const patience = setTimeout(() => app.server.closeAllConnections(), milliseconds)
  // A connection that was busy when the server closed would be kept for the next request.
  const idle = setInterval(() => app.server.closeIdleConnections(), limits.idleCheckMs)
  await app.close()
  clearTimeout(patience)
  clearInterval(idle)
}

/** What begins to listen; a port that another program has is a setting to change. */
const listening = <T>(begun: Promise<T>, port: number, setting: string): Promise<T> =>
  begun.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error
    return orThrow(
      fail('setting-wrong', {
        detail: `Something else answers at port ${port} already. Choose another with ${setting}.`,
      }),
    )
  })

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

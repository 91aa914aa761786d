import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { orThrow } from '#core/kit/outcome'
import { jobNames } from '#edge/jobs/names'
import { openDatabase, type Db, type Store } from '#edge/store/database'
import { connectionString, startEmbedded } from '#edge/store/embedded'
import { migrate } from '#edge/store/migrate'
import { migrations } from '#edge/store/migrations/index'

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

/**
 * A new, migrated database of the test's own, dropped after it. For a whole file, at its top:
 * `const { db } = await freshDatabase({ after })`; for one test: `await freshDatabase(t)`.
 *
 * Uses the server of the run; a file that is run by hand starts one and stops it.
 */
export async function freshDatabase(t: Cleaned): Promise<{ db: Db; url: string; store: Store }> {
  return aDatabase(t, makeTemplate)
}

/** As `freshDatabase`, but with nothing in it. */
export async function emptyDatabase(t: Cleaned): Promise<{ db: Db; url: string; store: Store }> {
  return aDatabase(t, () => Promise.resolve('template0'))
}

async function aDatabase(t: Cleaned, templateOf: (maintenance: string) => Promise<string>) {
  const own = process.env[environmentName] ? null : await startTestServer()
  const maintenance = process.env[environmentName]!
  const template = await templateOf(maintenance)
  const name = `test_${randomBytes(8).toString('hex')}`
  await asking(maintenance, (client) => client.query(`create database ${name} template ${template}`))
  const store = openDatabase({ url: urlOf(maintenance, name) })
  t.after(async () => {
    await store.close()
    await asking(maintenance, (client) => client.query(`drop database ${name} with (force)`))
    await own?.stop()
  })
  return { db: store.db, url: store.connectionString, store }
}

/** The migrated database that others are cloned from. Its name says which migrations made it, so it is never stale. */
async function makeTemplate(maintenance: string): Promise<string> {
  const shape = [...migrations.map((step) => `${step.name}\n${step.up.toString()}`), ...jobNames].join('\n')
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
    const store = openDatabase({ url: urlOf(maintenance, unfinished) })
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

/** The same server's connection string for another database. */
const urlOf = (url: string, database: string): string => url.replace(/(^[a-z]+:\/\/[^/]*\/)[^?]*/, `$1${database}`)

import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import { fromUtf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, orThrow, ProblemError, type Failure, type Outcome } from '#core/kit/outcome'
import { openAge } from '#core/seal/age-file'
import { wholeOf } from '#core/seal/flow'
import { copyIn } from '#edge/backup/copy'
import {
  blobListPath,
  blobsFolder,
  contentsPath,
  endingPath,
  jobsPath,
  parseContents,
  parseEnding,
  tablePath,
  tablesInOrder,
  writtenPlainly,
  type Contents,
  type Ending,
} from '#edge/backup/format'
import { tarEntries, type TarEntry } from '#edge/backup/tar'
import { restoringSchema } from '#edge/backup/unfinished'
import type { Blobs } from '#edge/blobs/blobs'
import { jobNames, type JobName } from '#edge/jobs/names'
import { enqueue } from '#edge/jobs/runner'
import { nodeTools } from '#edge/seal/node-tools'
import { inTransaction, type Db, type Store } from '#edge/store/database'
import { migrate } from '#edge/store/migrate'
import { migrations } from '#edge/store/migrations/index'

/** A backup that is open: what it says of itself, and the entries that follow, one at a time. */
export interface OpenedBackup {
  contents: Contents
  entries: AsyncIterator<TarEntry>
}

/**
 * Opens a backup with an age identity file and reads what it holds.
 *
 * @param progress - told the bytes read and the size of the file
 * @returns the backup; or why it does not open, `identity-malformed`, or `backup-malformed`, also for one of another format
 */
export async function openBackup(
  file: string,
  identityFile: string,
  progress: (doneBytes: number, totalBytes: number) => void,
): Promise<Outcome<OpenedBackup>> {
  const identities = (await readFile(identityFile, 'utf8')).match(/^AGE-SECRET-KEY-\S+$/gm) ?? []
  if (identities.length !== 1) return fail('identity-malformed', { detail: `${identityFile}.` })
  const { size } = await stat(file)
  const opened = await openAge(reading(file, size, progress), { identity: identities[0]! }, nodeTools)
  if (!opened.ok) return opened
  const entries = tarEntries(opened.value.plain)
  return asOutcome(async () => {
    const first = await entries.next()
    if (first.done || first.value.path !== contentsPath || first.value.sizeBytes > limits.backupContentsBytes)
      return fail('backup-malformed')
    const contents = parseContents(fromUtf8(await wholeOf(first.value.bytes)))
    return contents.ok ? ok({ contents: contents.value, entries }) : contents
  })
}

/** What is found wrong in the middle of a flow is thrown; here it becomes the answer. */
async function asOutcome<T>(work: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  }
}

async function* reading(file: string, size: number, progress: (doneBytes: number, totalBytes: number) => void) {
  let doneBytes = 0
  for await (const piece of createReadStream(file)) {
    yield piece as Uint8Array
    progress((doneBytes += (piece as Uint8Array).length), size)
  }
}

/**
 * Loads a backup into an empty database and an empty store of blobs: the tables as the backup's migrations make them,
 * then the rows, every blob checked, then forward to this version. Until `finishRestore` the database is marked as
 * unfinished, and only an empty one can be loaded into again.
 *
 * @returns the backup's own counts; or `database-not-empty`, `database-newer`, `backup-malformed`, `blob-differs`, or
 *   how the file is damaged
 */
export async function loadBackup({ db, pool }: Store, blobs: Blobs, backup: OpenedBackup): Promise<Outcome<Ending>> {
  const { contents } = backup
  if (!(await isEmpty(db))) return fail('database-not-empty')
  const unknown = contents.migrations.find((name) => !migrations.some((step) => step.name === name))
  if (unknown) return fail('database-newer', { detail: `It holds the change ${unknown}.` })
  await sql`create schema ${sql.id(restoringSchema)}`.execute(db)
  await sql`create table restoring.jobs (name text, data jsonb, singleton_key text, start_after timestamptz)`.execute(
    db,
  )
  await sql`create table restoring.blobs (key text primary key, size_bytes bigint, sha256 text)`.execute(db)
  const made = await migrate(
    db,
    migrations.filter(({ name }) => contents.migrations.includes(name)),
  )
  if (!made.ok) return made
  return asOutcome(async () => {
    const client = await pool.connect()
    let isDone = false
    try {
      const counted = await loadTables(db, client, backup)
      isDone = true
      const ending = await loadBlobs(db, blobs, counted.next, backup)
      if (JSON.stringify(counted.rows) !== JSON.stringify(ending.rows) || counted.jobs !== ending.jobs)
        return fail('backup-malformed')
      const forward = await migrate(db)
      return forward.ok ? ok(ending) : forward
    } finally {
      client.release(!isDone)
    }
  })
}

/**
 * Hands over the jobs that waited, marks the register as restored, and lets the database be used. What must be done
 * before anybody may use it is done in between, by the caller.
 */
export function finishRestore(db: Db): Promise<Outcome<undefined>> {
  return inTransaction(db, async (tx) => {
    await sql`set local statement_timeout = 0`.execute(tx)
    const { rows } = await sql<{ name: string; data: Record<string, string>; key: string | null; at: Date | null }>`
      select name, data, singleton_key as key, start_after as at from restoring.jobs`.execute(tx)
    for (const { name, data, key, at } of rows) {
      // What nobody does any more is left out, as an upgrade would leave it.
      if (!jobNames.includes(name as JobName)) continue
      const options = { ...(key !== null && { singletonKey: key }), ...(at && { startAfter: at }) }
      await enqueue(tx, name as JobName, data, options)
    }
    await sql`insert into register_restored default values`.execute(tx)
    // The world has seen more by now: nothing older is shown to anybody.
    await sql`update register_head set published = null`.execute(tx)
    await sql`drop schema ${sql.id(restoringSchema)} cascade`.execute(tx)
    return ok()
  })
}

async function isEmpty(db: Db): Promise<boolean> {
  const { rows } = await sql`
    select from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
    union all select from pg_namespace where nspname in ('jobs', ${restoringSchema})`.execute(db)
  return rows.length === 0
}

const malformed = (): never => orThrow(fail('backup-malformed') as Failure)

/** Loads every table, the jobs and the list of blobs, all or nothing; gives the counts and the first entry after them. */
async function loadTables(db: Db, client: PoolClient, { contents, entries }: OpenedBackup) {
  const there = await tablesInOrder(db)
  const isThere = ({ name, columns }: Contents['tables'][number]) =>
    columns.join() === there.find((table) => table.name === name)?.columns.join()
  if (!contents.tables.every(isThere) || contents.tables.length !== there.length) malformed()
  let entry = (await entries.next()).value as TarEntry | undefined
  const load = (path: string, into: string) => {
    const pieces = async function* () {
      for (; entry?.path.startsWith(`${path}.`); entry = (await entries.next()).value as TarEntry | undefined)
        yield* entry.bytes
    }
    return copyIn(client, `copy ${into} from stdin (format csv, header match)`, pieces())
  }
  const rows: Record<string, number> = {}
  await client.query('begin')
  await client.query('set local statement_timeout = 0')
  await client.query('set local idle_in_transaction_session_timeout = 0')
  await client.query(writtenPlainly)
  const { rows: guarded } = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relforcerowsecurity`,
  )
  const names = contents.tables.map(({ name }) => `public."${name}"`)
  // Rows that a migration made are in the backup, too. Guards are for those who work with the rows, not for this.
  await client.query(`truncate ${names.join(', ')}`)
  for (const { name } of guarded) await client.query(`alter table public."${name}" no force row level security`)
  for (const name of names) await client.query(`alter table ${name} disable trigger user`)
  for (const { name, columns } of contents.tables) {
    const list = columns.map((column) => `"${column}"`).join(', ')
    rows[name] = await load(tablePath(name), `public."${name}" (${list})`)
  }
  const jobs = await load(jobsPath, 'restoring.jobs (name, data, singleton_key, start_after)')
  await load(blobListPath, 'restoring.blobs (key, size_bytes, sha256)')
  for (const { name, last } of contents.sequences)
    await client.query('select setval($1::regclass, $2)', [`public."${name}"`, last])
  for (const name of names) await client.query(`alter table ${name} enable trigger user`)
  for (const { name } of guarded) await client.query(`alter table public."${name}" force row level security`)
  await client.query('commit')
  return { rows, jobs, next: entry }
}

/** Puts every blob that follows, each as it is listed, and reads the end. */
async function loadBlobs(db: Db, blobs: Blobs, next: TarEntry | undefined, { entries }: OpenedBackup): Promise<Ending> {
  let count = 0
  let entry = next
  for (; entry?.path.startsWith(blobsFolder); entry = (await entries.next()).value as TarEntry | undefined) {
    const key = entry.path.slice(blobsFolder.length)
    const { rows } = await sql<{ sizeBytes: number; sha256: string }>`
      delete from restoring.blobs where key = ${key} returning size_bytes, sha256`.execute(db)
    const [listed] = rows
    if (listed?.sizeBytes !== entry.sizeBytes) malformed()
    const put = await blobs.put(key, entry.bytes, { sizeMax: entry.sizeBytes, sha256: listed!.sha256 })
    // The store hands on what is wrong with the backup itself.
    if (!put.ok) orThrow(put.problem.slug === 'digest-differs' ? fail('blob-differs', { detail: `${key}.` }) : put)
    count += 1
  }
  if (entry?.path !== endingPath || entry.sizeBytes > limits.backupContentsBytes) malformed()
  const ending = orThrow(parseEnding(fromUtf8(await wholeOf(entry!.bytes))))
  const { rows } = await sql<{ count: number }>`select count(*) as count from restoring.blobs`.execute(db)
  // Read to the end of the file: only its last chunk says that nothing was cut off.
  const isWhole = (await entries.next()).done === true
  if (!isWhole || ending.blobs !== count || ending.without !== rows[0]!.count) malformed()
  return ending
}

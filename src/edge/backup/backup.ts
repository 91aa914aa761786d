import { randomBytes } from 'node:crypto'
import { link, open, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import { concat, toHex, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { newPrefix } from '#core/seal/age-file'
import { wholeOf } from '#core/seal/flow'
import { sealPayload } from '#core/seal/stream'
import { copyOut } from '#edge/backup/copy'
import {
  backupFormat,
  blobListPath,
  blobsFolder,
  contentsPath,
  endingPath,
  jobsPath,
  tablePath,
  tablesInOrder,
  writtenPlainly,
  type Contents,
  type Ending,
} from '#edge/backup/format'
import { tarEnd, tarEntry } from '#edge/backup/tar'
import type { Blobs } from '#edge/blobs/blobs'
import { jobsSchema } from '#edge/jobs/install'
import { nodeTools } from '#edge/seal/node-tools'
import type { Store, Tx } from '#edge/store/database'

/** What a backup is made of, and where it goes. */
export interface BackupOrder {
  store: Store
  blobs: Blobs
  demonstration: boolean
  /** The file to be made; never one that is there. */
  file: string
  /** Who can open it: an age recipient. */
  recipient: string
  at: Date
  /** Told the bytes read and about how many there are. */
  progress: (doneBytes: number, totalBytes: number) => void
}

/** What a backup holds. */
export interface Backup extends Ending {
  sizeBytes: number
  blobBytes: number
  /** Keys of blobs that the tables need and the store has not, or not as they were. It is whole but for them. */
  missing: string[]
}

/**
 * Makes a backup while Safehand runs: one snapshot of all tables and waiting jobs, then the blobs they speak of.
 * Nothing is held whole, and nothing leaves unencrypted. The register's keys and the keyring are not in it.
 *
 * @returns what it holds; or `recipient-key-malformed`, or `file-there`. When it throws there is no file of that name.
 */
export async function makeBackup(order: BackupOrder): Promise<Outcome<Backup>> {
  const begun = await newPrefix(order.recipient, nodeTools).catch(() => undefined)
  if (!begun) return fail('recipient-key-malformed')
  const unfinished = `${order.file}.${randomBytes(6).toString('hex')}.unfinished`
  const file = await open(unfinished, 'wx', 0o600)
  try {
    const held = await fill(file, begun, order)
    await file.sync()
    // A link, not a rename: what is there already is never overwritten.
    await link(unfinished, order.file)
    return ok(held)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return fail('file-there', { detail: `${order.file}.` })
    throw error
  } finally {
    await file.close()
    await unlink(unfinished)
    const folder = await open(dirname(order.file))
    await folder.sync()
    await folder.close()
  }
}

async function fill(
  file: FileHandle,
  { prefix, streamKey }: Awaited<ReturnType<typeof newPrefix>>,
  order: BackupOrder,
): Promise<Backup> {
  const held: Backup = { sizeBytes: 0, blobBytes: 0, missing: [], rows: {}, jobs: 0, blobs: 0, without: 0 }
  await file.writeFile(prefix)
  const { db, pool } = order.store
  await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      await sql`set local statement_timeout = 0`.execute(tx)
      await sql`set local idle_in_transaction_session_timeout = 0`.execute(tx)
      const { rows } = await sql<{ id: string }>`select pg_export_snapshot() as id`.execute(tx)
      const client = await pool.connect()
      let isDone = false
      try {
        await client.query('begin isolation level repeatable read read only')
        await client.query(`set transaction snapshot '${rows[0]!.id}'`)
        await client.query('set local statement_timeout = 0')
        // Rows that a guard hides are an error then, not missing.
        await client.query('set local row_security = off')
        await client.query(writtenPlainly)
        const cipher = await nodeTools.cipher(streamKey)
        for await (const sealed of sealPayload(cipher, backupTar(tx, client, order, held))) {
          await file.writeFile(sealed)
          held.sizeBytes += sealed.length
        }
        await client.query('commit')
        isDone = true
      } finally {
        // A connection in the middle of a COPY is of no use to anybody else.
        client.release(!isDone)
      }
    })
  held.sizeBytes += prefix.length
  return held
}

async function* backupTar(
  tx: Tx,
  client: PoolClient,
  order: BackupOrder,
  held: Backup,
): AsyncGenerator<Uint8Array, void> {
  const seconds = Math.floor(order.at.valueOf() / 1_000)
  const json = (path: string, value: unknown) => {
    const bytes = utf8(`${JSON.stringify(value)}\n`)
    return tarEntry(path, bytes.length, [bytes], seconds)
  }
  const totalBytes = await sizeOfAll(tx)
  let doneBytes = 0
  const passing = (bytes: number) => order.progress((doneBytes += bytes), Math.max(totalBytes, doneBytes + 1))
  const csv = async function* (path: string, query: string) {
    const copying = copyOut(client, `copy (${query}) to stdout (format csv, header)`)
    let rows = 0
    const pieces = async function* () {
      rows = yield* copying
    }
    let n = 0
    for await (const piece of gathered(pieces())) {
      yield* tarEntry(`${path}.${String(n++).padStart(6, '0')}`, piece.length, [piece], seconds)
      passing(piece.length)
    }
    return rows
  }

  const contents = await contentsOf(tx, order)
  yield* json(contentsPath, contents)
  for (const { name, columns } of contents.tables) {
    const list = columns.map((column) => `"${column}"`).join(', ')
    held.rows[name] = yield* csv(tablePath(name), `select ${list} from public."${name}"`)
  }
  held.jobs = yield* csv(jobsPath, waitingJobs)
  yield* csv(blobListPath, 'select key, size_bytes, sha256 from public.kept_blobs order by key')
  for await (const blob of keptBlobs(tx)) {
    const bytes = await readBlob(order, blob, held)
    if (!bytes) continue
    yield* tarEntry(`${blobsFolder}${blob.key}`, bytes.length, [bytes], seconds)
    held.blobs += 1
    held.blobBytes += blob.sizeBytes
    passing(blob.sizeBytes)
  }
  const { rows, jobs, blobs, without } = held
  yield* json(endingPath, { rows, jobs, blobs, without } satisfies Ending)
  yield tarEnd()
  order.progress(totalBytes, totalBytes)
}

/** Jobs that are not done, in the words of `enqueue`. One that had begun is among them: work may be done twice. */
const waitingJobs = `select name, data::text as data, singleton_key, start_after
  from ${jobsSchema}.job where state < 'completed' order by created_on, id`

async function contentsOf(tx: Tx, { demonstration, at }: BackupOrder): Promise<Contents> {
  const { rows: migrations } = await sql<{ name: string }>`select name from migration order by name`.execute(tx)
  const { rows: sequences } = await sql<{ name: string; last: number }>`
    select sequencename as name, last_value as last from pg_sequences
    where schemaname = 'public' and last_value is not null`.execute(tx)
  return {
    format: backupFormat,
    at: at.toISOString(),
    demonstration,
    migrations: migrations.map(({ name }) => name),
    tables: await tablesInOrder(tx),
    sequences,
  }
}

/** About how many bytes there are to read. */
async function sizeOfAll(tx: Tx): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    select (coalesce((select sum(size_bytes) from kept_blobs), 0) + coalesce(sum(pg_table_size(oid)), 0))::bigint as bytes
    from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`.execute(tx)
  return rows[0]!.bytes
}

/** Joins small pieces into those that a backup is cut into; at least one. */
async function* gathered(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (const piece of pieces) {
    held.push(piece)
    heldBytes += piece.length
    if (heldBytes < limits.backupPieceBytes) continue
    yield concat(...held)
    held = []
    heldBytes = 0
  }
  yield concat(...held)
}

interface KeptBlob {
  key: string
  sizeBytes: number
  sha256: string
}

/** The blobs that the snapshot speaks of, in the order of their keys. */
async function* keptBlobs(tx: Tx): AsyncGenerator<KeptBlob> {
  await sql`declare kept_blobs_there cursor for select key, size_bytes, sha256 from kept_blobs order by key`.execute(tx)
  for (;;) {
    const { rows } =
      await sql<KeptBlob>`fetch ${sql.raw(String(limits.backupBlobsAtOnce))} from kept_blobs_there`.execute(tx)
    if (rows.length === 0) return
    yield* rows
  }
}

/**
 * The bytes of a blob; undefined when it is not there as the snapshot has it. That is as it should be when it was
 * destroyed since; otherwise it is missing. Held whole: no blob is larger than a part may be.
 */
async function readBlob(order: BackupOrder, blob: KeptBlob, held: Backup): Promise<Uint8Array | undefined> {
  const bytes = await bytesOf(order.blobs, blob.key)
  if (bytes?.length === blob.sizeBytes && toHex(await nodeTools.sha256(bytes)) === blob.sha256) return bytes
  held.without += 1
  // Asked of the present, not of the snapshot.
  const { rows } = await sql`select from kept_blobs where key = ${blob.key}`.execute(order.store.db)
  if (rows.length > 0) held.missing.push(blob.key)
  return undefined
}

/** All of a blob, or undefined when there is none. */
async function bytesOf(blobs: Blobs, key: string): Promise<Uint8Array | undefined> {
  if ((await blobs.size(key)) === null) return undefined
  try {
    return await wholeOf(await blobs.read(key))
  } catch (error) {
    if ((await blobs.size(key)) === null) return undefined
    throw error
  }
}

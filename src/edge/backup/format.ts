import { sql } from 'kysely'
import Type, { type Static } from 'typebox'
import { Value } from 'typebox/value'
import { assert, fail, ok, type Outcome } from '#core/kit/outcome'
import type { Db, Tx } from '#edge/store/database'

/**
 * A backup is one age file over one tar:
 *
 * - `safehand-backup.json`: what follows, as `Contents` says
 * - `tables/<name>.csv.<piece>`: each table in pieces of a few MiB; joined they are one CSV with a header line
 * - `jobs.csv.<piece>`: jobs that were enqueued and not done
 * - `blobs.csv.<piece>`: key, size and SHA-256 of each blob that the tables speak of
 * - `blobs/<key>`: the blobs
 * - `end.json`: the counts, as `Ending` says; a backup without it is none
 *
 * Tables stand in an order in which each refers only to earlier ones. The format's number goes up when a reader of the
 * one before could go wrong.
 */
export const backupFormat = 1
export const contentsPath = 'safehand-backup.json'
export const endingPath = 'end.json'
export const jobsPath = 'jobs.csv'
export const blobListPath = 'blobs.csv'
export const blobsFolder = 'blobs/'
export const tablePath = (table: string): string => `tables/${table}.csv`

const name = Type.String({ pattern: '^[a-z_][a-z0-9_]*$' })

const contents = Type.Object({
  format: Type.Literal(backupFormat),
  at: Type.String(),
  demonstration: Type.Boolean(),
  /** Names of the migrations that made these tables. */
  migrations: Type.Array(Type.String()),
  tables: Type.Array(Type.Object({ name, columns: Type.Array(name) })),
  /** The last number each sequence gave out. */
  sequences: Type.Array(Type.Object({ name, last: Type.Integer() })),
})
export type Contents = Static<typeof contents>

const counts = Type.Object({
  rows: Type.Record(Type.String(), Type.Integer()),
  jobs: Type.Integer(),
  blobs: Type.Integer(),
  /** Blobs of the list that are not there: destroyed after the tables were read, or lost. */
  without: Type.Integer(),
})
export type Ending = Static<typeof counts>

const parse = <T>(schema: Type.TSchema, text: string): Outcome<T> => {
  try {
    const value: unknown = JSON.parse(text)
    if (Value.Check(schema, value)) return ok(value as T)
  } catch {
    // Not JSON: the same to the reader.
  }
  return fail('backup-malformed')
}
export const parseContents = (text: string): Outcome<Contents> => parse(contents, text)
export const parseEnding = (text: string): Outcome<Ending> => parse(counts, text)

/** However the server is set up, what is written here is read the same there. */
export const writtenPlainly = "set local datestyle = 'ISO, YMD'"

/** Tables that are not carried: the list of migrations is, and makes them. */
const notCarried = ['migration']

/** Every table of ours with its columns, each after those it refers to. */
export async function tablesInOrder(db: Db | Tx): Promise<Contents['tables']> {
  const { rows: tables } = await sql<{ name: string; columns: string[] }>`
    select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    group by c.relname order by c.relname`.execute(db)
  const { rows: references } = await sql<{ from: string; to: string }>`
    select distinct c.relname as from, r.relname as to
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class r on r.oid = f.confrelid
    where f.contype = 'f' and f.conrelid <> f.confrelid and c.relnamespace = 'public'::regnamespace`.execute(db)
  const left = tables.filter((table) => !notCarried.includes(table.name))
  const ordered: Contents['tables'] = []
  while (left.length > 0) {
    const isFree = ({ name: from }: { name: string }) =>
      !references.some((each) => each.from === from && left.some((table) => table.name === each.to))
    const next = left.findIndex(isFree)
    assert(next >= 0, 'tables do not refer to each other in a circle')
    ordered.push(...left.splice(next, 1))
  }
  return ordered
}

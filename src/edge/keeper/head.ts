import { setTimeout as rest } from 'node:timers/promises'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { checkpointText, parseCheckpoint, type Checkpoint } from '#core/register/checkpoint'
import { emptyRoot } from '#core/register/merkle'
import { formatVkey, openNote, signNote, type NoteSigner, type Vkey } from '#core/register/note'
import type { RegisterHeadTable } from '#edge/keeper/tables'
import type { Db, Tx } from '#edge/store/database'

export type Head = Omit<RegisterHeadTable, 'onlyRow'>

/** The checkpoint in a note that this key signed. */
export function openCheckpoint(note: string, vkey: Vkey): Outcome<Checkpoint> {
  const opened = openNote(note, [vkey])
  return opened.ok ? parseCheckpoint(opened.value.text) : opened
}

/**
 * The head row, made with a checkpoint of nothing when this database never had one.
 *
 * @returns the head, or the problem `keeper-elsewhere` when it was signed with another key or under another name
 */
export async function readHead(db: Db, signer: NoteSigner): Promise<Outcome<Head>> {
  const vkey = formatVkey(signer.vkey)
  const found = await db.selectFrom('registerHead').selectAll().executeTakeFirst()
  if (found && found.vkey !== vkey) return fail('keeper-elsewhere', { detail: `The database has ${found.vkey}.` })
  if (found) return ok(found)
  const root = emptyRoot()
  const checkpoint = await signNote(checkpointText({ origin: signer.vkey.name, size: 0, root }), signer)
  const head = { vkey, size: 0, root, checkpoint, published: null }
  await db.insertInto('registerHead').values(head).execute()
  return ok(head)
}

/** Whether the database was restored from a backup and nothing published later was taken in yet. */
export const isRestored = async (db: Db | Tx): Promise<boolean> =>
  (await db.selectFrom('registerRestored').select('at').executeTakeFirst()) !== undefined

/** The head row, locked: two sequencers that sign different roots would fork the register. */
export const lockHead = (tx: Tx): Promise<Head> =>
  tx.selectFrom('registerHead').selectAll().forUpdate().executeTakeFirstOrThrow()

/**
 * The newest checkpoint whose tiles are all published, with what witnesses have signed of it, as it is served at
 * `/checkpoint`; undefined before the first.
 */
export async function latestCheckpoint(db: Db): Promise<string | undefined> {
  const rows = await db
    .selectFrom('registerHead')
    .leftJoin('registerCosigned', 'registerCosigned.checkpoint', 'registerHead.published')
    .select(['published', 'line'])
    .orderBy('witness')
    .execute()
  const published = rows[0]?.published
  return published == null ? undefined : published + rows.map(({ line }) => line ?? '').join('')
}

/** Chosen once at random: whoever keeps the register holds this lock for a round. */
const keeperLock = 5_118_203_746

/** Does work as the only keeper, on one connection; or not at all, when another holds the lock. */
export async function asOnlyKeeper<T>(db: Db, otherwise: T, work: (connection: Db) => Promise<T>): Promise<T> {
  return db.connection().execute(async (connection) => {
    const { rows } = await sql<{ mine: boolean }>`select pg_try_advisory_lock(${keeperLock}) as mine`.execute(
      connection,
    )
    if (!rows[0]!.mine) return otherwise
    try {
      return await work(connection)
    } finally {
      await sql`select pg_advisory_unlock(${keeperLock})`.execute(connection)
    }
  })
}

/** As `asOnlyKeeper`, but waits its turn for a while; `keeper-busy` when it does not come. */
export async function asNextKeeper<T>(db: Db, work: (connection: Db) => Promise<Outcome<T>>): Promise<Outcome<T>> {
  const busy = fail('keeper-busy')
  for (let tries = 0; ; tries++) {
    const done = await asOnlyKeeper<Outcome<T>>(db, busy, work)
    if (done !== busy || tries >= limits.keeperLockTries) return done
    await rest(limits.keeperLockWaitMs)
  }
}

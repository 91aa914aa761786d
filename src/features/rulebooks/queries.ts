import { sql, type Insertable, type Selectable, type Updateable } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'

export type Draft = Selectable<Tables['rulebookDrafts']>

/** Chosen once at random: publications wait for each other. */
const publishingLock = 6_120_773_015

/** The number of the newest publication, 0 before any. */
export async function newestPublication(db: Db | Tx): Promise<number> {
  const row = await db
    .selectFrom('rulebookVersions')
    .select('number')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.number ?? 0
}

/** What was published last of each rulebook. */
export const newestVersions = (db: Db | Tx) =>
  db
    .selectFrom('rulebookVersions')
    .distinctOn('rulebook')
    .selectAll()
    .orderBy('rulebook')
    .orderBy('number', 'desc')
    .execute()

/** Holds up every other publication until the transaction ends. */
export const lockPublishing = (tx: Tx) => sql`select pg_advisory_xact_lock(${publishingLock})`.execute(tx)

export async function insertVersion(tx: Tx, row: Omit<Insertable<Tables['rulebookVersions']>, 'number'>) {
  const number = (await newestPublication(tx)) + 1
  await tx
    .insertInto('rulebookVersions')
    .values({ ...row, number })
    .execute()
}

/** What was published of a rulebook, newest first, with who wrote and who approved it. */
export const versionsOf = (db: Db | Tx, rulebook: string) =>
  db
    .selectFrom('rulebookVersions as v')
    .leftJoin('people as offered', 'offered.id', 'v.offeredBy')
    .leftJoin('people as approved', 'approved.id', 'v.approvedBy')
    .where('rulebook', '=', rulebook)
    .select(['v.number', 'v.version', 'v.sha256', 'v.publishedAt', 'v.draftId'])
    .select(['offered.fullName as offeredByName', 'approved.fullName as approvedByName'])
    .orderBy('number', 'desc')
    .limit(limits.listRows)
    .execute()

/** Every version of a rulebook that was ever published. */
export const versionNames = async (db: Db | Tx, rulebook: string): Promise<string[]> =>
  (await db.selectFrom('rulebookVersions').where('rulebook', '=', rulebook).select('version').execute()).map(
    ({ version }) => version,
  )

export const insertDraft = (tx: Tx, row: Insertable<Tables['rulebookDrafts']>) =>
  tx.insertInto('rulebookDrafts').values(row).returningAll().executeTakeFirstOrThrow()

export const draftById = (db: Db | Tx, rulebook: string, id: string) =>
  db.selectFrom('rulebookDrafts').where('id', '=', id).where('rulebook', '=', rulebook).selectAll().executeTakeFirst()

/** An open draft, locked until the transaction ends; undefined once it is published or withdrawn. */
export const lockDraft = (tx: Tx, rulebook: string, id: string) =>
  tx
    .selectFrom('rulebookDrafts')
    .where('id', '=', id)
    .where('rulebook', '=', rulebook)
    .where('state', 'in', ['draft', 'offered'])
    .selectAll()
    .forUpdate()
    .executeTakeFirst()

export const updateDraft = (tx: Tx, id: string, set: Updateable<Tables['rulebookDrafts']>) =>
  tx.updateTable('rulebookDrafts').set(set).where('id', '=', id).execute()

/** Drafts that are not yet published or withdrawn, oldest first. */
export const openDrafts = (db: Db | Tx, rulebook: string) =>
  db
    .selectFrom('rulebookDrafts')
    .where('rulebook', '=', rulebook)
    .where('state', 'in', ['draft', 'offered'])
    .select(['id', 'state', 'text', 'authors', 'madeAt', 'changedAt'])
    .orderBy('id')
    .limit(limits.draftsOpen)
    .execute()

/** Drafts that wait for an officer who did not write them. */
export const offeredTo = (db: Db | Tx, personId: string) =>
  db
    .selectFrom('rulebookDrafts')
    .where('state', '=', 'offered')
    .where(sql<boolean>`not ${personId}::uuid = any(authors)`)
    .select(['id', 'rulebook', 'offeredAt'])
    .orderBy('id')
    .limit(limits.listRows)
    .execute()

export const namesOf = async (db: Db | Tx, ids: string[]): Promise<string[]> =>
  (await db.selectFrom('people').where('id', 'in', ids).select('fullName').orderBy('fullName').execute()).map(
    ({ fullName }) => fullName,
  )

/** Transfers that are open and decided, with the facts of their decision, from one on. */
export const openDecided = (db: Db | Tx, after: string | undefined) =>
  db
    .selectFrom('transfers')
    .innerJoin('decisions', 'decisions.id', 'transfers.decisionId')
    .where('transfers.state', 'in', ['draft', 'ready', 'asking'])
    .$if(after !== undefined, (query) => query.where('transfers.id', '>', after!))
    .select(['transfers.id', 'transfers.reference', 'transfers.method', 'decisions.facts'])
    .orderBy('transfers.id')
    .limit(limits.affectedTransfers)
    .execute()

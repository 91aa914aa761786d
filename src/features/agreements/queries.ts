import { sql, type Insertable, type Selectable, type SqlBool } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'
import type { Day } from '#edge/store/work-tables'
import { isId } from '#edge/web/fields'

export type Agreement = Selectable<Tables['agreements']>

/** Every agreement, those in force longest last: what ends soonest is read first. */
export const agreements = (db: Db) =>
  db
    .selectFrom('agreements')
    .selectAll()
    .orderBy('withdrawnAt', (order) => order.desc().nullsFirst())
    .orderBy('endsOn')
    .limit(limits.listRows)
    .execute()

export async function agreementById(db: Db, id: string | undefined) {
  if (!isId(id)) return undefined
  return db
    .selectFrom('agreements')
    .innerJoin('people', 'people.id', 'agreements.enteredBy')
    .where('agreements.id', '=', id)
    .selectAll('agreements')
    .select('people.fullName as enteredByName')
    .executeTakeFirst()
}

export const insertAgreement = (tx: Tx, row: Insertable<Tables['agreements']>) =>
  tx.insertInto('agreements').values(row).returning('id').executeTakeFirstOrThrow()

/** Withdraws an agreement; nothing comes back when it is withdrawn already or there is none. */
export async function endAgreement(tx: Tx, id: string | undefined, withdrawnReason: string, withdrawnAt: Date) {
  if (!isId(id)) return undefined
  return tx
    .updateTable('agreements')
    .set({ withdrawnAt, withdrawnReason })
    .where('id', '=', id)
    .where('withdrawnAt', 'is', null)
    .returning('id')
    .executeTakeFirst()
}

/**
 * The agreement that covers sharing with all these organisations for this purpose on this day, or nothing.
 *
 * One agreement must cover them all: two agreements with one partner each say nothing of the three together.
 *
 * @param wanted.organisationIds - the organisations outside; ours is a party to every agreement
 * @returns of several, the one that lasts longest
 * @source clause D2
 */
export async function agreementInForce(
  db: Db,
  wanted: { organisationIds: readonly string[]; purpose: string; day: Day },
): Promise<Agreement | undefined> {
  if (wanted.organisationIds.length === 0) return undefined
  return db
    .selectFrom('agreements')
    .where(sql<SqlBool>`organisation_ids @> ${wanted.organisationIds}::uuid[]`)
    .where(sql<SqlBool>`${wanted.purpose} = ANY(purposes)`)
    .where('startsOn', '<=', wanted.day)
    .where('endsOn', '>=', wanted.day)
    .where('withdrawnAt', 'is', null)
    .selectAll()
    .orderBy('endsOn', 'desc')
    .executeTakeFirst()
}

/** Agreements in force whose review is due, soonest first. */
export const agreementsToReview = (db: Db, today: Day) =>
  db
    .selectFrom('agreements')
    .where('withdrawnAt', 'is', null)
    .where('startsOn', '<=', today)
    .where('endsOn', '>=', today)
    .where('reviewOn', '<=', today)
    .select(['id', 'title', 'reviewOn'])
    .orderBy('reviewOn')
    .limit(limits.listRows)
    .execute()

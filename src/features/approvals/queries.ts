import { sql, type Insertable, type SqlBool } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'
import type { Day } from '#edge/store/work-tables'
import { isId } from '#edge/web/fields'

/** What approvals know of a transfer: whose it is, what it is called, and what has been said of it. */
const transfers = (db: Db) =>
  db
    .selectFrom('transfers')
    .innerJoin('people', 'people.id', 'transfers.senderId')
    .select([
      'transfers.id',
      'transfers.reference',
      'transfers.senderId',
      'transfers.facts',
      'people.fullName as senderName',
      'people.email as senderEmail',
    ])

export async function transferById(db: Db, id: string | undefined) {
  return isId(id) ? transfers(db).where('transfers.id', '=', id).executeTakeFirst() : undefined
}
export const transferByReference = (db: Db, reference: string) =>
  transfers(db).where('reference', '=', reference.toUpperCase()).executeTakeFirst()

// Grants

/** The newest grants, with whom they are for. */
export const grants = (db: Db) =>
  db
    .selectFrom('facilityGrants')
    .leftJoin('people', 'people.id', 'facilityGrants.personId')
    .selectAll('facilityGrants')
    .select('people.fullName as personName')
    .orderBy('grantedAt', 'desc')
    .limit(limits.listRows)
    .execute()

export const insertGrant = (tx: Tx, row: Insertable<Tables['facilityGrants']>) =>
  tx.insertInto('facilityGrants').values(row).returning('id').executeTakeFirstOrThrow()

/** Ends a grant; nothing comes back when it has ended already or there is none. */
export async function endGrant(tx: Tx, id: string | undefined, now: Date) {
  if (!isId(id)) return undefined
  return tx
    .updateTable('facilityGrants')
    .set({ endedAt: now })
    .where('id', '=', id)
    .where('endedAt', 'is', null)
    .returning('id')
    .executeTakeFirst()
}

/** The grant under which a person, by name or by one of their roles, may use a method on a day, or nothing. @source clause D41, reading C9 */
export const grantInForce = (
  db: Db,
  wanted: { method: string; personId: string; roles: readonly string[]; day: Day },
) =>
  db
    .selectFrom('facilityGrants')
    .where('method', '=', wanted.method)
    .where(sql<SqlBool>`(person_id = ${wanted.personId} OR role = ANY(${wanted.roles}::text[]))`)
    .where('startsOn', '<=', wanted.day)
    .where('endsOn', '>=', wanted.day)
    .where('endedAt', 'is', null)
    .selectAll()
    .orderBy('endsOn', 'desc')
    .executeTakeFirst()

// Advice

const advice = (db: Db) =>
  db
    .selectFrom('adviceRequests')
    .innerJoin('people as asker', 'asker.id', 'adviceRequests.askedBy')
    .leftJoin('people as answerer', 'answerer.id', 'adviceRequests.answeredBy')
    .leftJoin('transfers', 'transfers.id', 'adviceRequests.transferId')
    .selectAll('adviceRequests')
    .select([
      'asker.fullName as askedByName',
      'asker.email as askedByEmail',
      'answerer.fullName as answeredByName',
      'transfers.reference',
      'transfers.senderId',
    ])
export type Advice = NonNullable<Awaited<ReturnType<typeof adviceById>>>

export async function adviceById(db: Db, id: string | undefined) {
  return isId(id) ? advice(db).where('adviceRequests.id', '=', id).executeTakeFirst() : undefined
}

/** The questions asked about a transfer, with their answers, oldest first. */
export const adviceOf = (db: Db, transferId: string) =>
  advice(db).where('transferId', '=', transferId).orderBy('askedAt').limit(limits.listRows).execute()

/** Open questions to these roles, oldest first. */
export const openAdvice = (db: Db, roles: readonly string[]) =>
  advice(db)
    .where(sql<SqlBool>`asked_of_role = ANY(${roles}::text[])`)
    .where('answeredAt', 'is', null)
    .orderBy('askedAt')
    .limit(limits.listRows)
    .execute()

/** What a person has lately asked. */
export const adviceAskedBy = (db: Db, personId: string) =>
  advice(db).where('askedBy', '=', personId).orderBy('askedAt', 'desc').limit(limits.directoryRows).execute()

export const insertAdvice = (tx: Tx, row: Insertable<Tables['adviceRequests']>) =>
  tx.insertInto('adviceRequests').values(row).returning('id').executeTakeFirstOrThrow()

/** Keeps an answer; nothing comes back when the question has one already. */
export const answerAdviceRow = (
  tx: Tx,
  id: string,
  row: { answer: string; answerFacts: string | null; answeredBy: string; answeredAt: Date },
) =>
  tx
    .updateTable('adviceRequests')
    .set(row)
    .where('id', '=', id)
    .where('answeredAt', 'is', null)
    .returning('id')
    .executeTakeFirst()

/** Lets a transfer go on that waited for advice, once every question about it is answered. */
export const adviceEnded = (tx: Tx, transferId: string) =>
  tx
    .updateTable('transfers')
    .set({ state: 'draft' })
    .where('id', '=', transferId)
    .where('state', '=', 'asking')
    .where((eb) => {
      const open = eb.selectFrom('adviceRequests').where('transferId', '=', transferId).where('answeredAt', 'is', null)
      return eb.not(eb.exists(open.select('id')))
    })
    .execute()

/** The facts that answers have settled for a transfer; a newer answer wins over an older. */
export async function adviceFacts(db: Db, transferId: string): Promise<Record<string, unknown>> {
  const rows = await db
    .selectFrom('adviceRequests')
    .where('transferId', '=', transferId)
    .where('answeredAt', 'is not', null)
    .select('answerFacts')
    .orderBy('answeredAt')
    .orderBy('id')
    .execute()
  return Object.assign({}, ...rows.map(({ answerFacts }) => answerFacts ?? {})) as Record<string, unknown>
}

// Emergencies

const certifications = (db: Db) =>
  db
    .selectFrom('emergencyCertifications')
    .innerJoin('transfers', 'transfers.id', 'emergencyCertifications.transferId')
    .innerJoin('people as certifier', 'certifier.id', 'emergencyCertifications.byId')
    .leftJoin('people as reviewer', 'reviewer.id', 'emergencyCertifications.reviewedBy')
    .selectAll('emergencyCertifications')
    .select([
      'transfers.reference',
      'transfers.senderId',
      'certifier.fullName as byName',
      'certifier.email as byEmail',
      'reviewer.fullName as reviewedByName',
    ])

export async function certificationById(db: Db, id: string | undefined) {
  return isId(id) ? certifications(db).where('emergencyCertifications.id', '=', id).executeTakeFirst() : undefined
}

/** The emergency certified for a transfer, with its review, or nothing. */
export const certificationOf = (db: Db, transferId: string) =>
  certifications(db).where('transferId', '=', transferId).executeTakeFirst()

/** Certifications nobody has reviewed yet, the one due soonest first. */
export const unreviewed = (db: Db) =>
  certifications(db).where('reviewedAt', 'is', null).orderBy('reviewDueAt').limit(limits.listRows).execute()
export const lastReviewed = (db: Db) =>
  certifications(db)
    .where('reviewedAt', 'is not', null)
    .orderBy('reviewedAt', 'desc')
    .limit(limits.directoryRows)
    .execute()

/** Keeps a certification; nothing comes back when the transfer has one. */
export const insertCertification = (tx: Tx, row: Insertable<Tables['emergencyCertifications']>) =>
  tx
    .insertInto('emergencyCertifications')
    .values(row)
    .onConflict((conflict) => conflict.column('transferId').doNothing())
    .returning('id')
    .executeTakeFirst()

/** Keeps a review; nothing comes back when there is one already. */
export const reviewRow = (
  tx: Tx,
  id: string,
  row: { reviewOutcome: string; reviewWords: string; reviewedBy: string; reviewedAt: Date },
) =>
  tx
    .updateTable('emergencyCertifications')
    .set(row)
    .where('id', '=', id)
    .where('reviewedAt', 'is', null)
    .returning('id')
    .executeTakeFirst()

// Exceptions

const exceptions = (db: Db) =>
  db
    .selectFrom('exceptions')
    .innerJoin('transfers', 'transfers.id', 'exceptions.transferId')
    .innerJoin('people', 'people.id', 'exceptions.byId')
    .selectAll('exceptions')
    .select(['transfers.reference', 'people.fullName as byName'])

/** The exceptions allowed for a transfer, newest first. */
export const exceptionsOf = (db: Db, transferId: string) =>
  exceptions(db).where('transferId', '=', transferId).orderBy('at', 'desc').limit(limits.listRows).execute()
export const lastExceptions = (db: Db) => exceptions(db).orderBy('at', 'desc').limit(limits.listRows).execute()
export const insertException = (tx: Tx, row: Insertable<Tables['exceptions']>) =>
  tx.insertInto('exceptions').values(row).returning('id').executeTakeFirstOrThrow()

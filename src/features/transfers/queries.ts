import { sql, type Insertable, type Selectable, type Updateable } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'

export type TransferRow = Selectable<Tables['transfers']>
export type RecipientRow = Selectable<Tables['recipients']>

export const insertTransfer = async (tx: Tx, row: { senderId: string; now: Date }) => {
  const made = await tx
    .insertInto('transfers')
    .values({
      reference: sql`'SH-new-' || gen_random_uuid()`,
      senderId: row.senderId,
      state: 'draft',
      createdAt: row.now,
    })
    .returning(['id', 'number'])
    .executeTakeFirstOrThrow()
  const reference = `SH-${row.now.getUTCFullYear()}-${String(made.number).padStart(6, '0')}`
  await tx.updateTable('transfers').set({ reference }).where('id', '=', made.id).execute()
  return { id: made.id, reference }
}

/** A transfer; undefined also when it was erased. */
export const transferById = (db: Db | Tx, id: string) =>
  db.selectFrom('transfers').where('id', '=', id).where('state', '!=', 'erased').selectAll().executeTakeFirst()

/** The transfer's row, locked until the transaction ends: two changes of one transfer are made one after the other. */
export const lockTransfer = (tx: Tx, id: string) =>
  tx.selectFrom('transfers').where('id', '=', id).selectAll().forUpdate().executeTakeFirst()

export const updateTransfer = (tx: Tx, id: string, set: Updateable<Tables['transfers']>) =>
  tx.updateTable('transfers').set(set).where('id', '=', id).execute()

/** A sender's newest transfers with whom they are for. */
export const transfersOf = (db: Db, senderId: string) =>
  db
    .selectFrom('transfers')
    .where('senderId', '=', senderId)
    .where('state', '!=', 'erased')
    .select(['id', 'reference', 'state', 'method', 'informationWords', 'createdAt', 'sentAt', 'expiresAt'])
    .select((eb) =>
      eb
        .selectFrom('recipients')
        .whereRef('recipients.transferId', '=', 'transfers.id')
        .where('withdrawnAt', 'is', null)
        .select(sql<string | null>`string_agg(full_name, ', ' ORDER BY created_at)`.as('names'))
        .as('recipients'),
    )
    .orderBy('createdAt', 'desc')
    .limit(limits.homeTransfers)
    .execute()

export const recipientsOf = (db: Db | Tx, transferId: string) =>
  db
    .selectFrom('recipients')
    .where('transferId', '=', transferId)
    .where('withdrawnAt', 'is', null)
    .selectAll()
    .orderBy('createdAt')
    .execute()

/** A transfer's recipients as pages and the API show them: without what only the server may know. */
export const shownRecipients = async (db: Db | Tx, transferId: string) =>
  (await recipientsOf(db, transferId)).map(
    ({ linkHash, collectingKey: _key, statement: _said, failures: _wrong, chased: _chased, ...shown }) => ({
      ...shown,
      isInvited: linkHash !== null,
    }),
  )

export const recipientById = (db: Db | Tx, id: string) =>
  db.selectFrom('recipients').where('id', '=', id).selectAll().executeTakeFirst()
export const lockRecipient = (tx: Tx, id: string) =>
  tx.selectFrom('recipients').where('id', '=', id).selectAll().forUpdate().executeTakeFirst()

/** Adds a recipient; undefined when the transfer has this address already. */
export const insertRecipient = (tx: Tx, row: Insertable<Tables['recipients']>) =>
  tx
    .insertInto('recipients')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returning(['id', 'fullName', 'email'])
    .executeTakeFirst()

export const updateRecipient = (tx: Tx, id: string, set: Updateable<Tables['recipients']>) =>
  tx.updateTable('recipients').set(set).where('id', '=', id).execute()

/** The people a sender has lately sent to, newest first. */
export const recentPeople = (db: Db, senderId: string) =>
  db
    .selectFrom('recipients')
    .innerJoin('transfers', 'transfers.id', 'recipients.transferId')
    .innerJoin('people', 'people.id', 'recipients.personId')
    .leftJoin('organisations', 'organisations.id', 'people.organisationId')
    .where('transfers.senderId', '=', senderId)
    .where('people.active', '=', true)
    .groupBy(['people.id', 'organisations.name'])
    .select(['people.id', 'people.fullName as name', 'people.jobTitle', 'organisations.name as organisation'])
    .orderBy(sql`max(transfers.created_at)`, 'desc')
    .limit(limits.recentPeople)
    .execute()

export const insertConfirmation = (tx: Tx, row: Insertable<Tables['recipientConfirmations']>) =>
  tx.insertInto('recipientConfirmations').values(row).execute()

/** The newest confirmation of each of a transfer's recipients. */
export const confirmationsOf = (db: Db | Tx, transferId: string) =>
  db
    .selectFrom('recipientConfirmations')
    .innerJoin('recipients', 'recipients.id', 'recipientConfirmations.recipientId')
    .where('recipients.transferId', '=', transferId)
    .distinctOn('recipientId')
    .select(['recipientId', 'authorised', 'how', 'detail', 'byId', 'at'])
    .orderBy('recipientId')
    .orderBy('at', 'desc')
    .execute()

export const insertDecision = (tx: Tx, row: Insertable<Tables['decisions']>) =>
  tx.insertInto('decisions').values(row).returning('id').executeTakeFirstOrThrow()
export const decisionById = (db: Db | Tx, id: string) =>
  db.selectFrom('decisions').where('id', '=', id).selectAll().executeTakeFirst()

/** What the register holds about a transfer, oldest first. */
export const eventsOf = (db: Db, transferId: string) =>
  db
    .selectFrom('registerEvents')
    .where('transferId', '=', transferId)
    .select(['id', 'name', 'at', 'body', 'seq'])
    .orderBy('at')
    .orderBy('id')
    .limit(limits.timelineEvents)
    .execute()

/** Names of the people a timeline speaks of. */
export const namesOf = async (db: Db, ids: string[]): Promise<Map<string, string>> => {
  if (ids.length === 0) return new Map()
  const rows = await db.selectFrom('people').where('id', 'in', ids).select(['id', 'fullName']).execute()
  return new Map(rows.map((row) => [row.id, row.fullName]))
}

export const personDetails = (db: Db | Tx, id: string) =>
  db
    .selectFrom('people')
    .leftJoin('organisations', 'organisations.id', 'people.organisationId')
    .where('people.id', '=', id)
    .selectAll('people')
    .select([
      'organisations.name as organisation',
      'organisations.sector',
      'organisations.isOwn',
      'organisations.requiredMethods',
      'organisations.tls',
      'organisations.switchboard',
    ])
    .executeTakeFirst()

export const organisationFacts = (db: Db | Tx, id: string) =>
  db
    .selectFrom('organisations')
    .where('id', '=', id)
    .select(['id', 'name', 'sector', 'isOwn', 'requiredMethods', 'tls'])
    .executeTakeFirst()

export const teamDetails = (db: Db | Tx, id: string) =>
  db
    .selectFrom('teamMailboxes')
    .innerJoin('organisations', 'organisations.id', 'teamMailboxes.organisationId')
    .where('teamMailboxes.id', '=', id)
    .select([
      'teamMailboxes.id',
      'teamMailboxes.name',
      'teamMailboxes.address',
      'teamMailboxes.organisationId',
      'organisations.isOwn',
    ])
    .executeTakeFirst()

import { sql, type Insertable, type Selectable, type Updateable } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'

type ParcelRow = Selectable<Tables['parcels']>

export const insertParcel = (tx: Tx, row: Insertable<Tables['parcels']>) =>
  tx.insertInto('parcels').values(row).returning('id').executeTakeFirstOrThrow()

export const parcelById = (db: Db | Tx, id: string) =>
  db.selectFrom('parcels').where('id', '=', id).selectAll().executeTakeFirst()
export const lockParcel = (tx: Tx, id: string) =>
  tx.selectFrom('parcels').where('id', '=', id).selectAll().forUpdate().executeTakeFirst()
/** The parcel's row, held as it is until the transaction ends, together with others who hold it so. */
export const shareParcel = (tx: Tx, id: string) =>
  tx.selectFrom('parcels').where('id', '=', id).select('state').forShare().executeTakeFirst()
export const updateParcel = (tx: Tx, id: string, set: Updateable<Tables['parcels']>) =>
  tx.updateTable('parcels').set(set).where('id', '=', id).execute()

/** The transfer's newest parcel. */
export const parcelOf = (db: Db | Tx, transferId: string) =>
  db
    .selectFrom('parcels')
    .where('transferId', '=', transferId)
    .selectAll()
    .orderBy('createdAt', 'desc')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()

/** A parcel together with whose it is, for each request that carries bytes. */
export const sealingParcel = (db: Db, id: string) =>
  db
    .selectFrom('parcels')
    .innerJoin('transfers', 'transfers.id', 'parcels.transferId')
    .where('parcels.id', '=', id)
    .select([
      'parcels.id',
      'parcels.state',
      'parcels.partSizeBytes',
      'parcels.declaredBytes',
      'parcels.transferId',
      'transfers.senderId',
    ])
    .executeTakeFirst()

/** Abandons a transfer's unfinished parcels, but for one; answers their ids, whose bytes are then to be removed. */
export const abandonParcels = async (tx: Tx, transferId: string, exceptId?: string): Promise<string[]> => {
  const rows = await tx
    .updateTable('parcels')
    .set({ state: 'abandoned' })
    .where('transferId', '=', transferId)
    .where('state', '=', 'sealing')
    .$if(exceptId !== undefined, (query) => query.where('id', '!=', exceptId!))
    .returning('id')
    .execute()
  return rows.map((row) => row.id)
}

/** Keeps a part's digest unless the part is there already; answers the digest that stands. */
export async function keepPart(db: Tx, row: Insertable<Tables['parcelParts']>): Promise<string> {
  const kept = await db
    .insertInto('parcelParts')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returning('sha256')
    .executeTakeFirst()
  return kept?.sha256 ?? (await partOf(db, row.parcelId, row.n))!.sha256
}
export const partOf = (db: Db | Tx, parcelId: string, n: number) =>
  db
    .selectFrom('parcelParts')
    .where('parcelId', '=', parcelId)
    .where('n', '=', n)
    .select(['n', 'sizeBytes', 'sha256'])
    .executeTakeFirst()
export const partsOf = (db: Db | Tx, parcelId: string) =>
  db
    .selectFrom('parcelParts')
    .where('parcelId', '=', parcelId)
    .select(['n', 'sizeBytes', 'sha256'])
    .orderBy('n')
    .execute()

export const insertLock = (tx: Tx, row: Insertable<Tables['locks']>) => tx.insertInto('locks').values(row).execute()
export const lockOfRecipient = (db: Db | Tx, parcelId: string, recipientId: string) =>
  db
    .selectFrom('locks')
    .where('parcelId', '=', parcelId)
    .where('recipientId', '=', recipientId)
    .where('destroyedAt', 'is', null)
    .selectAll()
    .orderBy('createdAt', 'desc')
    .limit(1)
    .executeTakeFirst()
export const senderLocks = (db: Db, parcelId: string) =>
  db
    .selectFrom('locks')
    .where('parcelId', '=', parcelId)
    .where('kind', '=', 'sender')
    .where('destroyedAt', 'is', null)
    .select(['id', 'age'])
    .execute()

/** Ids of the locks made at sealing, which the parcel's root names; destroyed ones too, later ones not. */
export const sealedLockIds = async (
  db: Db | Tx,
  { id, sealedAt }: Pick<ParcelRow, 'id' | 'sealedAt'>,
): Promise<string[]> => {
  const rows = await db
    .selectFrom('locks')
    .where('parcelId', '=', id)
    .where('createdAt', '=', sealedAt!)
    .select('id')
    .execute()
  return rows.map((row) => row.id)
}

/** The public key of the device that signed a parcel. */
export const signingKeyOf = (db: Db | Tx, { deviceId }: Pick<ParcelRow, 'deviceId'>) =>
  db.selectFrom('devices').where('id', '=', deviceId).select('signingKey').executeTakeFirst()

/** Destroys locks: the bytes go, the row stays for the record. Answers how many. */
export const destroyLocks = async (tx: Tx, parcelId: string, now: Date, recipientId?: string): Promise<number> => {
  const rows = await tx
    .updateTable('locks')
    .set({ age: null, destroyedAt: now })
    .where('parcelId', '=', parcelId)
    .where('destroyedAt', 'is', null)
    .$if(recipientId !== undefined, (query) => query.where('recipientId', '=', recipientId!))
    .returning('id')
    .execute()
  return rows.length
}

/** Takes one of the failures a mailed link has for life; false when none is left. */
export const takeFailure = async (db: Db, recipientId: string): Promise<boolean> => {
  const row = await db
    .updateTable('recipients')
    .set((eb) => ({ failures: eb('failures', '+', 1) }))
    .where('id', '=', recipientId)
    .where('failures', '<', limits.linkFailures)
    .returning('failures')
    .executeTakeFirst()
  return row !== undefined
}
export const giveBackFailure = (db: Db, recipientId: string) =>
  db
    .updateTable('recipients')
    .set((eb) => ({ failures: eb('failures', '-', 1) }))
    .where('id', '=', recipientId)
    .execute()

export const insertTelling = (tx: Tx, row: Insertable<Tables['phraseTellings']>) =>
  tx.insertInto('phraseTellings').values(row).execute()
/** Sealed parcels whose time has come. */
export const expiredParcels = (db: Db, now: Date) =>
  db
    .selectFrom('parcels')
    .innerJoin('transfers', 'transfers.id', 'parcels.transferId')
    .where('parcels.state', '=', 'sealed')
    .where('transfers.expiresAt', '<=', now)
    .select(['parcels.id', 'parcels.transferId'])
    .limit(limits.tidyBatch)
    .execute()

/** Unfinished parcels that nobody has touched for a while. */
export const staleParcels = (db: Db, before: Date) =>
  db
    .selectFrom('parcels')
    .where('state', '=', 'sealing')
    .where('createdAt', '<', before)
    .select(['id', 'transferId'])
    .limit(limits.tidyBatch)
    .execute()

/** Parcels whose locks are gone and whose bytes are to follow. */
export const parcelsToDestroy = (db: Db) =>
  db
    .selectFrom('parcels')
    .where('state', 'in', ['recalled', 'expired', 'abandoned'])
    .where('destroyedAt', 'is', null)
    .select(['id', 'transferId', 'state'])
    .limit(limits.tidyBatch)
    .execute()

/** Recipients of live parcels who have not opened them, for whom a chaser is due. */
export const recipientsToChase = (db: Db, now: Date) =>
  db
    .selectFrom('recipients')
    .innerJoin('transfers', 'transfers.id', 'recipients.transferId')
    .innerJoin('parcels', 'parcels.transferId', 'transfers.id')
    .where('parcels.state', '=', 'sealed')
    .where('recipients.openedAt', 'is', null)
    .where('recipients.withdrawnAt', 'is', null)
    .where('recipients.notForMeAt', 'is', null)
    .where('transfers.expiresAt', '>', now)
    .where((eb) =>
      eb.or([
        eb.and([
          eb('transfers.sentAt', '<=', new Date(now.valueOf() - limits.firstReminderDays * 86_400_000)),
          sql<boolean>`NOT ('first' = ANY(recipients.chased))`,
        ]),
        eb.and([
          eb('transfers.expiresAt', '<=', new Date(now.valueOf() + limits.lastReminderDays * 86_400_000)),
          sql<boolean>`NOT ('last' = ANY(recipients.chased))`,
          eb('transfers.sentAt', '<=', new Date(now.valueOf() - 86_400_000)),
        ]),
        eb('recipients.remindAt', '<=', now),
      ]),
    )
    .select([
      'recipients.id',
      'recipients.chased',
      'recipients.remindAt',
      'transfers.sentAt',
      'transfers.expiresAt',
      'transfers.id as transferId',
    ])
    .limit(limits.tidyBatch)
    .execute()

/** Notes that a chaser of one kind went; false when another node was first. */
export const noteChased = async (tx: Tx, recipientId: string, kind: string): Promise<boolean> => {
  const row = await tx
    .updateTable('recipients')
    .set({ chased: sql`array_append(chased, ${kind})` })
    .where('id', '=', recipientId)
    .where(sql<boolean>`NOT (${kind} = ANY(chased))`)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export const saveDayKey = (db: Db | Tx, day: string, recipient: string) =>
  db
    .insertInto('keyring')
    .values({ day, recipient })
    .onConflict((conflict) => conflict.doNothing())
    .execute()

/** Whether a parcel that was begun on a day can still be opened. */
export const hasLiveParcels = async (db: Db, day: string): Promise<boolean> => {
  const begun = new Date(`${day}T00:00:00Z`)
  const row = await db
    .selectFrom('parcels')
    .where('state', 'in', ['sealing', 'sealed'])
    .where('createdAt', '>=', begun)
    .where('createdAt', '<', new Date(begun.valueOf() + 86_400_000))
    .select('id')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Days whose identity is not known to be destroyed. */
export const daysKept = async (db: Db): Promise<string[]> =>
  (await db.selectFrom('keyring').where('destroyedAt', 'is', null).select('day').execute()).map(({ day }) => day)

export const noteDayDestroyed = (db: Db, day: string, now: Date) =>
  db.updateTable('keyring').set({ destroyedAt: now }).where('day', '=', day).where('destroyedAt', 'is', null).execute()

/** An event as the database has it; `body` is null once erased. */
export interface Told {
  id: string
  name: string
  at: Date
  seq: number | null
  body: Record<string, unknown> | null
}

/** A transfer, what belongs to it, and the events about it in their order. */
export interface Held {
  transfer: Selectable<Tables['transfers']>
  recipients: Selectable<Tables['recipients']>[]
  parcels: HeldParcel[]
  locks: Selectable<Tables['locks']>[]
  events: Told[]
}

export type HeldParcel = ParcelRow & {
  parts: { n: number; sizeBytes: number; sha256: string }[]
  /** Of the device that signed it. */
  signingKey: Uint8Array | null
}

/** Ids of transfers in their order, after one of them. */
export const transferIdsAfter = async (db: Db, after: string): Promise<string[]> =>
  (
    await db
      .selectFrom('transfers')
      .where('id', '>', after)
      .select('id')
      .orderBy('id')
      .limit(limits.registerRoundEvents)
      .execute()
  ).map(({ id }) => id)

/** A transfer with all that belongs to it and all events about it, as they were at one instant. */
export const heldOf = (db: Db, transferId: string): Promise<Held | undefined> =>
  db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      const transfer = await tx.selectFrom('transfers').where('id', '=', transferId).selectAll().executeTakeFirst()
      if (!transfer) return undefined
      const of = <T extends 'recipients' | 'parcels'>(table: T) =>
        tx
          .selectFrom(table as 'parcels')
          .where('transferId', '=', transferId)
          .selectAll()
          .execute()
      const recipients = (await of('recipients')) as unknown as Held['recipients']
      const parcels = []
      for (const parcel of await of('parcels')) {
        const device = parcel.deviceId ? await signingKeyOf(tx, parcel) : undefined
        parcels.push({ ...parcel, parts: await partsOf(tx, parcel.id), signingKey: device?.signingKey ?? null })
      }
      const ids = parcels.map(({ id }) => id)
      const locks =
        ids.length > 0 ? await tx.selectFrom('locks').where('parcelId', 'in', ids).selectAll().execute() : []
      const events = await tx
        .selectFrom('registerEvents')
        .where('transferId', '=', transferId)
        .select(['id', 'name', 'at', 'seq', 'body'])
        .orderBy(sql`seq nulls last, id`)
        .execute()
      return { transfer, recipients, parcels, locks, events: events.map((row) => ({ ...row, body: bodyOf(row.body) })) }
    })

/** What an event says; nothing, where its text is none of ours: that it was altered, the check of the register says. */
function bodyOf(text: string | null): Record<string, unknown> | null {
  if (text === null) return null
  try {
    return { ...(JSON.parse(text) as Record<string, unknown>) }
  } catch {
    return {}
  }
}

/** Events that are about a transfer that is not there, the first ones. */
export const eventsOfNothing = (db: Db) =>
  db
    .selectFrom('registerEvents')
    .where('transferId', 'is not', null)
    .where((eb) => {
      const transfer = eb.selectFrom('transfers').whereRef('transfers.id', '=', 'registerEvents.transferId')
      return eb.not(eb.exists(transfer.select('id')))
    })
    .where('body', 'is not', null)
    .select(['seq', 'name'])
    .orderBy('seq')
    .limit(limits.fsckFindings)
    .execute()

/** What the database knows of these parcels, for the bytes that are there. */
export const parcelsOfIds = (db: Db, ids: string[]) =>
  db.selectFrom('parcels').where('id', 'in', ids).select(['id', 'state', 'destroyedAt', 'manifestSha256']).execute()

export const keyringDays = (db: Db) => db.selectFrom('keyring').selectAll().orderBy('day').execute()

/** When the last parcel of a day ended; null while one can still be opened, undefined without any. */
export const dayEnded = async (db: Db, day: string): Promise<Date | null | undefined> => {
  const begun = new Date(`${day}T00:00:00Z`)
  const rows = await db
    .selectFrom('parcels')
    .where('createdAt', '>=', begun)
    .where('createdAt', '<', new Date(begun.valueOf() + 86_400_000))
    .select(['state', 'locksDestroyedAt', 'destroyedAt', 'createdAt'])
    .execute()
  if (rows.length === 0) return undefined
  if (rows.some(({ state }) => state === 'sealing' || state === 'sealed')) return null
  return new Date(Math.max(...rows.map((row) => (row.destroyedAt ?? row.locksDestroyedAt ?? row.createdAt).valueOf())))
}

/** Whether a day's parcels have an automatic lock that opens. */
export const hasAutomaticLocks = async (db: Db, day: string): Promise<boolean> => {
  const begun = new Date(`${day}T00:00:00Z`)
  const row = await db
    .selectFrom('locks')
    .innerJoin('parcels', 'parcels.id', 'locks.parcelId')
    .where('locks.kind', '=', 'automatic')
    .where('locks.destroyedAt', 'is', null)
    .where('parcels.createdAt', '>=', begun)
    .where('parcels.createdAt', '<', new Date(begun.valueOf() + 86_400_000))
    .select('locks.id')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

import type { Insertable } from 'kysely'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'

export const insertSharingRecord = (tx: Tx, row: Insertable<Tables['sharingRecords']>) =>
  tx.insertInto('sharingRecords').values(row).returning('id').executeTakeFirstOrThrow()

export const sharingRecordsOf = (db: Db, transferId: string) =>
  db.selectFrom('sharingRecords').where('transferId', '=', transferId).selectAll().orderBy('happenedAt').execute()

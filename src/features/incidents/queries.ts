import type { Insertable } from 'kysely'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'

export const insertIncident = (tx: Tx, row: Insertable<Tables['incidents']>) =>
  tx.insertInto('incidents').values(row).returning('id').executeTakeFirstOrThrow()

export const incidentsOf = (db: Db, transferId: string) =>
  db.selectFrom('incidents').where('transferId', '=', transferId).selectAll().orderBy('reportedAt').execute()

export const incidentById = (db: Db | Tx, id: string) =>
  db.selectFrom('incidents').where('id', '=', id).selectAll().executeTakeFirst()

/** The reporter's line manager, and that manager's own, so that one of them can record it when the other is away. (D49) */
export const managersOf = (db: Db | Tx, personId: string) =>
  db
    .selectFrom('people as reporter')
    .innerJoin('people as manager', 'manager.id', 'reporter.lineManagerId')
    .leftJoin('people as senior', 'senior.id', 'manager.lineManagerId')
    .where('reporter.id', '=', personId)
    .select(['manager.id', 'manager.email', 'senior.id as seniorId', 'senior.email as seniorEmail'])
    .executeTakeFirst()

/** Problems that wait for this manager, or for the manager above an absent one, to record. */
export const unrecordedFor = (db: Db, managerId: string) =>
  db
    .selectFrom('incidents')
    .innerJoin('people as reporter', 'reporter.id', 'incidents.reportedBy')
    .leftJoin('people as manager', 'manager.id', 'reporter.lineManagerId')
    .where('incidents.recordedAt', 'is', null)
    .where((eb) => eb.or([eb('reporter.lineManagerId', '=', managerId), eb('manager.lineManagerId', '=', managerId)]))
    .select(['incidents.id', 'incidents.reportedAt'])
    .orderBy('incidents.reportedAt')
    .execute()

/** Notes the manager's record; false when it was recorded already. */
export const recordIncident = async (
  tx: Tx,
  id: string,
  by: { recordedBy: string; recordedWords: string; recordedAt: Date },
): Promise<boolean> => {
  const row = await tx
    .updateTable('incidents')
    .set(by)
    .where('id', '=', id)
    .where('recordedAt', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

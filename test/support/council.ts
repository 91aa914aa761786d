import type { Db } from '#edge/store/database'
import type { Role } from '#edge/web/route'

let count = 0

/** Our own organisation: Exampleshire County Council. */
export const aCouncil = (db: Db) =>
  anOrganisation(db, {
    name: 'Exampleshire County Council',
    sector: 'council',
    isOwn: true,
    domains: ['exampleshire.example'],
  })

/** An organisation, of its own name and with no domain unless told. */
export async function anOrganisation(
  db: Db,
  changes: { name?: string; sector?: string; isOwn?: boolean; domains?: string[] } = {},
) {
  count += 1
  const row = { name: `Partner ${count}`, sector: 'voluntary', domains: [], ...changes }
  return { ...row, ...(await db.insertInto('organisations').values(row).returning('id').executeTakeFirstOrThrow()) }
}

/** A colleague with these roles at our own organisation. */
export async function aColleague(
  db: Db,
  organisationId: string,
  roles: Role[] = [],
  changes: { fullName?: string; email?: string } = {},
) {
  count += 1
  const row = {
    fullName: `Colleague ${count}`,
    email: `colleague${count}@exampleshire.example`,
    ...changes,
    roles,
    organisationId,
    kind: 'staff' as const,
  }
  const { id } = await db.insertInto('people').values(row).returning('id').executeTakeFirstOrThrow()
  return {
    id,
    name: row.fullName,
    email: row.email,
    roles,
    organisationId,
    organisation: 'Exampleshire County Council',
  }
}

/** A transfer of this sender, with nothing said yet unless told. */
export async function aTransfer(
  db: Db,
  senderId: string,
  changes: { facts?: Record<string, unknown>; createdAt?: Date } = {},
) {
  count += 1
  const row = {
    reference: `SH-2026-${String(count).padStart(6, '0')}`,
    senderId,
    state: 'draft',
    facts: JSON.stringify(changes.facts ?? {}),
    createdAt: changes.createdAt ?? new Date('2026-03-02T09:00:00Z'),
  }
  return {
    reference: row.reference,
    ...(await db.insertInto('transfers').values(row).returning('id').executeTakeFirstOrThrow()),
  }
}

import { sql, type Insertable } from 'kysely'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'
import type { Actor } from '#edge/web/route'

const actors = (db: Db | Tx) =>
  db
    .selectFrom('people')
    .innerJoin('organisations', 'organisations.id', 'people.organisationId')
    .where('people.kind', '=', 'staff')
    .where('people.active', '=', true)
    .where('organisations.isOwn', '=', true)
    .select([
      'people.id',
      'people.fullName as name',
      'people.email',
      'people.roles',
      'organisations.id as organisationId',
      'organisations.name as organisation',
    ])

export async function actorOfBrowser(db: Db, tokenHash: Uint8Array, now: Date): Promise<Actor | null> {
  const row = await actors(db)
    .innerJoin('browsers', 'browsers.personId', 'people.id')
    .where('browsers.tokenHash', '=', tokenHash)
    .where('browsers.expiresAt', '>', now)
    .executeTakeFirst()
  return row ?? null
}

export async function actorOfToken(db: Db, tokenHash: Uint8Array, now: Date): Promise<Actor | null> {
  const row = await actors(db)
    .innerJoin('apiTokens', 'apiTokens.personId', 'people.id')
    .where('apiTokens.tokenHash', '=', tokenHash)
    .where('apiTokens.expiresAt', '>', now)
    .where('apiTokens.revokedAt', 'is', null)
    .executeTakeFirst()
  return row ?? null
}

/** Staff of our own organisation, by name. */
export const staff = (db: Db) =>
  actors(db).select(['people.jobTitle', 'people.department']).orderBy('people.fullName').execute()

export const staffByEmail = (db: Db, email: string) =>
  actors(db)
    .where(sql`lower(people.email)`, '=', email.toLowerCase())
    .executeTakeFirst()

export const staffById = (db: Db | Tx, id: string) => actors(db).where('people.id', '=', id).executeTakeFirst()

/** Addresses of everyone who holds a role. */
export const peopleWithRole = (db: Db | Tx, role: Actor['roles'][number]) =>
  actors(db)
    .where(sql<boolean>`${role} = ANY(people.roles)`)
    .execute()

export const saveBrowser = (db: Db, row: Insertable<Tables['browsers']>) =>
  db.insertInto('browsers').values(row).execute()

export const endBrowser = (db: Db, tokenHash: Uint8Array) =>
  db.deleteFrom('browsers').where('tokenHash', '=', tokenHash).execute()

export const saveAdmission = (db: Db | Tx, row: Insertable<Tables['admissions']>) =>
  db
    .insertInto('admissions')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['browserHash', 'recipientId']).doUpdateSet({ expiresAt: row.expiresAt }),
    )
    .execute()

export async function admissionOf(db: Db, browserHash: Uint8Array, recipientId: string, now: Date): Promise<boolean> {
  const row = await db
    .selectFrom('admissions')
    .innerJoin('recipients', 'recipients.id', 'admissions.recipientId')
    .where('browserHash', '=', browserHash)
    .where('recipientId', '=', recipientId)
    .where('admissions.expiresAt', '>', now)
    .where('recipients.withdrawnAt', 'is', null)
    .select('recipientId')
    .executeTakeFirst()
  return row !== undefined
}

export const saveCode = (db: Db | Tx, row: Insertable<Tables['mailedCodes']>) =>
  db.insertInto('mailedCodes').values(row).execute()

/** How many codes were asked for since an instant. */
export async function codesSince(
  db: Db | Tx,
  purpose: 'sign-in' | 'collect',
  subjectId: string,
  since: Date,
): Promise<number> {
  const row = await db
    .selectFrom('mailedCodes')
    .where('purpose', '=', purpose)
    .where('subjectId', '=', subjectId)
    .where('createdAt', '>', since)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

/** Takes one try from the newest live code, in one statement and before anything is compared; null when there is none left. */
export const takeTry = (
  db: Db | Tx,
  purpose: 'sign-in' | 'collect',
  browserHash: Uint8Array,
  now: Date,
  subjectId?: string,
) =>
  db
    .updateTable('mailedCodes')
    .set((eb) => ({ triesLeft: eb('triesLeft', '-', 1) }))
    .where('id', '=', (eb) =>
      eb
        .selectFrom('mailedCodes')
        .where('purpose', '=', purpose)
        .where('browserHash', '=', browserHash)
        .$if(subjectId !== undefined, (query) => query.where('subjectId', '=', subjectId!))
        .where('usedAt', 'is', null)
        .where('expiresAt', '>', now)
        .orderBy('createdAt', 'desc')
        .limit(1)
        .select('id'),
    )
    .where('triesLeft', '>', 0)
    .returning(['id', 'codeHash', 'subjectId', 'triesLeft'])
    .executeTakeFirst()

/** Marks a code used; false when someone else used it first. */
export async function useCode(db: Db | Tx, id: string, now: Date): Promise<boolean> {
  const done = await db
    .updateTable('mailedCodes')
    .set({ usedAt: now })
    .where('id', '=', id)
    .where('usedAt', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return done !== undefined
}

export const passkeysOf = (db: Db, personId: string) =>
  db.selectFrom('passkeys').where('personId', '=', personId).selectAll().orderBy('createdAt').execute()
export const passkey = (db: Db, credentialId: string) =>
  db.selectFrom('passkeys').where('credentialId', '=', credentialId).selectAll().executeTakeFirst()
export const savePasskey = (db: Db | Tx, row: Insertable<Tables['passkeys']>) =>
  db.insertInto('passkeys').values(row).execute()
export const usedPasskey = (db: Db, credentialId: string, counter: number, now: Date) =>
  db.updateTable('passkeys').set({ counter, usedAt: now }).where('credentialId', '=', credentialId).execute()

/** Keeps the challenge this browser must answer; a new one replaces the old. */
export const saveChallenge = (db: Db, browserHash: Uint8Array, challenge: string, expiresAt: Date) =>
  db
    .insertInto('passkeyChallenges')
    .values({ browserHash, challenge, expiresAt })
    .onConflict((conflict) => conflict.column('browserHash').doUpdateSet({ challenge, expiresAt }))
    .execute()

/** The challenge, which is gone once taken. */
export const takeChallenge = (db: Db, browserHash: Uint8Array, now: Date) =>
  db
    .deleteFrom('passkeyChallenges')
    .where('browserHash', '=', browserHash)
    .where('expiresAt', '>', now)
    .returning('challenge')
    .executeTakeFirst()

export const saveDevice = (tx: Tx, row: Insertable<Tables['devices']>) =>
  tx
    .insertInto('devices')
    .values(row)
    .onConflict((conflict) => conflict.columns(['personId', 'signingKey']).doNothing())
    .returning('id')
    .executeTakeFirst()
export const deviceByKey = (db: Db | Tx, personId: string, signingKey: Uint8Array) =>
  db
    .selectFrom('devices')
    .where('personId', '=', personId)
    .where('signingKey', '=', signingKey)
    .where('revokedAt', 'is', null)
    .selectAll()
    .executeTakeFirst()
export const devicesOf = (db: Db, personId: string) =>
  db
    .selectFrom('devices')
    .where('personId', '=', personId)
    .where('revokedAt', 'is', null)
    .selectAll()
    .orderBy('enrolledAt')
    .execute()

export const saveToken = (db: Db | Tx, row: Insertable<Tables['apiTokens']>) =>
  db.insertInto('apiTokens').values(row).returning('id').executeTakeFirstOrThrow()
export const tokensOf = (db: Db, personId: string) =>
  db
    .selectFrom('apiTokens')
    .where('personId', '=', personId)
    .where('revokedAt', 'is', null)
    .select(['id', 'label', 'createdAt', 'expiresAt'])
    .orderBy('createdAt')
    .execute()
export const revokeToken = (db: Db, personId: string, tokenId: string, now: Date) =>
  db
    .updateTable('apiTokens')
    .set({ revokedAt: now })
    .where('id', '=', tokenId)
    .where('personId', '=', personId)
    .where('revokedAt', 'is', null)
    .returning('id')
    .executeTakeFirst()

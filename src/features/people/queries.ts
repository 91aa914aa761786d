import { sql, type Insertable } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'
import type { Actor } from '#edge/web/route'

/** What a mailed code is for; `confirm` is of one act. */
export type CodePurpose = 'sign-in' | 'collect' | 'confirm'

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

/** Who a browser is signed in as, and when it was last used. */
export const actorOfBrowser = (
  db: Db,
  tokenHash: Uint8Array,
  now: Date,
  idleSince: Date,
): Promise<(Actor & { seenAt: Date }) | undefined> =>
  actors(db)
    .innerJoin('browsers', 'browsers.personId', 'people.id')
    .where('browsers.tokenHash', '=', tokenHash)
    .where('browsers.expiresAt', '>', now)
    .where('browsers.seenAt', '>', idleSince)
    .select('browsers.seenAt')
    .executeTakeFirst()

/** Notes that a browser was used, unless another call of it does so at the same moment: none waits for another's disk. */
export const noteSeen = (db: Db, tokenHash: Uint8Array, now: Date) =>
  db
    .updateTable('browsers')
    .set({ seenAt: now })
    .where('tokenHash', 'in', (only) =>
      only
        .selectFrom('browsers')
        .select('tokenHash')
        .where('tokenHash', '=', tokenHash)
        .where('seenAt', '<', now)
        .forUpdate()
        .skipLocked(),
    )
    .execute()

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

/** Ends all that a browser has proved: whom it is signed in as, and recipients' mailboxes. */
export async function endBrowser(db: Db, tokenHash: Uint8Array): Promise<void> {
  await db.deleteFrom('browsers').where('tokenHash', '=', tokenHash).execute()
  await db.deleteFrom('admissions').where('browserHash', '=', tokenHash).execute()
}

/** Everything that was bound to a browser's secret is bound to its new one. */
export async function moveBrowser(tx: Tx, from: Uint8Array, to: Uint8Array): Promise<void> {
  await tx.updateTable('browsers').set({ tokenHash: to }).where('tokenHash', '=', from).execute()
  for (const table of ['admissions', 'mailedCodes', 'passkeyChallenges'] as const)
    await tx.updateTable(table).set({ browserHash: to }).where('browserHash', '=', from).execute()
}

/** The browsers a person is signed in with, the one used last first. */
export const browsersOf = (db: Db, personId: string, now: Date, idleSince: Date) =>
  db
    .selectFrom('browsers')
    .where('personId', '=', personId)
    .where('expiresAt', '>', now)
    .where('seenAt', '>', idleSince)
    .select(['id', 'tokenHash', 'label', 'signedInAt', 'seenAt'])
    .orderBy('seenAt', 'desc')
    .limit(limits.sessionsShown)
    .execute()

/** Ends a person's browsers, or only one of them. @returns how many there were */
export async function endBrowsersOf(db: Db | Tx, personId: string, only?: string): Promise<number> {
  const ended = await db
    .deleteFrom('browsers')
    .where('personId', '=', personId)
    .$if(only !== undefined, (query) => query.where('id', '=', only!))
    .returning('id')
    .execute()
  return ended.length
}

export const endTokensOf = (tx: Tx, personId: string, now: Date) =>
  tx
    .updateTable('apiTokens')
    .set({ revokedAt: now })
    .where('personId', '=', personId)
    .where('revokedAt', 'is', null)
    .execute()

/** Notes a sign-in; the one before stays known, so that the person can see whether it was theirs. */
export const noteSignIn = (db: Db, personId: string, now: Date) =>
  db
    .insertInto('signIns')
    .values({ personId, lastAt: now })
    .onConflict((conflict) =>
      conflict.column('personId').doUpdateSet((eb) => ({ lastAt: now, beforeAt: eb.ref('signIns.lastAt') })),
    )
    .execute()
export const signInBefore = (db: Db, personId: string) =>
  db.selectFrom('signIns').where('personId', '=', personId).select('beforeAt').executeTakeFirst()

/** Takes out what has ended: browsers, admissions, codes and challenges. */
export async function tidySessions(db: Db, now: Date): Promise<void> {
  for (const table of ['browsers', 'admissions', 'mailedCodes', 'passkeyChallenges'] as const)
    await db.deleteFrom(table).where('expiresAt', '<', now).execute()
}

export const saveAdmission = (db: Db | Tx, row: Insertable<Tables['admissions']>) =>
  db
    .insertInto('admissions')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['browserHash', 'recipientId']).doUpdateSet({ expiresAt: row.expiresAt }),
    )
    .execute()

export const admissionOf = (db: Db, browserHash: Uint8Array, recipientId: string, now: Date) =>
  db
    .selectFrom('admissions')
    .innerJoin('recipients', 'recipients.id', 'admissions.recipientId')
    .innerJoin('transfers', 'transfers.id', 'recipients.transferId')
    .where('browserHash', '=', browserHash)
    .where('recipientId', '=', recipientId)
    .where('admissions.expiresAt', '>', now)
    .where('recipients.withdrawnAt', 'is', null)
    .select(['recipients.id as recipient', 'transfers.id as transfer', 'transfers.senderId as sender'])
    .executeTakeFirst()

export const saveCode = (db: Db | Tx, row: Insertable<Tables['mailedCodes']>) =>
  db.insertInto('mailedCodes').values(row).execute()

/** Takes one try from the newest live code, in one statement and before anything is compared; null when there is none left. */
export const takeTry = (
  db: Db | Tx,
  code: {
    purpose: CodePurpose
    browserHash: Uint8Array
    actHash: Uint8Array
    now: Date
    subjectId?: string | undefined
  },
) =>
  db
    .updateTable('mailedCodes')
    .set((eb) => ({ triesLeft: eb('triesLeft', '-', 1) }))
    .where('id', '=', (eb) =>
      eb
        .selectFrom('mailedCodes')
        .where('purpose', '=', code.purpose)
        .where('browserHash', '=', code.browserHash)
        .where('actHash', '=', code.actHash)
        .$if(code.subjectId !== undefined, (query) => query.where('subjectId', '=', code.subjectId!))
        .where('usedAt', 'is', null)
        .where('expiresAt', '>', code.now)
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

export const deletePasskey = (tx: Tx, personId: string, credentialId: string) =>
  tx
    .deleteFrom('passkeys')
    .where('credentialId', '=', credentialId)
    .where('personId', '=', personId)
    .returning('credentialId')
    .executeTakeFirst()

/** Keeps the challenge this browser must answer for an act; a new one replaces the old. */
export const saveChallenge = (db: Db, row: Insertable<Tables['passkeyChallenges']>) =>
  db
    .insertInto('passkeyChallenges')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['browserHash', 'actHash']).doUpdateSet({ challenge: row.challenge, expiresAt: row.expiresAt }),
    )
    .execute()

/** The challenge, which is gone once taken. */
export const takeChallenge = (db: Db, browserHash: Uint8Array, actHash: Uint8Array, now: Date) =>
  db
    .deleteFrom('passkeyChallenges')
    .where('browserHash', '=', browserHash)
    .where('actHash', '=', actHash)
    .where('expiresAt', '>', now)
    .returning('challenge')
    .executeTakeFirst()

/** Keeps a device, or what it may now read. @returns its id, none when it was ended; and whether anything is new */
export async function saveDevice(
  tx: Tx,
  row: Insertable<Tables['devices']>,
): Promise<{ id: string | undefined; isChanged: boolean }> {
  const saved = await tx
    .insertInto('devices')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['personId', 'signingKey'])
        .doUpdateSet({ senderRecipient: row.senderRecipient })
        .where('devices.revokedAt', 'is', null)
        .where(sql<boolean>`excluded.sender_recipient IS NOT NULL`)
        .where(sql<boolean>`devices.sender_recipient IS DISTINCT FROM excluded.sender_recipient`),
    )
    .returning('id')
    .executeTakeFirst()
  if (saved) return { id: saved.id, isChanged: true }
  return { id: (await deviceByKey(tx, row.personId, row.signingKey))?.id, isChanged: false }
}
export const revokeDevice = (tx: Tx, personId: string, id: string, now: Date) =>
  tx
    .updateTable('devices')
    .set({ revokedAt: now })
    .where('id', '=', id)
    .where('personId', '=', personId)
    .where('revokedAt', 'is', null)
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

import { createHash, randomBytes } from 'node:crypto'
import { limits } from '#core/kit/limits'
import type { Db } from '#edge/store/database'
import type { Actor } from '#edge/web/route'
import {
  actorOfBrowser,
  actorOfToken,
  admissionOf,
  endBrowser,
  saveAdmission,
  saveBrowser,
} from '#features/people/queries'

/** What a secret is stored as: its SHA-256. Enough for 128-bit random values, which cannot be guessed. */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** A fresh 256-bit browser token. */
export const makeToken = (): string => randomBytes(32).toString('base64url')

const hours = (count: number) => count * 3_600_000

/** Signs a browser in and answers its new token: the old one ends, so that a planted cookie gains nothing. */
export async function signIn(db: Db, oldToken: string | undefined, personId: string, now: Date): Promise<string> {
  const token = makeToken()
  if (oldToken) await endBrowser(db, hashSecret(oldToken))
  await saveBrowser(db, {
    tokenHash: hashSecret(token),
    personId,
    signedInAt: now,
    expiresAt: new Date(now.valueOf() + hours(limits.sessionHours)),
  })
  return token
}

/** Ends what a browser is signed in as. */
export const signOut = (db: Db, token: string) => endBrowser(db, hashSecret(token))

/** Who a cookie's token is signed in as, or null. */
export const actorOfCookie = (db: Db, token: string, now: Date): Promise<Actor | null> =>
  actorOfBrowser(db, hashSecret(token), now)

/** Who an API token acts as, or null when it is unknown, ended or out of date. */
export const actorOfBearer = (db: Db, token: string, now: Date): Promise<Actor | null> =>
  actorOfToken(db, hashSecret(token), now)

/** Notes that this browser has proved the recipient's mailbox. */
export const admit = (db: Db, token: string, recipientId: string, now: Date) =>
  saveAdmission(db, {
    browserHash: hashSecret(token),
    recipientId,
    admittedAt: now,
    expiresAt: new Date(now.valueOf() + hours(limits.admissionHours)),
  })

/** Whether this browser has proved the recipient's mailbox lately. */
export const isAdmitted = (db: Db, token: string, recipientId: string, now: Date): Promise<boolean> =>
  admissionOf(db, hashSecret(token), recipientId, now)

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { limits } from '#core/kit/limits'
import { ok } from '#core/kit/outcome'
import { asSystem } from '#edge/store/context'
import { inTransaction, type Db, type Tx } from '#edge/store/database'
import type { Actor } from '#edge/web/route'
import {
  actorOfBrowser,
  actorOfToken,
  admissionOf,
  endBrowser,
  endBrowsersOf,
  endTokensOf,
  moveBrowser,
  noteSeen,
  noteSignIn,
  saveAdmission,
  saveBrowser,
} from '#features/people/queries'

/** What a secret is stored as: its SHA-256. Enough for 128-bit random values, which cannot be guessed. */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** A fresh 256-bit browser token. */
export const makeToken = (): string => randomBytes(32).toString('base64url')

/** Whether a cookie can be one of ours; another's is as good as none. */
export const isToken = (cookie: string | undefined): cookie is string => /^[A-Za-z0-9_-]{43}$/.test(cookie ?? '')

/**
 * The token that a form of this browser carries. It follows from the browser's secret, so nothing is stored, and the
 * secret does not follow from it; whoever cannot read a page of this browser's cannot know it.
 */
export const formTokenOf = (token: string): string =>
  createHmac('sha256', token).update('safehand/form/v1').digest('base64url')

/** Whether a form's token is that of this browser. */
export function isFormTokenOf(token: string, given: unknown): boolean {
  const wanted = Buffer.from(formTokenOf(token))
  const held = Buffer.from(typeof given === 'string' ? given : '')
  return held.length === wanted.length && timingSafeEqual(held, wanted)
}

const hours = (count: number) => count * 3_600_000

/** A browser that was not used since then is no longer signed in. */
export const idleSince = (now: Date, minutes: number = limits.sessionIdleMinutes) =>
  new Date(now.valueOf() - minutes * 60_000)

/** What a browser calls itself, as a person would: enough to know one's own in a list. */
export function browserLabel(userAgent = ''): string {
  const browser = ['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari'].find((name) => userAgent.includes(`${name}/`))
  const system = ['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS', 'Linux'].find((name) => userAgent.includes(name))
  const name = browser ? ({ Edg: 'Edge', OPR: 'Opera' }[browser] ?? browser) : 'A browser'
  return system ? `${name} on ${system}` : name
}

/** Signs a browser in and answers its new token: the old one ends, so that a planted cookie gains nothing. */
export async function signIn(
  db: Db,
  oldToken: string | undefined,
  as: { personId: string; label: string; now: Date },
): Promise<string> {
  const { personId, label, now } = as
  const token = makeToken()
  if (oldToken) await endBrowser(db, hashSecret(oldToken))
  await saveBrowser(db, {
    tokenHash: hashSecret(token),
    personId,
    label,
    signedInAt: now,
    seenAt: now,
    expiresAt: new Date(now.valueOf() + hours(limits.sessionHours)),
  })
  await noteSignIn(db, personId, now)
  return token
}

/** Ends what a browser is signed in as, and admitted to. */
export const signOut = (db: Db, token: string) => endBrowser(db, hashSecret(token))

/** A new token for the same browser, after it has proved more: what knew only the old one has nothing. */
export async function renewToken(db: Db, oldToken: string): Promise<string> {
  const token = makeToken()
  await inTransaction(db, async (tx) => ok(await moveBrowser(tx, hashSecret(oldToken), hashSecret(token))))
  return token
}

/** Ends every browser and token of a person at once: they have left, or what they may do has changed. */
export async function endAccess(tx: Tx, personId: string, now: Date): Promise<void> {
  // Another's browsers and tokens, which an administrator may end and not see.
  await asSystem(tx, async () => {
    await endBrowsersOf(tx, personId)
    await endTokensOf(tx, personId, now)
  })
}

/**
 * Who a cookie's token is signed in as, or null.
 *
 * @param call - `isUse`: whether a person did this (what a page asks for by itself keeps nobody signed in); `finishes`: see
 *   `Raw`
 */
export async function actorOfCookie(
  db: Db,
  token: string,
  now: Date,
  { isUse, finishes }: { isUse: boolean; finishes: boolean },
): Promise<Actor | null> {
  const since = idleSince(now, finishes ? limits.sessionFinishMinutes : limits.sessionIdleMinutes)
  const found = await actorOfBrowser(db, hashSecret(token), now, since)
  if (!found) return null
  const { seenAt, ...actor } = found
  const isSignedIn = seenAt > idleSince(now)
  if (isUse && isSignedIn && now.valueOf() - seenAt.valueOf() >= limits.sessionNoteSeconds * 1000)
    await noteSeen(db, hashSecret(token), now)
  return actor
}

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

/** The recipient whose mailbox this browser has proved lately, with the transfer and its sender; or nothing. */
export const admissionTo = (db: Db, token: string, recipientId: string, now: Date) =>
  admissionOf(db, hashSecret(token), recipientId, now)

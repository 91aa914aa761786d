import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import type { Db, Tx } from '#edge/store/database'
import { saveCode, takeTry, useCode, type CodePurpose } from '#features/people/queries'
import { hashSecret, makeToken } from '#features/people/sessions'

// Without I, L, O and U: nobody has to tell them from 1, 0 and V.
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Eight characters of 32: 40 bits, with few tries. 256 is a multiple of 32, so each is equally likely. */
const makeCode = () => [...randomBytes(limits.codeCharacters)].map((byte) => alphabet[byte % 32]).join('')

/** Forgives case, spaces, hyphens and the letters that look like digits. */
export const normaliseCode = (typed: string) =>
  typed.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1')

const hashCode = (purpose: CodePurpose, subjectId: string, code: string) =>
  createHash('sha256').update(`${purpose}\0${subjectId}\0${code}`).digest()

/** What a code is for: whose, in which browser, and for a confirmation the hash of the one act. */
interface CodeOf {
  purpose: CodePurpose
  browser: string
  actHash?: Uint8Array
  now: Date
}

const noAct = new Uint8Array()

/** A fresh code for a mailbox, to be mailed; good only in the browser that asked. How often one may ask, rates say. */
export async function askCode(tx: Tx, ask: CodeOf & { subjectId: string; minutes?: number }): Promise<string> {
  const { purpose, subjectId, browser, actHash = noAct, now, minutes = limits.codeMinutes } = ask
  const code = makeCode()
  await saveCode(tx, {
    purpose,
    subjectId,
    browserHash: hashSecret(browser),
    codeHash: hashCode(purpose, subjectId, code),
    actHash,
    triesLeft: limits.codeTries,
    expiresAt: new Date(now.valueOf() + minutes * 60_000),
    createdAt: now,
  })
  return code
}

/**
 * Whose mailbox a typed code proves.
 *
 * A try is taken in one statement before anything is compared, so that parallel guesses cannot share one.
 *
 * @returns the subject, or `code-expired` (none live in this browser, or no try left) or `code-wrong`
 */
export async function checkCode(
  db: Db,
  typed: CodeOf & { code: string; subjectId?: string },
): Promise<Outcome<string>> {
  const { browser, actHash = noAct, ...of } = typed
  const live = await takeTry(db, { ...of, browserHash: hashSecret(browser), actHash })
  if (!live) return fail('code-expired')
  const matches = timingSafeEqual(hashCode(typed.purpose, live.subjectId, normaliseCode(typed.code)), live.codeHash)
  if (!matches)
    return fail('code-wrong', {
      fields: { code: `That is not the code we sent. You have ${live.triesLeft} tries left` },
    })
  return (await useCode(db, live.id, typed.now)) ? ok(live.subjectId) : fail('code-expired')
}

/**
 * A key that signs a person in once, within `codeMinutes`, in any browser: for whoever runs the server and may act for
 * anyone anyway, where no mail goes out yet. It is a code that brings a browser's secret of its own.
 */
export async function makeSignInKey(tx: Tx, { personId, now }: { personId: string; now: Date }): Promise<string> {
  const browser = makeToken()
  await recordEvent(tx, 'sign-in-key-made', { person: personId })
  return `${await askCode(tx, { purpose: 'sign-in', subjectId: personId, browser, now })}-${browser}`
}

/** The code that was typed and the browser it is good in: this one, or with a sign-in key its own. */
export function typedCode(typed: string, browser: string): { code: string; browser: string } {
  const [, code, own] = /^([0-9A-Z]{8})-([\w-]{43})$/.exec(typed.trim()) ?? []
  return code !== undefined && own !== undefined ? { code, browser: own } : { code: typed, browser }
}

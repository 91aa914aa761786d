import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { holdMail } from '#edge/mail/outbox'
import { inTransaction } from '#edge/store/database'
import { countUse } from '#edge/web/rates'
import type { Visit } from '#edge/web/route'
import { askCode, checkCode } from '#features/people/codes'
import { confirmLetter } from '#features/people/mails'
import { checkPasskey } from '#features/people/passkeys'

/**
 * What stands for one act: who does what with which words. The body is neither kept nor mailed, only this hash; the
 * browser is bound beside it.
 */
export const actHash = (act: { method: string; path: string; body: unknown; personId: string }): Buffer =>
  createHash('sha256')
    .update(canonicalJson({ v: 1, ...act, body: act.body as Json }))
    .digest()

/** Mails a code that confirms this act. @returns nothing, or `too-many-requests` */
export async function askConfirmation(visit: Visit, act: Buffer, summary: string): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  const room = await countUse(house, 'confirmations-to-one', actor.id)
  if (!room.ok) return room
  return inTransaction(house.db, async (tx) => {
    const code = await askCode(tx, {
      purpose: 'confirm',
      subjectId: actor.id,
      browser: visit.browser,
      actHash: act,
      minutes: limits.confirmMinutes,
      now,
    })
    const letter = confirmLetter(code, summary, limits.confirmMinutes)
    await holdMail(tx, { to: actor.email, letter, language: 'en' })
    return ok({})
  })
}

/** What a person confirms with: the mailed code, or a passkey's answer as JSON. */
export interface Confirmation {
  code?: string | undefined
  passkey?: string | undefined
}

/**
 * Whether this act is confirmed, by the person who does it, in this browser, just now. Good once.
 *
 * @returns nothing; or `code-wrong`, `code-expired` (also for another act than the one it was asked for), `passkey-refused`
 */
export async function checkConfirmation(visit: Visit, act: Buffer, given: Confirmation): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  const proved = given.passkey
    ? await checkPasskey(visit, given.passkey, act)
    : await checkCode(house.db, {
        purpose: 'confirm',
        subjectId: actor.id,
        browser: visit.browser,
        actHash: act,
        code: given.code ?? '',
        now,
      })
  if (!proved.ok) return proved
  return proved.value === actor.id ? ok({}) : fail('passkey-refused')
}

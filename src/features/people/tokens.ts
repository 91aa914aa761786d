import { limits } from '#core/kit/limits'
import { recordEvent } from '#edge/keeper/record'
import { holdMail } from '#edge/mail/outbox'
import type { Tx } from '#edge/store/database'
import type { Actor } from '#edge/web/route'
import { addedLetter } from '#features/people/mails'
import { saveToken } from '#features/people/queries'
import { hashSecret, makeToken } from '#features/people/sessions'

/** Makes a token for the command line: shown once, kept as its hash. */
export async function makeApiToken(tx: Tx, of: { person: Pick<Actor, 'id' | 'email'>; label: string; now: Date }) {
  const { person, label, now } = of
  const token = makeToken()
  const expiresAt = new Date(now.valueOf() + limits.apiTokenDays * 86_400_000)
  const row = await saveToken(tx, {
    personId: person.id,
    label,
    tokenHash: hashSecret(token),
    expiresAt,
    createdAt: now,
  })
  await recordEvent(tx, 'token-made', { person: person.id, token: row.id })
  await holdMail(tx, { to: person.email, letter: addedLetter('A token for the command line', label), language: 'en' })
  return { id: row.id, token, expiresAt }
}

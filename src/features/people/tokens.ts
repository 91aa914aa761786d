import { limits } from '#core/kit/limits'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import { saveToken } from '#features/people/queries'
import { hashSecret, makeToken } from '#features/people/sessions'

/** Makes a token for the command line: shown once, kept as its hash. */
export async function makeApiToken(tx: Tx, of: { personId: string; label: string; now: Date }) {
  const { personId, label, now } = of
  const token = makeToken()
  const expiresAt = new Date(now.valueOf() + limits.apiTokenDays * 86_400_000)
  const row = await saveToken(tx, { personId, label, tokenHash: hashSecret(token), expiresAt, createdAt: now })
  await recordEvent(tx, 'token-made', { person: personId, token: row.id })
  return { id: row.id, token, expiresAt }
}

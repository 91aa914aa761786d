import type { Facts } from '#core/policy/terms'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import type { Visit } from '#edge/web/route'
import { insertTransfer, updateTransfer } from '#features/transfers/queries'
import { askable } from '#features/transfers/questions'

/** Whom a transfer is for, by the answer to 'Who is it for?'; an organisation's person is named first. */
const kinds: Partial<Record<string, string>> = { inside: 'colleague', individual: 'individual' }

/**
 * Starts a transfer, in the transaction given; with answers that were given before, as if its own questions had been
 * answered. What records say, and who gets it, is found out again.
 */
export async function startTransfer(
  tx: Tx,
  { actor, now, house }: Visit,
  answers?: { facts: Facts; unsure: string[] },
): Promise<{ id: string; reference: string }> {
  const made = await insertTransfer(tx, { senderId: actor.id, now })
  const about = { transferId: made.id, at: now }
  await recordEvent(tx, 'transfer-started', { transfer: made.id, reference: made.reference, by: actor.id }, about)
  if (!answers) return made
  const kept = askable(house.policy)
  const facts = Object.fromEntries(Object.entries(answers.facts).filter(([id]) => kept.includes(id)))
  const notSure = answers.unsure.filter((id) => kept.includes(id))
  const recipientKind = kinds[answers.facts.audience as string] ?? null
  await updateTransfer(tx, made.id, { facts: JSON.stringify(facts), notSure, recipientKind })
  await recordEvent(tx, 'facts-given', { transfer: made.id, facts: facts as never, notSure }, about)
  return made
}

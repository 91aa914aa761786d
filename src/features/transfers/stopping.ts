import { fail, ok, type Outcome } from '#core/kit/outcome'
import { decide, type Reason } from '#core/policy/decide'
import type { Policy } from '#core/policy/stack'
import type { Facts } from '#core/policy/terms'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import type { Visit } from '#edge/web/route'
import { eventsOf, updateTransfer, type TransferRow } from '#features/transfers/queries'

/**
 * The rule by which a classification alone, whatever else is so, rules out every way. Then nothing more is asked, and no
 * detail is kept.
 *
 * @source C41
 */
export function stoppedBy(policy: Policy, facts: Facts): Reason | undefined {
  for (const { scheme } of policy.rulebooks) {
    const value = facts[scheme]
    const decided = value === undefined ? undefined : decide(policy, { [scheme]: value })
    if (!decided?.ok) continue
    const refusals = Object.values(decided.value.methods).map(({ reasons }) =>
      reasons.find(({ effect, strength, certain }) => effect === 'refuses' && strength === 'hard' && certain),
    )
    if (refusals.every((reason) => reason !== undefined)) return refusals[0]
  }
  return undefined
}

/** The rule in words: what it is, what to do instead, whom to ask. */
export function stopWords(policy: Policy, stopped: { rulebook: string; rule: string }) {
  const found = policy.rules.find(({ face }) => face.rulebook === stopped.rulebook && face.rule === stopped.rule)
  const role = found && (found.rule.ask ?? found.rulebook.ask)
  return {
    instead: found?.rule.instead,
    ask: role && (policy.vocabulary.roles.get(role)?.name ?? role),
    clauses: found?.rule.clauses ?? [],
  }
}

/** Ends a transfer whose classification stops it. Its words and answers are taken out; that it was stopped is recorded. */
export async function stopAtOnce(
  tx: Tx,
  transfer: TransferRow,
  { rulebook, rule }: Reason,
  now: Date,
): Promise<Outcome<undefined>> {
  const words = {
    informationWords: null,
    caseReference: null,
    purposeWords: null,
    limitsWords: null,
    leftOutWords: null,
  }
  const ended = { facts: '{}', notSure: [], method: null, state: 'withdrawn', closedAt: now }
  await updateTransfer(tx, transfer.id, { ...words, ...ended })
  const body = { transfer: transfer.id, reason: 'Its classification stops it', rulebook, rule }
  await recordEvent(tx, 'decided-not-to-share', body, { transferId: transfer.id, at: now })
  return ok()
}

/** What stopped a transfer at once; `not-found` where nothing did. */
export async function stoppedModel(visit: Visit, transfer: TransferRow): Promise<Outcome<{ title: string }>> {
  const { house } = visit
  const ending = (await eventsOf(house.db, transfer.id)).findLast(({ name }) => name === 'decided-not-to-share')
  const { rulebook, rule } = JSON.parse(ending?.body ?? '{}') as { rulebook?: string; rule?: string }
  if (rulebook === undefined || rule === undefined) return fail('not-found')
  return ok({ title: 'Stop: do not send this', stopped: stopWords(house.policy, { rulebook, rule }), backUrl: '/' })
}

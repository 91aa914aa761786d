import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { decide, type Decision, type Due, type MethodDecision, type OutcomeWord } from '#core/policy/decide'
import type { Facts, Limit, Vocabulary } from '#core/policy/terms'
import type { House } from '#edge/house'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import { factsOf } from '#features/transfers/facts'
import { insertDecision, updateTransfer, type TransferRow } from '#features/transfers/queries'

const rank: OutcomeWord[] = ['OUT_OF_SCOPE', 'ALLOW', 'ALLOW_WITH', 'REFER', 'BLOCK']
const worse = (a: OutcomeWord, b: OutcomeWord) => (rank.indexOf(a) >= rank.indexOf(b) ? a : b)
/** Whether a method may be used, with whatever it obliges to. */
export const isUsable = (outcome: OutcomeWord) => outcome === 'ALLOW' || outcome === 'ALLOW_WITH'

/** One obligation for all recipients: it is met when it is met for each. */
function joinDue(all: Due[]): Due {
  const met = all.some((due) => due.met === false) ? false : all.every((due) => due.met === true) ? true : null
  return {
    ...all[0]!,
    met,
    certain: all.some((due) => due.certain),
    clauses: [...new Set(all.flatMap((due) => due.clauses))],
  }
}

/** The stricter of two values of a limit, as the vocabulary orders it. */
function stricter(limit: Limit, a: number | string, b: number | string): number | string {
  const rankOf = (value: number | string) => (typeof value === 'string' ? limit.choices!.indexOf(value) : value)
  return rankOf(a) < rankOf(b) === (limit.stricter === 'smaller') ? a : b
}

function joinLimits(vocabulary: Vocabulary, all: MethodDecision[]): MethodDecision['limits'] {
  const joined: MethodDecision['limits'] = {}
  for (const { limits: each } of all) {
    for (const [id, value] of Object.entries(each)) {
      joined[id] = joined[id] === undefined ? value : stricter(vocabulary.limits.get(id)!, joined[id], value)
    }
  }
  return joined
}

function joinMethod(vocabulary: Vocabulary, all: MethodDecision[]): MethodDecision {
  const worst = all.reduce((a, b) => (worse(a.outcome, b.outcome) === a.outcome ? a : b))
  const dues = Map.groupBy(
    all.flatMap((each) => each.obligations),
    (due) => due.id,
  )
  return {
    ...worst,
    obligations: [...dues.values()].map(joinDue),
    limits: joinLimits(vocabulary, all),
    needs: [...new Set(all.flatMap((each) => each.needs))],
    referTo: [...new Set(all.flatMap((each) => each.referTo))],
  }
}

/** One decision for several recipients: for each method the worst outcome, every obligation, the smallest limits. */
export function joinDecisions(vocabulary: Vocabulary, all: Decision[]): Decision {
  const [first] = all
  if (all.length === 1) return first!
  const methods = Object.fromEntries(
    first!.order.map((id) => [
      id,
      joinMethod(
        vocabulary,
        all.map((each) => each.methods[id]!),
      ),
    ]),
  )
  const order = first!.order.toSorted((a, b) => rank.indexOf(methods[a]!.outcome) - rank.indexOf(methods[b]!.outcome))
  const recommended = first!.recommended.filter((id) => isUsable(methods[id]!.outcome))
  return {
    ...first!,
    methods,
    order,
    recommended,
    outcome: methods[order[0]!]!.outcome,
    ask: order.some((id) => isUsable(methods[id]!.outcome)) ? [] : [...new Set(all.flatMap((each) => each.ask))],
  }
}

/** What the policy says of a transfer as it stands, not kept. */
export async function decideNow(
  db: Tx | House['db'],
  house: House,
  transfer: TransferRow,
  sizeBytes?: number,
  recipientId?: string,
): Promise<Outcome<{ decision: Decision; facts: Facts[] }>> {
  const facts = await factsOf(db, house, transfer, sizeBytes, recipientId)
  const decisions: Decision[] = []
  for (const each of facts) {
    const decided = decide(house.policy, each)
    if (!decided.ok) return decided
    decisions.push(decided.value)
  }
  return ok({ decision: joinDecisions(house.policy.vocabulary, decisions), facts })
}

/** Decides and keeps the decision, which is never changed: a changed fact makes a new one. */
export async function keepDecision(
  tx: Tx,
  house: House,
  transfer: TransferRow,
  sizeBytes?: number,
): Promise<Outcome<{ decision: Decision; decisionId: string }>> {
  const decided = await decideNow(tx, house, transfer, sizeBytes)
  if (!decided.ok) return decided
  const { decision, facts } = decided.value
  const rulebooks = house.rulebookVersions
  const at = house.now()
  const { id } = await insertDecision(tx, {
    transferId: transfer.id,
    at,
    rulebooks: JSON.stringify(rulebooks),
    facts: JSON.stringify(facts),
    result: JSON.stringify(decision),
  })
  await updateTransfer(tx, transfer.id, { decisionId: id })
  const outcomes = Object.fromEntries(
    Object.entries(decision.methods).map(([method, { outcome }]) => [method, outcome]),
  )
  await recordEvent(
    tx,
    'decided',
    { transfer: transfer.id, decision: id, rulebooks, outcomes },
    { transferId: transfer.id, at },
  )
  return ok({ decision, decisionId: id })
}

/** The obligations of a method that must be met before anything leaves, and are not. */
export const unmet = (method: MethodDecision): Due[] =>
  method.obligations.filter((due) => due.phase === 'before' && due.met !== true && due.certain)

/** How a recipient is asked to handle what they get. (W11) */
const handlingWords = 'Keep it safe, use it only for the purpose given, and destroy it when it is no longer needed.'

/** Whether a method may be used now; or `method-not-allowed` with the nearest yes, or `gates-open` with what is missing. */
function usableNow(method: MethodDecision | undefined): Outcome<MethodDecision> {
  if (!method) return fail('not-found')
  if (!isUsable(method.outcome)) {
    const [reason] = method.reasons.filter((each) => each.effect === 'refuses' || each.effect === 'refers')
    return fail('method-not-allowed', {
      detail: method.instead ?? 'Open the decision to see what is allowed now.',
      ...(reason ? { clause: reason.clauses.map((clause) => clause.id).join(', ') } : {}),
    })
  }
  const gates = unmet(method)
  return gates.length > 0 ? fail('gates-open', { detail: gates.map((gate) => gate.says).join(' ') }) : ok(method)
}

/** Whether one more recipient may have a parcel that is sent: the decision, taken for them alone. */
export async function mayAlsoHave(tx: Tx, house: House, transfer: TransferRow, recipientId: string, sizeBytes: number) {
  const decided = await decideNow(tx, house, transfer, sizeBytes, recipientId)
  return decided.ok ? usableNow(decided.value.decision.methods[transfer.method!]) : decided
}

/**
 * Takes the decision again before the first byte goes, with what was measured.
 *
 * @returns marking, handling, whether what opens it may go to the same mailbox, and the longest it may be kept; or
 *   `method-not-allowed` or `gates-open`
 */
export async function decideAgain(tx: Tx, house: House, transfer: TransferRow, sizeBytes: number) {
  const kept = await keepDecision(tx, house, transfer, sizeBytes)
  if (!kept.ok) return kept
  const usable = usableNow(kept.value.decision.methods[transfer.method!])
  if (!usable.ok) return usable
  const method = usable.value
  const classes = ['government-class', 'council-class'].map((id) => transfer.facts[id])
  const { secretChannel = 'automatic-same-mailbox' } = method.limits
  return ok({
    // Each scheme's own word: they are never made into one.
    marking: classes.flatMap((value) => (typeof value === 'string' ? value.toUpperCase() : [])).join(', '),
    sameMailbox: secretChannel === 'automatic-same-mailbox',
    handling: handlingWords,
    parcelDays: Math.min(limits.parcelDaysMax, Number(method.limits.parcelDays ?? limits.parcelDaysMax)),
  })
}

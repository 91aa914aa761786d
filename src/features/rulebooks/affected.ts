import { ok, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { decide, type Decision } from '#core/policy/decide'
import type { Policy } from '#core/policy/stack'
import type { Facts } from '#core/policy/terms'
import type { Db } from '#edge/store/database'
import { openDecided } from '#features/rulebooks/queries'
import { joinDecisions } from '#features/transfers/decision'

/** What would become of an open transfer: its chosen method, else the best one, before and after. */
export interface Affected {
  id: string
  reference: string
  before: Answer
  after: Answer
}
interface Answer {
  method: string
  outcome: Decision['outcome']
  /** What is still to be done for it, as far as that is known, in sentences. */
  outstanding: string[]
}

function decided(policy: Policy, facts: Facts[]): Outcome<Decision> {
  const all: Decision[] = []
  for (const each of facts) {
    const one = decide(policy, each)
    if (!one.ok) return one
    all.push(one.value)
  }
  return ok(joinDecisions(policy.vocabulary, all))
}

const answerOf = (decision: Decision, chosen: string | null): Answer => {
  const method = chosen ?? decision.recommended[0] ?? decision.order[0]!
  const { outcome, obligations } = decision.methods[method]!
  const due = outcome === 'ALLOW_WITH' ? obligations.filter(({ phase, met }) => phase !== 'after' && met !== true) : []
  return { method, outcome, outstanding: due.map(({ says }) => says) }
}

/** What of a decision matters to whoever is about to send: each method's outcome, what it obliges to, and the order. */
const said = ({ methods, recommended }: Decision) =>
  JSON.stringify([
    recommended,
    Object.entries(methods).map(([id, { outcome, obligations, limits: most }]) => [
      id,
      outcome,
      outcome === 'BLOCK' ? [] : [obligations.map((due) => [due.id, due.met]), most],
    ]),
  ])

/**
 * The open transfers that another policy would decide otherwise, a page of them at a time: each is decided again by both,
 * from the facts of its decision. Nothing is kept, and no transfer changes.
 *
 * @param after - the id of the last transfer looked at before
 * @returns those of the next `limits.affectedTransfers` that change, and where to go on if there may be more
 */
export async function affectedBy(
  db: Db,
  before: Policy,
  policy: Policy,
  after: string | undefined,
): Promise<{ affected: Affected[]; looked: number; next: string | undefined }> {
  const rows = await openDecided(db, after)
  const affected = rows.flatMap(({ id, reference, method, facts }): Affected[] => {
    const [one, other] = [before, policy].map((each) => decided(each, facts as unknown as Facts[]))
    if (!one!.ok || !other!.ok || said(one!.value) === said(other!.value)) return []
    return [{ id, reference, before: answerOf(one!.value, method), after: answerOf(other!.value, method) }]
  })
  const next = rows.length === limits.affectedTransfers ? rows.at(-1)!.id : undefined
  return { affected, looked: rows.length, next }
}

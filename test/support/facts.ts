import fc from 'fast-check'
import { valuesOf } from '#core/policy/condition'
import type { Policy } from '#core/policy/stack'
import type { FactValue, Facts } from '#core/policy/terms'

/** A value of a fact: any answer, or a number on either side of each bound that rules compare it with. */
function anyValue(policy: Policy, place: number): fc.Arbitrary<FactValue> {
  const { fact, cuts } = policy.facts[place]!
  if (fact.type === 'yes-no') return fc.boolean()
  if (fact.type !== 'quantity') return fc.constantFrom(...valuesOf(fact, policy.vocabulary))
  const numbers = fc.constantFrom(0, ...cuts, ...cuts.map((cut) => cut + 1))
  return fc.oneof(
    numbers,
    numbers.map((atLeast) => ({ atLeast })),
    numbers.map((atMost) => ({ atMost })),
  )
}

/** What may be known of a case: any of the facts, with any of their values; contradictions included. */
export const anyFacts = (policy: Policy): fc.Arbitrary<Facts> => {
  const values = Object.fromEntries(policy.facts.map(({ id }, place) => [id, anyValue(policy, place)]))
  return fc.record(values, { requiredKeys: [] }).map((facts) => facts as Facts)
}

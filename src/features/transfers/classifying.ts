import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { Policy } from '#core/policy/stack'
import type { Visit } from '#edge/web/route'
import { notSure } from '#features/transfers/questions'

/** Classifications that somebody can be helped to choose: those whose values have a test in the vocabulary. */
export const isGuided = (policy: Policy, id: string): boolean =>
  [...(policy.vocabulary.facts.get(id)?.options?.values() ?? [])].some(({ test }) => test !== undefined)

/**
 * Helps to choose a value of a classification: a test for each value, the most sensitive first, and what the answers come
 * to. It is a suggestion; the person answers the question herself. Nothing is kept.
 *
 * @source D6, W6, M20
 */
export function classifyModel(
  { house, query }: Visit,
  id: string,
): Outcome<{ title: string } & Record<string, unknown>> {
  const fact = house.policy.vocabulary.facts.get(id)
  if (!fact || !isGuided(house.policy, id)) return fail('not-found')
  const values = [...fact.options!].toReversed().map(([value, option]) => ({
    ...option,
    value,
    name: `_${value}`,
    answer: query[`_${value}`],
  }))
  const tests = values.filter(({ test }) => test !== undefined)
  // What nobody knows counts as the more sensitive until somebody says otherwise.
  const reached = tests.findIndex(({ answer }) => answer === 'yes' || answer === notSure)
  const told = reached < 0 ? tests : tests.slice(0, reached)
  const isComplete = told.every(({ answer }) => answer === 'no')
  const suggestion = isComplete ? (tests[reached] ?? values.at(-1)) : undefined
  return ok({
    title: `Help me choose: ${fact.question.toLowerCase()}`,
    tests,
    values: values.toReversed(),
    suggestion,
    isUnsure: suggestion?.answer === notSure,
    ask: house.policy.vocabulary.roles.get(fact.notSure ?? '')?.name,
    isBegun: tests.some(({ answer }) => answer !== undefined),
    notSure,
  })
}

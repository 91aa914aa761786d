import { amountWords, valueWords } from '#core/policy/case-words'
import type { MethodDecision, OutcomeWord } from '#core/policy/decide'
import { thisMethod } from '#core/policy/condition'
import type { Bound, Condition, Fact, Quantity, Rulebook, Test, Vocabulary } from '#core/policy/terms'

/** What becomes of a method, as letters, words and a pattern: any one of them is enough to tell them apart. */
export const verdicts = {
  allow: { sign: 'Y', word: 'Yes', says: 'It may be used. Nothing else is needed.' },
  with: { sign: 'Y+', word: 'Yes, with conditions', says: 'It may be used once what is required is done.' },
  refer: { sign: '?', word: 'Ask first', says: 'Somebody decides or advises first, or an answer is missing.' },
  block: { sign: 'N', word: 'No', says: 'A rule refuses it.' },
  silent: { sign: '0', word: 'No rule', says: 'No rulebook speaks about it, so it is not allowed.' },
  impossible: { sign: '–', word: 'Cannot be', says: 'These answers contradict each other.' },
} as const
export type Verdict = keyof typeof verdicts

const verdictOfOutcome: Record<OutcomeWord, Verdict> = {
  ALLOW: 'allow',
  ALLOW_WITH: 'with',
  REFER: 'refer',
  BLOCK: 'block',
  OUT_OF_SCOPE: 'silent',
}

export const verdictOf = ({ outcome, silent }: Pick<MethodDecision, 'outcome' | 'silent'>): Verdict =>
  silent ? 'silent' : verdictOfOutcome[outcome]

/** What one rulebook says by itself. */
export const outcomeWord = (outcome: OutcomeWord): string =>
  outcome === 'OUT_OF_SCOPE' ? 'Does not speak' : verdicts[verdictOfOutcome[outcome]].word

export const methodName = ({ methods }: Vocabulary, id: string): string => methods.get(id)?.name ?? id

/** Roles as a sentence names them: "Service desk or Manager". */
export const roleNames = ({ roles }: Vocabulary, ids: readonly string[]): string =>
  [...new Set(ids)].map((id) => roles.get(id)?.name ?? id).join(' or ')

function testWords(vocabulary: Vocabulary, { parameters }: Rulebook, fact: Fact, test: Test): string {
  if ('values' in test) {
    const values = test.values
      .map((value) => (value === thisMethod ? 'this method' : valueWords(vocabulary, fact, value)))
      .join(' or ')
    return test.not ? `Anything but ${values}` : values
  }
  const bound = (before: string, given: Bound | undefined) => {
    if (!given) return []
    if (!('parameter' in given)) return `${before} ${amountWords(vocabulary, given)}`
    return `${before} ${amountWords(vocabulary, parameters.get(given.parameter) as Quantity)} (${given.parameter})`
  }
  return [bound('more than', test.above), bound('at most', test.atMost)].flat().join(' and ')
}

/** A condition as questions and the answers that meet it: any of the groups, all of a group. */
export const conditionWords = (vocabulary: Vocabulary, rulebook: Rulebook, condition: Condition) =>
  condition.map((tests) =>
    tests.map(({ fact: id, test }) => {
      const fact = vocabulary.facts.get(id)!
      return { question: fact.question, answer: testWords(vocabulary, rulebook, fact, test) }
    }),
  )

import { valuesOf } from '#core/policy/condition'
import type { Fact, FactValue, Vocabulary } from '#core/policy/terms'
import type { Role } from '#edge/web/route'

/** Who can be asked for advice. @source clauses D15, W9 */
export const adviceRoles = {
  'service-desk': 'Service desk',
  'information-governance': 'Information governance',
  'information-asset-owner': 'Owner of the information',
  'records-officer': 'Freedom of information and records officer',
  'data-protection-officer': 'Data protection officer',
  manager: 'Manager',
} as const satisfies Partial<Record<Role, string>>
export type AdviceRole = keyof typeof adviceRoles

/** Records alone say whether these hold: nobody's answer does. @source clauses D2, D13, D20; readings C7, C44 */
const neverByAnswer = ['emergency-certified']
const byServiceDesk = ['service-desk-answer', 'required-method']

/** The facts an answer may settle: those that were asked about, and for the service desk what only it knows. */
export function settledBy(
  request: { askedOfRole: string; aboutFacts: readonly string[] },
  vocabulary: Vocabulary,
): [string, Fact][] {
  const isDesk = request.askedOfRole === 'service-desk'
  const wanted = new Set([...request.aboutFacts, ...(isDesk ? ['service-desk-answer'] : [])])
  return [...vocabulary.facts].filter(
    ([id, fact]) =>
      wanted.has(id) &&
      valuesOf(fact, vocabulary).length > 0 &&
      ((fact.asked === 'deciding' && !neverByAnswer.includes(id)) || (isDesk && byServiceDesk.includes(id))),
  )
}

/** `council-class=controlled` and the like as facts, or undefined when one of them is not to be settled by this answer. */
export function factsSettled(
  settles: readonly string[],
  request: { askedOfRole: string; aboutFacts: readonly string[] },
  vocabulary: Vocabulary,
): Record<string, string | boolean> | undefined {
  const allowed = new Map(settledBy(request, vocabulary))
  const pairs = settles.map(
    (pair) => [pair.slice(0, Math.max(pair.indexOf('='), 0)), pair.slice(pair.indexOf('=') + 1)] as const,
  )
  const fits = pairs.every(([id, value]) => allowed.has(id) && valuesOf(allowed.get(id)!, vocabulary).includes(value))
  if (!fits || new Set(pairs.map(([id]) => id)).size < pairs.length) return undefined
  return Object.fromEntries(
    pairs.map(([id, value]) => [id, allowed.get(id)!.type === 'yes-no' ? value === 'yes' : value]),
  )
}

/** The value of a fact in the words of its question. */
export function valueWords(fact: Fact, value: FactValue, vocabulary: Vocabulary): string {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'string') return fact.options?.get(value)?.label ?? vocabulary.methods.get(value)?.name ?? value
  const { atLeast, atMost } = typeof value === 'number' ? { atLeast: value, atMost: value } : value
  const count = (amount: number) => `${amount.toLocaleString('en-GB')} ${fact.unit}`
  if (atMost === undefined) return `at least ${count(atLeast ?? 0)}`
  return atLeast === atMost ? count(atMost) : `at most ${count(atMost)}`
}

/** What has been said of a case, in the words of the questions and in their order. */
export const factWords = (
  facts: Readonly<Record<string, unknown>>,
  vocabulary: Vocabulary,
): { question: string; answer: string }[] =>
  [...vocabulary.facts]
    .filter(([id]) => facts[id] !== undefined)
    .sort(([, one], [, other]) => one.order - other.order)
    .map(([id, fact]) => ({ question: fact.question, answer: valueWords(fact, facts[id] as FactValue, vocabulary) }))

/** Exceptions that may be recorded for one transfer: the fact each establishes, and whose it is to allow. @source clauses D2, D4, D34; readings C7, C8 */
export const exceptionKinds = {
  'exception-agreement': { words: 'Share without an agreement', roles: ['information-governance'], clause: 'D2' },
  'internal-use-lifted': {
    words: 'Let information marked for internal use leave',
    roles: ['information-asset-owner', 'records-officer'],
    clause: 'D4',
  },
  'cj-exception': {
    words: 'Use criminal justice email for another purpose',
    roles: ['information-governance'],
    clause: 'D34',
  },
} as const satisfies Record<string, { words: string; roles: Role[]; clause: string }>
export type ExceptionFact = keyof typeof exceptionKinds
export const exceptionFacts = Object.keys(exceptionKinds) as ExceptionFact[]
export const exceptionRoles = [
  'information-governance',
  'information-asset-owner',
  'records-officer',
] as const satisfies Role[]

/** The role in which somebody may allow an exception, or undefined. */
export const roleFor = (fact: ExceptionFact, held: readonly Role[]): Role | undefined =>
  exceptionKinds[fact].roles.find((role) => held.includes(role))

/** @source reading C7 */
export const grounds = {
  emergency: 'An emergency',
  'legal-obligation': 'A law or a court order requires it',
  'one-off-decision': 'A single disclosure that was decided on its merits',
  'individuals-own-data': 'It is the individual’s own information',
  other: 'Another ground',
} as const
export type Ground = keyof typeof grounds

export const reviewOutcomes = { upheld: 'It was an emergency', 'not-upheld': 'It was not an emergency' } as const
export type ReviewOutcome = keyof typeof reviewOutcomes

import { valuesOf } from '#core/policy/condition'
import { isRead } from '#core/policy/question'
import type { Policy } from '#core/policy/stack'
import type { Fact, FactValue, Vocabulary } from '#core/policy/terms'
import type { Role } from '#edge/web/route'

/** Who can be asked for advice. @source clauses D15, W9 */
export const adviceRoles = {
  'service-desk': 'Service desk',
  'information-governance': 'Information governance',
  'information-asset-owner': 'Owner of the information',
  'records-officer': 'Freedom of information and records officer',
  'information-security': 'Information security',
  'data-protection-officer': 'Data protection officer',
  manager: 'Manager',
} as const satisfies Partial<Record<Role, string>>
export type AdviceRole = keyof typeof adviceRoles

/** Records alone say whether these hold: nobody's answer does. @source clauses D2, D13, D20; readings C7, C44 */
const neverByAnswer = ['emergency-certified']

/** What only one role's answer settles, and no other's. @source clauses D12, D15, M15, M19, M20, M30, M37 */
const byRole: Partial<Record<string, string[]>> = {
  'service-desk': ['service-desk-answer', 'required-method'],
  manager: ['use-policy'],
  'information-asset-owner': ['movement-form', 'owner-authorised'],
  'information-governance': ['contract', 'non-disclosure'],
  'information-security': ['recipient-cleared', 'supplier-terms', 'receiving-system', 'system-theirs'],
}

/**
 * The facts an answer may settle: those that were asked about, and those that only this role knows and the rulebooks read.
 * What a partner requires is settled where it was asked about alone: otherwise it stands in the directory.
 */
export function settledBy(
  request: { askedOfRole: string; aboutFacts: readonly string[] },
  policy: Policy,
): [string, Fact][] {
  const { vocabulary } = policy
  const own = byRole[request.askedOfRole] ?? []
  return [...vocabulary.facts].filter(([id, fact], place) => {
    const isAbout = request.aboutFacts.includes(id)
    if (valuesOf(fact, vocabulary).length === 0) return false
    if (own.includes(id)) return isAbout || (id !== 'required-method' && isRead(policy, place))
    return isAbout && fact.asked === 'deciding' && !neverByAnswer.includes(id)
  })
}

/** `council-class=controlled` and the like as facts, or undefined when one of them is not to be settled by this answer. */
export function factsSettled(
  settles: readonly string[],
  request: { askedOfRole: string; aboutFacts: readonly string[] },
  policy: Policy,
): Record<string, string | boolean> | undefined {
  const { vocabulary } = policy
  const allowed = new Map(settledBy(request, policy))
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

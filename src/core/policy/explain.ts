import { assert } from '#core/kit/outcome'
import type { Decision, Due, MethodDecision } from '#core/policy/decide'
import type { Clause, Phase, Vocabulary } from '#core/policy/terms'

/** A plain sentence and the clauses it rests on. */
export interface Sentence {
  says: string
  clauses: string[]
  /** Ids of the rulebooks whose clauses these are, where it is a reason. */
  rulebooks: string[]
}

const phases: Record<Phase, string> = {
  before: 'Before you send',
  at: 'When you send',
  after: 'Afterwards',
  end: 'At the end',
}

/**
 * Why a method came out as it did, in plain sentences: the answer, what is to be done, the reasons, the nearest allowed
 * thing and whom to ask. A refusal never ends at 'no'.
 */
export function explain(vocabulary: Vocabulary, decision: Decision, method: string): Sentence[] {
  const told = decision.methods[method]
  assert(told, `${method} is a method of this decision`)
  const answer = plain(answerFor(vocabulary, told))
  const reasons = told.reasons.flatMap(({ clauses, certain, effect, rulebook }) =>
    effect === 'lifted' ? [] : clauses.map((clause) => cited(clause, certain ? '' : 'This may apply: ', rulebook)),
  )
  const lifted = told.outcome === 'BLOCK' ? [] : told.reasons.filter(({ effect }) => effect === 'lifted')
  return merge([
    answer,
    ...told.needs.map((id) => plain(`We do not know yet: ${question(vocabulary, id)}`)),
    ...told.obligations.map(duty),
    ...reasons,
    ...lifted.map(({ title, clauses, rulebook }) => ({
      says: `${title}: this does not hold you up here.`,
      clauses: clauses.map(({ id }) => id),
      rulebooks: [rulebook],
    })),
    ...whatNext(vocabulary, decision, told),
  ])
}

const plain = (says: string): Sentence => ({ says, clauses: [], rulebooks: [] })
const cited = ({ id, says }: Clause, before: string, rulebook: string): Sentence => ({
  says: before + says,
  clauses: [id],
  rulebooks: [rulebook],
})
const question = (vocabulary: Vocabulary, fact: string) => vocabulary.facts.get(fact)?.question ?? fact
const nameOf = (vocabulary: Vocabulary, method: string) => vocabulary.methods.get(method)?.name ?? method
const roles = (vocabulary: Vocabulary, ids: string[]) =>
  ids.map((id) => vocabulary.roles.get(id)?.name ?? id).join(' or ')

function answerFor(vocabulary: Vocabulary, { method, outcome, obligations, silent, ask }: MethodDecision): string {
  const name = nameOf(vocabulary, method)
  if (outcome === 'ALLOW') return `${name}: you can use this. Nothing else is needed.`
  if (outcome === 'ALLOW_WITH') {
    const isReady = obligations.every(({ phase, met }) => phase !== 'before' || met === true)
    return isReady ? `${name}: you can use this.` : `${name}: you can use this once everything below is done.`
  }
  if (outcome === 'REFER') return `${name}: ask first. ${roles(vocabulary, ask)} can tell you.`
  return silent
    ? `${name}: you cannot use this here. No rule speaks about it, so it is not allowed.`
    : `${name}: you cannot use this here.`
}

function duty({ phase, says, met, certain, clauses }: Due): Sentence {
  const state = met === true ? ' Done.' : met === false ? ' Not done.' : ''
  return { says: `${phases[phase]}${certain ? '' : ', if it applies'}: ${says}${state}`, clauses, rulebooks: [] }
}

function whatNext(vocabulary: Vocabulary, decision: Decision, told: MethodDecision): Sentence[] {
  if (told.outcome !== 'BLOCK') return []
  const [nearest] = decision.recommended
  const refusing = told.reasons.filter(({ effect }) => effect === 'refuses')
  const overridden = refusing.some(({ strength }) => strength === 'hard')
    ? []
    : refusing.flatMap(({ liftedBy }) => liftedBy)
  return [
    ...(told.instead ? [plain(`Instead: ${told.instead}`)] : []),
    ...(nearest ? [plain(`You can use: ${nameOf(vocabulary, nearest)}.`)] : []),
    ...(overridden.length > 0
      ? [plain(`This rule can be lifted by: ${roles(vocabulary, [...new Set(overridden)])}.`)]
      : []),
    plain(`Ask: ${roles(vocabulary, told.ask)}.`),
  ]
}

/** The same sentence once, with all its clauses. */
const merge = (sentences: Sentence[]): Sentence[] =>
  [...Map.groupBy(sentences, ({ says }) => says)].map(([says, same]) => ({
    says,
    clauses: [...new Set(same.flatMap(({ clauses }) => clauses))],
    rulebooks: [...new Set(same.flatMap(({ rulebooks }) => rulebooks))],
  }))

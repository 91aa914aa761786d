import type { CompiledRule, Policy } from '#core/policy/stack'
import type { Rule, Rulebook, Vocabulary } from '#core/policy/terms'
import type { House } from '#edge/house'
import { dayOf } from '#features/organisations/calendar'
import { addressOf, factsAsked, type Answer, type Asked } from '#features/rulebooks/answers'
import { amountWords } from '#core/policy/case-words'
import { conditionWords, methodName, roleNames } from '#features/rulebooks/words'

/** What identifies a rulebook, and whether its review is overdue. */
export const headOf = (house: House, rulebook: Rulebook, now: Date) => ({
  id: rulebook.id,
  title: rulebook.title,
  version: rulebook.version,
  guidanceDate: rulebook.guidanceDate,
  reviewDate: rulebook.reviewDate,
  isStale: rulebook.reviewDate < dayOf(now),
  rules: rulebook.rules.length,
  sha256: house.rulebookVersions.find(({ id }) => id === rulebook.id)?.sha256,
})

const phases = { before: 'Before sending', at: 'When sending', after: 'Afterwards', end: 'At the end' }
const phaseOrder = Object.keys(phases)

/** A rulebook as a person reads it, every rule in words. Links lead to the matrix for those who may see it. */
export function documentOf(house: House, rulebook: Rulebook, canTry: boolean) {
  const { policy } = house
  const { vocabulary } = policy
  const asked = factsAsked(policy)
  return {
    ask: roleNames(vocabulary, [rulebook.ask]),
    scheme: vocabulary.facts.get(rulebook.scheme)!.question,
    scope: everywhere(rulebook.scope) ? [] : conditionWords(vocabulary, rulebook, rulebook.scope),
    parameters: [...rulebook.parameters].map(([id, value]) => ({
      id,
      name: vocabulary.limits.get(id)?.name ?? id,
      value: typeof value === 'string' ? value.replaceAll('-', ' ') : amountWords(vocabulary, value),
    })),
    ruleList: rulebook.rules.map((rule) => ({
      ...ruleWords(vocabulary, rulebook, rule),
      matrixUrl: canTry ? matrixUrl(policy, asked, rulebook, rule) : undefined,
    })),
  }
}

const everywhere = (condition: Rulebook['scope']) => condition.some((tests) => tests.length === 0)

const strengths = {
  hard: 'Hard: nobody can lift it',
  overridable: 'Overridable: it can be lifted, on the record',
  soft: 'Soft: it gives way to evidence',
}

function ruleWords(vocabulary: Vocabulary, rulebook: Rulebook, rule: Rule) {
  const { id, title, when, instead, clauses, prefer, unmet } = rule
  return {
    id,
    title,
    always: when !== 'not-sure' && everywhere(when),
    unsure: when === 'not-sure',
    when: when === 'not-sure' || everywhere(when) ? [] : conditionWords(vocabulary, rulebook, when),
    methods: methodsOf(vocabulary, rule.methods),
    effect: effectOf(vocabulary, rule),
    requires: rule.require
      .map((each) => ({ id: each, ...vocabulary.obligations.get(each)! }))
      .toSorted((a, b) => phaseOrder.indexOf(a.phase) - phaseOrder.indexOf(b.phase))
      .map(({ phase, says, record }) => ({ phase: phases[phase], says, record })),
    unmet: !unmet
      ? undefined
      : unmet === 'refuse'
        ? 'If that is known not to be done, it is refused.'
        : `If that is known not to be done, ask: ${roleNames(vocabulary, [rule.referTo!])}.`,
    limits: rule.limits.map((each) => {
      const value = rulebook.parameters.get(each)!
      const words = typeof value === 'string' ? value.replaceAll('-', ' ') : amountWords(vocabulary, value)
      return `${vocabulary.limits.get(each)!.name}: ${words}`
    }),
    prefer,
    strength: strengths[rule.strength],
    lifts: rule.liftedBy.map((lift) => ({
      role: roleNames(vocabulary, [lift.role]),
      when: conditionWords(vocabulary, rulebook, lift.when),
    })),
    ask: rule.ask && roleNames(vocabulary, [rule.ask]),
    instead,
    clauses,
  }
}

function effectOf(vocabulary: Vocabulary, { then, referTo }: Rule): string {
  if (then === 'allow') return 'Allowed'
  if (then === 'refuse') return 'Refused'
  return then === 'refer' ? `Ask first: ${roleNames(vocabulary, [referTo!])}` : 'Required'
}

/** Every method, every one but a few, or those named. */
function methodsOf(vocabulary: Vocabulary, methods: readonly string[]): string {
  const others = [...vocabulary.methods.keys()].filter((id) => !methods.includes(id))
  const names = (ids: readonly string[]) => ids.map((id) => methodName(vocabulary, id)).join('; ')
  if (others.length === 0) return 'Every method'
  return others.length < methods.length / 2 ? `Every method but: ${names(others)}` : names(methods)
}

/** The matrix of what a rule reads, with its other facts pinned where it holds. */
function matrixUrl(policy: Policy, asked: readonly Asked[], rulebook: Rulebook, rule: Rule): string | undefined {
  const compiled = policy.rules.find((each) => each.rulebook === rulebook && each.rule === rule)
  if (!compiled) return undefined
  const pins = answersMeeting(policy, asked, compiled)
  const ids = [...pins.keys(), rulebook.scheme, ...asked.map(({ id }) => id)]
  const [rows, columns] = new Set(ids.filter((id) => policy.vocabulary.facts.get(id)!.type !== 'method'))
  pins.delete(rows!)
  pins.delete(columns!)
  const _method = rule.methods.length === policy.methods.length ? '' : rule.methods[0]!
  return addressOf('matrix', pins, { _rows: rows!, _columns: columns!, _method })
}

/** For each fact in the first group of a rule's condition, an answer that meets it. */
function answersMeeting(policy: Policy, asked: readonly Asked[], { when }: CompiledRule): Map<string, Answer> {
  const pins = new Map<string, Answer>()
  const [group = []] = when
  for (let at = 0; at < group.length; at += 2) {
    const { id } = policy.facts[group[at]!]!
    const mask = group[at + 1]!
    const answer = asked.find((each) => each.id === id)?.answers[31 - Math.clz32(mask & -mask)]
    if (answer) pins.set(id, answer)
  }
  return pins
}

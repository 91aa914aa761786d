import { ok, type Outcome } from '#core/kit/outcome'
import { decide, type Decision, type MethodDecision } from '#core/policy/decide'
import { explain } from '#core/policy/explain'
import { nextQuestion } from '#core/policy/question'
import type { Policy } from '#core/policy/stack'
import {
  addressOf,
  chosenIn,
  chosenWords,
  factsAsked,
  factsFrom,
  selectGroups,
  type Asked,
  type Chosen,
} from '#features/rulebooks/answers'
import { methodName, outcomeWord, roleNames, verdictOf, verdicts } from '#features/rulebooks/words'

/**
 * What the rulebooks say of a case made up in a form, for every method, and what would be asked next.
 *
 * @returns the model of its page, with the contradiction where the answers contradict each other; or `facts-unreadable`
 */
export function tryOut(policy: Policy, query: Record<string, string | undefined>): Outcome<Record<string, unknown>> {
  const asked = factsAsked(policy)
  const read = chosenIn(asked, query)
  if (!read.ok) return read
  const chosen = read.value
  const model = {
    given: chosenWords(asked, chosen),
    groups: selectGroups(asked, chosen),
    startUrl: '/rulebooks/what-if',
  }
  const decided = decide(policy, factsFrom(chosen))
  if (!decided.ok) return ok({ ...model, errorList: [{ text: decided.problem.detail ?? '', href: '#facts' }] })
  return ok({
    ...model,
    next: nextOf(policy, asked, chosen),
    ...answerOf(policy, decided.value, query['_method']),
  })
}

function answerOf(policy: Policy, decision: Decision, asked: string | undefined) {
  const { vocabulary } = policy
  const [best] = decision.recommended
  const shown = decision.order.map((id) => ({
    ...methodModel(policy, decision, id),
    isOpen: id === (asked || best || decision.order[0]),
  }))
  const where = (...kinds: string[]) => shown.filter(({ verdict }) => kinds.includes(verdict))
  return {
    best: best ? methodName(vocabulary, best) : undefined,
    ask: best ? undefined : roleNames(vocabulary, decision.ask),
    sections: [
      { title: 'May be used', methods: where('allow', 'with') },
      { title: 'Somebody is asked first', methods: where('refer') },
      { title: 'Refused', methods: where('block') },
    ].filter(({ methods }) => methods.length > 0),
    silent: where('silent').map(({ name }) => name),
  }
}

function methodModel(policy: Policy, decision: Decision, id: string) {
  const method = decision.methods[id]!
  const verdict = verdictOf(method)
  return {
    id,
    name: methodName(policy.vocabulary, id),
    verdict,
    sign: verdicts[verdict].sign,
    word: verdicts[verdict].word,
    says: explain(policy.vocabulary, decision, id),
    // With one rulebook, what it says by itself is the answer.
    byRulebook: policy.rulebooks.length < 2 ? [] : opinions(policy, method),
    rules: rulesOf(method),
  }
}

const opinions = ({ rulebooks }: Policy, { byRulebook }: MethodDecision) =>
  rulebooks.map(({ id, title }) => ({ title, word: outcomeWord(byRulebook[id]!) }))

/** The rules that had their say, once each, with where they stand in the document. */
function rulesOf({ reasons }: MethodDecision) {
  const rules = new Map(
    reasons.map(({ rulebook, rule, title, effect, certain }) => [
      `${rulebook} ${rule}`,
      {
        rule,
        title,
        url: `/rulebooks/${rulebook}#rule-${rule}`,
        note: effect === 'lifted' ? 'lifted' : certain ? '' : 'may apply',
      },
    ]),
  )
  return [...rules.values()]
}

/** The question whose answer could still change what the sender is told, and where each answer leads. */
function nextOf(policy: Policy, asked: readonly Asked[], chosen: Chosen) {
  const open = asked.filter((fact) => fact.asked === 'deciding' && !chosen.has(fact.id)).map(({ id }) => id)
  const found = nextQuestion(policy, factsFrom(chosen), open)
  if (!found.ok || found.value === null) return undefined
  const { fact, question, why, clauses } = found.value
  const { answers } = asked.find(({ id }) => id === fact)!
  return {
    question,
    why,
    clauses,
    answers: answers.map((answer) => ({
      label: answer.label,
      url: addressOf('what-if', new Map([...chosen, [fact, answer]])),
    })),
  }
}

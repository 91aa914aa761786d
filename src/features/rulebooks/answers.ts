import { fail, ok, type Outcome } from '#core/kit/outcome'
import { nearest } from '#core/policy/shape'
import { possibleIn, type Policy } from '#core/policy/stack'
import type { Facts, FactValue } from '#core/policy/terms'
import { amountWords, valueWords } from '#core/policy/case-words'

/** One thing a fact can be, as an address, a person and a decision have it. */
export interface Answer {
  value: string
  label: string
  known: FactValue
}

/** A fact that some rule reads, with what it can be. A quantity's answers are the bands between the bounds of rules. */
export interface Asked {
  id: string
  question: string
  why: string
  asked: 'deciding' | 'recording' | 'derived'
  /** In the order of the bits of what is possible (`core/policy/stack`). */
  answers: Answer[]
}

/** The facts that can change anything under this policy, in the order of a person's thinking. */
export function factsAsked(policy: Policy): Asked[] {
  const schemes = new Set(policy.rules.map(({ scheme }) => scheme))
  return policy.facts
    .flatMap(({ id, fact, kinds }, place) =>
      kinds.length > 1 || schemes.has(place) ? { ...fact, id, answers: answersAt(policy, place) } : [],
    )
    .toSorted((a, b) => a.order - b.order)
    .map(({ id, question, why, asked, answers }) => ({ id, question, why, asked, answers }))
}

function answersAt({ facts, vocabulary }: Policy, place: number): Answer[] {
  const { fact, bits, cuts } = facts[place]!
  if (fact.type !== 'quantity')
    return [...bits.keys()].flatMap((value) =>
      typeof value === 'string'
        ? {
            value,
            label: valueWords(vocabulary, fact, value),
            known: fact.type === 'yes-no' ? value === 'yes' : value,
          }
        : [],
    )
  const words = (amount: number) => amountWords(vocabulary, { amount, unit: fact.unit! })
  return [...cuts, undefined].map((atMost, band) => {
    const above = cuts[band - 1]
    const label = [
      above === undefined ? [] : `More than ${words(above)}`,
      atMost === undefined ? [] : `${above === undefined ? 'Up' : 'up'} to ${words(atMost)}`,
    ]
    return {
      value: atMost === undefined ? `above-${above}` : `at-most-${atMost}`,
      label: label.flat().join(', '),
      known: { atLeast: above === undefined ? 0 : above + 1, ...(atMost === undefined ? {} : { atMost }) },
    }
  })
}

/** Which answer each fact has; a fact without one is not known. */
export type Chosen = ReadonlyMap<string, Answer>

/**
 * What an address says of facts: names and values of the vocabulary, nothing anybody wrote. Names with `_` are the page's.
 *
 * @returns `facts-unreadable` for a name or value that this policy does not know
 */
export function chosenIn(asked: readonly Asked[], query: Record<string, string | undefined>): Outcome<Chosen> {
  const chosen = new Map<string, Answer>()
  const wrong: Record<string, string> = {}
  for (const [id, value] of Object.entries(query)) {
    if (!value || id.startsWith('_') || id === 'lang') continue
    const fact = asked.find((each) => each.id === id)
    const answer = fact?.answers.find((each) => each.value === value)
    if (answer) chosen.set(id, answer)
    else {
      const known = fact ? fact.answers.map((each) => each.value) : asked.map((each) => each.id)
      const word = (fact ? value : id).slice(0, 60)
      wrong[id.slice(0, 60)] = `'${word}' is not ${fact ? 'an answer' : 'a fact'} here. ${nearest(word, known)}`
    }
  }
  const [first] = Object.values(wrong)
  return first === undefined ? ok(chosen) : fail('facts-unreadable', { detail: first, fields: wrong })
}

/** The facts of a case as answers; what no rule reads is left out. */
export function chosenOf(policy: Policy, asked: readonly Asked[], facts: Facts): Chosen {
  return new Map(
    asked.flatMap(({ id, answers }): [string, Answer][] => {
      const possible = facts[id] === undefined ? undefined : possibleIn(policy, { [id]: facts[id] })
      const bits = possible?.ok ? possible.value[policy.placeOf.get(id)!]! : 0
      const answer = answers[31 - Math.clz32(bits)]
      return answer ? [[id, answer]] : []
    }),
  )
}

export const factsFrom = (chosen: Chosen): Facts =>
  Object.fromEntries([...chosen].map(([id, { known }]) => [id, known]))

/** The address of a page with these answers, and with what else it is to show. */
export function addressOf(path: string, chosen: Chosen, more: Record<string, string> = {}): string {
  const query = new URLSearchParams(more)
  for (const [id, { value }] of chosen) query.set(id, value)
  return `/rulebooks/${path}?${query}`
}

/** Questions as selects, in groups, with what is chosen. */
export function selectGroups(asked: readonly Asked[], chosen: Chosen) {
  const groups = {
    deciding: 'What the sender is asked',
    recording: 'What is confirmed while sending',
    derived: 'What the records say',
  }
  return Object.entries(groups).flatMap(([kind, title]) => {
    const facts = asked.filter((each) => each.asked === kind)
    const selects = facts.map(({ id, question, answers }) => ({
      id,
      question,
      value: chosen.get(id)?.value ?? '',
      items: [{ value: '', text: 'Not known' }, ...answers.map(({ value, label }) => ({ value, text: label }))],
    }))
    return selects.length > 0 ? { title, selects } : []
  })
}

/** What is chosen, as questions and answers. */
export const chosenWords = (asked: readonly Asked[], chosen: Chosen) =>
  asked.flatMap(({ id, question }) => (chosen.has(id) ? { question, answer: chosen.get(id)!.label } : []))

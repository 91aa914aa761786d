import type { Cases, Space } from '#core/policy/space'
import type { CompiledFact, Group, Policy, Possible } from '#core/policy/stack'
import type { Fact, Facts, FactValue, Quantity, Vocabulary } from '#core/policy/terms'

/** One fact of a case as a person reads it. */
export interface CaseWord {
  fact: string
  question: string
  answer: string
}

/** A set of cases in words. */
export interface Described {
  /** How many cases; exact. */
  cases: bigint
  /** The answers they have in common, as few as say it; a question not listed may have any answer. */
  where: CaseWord[]
  /** How many cases have those answers: as many as `cases` when nothing else decides. */
  of: bigint
  /** One of them, every fact given. */
  example: Facts
  /** As few of the example's facts as make it one of them whatever the others are. */
  because: CaseWord[]
}

/** Says a case in words: the facts it gives, in the order of the vocabulary. */
export function caseWords(vocabulary: Vocabulary, facts: Facts): CaseWord[] {
  return [...vocabulary.facts].flatMap(([id, fact]) => {
    const value = facts[id]
    return value === undefined ? [] : [{ fact: id, question: fact.question, answer: answer(vocabulary, fact, value) }]
  })
}

function answer(vocabulary: Vocabulary, fact: Fact, value: FactValue): string {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'string') return valueWords(vocabulary, fact, value)
  const amount = (number: number) => amountWords(vocabulary, { amount: number, unit: fact.unit! })
  if (typeof value === 'number') return amount(value)
  const { atLeast, atMost } = value
  const bounds = [
    atLeast === undefined ? [] : `at least ${amount(atLeast)}`,
    atMost === undefined ? [] : `at most ${amount(atMost)}`,
  ]
  return bounds.flat().join(', ')
}

/** An amount in the largest unit that needs no fraction: 12 MB, not 12,000,000 bytes. */
export function amountWords({ units }: Vocabulary, { amount, unit }: Quantity): string {
  const [name, { amount: by }] = [...units]
    .filter(([, each]) => each.unit === unit && amount % each.amount === 0)
    .reduce((a, b) => (b[1].amount > a[1].amount ? b : a), [unit, { amount: 1, unit }])
  const count = amount / by
  return `${count.toLocaleString('en-GB')} ${(count === 1 ? name.replace(/s$/, '') : name).replaceAll('-', ' ')}`
}

/** The value of a fact that is no quantity. */
export const valueWords = (vocabulary: Vocabulary, fact: Fact, value: string): string =>
  fact.options?.get(value)?.label ?? vocabulary.methods.get(value)?.name ?? (value === 'yes' ? 'Yes' : 'No')

/** The answers a mask stands for, shortest way round. */
function answers(policy: Policy, compiled: CompiledFact, mask: number): string {
  const { fact, bits, cuts, all } = compiled
  if (fact.type === 'quantity') {
    const bound = (word: string, cut: number | undefined) =>
      cut === undefined ? [] : [`${word} ${amountWords(policy.vocabulary, { amount: cut, unit: fact.unit! })}`]
    const runs = [...cuts, undefined].flatMap((_, from) => {
      if (!(mask & (1 << from)) || mask & ((1 << from) >> 1)) return []
      let to = from
      while (mask & (2 << to)) to += 1
      return [...bound('above', cuts[from - 1]), ...bound('at most', cuts[to])].join(', ')
    })
    return runs.join(' or ')
  }
  const values = (of: number) =>
    [...bits].flatMap(([value, bit]) =>
      typeof value === 'string' && bit & of ? [answer(policy.vocabulary, fact, value)] : [],
    )
  const [is, isNot] = [values(mask), values(all & ~mask)]
  return is.length > isNot.length + 1 ? `Anything but: ${isNot.join(', ')}` : is.join(' or ')
}

/** A set of cases as a person reads it, with one of them. */
export function describeCases(policy: Policy, space: Space, set: Cases): Described {
  if (set === space.none) return { cases: 0n, where: [], of: 0n, example: {}, because: [] }
  const cube = (masks: Possible, places: number[]) =>
    space.where([places.flatMap((place): Group => [place, masks[place]!])])
  const [shared, usual, one] = [space.values(set), space.values(space.all), space.first(set)]
  const others = space.minus(space.all, set)
  /** Leaves out, from the last on, what is not needed. */
  const fewest = (places: number[], isEnough: (left: number[]) => boolean) =>
    places.reduceRight((left, place) => {
      const without = left.filter((each) => each !== place)
      return isEnough(without) ? without : left
    }, places)
  const read = policy.facts.flatMap(({ kinds }, place) => (kinds.length > 1 ? place : []))
  const apart = read.filter((place) => shared[place] !== usual[place])
  const within = cube(shared, apart)
  const places = fewest(apart, (left) => cube(shared, left) === within)
  const needed = fewest(read, (left) => space.and(cube(one, left), others) === space.none)
  const example = factsOf(policy, one, read)
  const only = Object.fromEntries(needed.map((place) => [policy.facts[place]!.id, example[policy.facts[place]!.id]!]))
  return {
    cases: space.count(set),
    where: places.map((place) => {
      const compiled = policy.facts[place]!
      return { fact: compiled.id, question: compiled.fact.question, answer: answers(policy, compiled, shared[place]!) }
    }),
    of: space.count(within),
    example,
    because: caseWords(policy.vocabulary, only),
  }
}

/** A case as facts, as a person would give them. */
function factsOf({ facts }: Policy, possible: Possible, places: number[]): Facts {
  return Object.fromEntries(
    places.map((place) => {
      const { id, fact, bits, cuts } = facts[place]!
      const at = 31 - Math.clz32(possible[place]!)
      if (fact.type === 'quantity') return [id, cuts[at] ?? (cuts.at(-1) ?? 0) + 1]
      const value = [...bits].find(([key, bit]) => typeof key === 'string' && bit === possible[place])![0]
      return [id, fact.type === 'yes-no' ? value === 'yes' : (value as string)]
    }),
  )
}

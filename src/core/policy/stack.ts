import { limits } from '#core/kit/limits'
import { assert, fail, ok, type Outcome } from '#core/kit/outcome'
import { thisMethod, valuesOf } from '#core/policy/condition'
import { amountsIn } from '#core/policy/rulebook'
import { nearest } from '#core/policy/shape'
import type { Bound, Condition, Fact, Obligation, Phase, Rule, Rulebook, Test, Vocabulary } from '#core/policy/terms'

/**
 * What is still possible: one bit mask for each fact, a bit for each value it could have. One bit set is known, all set
 * is unknown. A quantity's values are the intervals between the bounds that rules compare it with.
 */
export type Possible = Int32Array

/** Pairs of fact and allowed bits, one after the other. All must hold. */
export type Group = number[]

export interface CompiledFact {
  id: string
  fact: Fact
  bits: Map<unknown, number>
  /** Of a quantity: the bounds, ascending; interval n ends at bound n, inclusive. */
  cuts: number[]
  all: number
  /** The groups of values that no rule tells apart, each as the mask of its values. */
  alike: number[]
  /** One bit of each such group. */
  kinds: number[]
}

/** A rule as a reason shows it. */
export interface Face extends Pick<Rule, 'title' | 'strength' | 'clauses'> {
  rulebook: string
  rule: string
  /** Roles that may lift it, or did. */
  liftedBy: string[]
}

export interface CompiledRule {
  face: Face
  /** Its place in `Policy.rules`. */
  place: number
  rule: Rule
  rulebook: Rulebook
  /** The place of its rulebook in `Policy.rulebooks`. */
  book: number
  when: Group[]
  lifts: { role: string; when: Group[] }[]
  /** `met` is unset where no fact says so. */
  due: { words: Omit<Obligation, 'metWhen'> & { id: string }; met: Group[] | undefined }[]
  /** Ids of its clauses. */
  clauses: string[]
  /** Places of its methods in `Policy.methods`. */
  methods: number[]
  /** The place of its rulebook's classification: what a rulebook allows, it allows once that is known. */
  scheme: number
  /** All its tests, from all its groups. */
  tests: Group
  /** Places of all facts it reads. */
  reads: number[]
}

/** Rulebooks made ready to decide by, together. Made once; holds nothing of any case. */
export interface Policy {
  vocabulary: Vocabulary
  rulebooks: Rulebook[]
  /** The methods this installation can carry or guide; only they are recommended. */
  offered: string[]
  isOffered: boolean[]
  /** In the order of a person's thinking. */
  facts: CompiledFact[]
  /** Nothing known. */
  unknown: Possible
  placeOf: Map<string, number>
  methods: string[]
  rules: CompiledRule[]
  /** For each rulebook, whom its rule for what nobody knows refers to, and why. */
  unsure: ({ referTo: string; reason: Face & { effect: 'refers'; certain: true } } | undefined)[]
  /** For each rulebook, where it speaks at all. */
  scopes: Group[][]
  /** For each method, the rules about it, and those among them that can be lifted. */
  rulesOf: CompiledRule[][]
  liftable: CompiledRule[][]
  /** For each method, its obligations in the order of time, each with the rules that ask for it and where in their `due`. */
  dueOf: { rule: CompiledRule; at: number }[][][]
  /** For each method, its limits. */
  limitsOf: { id: string; strictestFirst: { rule: CompiledRule; value: number | string }[] }[][]
  implications: { fact: number; bits: number; then: Group; because: string }[]
}

/**
 * Stacks rulebooks: one policy that asks all of them.
 *
 * @param offered - the methods this installation can carry or guide
 */
export function stack(vocabulary: Vocabulary, rulebooks: Rulebook[], offered: readonly string[]): Policy {
  assert(new Set(rulebooks.map(({ id }) => id)).size === rulebooks.length, 'a rulebook is stacked once')
  assert(
    offered.every((id) => vocabulary.methods.has(id)),
    'offered methods are in the vocabulary',
  )
  const facts = compileFacts(vocabulary, rulebooks)
  const methods = [...vocabulary.methods.keys()]
  const rules = rulebooks
    .flatMap((rulebook, book) =>
      rulebook.rules.flatMap((rule) =>
        rule.when === 'not-sure'
          ? []
          : compileRule(rule, rule.when, rulebook, vocabulary, facts).map((compiled) => ({ ...compiled, book })),
      ),
    )
    .map((rule, place) => ({ ...rule, place }))
  const rulesOf = methods.map((_, place) => rules.filter((rule) => rule.methods.includes(place)))
  const implications = vocabulary.implications.map(({ when, then, because }) => {
    const [fact, bits] = groups(when, facts, noParameters)[0] as [number, number]
    return { fact, bits, then: groups(then, facts, noParameters)[0]!, because }
  })
  const policy: Policy = {
    vocabulary,
    rulebooks,
    offered: [...offered],
    isOffered: methods.map((method) => offered.includes(method)),
    facts,
    unknown: Int32Array.from(facts, ({ all }) => all),
    placeOf: new Map(facts.map(({ id }, place) => [id, place])),
    methods,
    rules,
    unsure: rulebooks.map((rulebook) => {
      const rule = rulebook.rules.find(({ when }) => when === 'not-sure')
      return rule && { referTo: rule.referTo!, reason: { ...faceOf(rule, rulebook), effect: 'refers', certain: true } }
    }),
    scopes: rulebooks.map(({ scope, parameters }) => groups(scope, facts, parameters)),
    rulesOf,
    liftable: rulesOf.map((about) => about.filter(({ lifts }) => lifts.length > 0)),
    dueOf: rulesOf.map(obligationsAsked),
    limitsOf: rulesOf.map((about) => limitsSet(about, vocabulary)),
    implications,
  }
  for (const [place, fact] of facts.entries()) {
    fact.alike = alikeAt(place, policy)
    fact.kinds = fact.alike.map((mask) => mask & -mask)
  }
  return policy
}

/** The obligations that these rules ask for, in the order of time. */
function obligationsAsked(rules: CompiledRule[]): Policy['dueOf'][number] {
  const asked = rules.flatMap((rule) => rule.due.map(({ words }, at) => ({ rule, at, words })))
  const phases: Phase[] = ['before', 'at', 'after', 'end']
  return phases.flatMap((phase) => [
    ...Map.groupBy(
      asked.filter(({ words }) => words.phase === phase),
      ({ words }) => words.id,
    ).values(),
  ])
}

/** The limits that these rules set. */
function limitsSet(rules: CompiledRule[], vocabulary: Vocabulary): Policy['limitsOf'][number] {
  return [...new Set(rules.flatMap(({ rule }) => rule.limits))].map((id) => {
    const { choices, stricter } = vocabulary.limits.get(id)!
    const looseness = (value: number | string) =>
      (typeof value === 'string' ? choices!.indexOf(value) : value) * (stricter === 'smaller' ? 1 : -1)
    const set = rules.flatMap((rule) => {
      const value = rule.rulebook.parameters.get(id)!
      return rule.rule.limits.includes(id) ? { rule, value: typeof value === 'string' ? value : value.amount } : []
    })
    return { id, strictestFirst: set.toSorted((a, b) => looseness(a.value) - looseness(b.value)) }
  })
}

const noParameters: Rulebook['parameters'] = new Map()

function amountOf(bound: Bound, parameters: Rulebook['parameters']): number {
  const found = 'parameter' in bound ? parameters.get(bound.parameter) : bound
  assert(typeof found === 'object', 'parameters were checked when the rulebook was read')
  return found.amount
}

function compileFacts(vocabulary: Vocabulary, rulebooks: Rulebook[]): CompiledFact[] {
  const amounts = rulebooks.map((rulebook) => amountsIn(rulebook, vocabulary))
  const inOrder = [...vocabulary.facts].toSorted(([, a], [, b]) => a.order - b.order)
  return inOrder.map(([id, fact]) => {
    const bounds = [...new Set(amounts.flatMap((all) => [...(all.get(id) ?? [])]))].toSorted((a, b) => a - b)
    assert(bounds.length < 30, `at most 29 bounds are compared with ${id}`)
    const values = valuesOf(fact, vocabulary)
    const bits = new Map<unknown, number>(values.map((value, place) => [value, 1 << place]))
    if (fact.type === 'yes-no') bits.set(true, 1).set(false, 2)
    const count = fact.type === 'quantity' ? bounds.length + 1 : values.length
    return { id, fact, bits, cuts: bounds, all: 2 ** count - 1, alike: [], kinds: [] }
  })
}

function bitsOf(fact: CompiledFact, test: Test, parameters: Rulebook['parameters'], method?: string): number {
  if ('values' in test) {
    const bits = test.values.reduce(
      (sum, value) => sum | (fact.bits.get(value === thisMethod ? method : value) ?? 0),
      0,
    )
    return test.not ? fact.all & ~bits : bits
  }
  const upTo = (bound: Bound) => 2 ** (fact.cuts.indexOf(amountOf(bound, parameters)) + 1) - 1
  return (test.above ? fact.all & ~upTo(test.above) : fact.all) & (test.atMost ? upTo(test.atMost) : fact.all)
}

/** A condition as masks. A group that asks the impossible is dropped. */
function groups(
  condition: Condition,
  facts: CompiledFact[],
  parameters: Rulebook['parameters'],
  method?: string,
): Group[] {
  return condition.flatMap((tests) => {
    const bits = new Map<number, number>()
    for (const { fact: id, test } of tests) {
      const place = facts.findIndex((fact) => fact.id === id)
      bits.set(place, (bits.get(place) ?? facts[place]!.all) & bitsOf(facts[place]!, test, parameters, method))
    }
    return [...bits.values()].includes(0) ? [] : [[...bits].flat()]
  })
}

function faceOf({ id, title, strength, clauses, liftedBy }: Rule, rulebook: Rulebook): Face {
  return {
    rulebook: rulebook.id,
    rule: id,
    title,
    strength,
    clauses,
    liftedBy: [...new Set(liftedBy.map(({ role }) => role))],
  }
}

function compileRule(
  rule: Rule,
  when: Condition,
  rulebook: Rulebook,
  vocabulary: Vocabulary,
  facts: CompiledFact[],
): Omit<CompiledRule, 'place' | 'book'>[] {
  const { parameters } = rulebook
  const scoped = rulebook.scope.flatMap((scope) => when.map((tests) => [...scope, ...tests]))
  const all = [...vocabulary.methods.keys()]
  const comparesMethod = when.flat().some(({ test }) => 'values' in test && test.values.includes(thisMethod))
  const each = comparesMethod ? rule.methods.map((method) => [method]) : [rule.methods]
  return each.map((methods) => {
    const compiled = {
      rule,
      rulebook,
      face: faceOf(rule, rulebook),
      when: groups(scoped, facts, parameters, methods[0]),
      lifts: rule.liftedBy.map((lift) => ({ role: lift.role, when: groups(lift.when, facts, parameters) })),
      due: rule.require.map((id) => {
        const { metWhen, ...words } = vocabulary.obligations.get(id)!
        return { words: { id, ...words }, met: metWhen && groups(metWhen, facts, parameters) }
      }),
      clauses: rule.clauses.map(({ id }) => id),
      methods: methods.map((method) => all.indexOf(method)),
      scheme: facts.findIndex(({ id }) => id === rulebook.scheme),
    }
    const parts = [
      compiled.when,
      ...compiled.lifts.map((lift) => lift.when),
      ...compiled.due.map((due) => due.met ?? []),
    ]
    const tests = parts.flat(2)
    return { ...compiled, tests, reads: [...new Set(tests.filter((_, at) => at % 2 === 0))] }
  })
}

/** Groups the values of a fact that no rule, no scope and no implication tells apart. */
function alikeAt(place: number, policy: Policy): number[] {
  const read = [
    ...policy.rules.map(({ tests }) => tests),
    ...policy.scopes.flat(),
    ...policy.implications.flatMap(({ fact, bits, then }) => [[fact, bits], then]),
  ]
  const masks = read.flatMap((group) => group.filter((_, at) => at % 2 === 1 && group[at - 1] === place))
  const kinds = new Map<string, number>()
  for (let bit = 1; bit <= policy.facts[place]!.all; bit *= 2) {
    const kind = masks.map((mask) => (mask & bit ? 1 : 0)).join('')
    kinds.set(kind, (kinds.get(kind) ?? 0) | bit)
  }
  return [...kinds.values()]
}

/** Whether more than one value is possible. */
export const isOpen = (bits: number) => (bits & (bits - 1)) !== 0

/** Whether a condition holds: 0 no, 1 not known, 2 yes. No condition is never known. */
export function holds(condition: Group[] | undefined, possible: Possible): 0 | 1 | 2 {
  if (!condition) return 1
  let best: 0 | 1 = 0
  for (const group of condition) {
    let state: 0 | 1 | 2 = 2
    for (let at = 0; at < group.length; at += 2) {
      const left = possible[group[at]!]!
      const common = left & group[at + 1]!
      if (common === 0) {
        state = 0
        break
      }
      if (common !== left) state = 1
    }
    if (state === 2) return 2
    if (state === 1) best = 1
  }
  return best
}

/**
 * What is possible in a case, by what is known of it and what follows from that.
 *
 * @param facts - anything at all; it may have come from outside
 * @returns masks, or `facts-unreadable` with a sentence for each fact, or `facts-contradict`
 */
export function possibleIn(policy: Policy, facts: unknown): Outcome<Possible> {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts))
    return fail('facts-unreadable', { detail: 'Facts are written as names and values.' })
  const possible = policy.unknown.slice()
  const wrong: [string, string][] = []
  for (const id of Object.keys(facts)) {
    const value = (facts as Record<string, unknown>)[id]
    if (value === undefined) continue
    const place = policy.placeOf.get(id) ?? -1
    const fact = policy.facts[place]
    const bits = fact && (fact.fact.type === 'quantity' ? intervalBits(fact, value) : fact.bits.get(value))
    if (bits) possible[place] = bits
    else wrong.push([id.slice(0, 60), fact ? howToWrite(fact, value) : notAFact(policy, id)])
    if (wrong.length === limits.factsWrong) break
  }
  if (wrong.length > 0) return fail('facts-unreadable', { detail: wrong[0]![1], fields: Object.fromEntries(wrong) })
  const because = follow(policy, possible)
  return because ? fail('facts-contradict', { detail: because }) : ok(possible)
}

const notAFact = ({ placeOf }: Policy, id: string) =>
  `'${id.slice(0, 60)}' is not a fact. ${nearest(id, placeOf.keys())}`

function howToWrite({ fact, bits }: CompiledFact, value: unknown): string {
  if (fact.type === 'quantity') return `Give a number of ${fact.unit}, or { atLeast, atMost }.`
  const word = typeof value === 'string' ? value.slice(0, 60) : typeof value
  const answers = [...bits.keys()].filter((key) => typeof key === 'string')
  return `'${word}' is not an answer. ${nearest(word, answers)}`
}

/** The intervals a number, or a range with both ends included, may lie in; 0 if it is neither. */
function intervalBits(fact: CompiledFact, value: unknown): number {
  const isAmount = (number: unknown): number is number =>
    typeof number === 'number' && number >= 0 && Number.isFinite(number)
  const interval = (number: number) => fact.cuts.filter((cut) => cut < number).length
  if (isAmount(value)) return 1 << interval(value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 0
  const { atLeast = 0, atMost = Number.MAX_VALUE, ...rest } = value as { atLeast?: unknown; atMost?: unknown }
  if (!isAmount(atLeast) || !isAmount(atMost) || atLeast > atMost || Object.keys(rest).length > 0) return 0
  return fact.all & ~(2 ** interval(atLeast) - 1) & (2 ** (interval(atMost) + 1) - 1)
}

/**
 * Takes out what the implications rule out, in both directions, until nothing changes.
 *
 * @returns why the case is impossible, or nothing
 */
export function follow({ implications }: Policy, possible: Possible): string | undefined {
  for (let changed = true; changed;) {
    changed = false
    for (const { fact, bits, then, because } of implications) {
      const applies = (possible[fact]! & ~bits) === 0
      for (let at = 0; at < then.length; at += 2) {
        const place = then[at]!
        const common = possible[place]! & then[at + 1]!
        const target = applies ? place : fact
        const left = applies ? common : common === 0 ? possible[fact]! & ~bits : possible[fact]!
        if (left === 0) return because
        if (left !== possible[target]!) {
          possible[target] = left
          changed = true
        }
      }
    }
  }
  return undefined
}

import { ok, type Outcome } from '#core/kit/outcome'
import { best, judge, tell, type Told } from '#core/policy/decide'
import { follow, holds, isOpen, possibleIn, type CompiledRule, type Policy, type Possible } from '#core/policy/stack'
import type { Fact } from '#core/policy/terms'

export interface Question {
  fact: string
  question: string
  hint: string | undefined
  /** Why it is asked, for the person. */
  why: string
  type: Fact['type']
  options: Fact['options']
  unit: string | undefined
  /** Clauses of the rules that read the answer and may still apply. */
  clauses: string[]
}

/**
 * How many cases it looks at for one pair of answers, in rounds: short looks at every pair find most differences. After
 * the last the question is asked, needed or not: one question too many is better than a wrong answer.
 */
const rounds = [30, 200, 1_500]

/**
 * The next question whose answer can still change what the person is told to do: which method comes first, what it
 * obliges her to, or whom to ask. Other methods may stay open; `chosen` settles one of those instead.
 *
 * @param askable - facts she may be asked for; leave out those she was not sure of
 * @param chosen - the method she chose, when it is not the recommended one
 * @returns the question, null when there is none, or the same problems as `decide`
 */
export function nextQuestion(
  policy: Policy,
  facts: unknown,
  askable: readonly string[],
  chosen?: string,
): Outcome<Question | null> {
  const possible = possibleIn(policy, facts)
  if (!possible.ok) return possible
  const open = policy.facts
    .map(({ id, fact }, place) => ({ id, order: fact.order, place }))
    .filter(({ id, place }) => askable.includes(id) && isOpen(possible.value[place]!))
    .toSorted((a, b) => a.order - b.order)
    .map(({ place }) => place)
  const search: Search = {
    policy,
    open,
    chosen: chosen === undefined ? undefined : policy.methods.indexOf(chosen),
    looks: 0,
  }
  const next = open.find((place) => matters(search, possible.value, place)) ?? unsettled(search, possible.value)
  return ok(next === undefined ? null : questionAbout(policy, possible.value, next))
}

interface Search {
  policy: Policy
  /** Places of the facts that may still be asked. */
  open: number[]
  chosen: number | undefined
  /** How many more cases it may look at. */
  looks: number
}

/** What the person is told, as one text: two cases with the same text need not be told apart. */
function answerIn({ policy, chosen }: Search, possible: Possible): string {
  const judged = judge(policy, possible)
  return answerText(tell(policy, judged, possible, chosen ?? best(policy, judged)), chosen !== undefined)
}

/** What counts as the answer: the same for a search and for whoever compares two decisions. */
export function answerText(told: Told, named: boolean): string {
  const { outcome, method, obligations, limits, ask } = told
  if (outcome === 'ALLOW' || outcome === 'ALLOW_WITH') {
    const due = obligations.map(({ id, met, certain }) => `${id} ${met} ${certain}`).toSorted()
    return JSON.stringify([outcome, method, due, Object.entries(limits).map(String).toSorted()])
  }
  return JSON.stringify([outcome, named && method, ask.toSorted()])
}

/** The case with one more fact known, or nothing when that cannot be. */
function withFact(policy: Policy, possible: Possible, place: number, bit: number): Possible | undefined {
  if (!(possible[place]! & bit)) return undefined
  const next = possible.slice()
  next[place] = bit
  return follow(policy, next) === undefined ? next : undefined
}

/** Whether two answers to this question lead, for some answers to the others, to different things being told. */
function matters(search: Search, possible: Possible, place: number): boolean {
  const { rules, facts } = search.policy
  const [first, ...others] = facts[place]!.kinds.flatMap((bit) => withFact(search.policy, possible, place, bit) ?? [])
  if (!first) return false
  // A classification that nobody gives is itself an answer: without it the rulebook allows nothing.
  if (rules.some(({ scheme }) => scheme === place)) others.unshift(possible)
  const open = search.open.filter((fact) => fact !== place)
  const looking = others.map((other) => {
    const seeing = rules.filter(({ scheme, reads }) => [scheme, ...reads].some((fact) => first[fact] !== other[fact]))
    return (looks: number) => differ({ ...search, looks, open }, { seeing, isSeen: false, waiting: rules }, first, other)
  })
  let undecided = looking
  for (const looks of rounds) {
    const found = undecided.map((look) => ({ look, is: look(looks) }))
    if (found.some(({ is }) => is)) return true
    undecided = found.flatMap(({ look, is }) => (is === undefined ? look : []))
  }
  return undecided.length > 0
}

/**
 * Whether some completion of two cases, alike but for one fact and what follows from it, is told apart; undefined when it
 * has looked too long. It fills in first what the rules that see the difference still wait for: that finds one soon.
 *
 * @param rules - those that see the difference and are not yet certain, whether a certain one saw it, and all not yet
 *   certain; a rule that is certain stays so, so the lists only shrink
 */
function differ(
  search: Search,
  rules: { seeing: CompiledRule[]; isSeen: boolean; waiting: CompiledRule[] },
  a: Possible,
  b: Possible,
): boolean | undefined {
  search.looks -= 1
  if (search.looks < 0) return undefined
  const waits = (rule: CompiledRule) => isWaiting(rule, a) || isWaiting(rule, b)
  const seeing = rules.seeing.filter(waits)
  const isSeen =
    rules.isSeen || rules.seeing.some((rule) => !seeing.includes(rule) && stateOf(rule, a) !== stateOf(rule, b))
  if (seeing.length === 0 && !isSeen) return false
  const waiting = rules.waiting.filter(waits)
  const next = nextOpen(search.open, seeing, a, b) ?? nextOpen(search.open, waiting, a, b)
  if (next === undefined) return answerIn(search, a) !== answerIn(search, b)
  for (const bit of search.policy.facts[next]!.kinds) {
    const nextA = isOpen(a[next]!) ? withFact(search.policy, a, next, bit) : a
    const nextB = isOpen(b[next]!) ? withFact(search.policy, b, next, bit) : b
    const found = nextA && nextB ? differ(search, { seeing, isSeen, waiting }, nextA, nextB) : false
    if (found !== false) return found
  }
  return false
}

/** What a rule does, as a number: equal numbers, equal doings. */
function stateOf({ rule, when, lifts, due, scheme }: CompiledRule, possible: Possible): number {
  let state: number = holds(when, possible)
  if (state === 0) return 0
  if (rule.then === 'allow' && isOpen(possible[scheme]!)) state += 2
  for (const lift of lifts) state = state * 3 + holds(lift.when, possible)
  for (const { met } of due) state = state * 3 + holds(met, possible)
  return state
}

function isWaiting({ when, lifts, due }: CompiledRule, possible: Possible): boolean {
  const state = holds(when, possible)
  if (state === 0) return false
  return (
    state === 1 ||
    lifts.some((lift) => holds(lift.when, possible) === 1) ||
    due.some(({ met }) => met && holds(met, possible) === 1)
  )
}

function nextOpen(open: number[], waiting: CompiledRule[], a: Possible, b: Possible): number | undefined {
  return open.find(
    (place) => (isOpen(a[place]!) || isOpen(b[place]!)) && waiting.some(({ reads }) => reads.includes(place)),
  )
}

/**
 * Rules that only together are certain ("if yes" and "if no") leave a half-known case undecided although every answer
 * leads to the same. Then one more answer is asked for, so that the decision stored is the one that all answers lead to.
 */
function unsettled(search: Search, possible: Possible): number | undefined {
  let whole = possible
  for (const place of search.open)
    whole =
      search.policy.facts[place]!.kinds.map((bit) => withFact(search.policy, whole, place, bit)).find(
        (next) => next !== undefined,
      ) ?? whole
  if (answerIn(search, whole) === answerIn(search, possible)) return undefined
  return nextOpen(
    search.open,
    search.policy.rules.filter((rule) => isWaiting(rule, possible)),
    possible,
    possible,
  )
}

function questionAbout(policy: Policy, possible: Possible, place: number): Question {
  const { id, fact } = policy.facts[place]!
  const reading = policy.rules.filter((rule) => rule.reads.includes(place) && holds(rule.when, possible) !== 0)
  const clauses = [...new Set(reading.flatMap(({ rule }) => rule.clauses.map((clause) => clause.id)))]
  return {
    fact: id,
    question: fact.question,
    hint: fact.hint,
    why: fact.why,
    type: fact.type,
    options: fact.options,
    unit: fact.unit,
    clauses,
  }
}

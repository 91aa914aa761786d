import { ok, type Outcome } from '#core/kit/outcome'
import {
  best,
  isObstacle,
  isRefusing,
  judge,
  mayComeBefore,
  describe,
  worthOf,
  type Judged,
  type MethodDecision,
} from '#core/policy/decide'
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
const rounds = [30, 400]

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
    .filter(({ id, place }) => askable.includes(id) && isOpen(possible.value[place]!) && isRead(policy, place))
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

/** Words of other rulebooks stand in the vocabulary too. What none of these reads is not asked, even where it would imply something. */
export const isRead = ({ rules }: Policy, place: number) =>
  rules.some(({ scheme, reads }) => scheme === place || reads.includes(place))

interface Search {
  policy: Policy
  /** Places of the facts that may still be asked. */
  open: number[]
  chosen: number | undefined
  /** How many more cases it may look at. */
  looks: number
}

/**
 * What counts as the answer, as one text: two cases with the same text need not be told apart. For a refusal or a referral
 * that is the outcome alone, since nobody should be questioned further just to learn whom else she could ask.
 */
export function answerText({ outcome, method, obligations, limits }: MethodDecision, named: boolean): string {
  if (outcome !== 'ALLOW' && outcome !== 'ALLOW_WITH') return named ? `${method} ${outcome}` : outcome
  const due = obligations.map(({ id, met, certain }) => `${id} ${met} ${certain}`).toSorted()
  return JSON.stringify([outcome, method, due, Object.entries(limits).map(String).toSorted()])
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
  let undecided = others
  for (const looks of rounds) {
    const found = undecided.map((other) => ({ other, is: differ({ ...search, looks, open }, rules, first, other) }))
    if (found.some(({ is }) => is)) return true
    undecided = found.flatMap(({ other, is }) => (is === undefined ? [other] : []))
  }
  return undecided.length > 0
}

/**
 * Whether some completion of two cases, alike but for one fact and what follows from it, is told apart; undefined when it
 * has looked too long. It fills in first what the rules that see the difference still wait for: that finds one soon.
 *
 * @param rules - those that may see a difference; one that is certain and does the same in both sees none any more
 */
function differ(search: Search, rules: CompiledRule[], a: Possible, b: Possible): boolean | undefined {
  search.looks -= 1
  if (search.looks < 0) return undefined
  const [lookA, lookB] = [lookAt(search, a), lookAt(search, b)]
  const waits = ({ place }: CompiledRule) => lookA.waits[place] === 1 || lookB.waits[place] === 1
  const seeing = rules.filter((rule) => stateOf(rule, a) !== stateOf(rule, b) || (waits(rule) && sees(rule, a, b)))
  if (seeing.length === 0) return false
  const [answerA, answerB] = [settledAnswer(search, a, lookA), settledAnswer(search, b, lookB)]
  if (answerA !== undefined && answerB !== undefined) return answerA !== answerB
  const next =
    nextOpen(search.open, seeing.filter(waits), a, b) ?? nextOpen(search.open, search.policy.rules.filter(waits), a, b)
  for (const bit of search.policy.facts[next!]!.kinds) {
    const nextA = isOpen(a[next!]!) ? withFact(search.policy, a, next!, bit) : a
    const nextB = isOpen(b[next!]!) ? withFact(search.policy, b, next!, bit) : b
    const found = nextA && nextB ? differ(search, seeing, nextA, nextB) : false
    if (found !== false) return found
  }
  return false
}

/** Whether a test of this rule comes out differently in the two cases. */
function sees({ scheme, tests }: CompiledRule, a: Possible, b: Possible): boolean {
  if (isOpen(a[scheme]!) !== isOpen(b[scheme]!)) return true
  for (let at = 0; at < tests.length; at += 2) {
    const [place, mask] = [tests[at]!, tests[at + 1]!]
    if (a[place] !== b[place] && outcomeOfTest(a[place]!, mask) !== outcomeOfTest(b[place]!, mask)) return true
  }
  return false
}

const outcomeOfTest = (left: number, mask: number) => ((left & mask) === 0 ? 0 : (left & ~mask) === 0 ? 2 : 1)

/** What a rule does, as a number: equal numbers, equal doings. */
function stateOf({ rule, when, lifts, due, scheme }: CompiledRule, possible: Possible): number {
  let state: number = holds(when, possible)
  if (state === 0) return 0
  if (rule.then === 'allow' && isOpen(possible[scheme]!)) state += 2
  for (const lift of lifts) state = state * 3 + holds(lift.when, possible)
  for (const { met } of due) state = state * 3 + holds(met, possible)
  return state
}

interface Look {
  judged: Judged
  /** For each rule, 1 if it may still do something else, once more is asked. */
  waits: Uint8Array
}

function lookAt({ policy, open }: Search, possible: Possible): Look {
  const judged = judge(policy, possible)
  const canAsk = new Uint8Array(possible.length)
  for (const place of open) if (isOpen(possible[place]!)) canAsk[place] = 1
  const waits = new Uint8Array(policy.rules.length)
  for (const { place, rule, scheme, reads, lifts, due } of policy.rules) {
    const status = judged.status[place]!
    if (status === 0) continue
    if (rule.then === 'allow' && canAsk[scheme]) waits[place] = 1
    else if (
      reads.some((fact) => canAsk[fact]) &&
      (status !== 2 ||
        lifts.some((lift) => holds(lift.when, possible) === 1) ||
        due.some(({ met }) => met && holds(met, possible) === 1))
    )
      waits[place] = 1
  }
  return { judged, waits }
}

/** The answer, if no more questions can change it. */
function settledAnswer(search: Search, possible: Possible, { judged, waits }: Look): string | undefined {
  const { policy, chosen } = search
  const told = chosen ?? best(policy, judged)
  const isCertain = (method: number) => policy.rulesOf[method]!.every(({ place }) => !waits[place])
  const isSettled = () => {
    if (chosen !== undefined) return isCertain(chosen)
    const now = worthOf(judged, told)
    // When nothing can be used yet, the one told about may itself turn out to be usable.
    const rivals = [...policy.rulesOf.keys()].filter(
      (method) =>
        now > 1 || (method !== told && policy.isOffered[method] && mayComeBefore(policy, judged, method, told)),
    )
    if (rivals.some((method) => canBeUsed(policy, judged, waits, method))) return false
    if (now < 2) return policy.isOffered[told] && isCertain(told)
    // Nothing can be used any more. It stays referred if some method cannot be refused, and refused if all are for good.
    if (now === 2)
      return policy.rulesOf.some(
        (rules, method) =>
          worthOf(judged, method) === 2 && rules.every((rule) => !waits[rule.place] || !mayRefuse(rule)),
      )
    return policy.rulesOf.every(
      (rules, method) =>
        isCertain(method) || rules.some(({ place }) => !waits[place] && isRefusing(judged.ofRule[place]!)),
    )
  }
  return waits.every((each) => each === 0) || isSettled() ? answerAt(search, judged, possible, told) : undefined
}

const answerAt = ({ policy, chosen }: Search, judged: Judged, possible: Possible, told: number) =>
  answerText(describe(policy, judged, possible, told), chosen !== undefined)

const mayRefuse = ({ rule }: CompiledRule) => rule.then === 'refuse' || rule.unmet === 'refuse'

/** Whether some rule may still allow a method and none keeps it from being used for good. */
function canBeUsed({ rulesOf }: Policy, judged: Judged, waits: Uint8Array, method: number): boolean {
  const rules = rulesOf[method]!
  return (
    rules.some(({ rule, place }) => rule.then === 'allow' && judged.status[place]! > 0) &&
    !rules.some(({ place }) => !waits[place] && isObstacle(judged.ofRule[place]!))
  )
}

function nextOpen(open: number[], waiting: CompiledRule[], a: Possible, b: Possible): number | undefined {
  return open.find(
    (place) =>
      (isOpen(a[place]!) || isOpen(b[place]!)) &&
      waiting.some(({ scheme, reads }) => scheme === place || reads.includes(place)),
  )
}

/**
 * Rules that only together are certain ("if yes" and "if no") leave a half-known case undecided although every answer
 * leads to the same. Then one more answer is asked for, so that the decision stored is the one that all answers lead to.
 */
function unsettled(search: Search, possible: Possible): number | undefined {
  const { policy, open, chosen } = search
  let whole = possible
  for (const place of open)
    whole =
      policy.facts[place]!.kinds.map((bit) => withFact(policy, whole, place, bit)).find((next) => next !== undefined) ??
      whole
  const [now, then] = [possible, whole].map((each) => {
    const judged = judge(policy, each)
    return answerAt(search, judged, each, chosen ?? best(policy, judged))
  })
  const { waits } = lookAt(search, possible)
  return now === then
    ? undefined
    : nextOpen(
        open,
        policy.rules.filter(({ place }) => waits[place]),
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

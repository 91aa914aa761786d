import { assert, ok, type Outcome } from '#core/kit/outcome'
import {
  best,
  describe,
  effect,
  effectsOf,
  judge,
  thenOf,
  unmetOf,
  worth,
  type MethodDecision,
} from '#core/policy/decide'
import {
  follow,
  holds,
  isOpen,
  possibleIn,
  type CompiledRule,
  type Group,
  type Policy,
  type Possible,
} from '#core/policy/stack'
import type { Fact, Rule } from '#core/policy/terms'

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
 * How many rules it reads to find out about one question: a millisecond or two. After the last the question is asked,
 * needed or not: one question too many is better than a wrong answer.
 */
const mostRead = 5_000

/**
 * The question to ask next: the first, in the order of the person's thinking, whose answer can still change what she is
 * told, whatever she answers to the others; null when no answer can. What she is told is which method comes first, what
 * it obliges her to, or that she must ask first or may not send at all. Other methods may stay open.
 *
 * @param askable - facts she may be asked for; leave out those she was not sure of
 * @returns the question, null when there is none, or the same problems as `decide`
 */
export function nextQuestion(policy: Policy, facts: unknown, askable: readonly string[]): Outcome<Question | null> {
  const possible = possibleIn(policy, facts)
  if (!possible.ok) return possible
  const asks = Uint8Array.from(policy.facts, ({ id }, place) =>
    askable.includes(id) && isOpen(possible.value[place]!) && isRead(policy, place) ? 1 : 0,
  )
  const search: Search = { policy, asks, open: [...asks.keys()].filter((place) => asks[place]), read: 0 }
  const next = search.open.find((place) => matters(search, possible.value, place)) ?? unsettled(search, possible.value)
  return ok(next === undefined ? null : questionAbout(policy, possible.value, next))
}

/** Words of other rulebooks stand in the vocabulary too. What none of these reads is not asked, even where it would imply something. */
export const isRead = ({ rules }: Policy, place: number) => rules.some((rule) => isReadBy(rule, place))

interface Search {
  policy: Policy
  /** For each fact, 1 if it may be asked; and their places, in the order of thinking. */
  asks: Uint8Array
  open: number[]
  /** How many rules it has read to find out about this question. */
  read: number
}

/**
 * What counts as the answer, as one text: two cases with the same text need not be told apart. For a refusal or a referral
 * that is the outcome alone, since nobody should be questioned further just to learn whom else she could ask.
 */
export function answerText({ outcome, method, obligations, limits }: MethodDecision): string {
  if (outcome !== 'ALLOW' && outcome !== 'ALLOW_WITH') return outcome
  const due = obligations.map(({ id, met, certain }) => `${id} ${met} ${certain}`).toSorted()
  return JSON.stringify([outcome, method, due, Object.entries(limits).map(String).toSorted()])
}

/** The case with one more fact known, or nothing when that cannot be. */
function withFact(policy: Policy, possible: Possible, place: number, bit: number): Possible | undefined {
  if (possible[place] === bit) return possible
  if (!(possible[place]! & bit)) return undefined
  const next = possible.slice()
  next[place] = bit
  return follow(policy, next) === undefined ? next : undefined
}

/** The case with each value that a fact can have. */
const worldsOf = ({ policy }: Search, possible: Possible, place: number): Possible[] =>
  policy.facts[place]!.kinds.flatMap((bit) => withFact(policy, possible, place, bit) ?? [])

/** Whether two answers to this question lead, for some answers to the others, to different things being told. */
function matters(search: Search, possible: Possible, place: number): boolean {
  const worlds = worldsOf(search, possible, place)
  const live = search.policy.rules.filter(({ when }) => holds(when, possible) !== 0)
  const open = search.open.filter((fact) => fact !== place)
  const narrowed = { ...search, asks: search.asks.with(place, 0), open, read: 0 }
  const seeing = live.filter((rule) => sees(rule, worlds))
  return seeing.length > 0 && isToldApart(narrowed, live, seeing, worlds)
}

/**
 * Whether some completion of cases, alike but for one fact and what follows from it, is told apart. It fills in first what
 * most of the rules that stand in the way still wait for: that soon leaves few methods.
 *
 * @param live - rules that may still apply
 * @param seeing - those among them that may see the difference
 */
function isToldApart(search: Search, live: CompiledRule[], seeing: CompiledRule[], worlds: Possible[]): boolean {
  if (worlds.length < 2) return false
  search.read += worlds.length * live.length
  if (search.read > mostRead) return true
  const stands = worlds.map((possible) => standOf(search, live, possible))
  const answers = new Set(stands.flatMap((stand, at) => (stand.isSettled ? answer(search, worlds[at]!, stand) : [])))
  if (answers.size > 1) return true
  if (stands.every(({ isSettled }) => isSettled)) return false
  const [first] = stands
  const inPlay = search.policy.methods.map((_, method) => Math.max(...stands.map((stand) => stand.inPlay[method]!)))
  const weight = ({ methods, rule }: CompiledRule) => {
    const least = isObstacle(rule) || rule.then === 'allow' ? 1 : 2
    return methods.reduce((sum, method) => sum + (inPlay[method]! >= least ? 1 : 0), 0)
  }
  const waits = ({ place }: CompiledRule) => stands.some((stand) => stand.waits[place])
  const differs = ({ place, due }: CompiledRule) =>
    due.length > 0 || stands.some(({ effects }) => effects[place] !== first!.effects[place])
  const still = seeing.filter((rule) => (waits(rule) || differs(rule)) && weight(rule) > 0 && sees(rule, worlds))
  if (still.length === 0 && stands.every(({ surely }) => surely === first!.surely)) return false
  const applying = live.filter(({ place }) => stands.some(({ effects }) => effects[place]))
  const waiting = applying
    .filter(waits)
    .map((rule) => ({ rule, weight: weight(rule) * (isObstacle(rule.rule) ? 99 : 1) }))
  const next = mostTelling(search, waiting, worlds)
  assert(next !== undefined, 'a case that is not settled waits for a fact')
  const { policy } = search
  return policy.facts[next]!.kinds.some((bit) => {
    const known = worlds.flatMap((possible) => withFact(policy, possible, next, bit) ?? [])
    return isToldApart(search, applying, still, known)
  })
}

const isObstacle = ({ then, unmet }: Rule) => then === 'refuse' || then === 'refer' || unmet !== undefined

const isReadBy = ({ scheme, reads }: CompiledRule, place: number) => scheme === place || reads.includes(place)

/** The fact, open in some world, that counts most with these rules. */
function mostTelling({ open }: Search, rules: { rule: CompiledRule; weight: number }[], worlds: Possible[]) {
  let [next, most]: [number | undefined, number] = [undefined, 0]
  for (const place of open) {
    if (!worlds.some((possible) => isOpen(possible[place]!))) continue
    let sum = 0
    for (const { rule, weight } of rules) if (weight > 0 && isReadBy(rule, place)) sum += weight
    if (sum > most) [next, most] = [place, sum]
  }
  return next
}

/** Whether a test of this rule comes out differently in some of the worlds, or may. */
function sees({ scheme, tests }: CompiledRule, [first, ...others]: Possible[]): boolean {
  return others.some((other) => {
    if (isOpen(first![scheme]!) !== isOpen(other[scheme]!)) return true
    for (let at = 0; at < tests.length; at += 2) {
      const [a, b, mask] = [first![tests[at]!]!, other[tests[at]!]!, tests[at + 1]!]
      if (a !== b && !((a & mask) === 0 && (b & mask) === 0) && !((a & ~mask) === 0 && (b & ~mask) === 0)) return true
    }
    return false
  })
}

/** How a case stands: what is sure of it, and what may still become of it once more is asked. */
interface Stand {
  /** For each rule, what it does now; and 1 if that may change. */
  effects: Uint8Array
  waits: Uint8Array
  /** For each method, 2 if it may still be the one told to use, 1 if it may only change the outcome that is told. */
  inPlay: Uint8Array
  /** The score of the best that is sure, and its method. */
  surely: number
  method: number
  isSettled: boolean
}

function standOf({ policy, asks }: Search, live: CompiledRule[], possible: Possible): Stand {
  const { methods, rules, rulesOf } = policy
  const [effects, waits] = [new Uint8Array(rules.length), new Uint8Array(rules.length)]
  const [must, may, inPlay] = [methods, methods, methods].map(({ length }) => new Uint8Array(length)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const [least, most] = [new Float64Array(methods.length).fill(9999), new Float64Array(methods.length).fill(9999)]
  for (const compiled of live) {
    const { place, rule } = compiled
    const { now, sure, could, changes, mayCount, counts } = reachOf(compiled, asks, possible)
    effects[place] = now
    waits[place] = changes ? 1 : 0
    for (const method of compiled.methods) {
      must[method]! |= sure
      may[method]! |= could
      if (rule.prefer === undefined) continue
      if (mayCount) least[method] = Math.min(least[method]!, rule.prefer)
      if (counts) most[method] = Math.min(most[method]!, rule.prefer)
    }
  }
  let [surely, method] = [Infinity, 0]
  for (let at = 0; at < methods.length; at += 1) {
    least[at] = score(policy, bestOf(must[at]!, may[at]!), least[at]!, at)
    most[at] = score(policy, worstOf(must[at]!, may[at]!), most[at]!, at)
    if (most[at]! < surely) [surely, method] = [most[at]!, at]
  }
  const isUsable = surely < referred
  let rivals = 0
  for (let at = 0; at < methods.length; at += 1) {
    if (isUsable && at === method) inPlay[at] = 2
    else if (least[at]! < surely) rivals += inPlay[at] = least[at]! < referred ? 2 : 1
  }
  const isSettled = rivals === 0 && (!isUsable || rulesOf[method]!.every(({ place }) => waits[place] === 0))
  return { effects, waits, inPlay, surely, method, isSettled }
}

const nowhere = { now: 0, sure: 0, could: 0, changes: false, mayCount: false, counts: false }

/** What a rule does now, what it does whatever is answered, and what it could do; and whether its preference counts. */
function reachOf(compiled: CompiledRule, asks: Uint8Array, possible: Possible) {
  const { when, lifts, due, scheme, rule } = compiled
  const state = holds(when, possible)
  if (state === 0 || lifts.some((lift) => holds(lift.when, possible) === 2)) return nowhere
  const now = effectsOf(compiled, state === 2, possible)
  const ends =
    (state === 1 && hangsOn(asks, when, possible)) || lifts.some((lift) => hangsOn(asks, lift.when, possible))
  const unclassed = rule.then === 'allow' && isOpen(possible[scheme]!)
  const classes = unclassed && asks[scheme] === 1
  const changes = ends || classes || due.some(({ met }) => met !== undefined && hangsOn(asks, met, possible))
  const counts = state === 2 && !ends
  const mayCount = state === 2 || ends
  if (!changes) return { now, sure: now, could: now, changes, mayCount, counts }
  const then = thenOf(compiled, true, unclassed && !classes)
  let could = now | then | unmetOf(compiled, true)
  if (state === 1) could |= thenOf(compiled, false, unclassed && !classes) | unmetOf(compiled, false)
  if (due.length > 0) could |= effect.due | effect.late
  return { now, sure: counts ? then : 0, could, changes, mayCount, counts }
}

/** Whether a condition is not known for want of something that may be asked. */
function hangsOn(asks: Uint8Array, condition: Group[], possible: Possible): boolean {
  for (const group of condition)
    for (let at = 0; at < group.length; at += 2) {
      const left = possible[group[at]!]!
      const common = left & group[at + 1]!
      if (asks[group[at]!] === 1 && common !== 0 && common !== left) return true
    }
  return false
}

const [referred, refused] = [4e6, 5e6]

/** Smaller is told before larger: what may be used here, what may be used elsewhere; then only the outcome counts. */
function score({ isOffered }: Policy, effects: number, prefer: number, method: number): number {
  const is = worth(effects)
  if (is >= 2) return is === 2 ? referred : refused
  return is * 1e6 + prefer * 100 + method + (isOffered[method] ? 0 : 2e6)
}

const bad = effect.refuses | effect.refers | effect.hangs | effect.unclassed | effect.late
const spoken = effect.allows | effect.mayAllow | effect.refers | effect.refuses

/** The best that may become of a method, by what its rules must do and what they may do. */
function bestOf(must: number, may: number): number {
  const effects = (must & bad) | (may & ~bad)
  return worth(effects) < 3 || must & effect.refuses || !(may & spoken) ? effects : effect.refers
}

/** The worst: what only may be said is not said, unless it stands in the way. */
const worstOf = (must: number, may: number): number => (must & spoken ? (may & bad) | (must & ~bad) : 0)

const answer = ({ policy }: Search, possible: Possible, { surely, method }: Stand): string =>
  surely >= referred
    ? surely === referred
      ? 'REFER'
      : 'BLOCK'
    : answerText(describe(policy, judge(policy, possible), possible, method))

/**
 * Rules that only together are certain ("if yes" and "if no") leave a half-known case undecided although every answer
 * leads to the same. Then one more answer is asked for, so that the decision stored is the one that all answers lead to.
 */
function unsettled(search: Search, possible: Possible): number | undefined {
  const { policy, open } = search
  const whole = open.reduce((known, place) => worldsOf(search, known, place)[0] ?? known, possible)
  const [now, then] = [possible, whole].map((each) => {
    const judged = judge(policy, each)
    return answerText(describe(policy, judged, each, best(policy, judged)))
  })
  const { waits } = standOf(search, policy.rules, possible)
  const waiting = policy.rules.filter(({ place }) => waits[place])
  return now === then ? undefined : open.find((place) => waiting.some((rule) => isReadBy(rule, place)))
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

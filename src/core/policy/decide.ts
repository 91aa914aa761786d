import { ok, type Outcome } from '#core/kit/outcome'
import {
  holds,
  isOpen,
  possibleIn,
  type CompiledRule,
  type Face,
  type Group,
  type Policy,
  type Possible,
} from '#core/policy/stack'
import type { Phase } from '#core/policy/terms'

export type OutcomeWord = 'ALLOW' | 'ALLOW_WITH' | 'REFER' | 'BLOCK' | 'OUT_OF_SCOPE'

/** A rule that had its say about a method. */
export interface Reason extends Face {
  effect: 'allows' | 'requires' | 'refers' | 'refuses' | 'lifted'
  /** False: it may apply, by facts that are not known yet. */
  certain: boolean
}

/** Something to be done, by when, and whether it is. `met` is null while that is not known. */
export interface Due {
  id: string
  phase: Phase
  says: string
  record: string
  met: boolean | null
  certain: boolean
  clauses: string[]
}

/** What the rulebooks say about one method. */
export interface MethodDecision {
  method: string
  outcome: OutcomeWord
  /** What each rulebook says by itself. OUT_OF_SCOPE is neutral. */
  byRulebook: Record<string, OutcomeWord>
  /** True when no rulebook speaks about it, which is why it is refused. */
  silent: boolean
  obligations: Due[]
  limits: Record<string, number | string>
  /** Roles that must decide or advise first. */
  referTo: string[]
  /** Facts not known on which it still hangs. */
  needs: string[]
  reasons: Reason[]
  /** The nearest allowed thing in words, for a refusal. */
  instead: string | null
  /** Roles to ask when it is referred or refused. */
  ask: string[]
}

/** Plain data: it is stored as it is, and never changed. */
export interface Decision {
  outcome: OutcomeWord
  /** Methods that may be used and that this installation carries or guides, best first. */
  recommended: string[]
  /** Every method, best first. */
  order: string[]
  methods: Record<string, MethodDecision>
  /** Whom to ask next when nothing may be used. */
  ask: string[]
  rulebooks: { id: string; version: string }[]
}

/** What a rule does to its methods, as bits, so that rules are joined by `|`. */
export const effect = { allows: 1, mayAllow: 2, refers: 4, hangs: 8, refuses: 16, due: 32, late: 64, unclassed: 128 }

const isLifted = 3

/** What every rule and every method comes to, in numbers. Analysis and questions work on these. */
export interface Judged {
  /** For each rule: 0 does not apply, 1 not known, 2 applies, 3 lifted. */
  status: Uint8Array
  /** Effects: for each rule; for each method; and for each method and rulebook, method by method. */
  ofRule: Uint8Array
  ofMethod: Uint8Array
  ofBook: Uint8Array
  /** For each method: smaller is better. */
  rank: Float64Array
}

/** Judges a case. Pure arithmetic over masks; nothing is put into words. */
export function judge(policy: Policy, possible: Possible): Judged {
  const { rules, methods, rulebooks } = policy
  const status = new Uint8Array(rules.length)
  const ofRule = new Uint8Array(rules.length)
  const ofMethod = new Uint8Array(methods.length)
  const ofBook = new Uint8Array(methods.length * rulebooks.length)
  const rank = new Float64Array(methods.length).fill(9999)
  for (let place = 0; place < rules.length; place += 1) {
    const compiled = rules[place]!
    const state = holds(compiled.when, possible)
    if (state === 0) continue
    if (compiled.lifts.some(({ when }) => holds(when, possible) === 2)) {
      status[place] = isLifted
      continue
    }
    status[place] = state
    const effects = effectsOf(compiled, state === 2, possible)
    ofRule[place] = effects
    for (const method of compiled.methods) {
      ofMethod[method]! |= effects
      ofBook[method * rulebooks.length + compiled.book]! |= effects
      if (state === 2 && compiled.rule.prefer !== undefined)
        rank[method] = Math.min(rank[method]!, compiled.rule.prefer)
    }
  }
  for (let method = 0; method < methods.length; method += 1)
    rank[method] = (worth(ofMethod[method]!) * 1e4 + rank[method]!) * 100 + method
  return { status, ofRule, ofMethod, ofBook, rank }
}

/** Methods, best first. */
const inOrder = ({ rank }: Judged): number[] => Array.from(rank.toSorted(), (each) => each % 100)

/** What a rule that applies does, as effects; what it requires included. */
export function effectsOf(compiled: CompiledRule, certain: boolean, possible: Possible): number {
  let effects = thenOf(compiled, certain, isOpen(possible[compiled.scheme]!))
  for (const { words, met } of compiled.due) {
    const isUnmet = holds(met, possible) === 0
    if (isUnmet && compiled.rule.unmet) effects |= unmetOf(compiled, certain)
    else effects |= effect.due | (isUnmet && words.phase === 'before' ? effect.late : 0)
  }
  return effects
}

/**
 * What a rule does by its `then`. What one rulebook leaves unclassed is not joined away by what another allows: a stack
 * would otherwise allow what one of its rulebooks refers.
 */
export function thenOf({ rule }: CompiledRule, certain: boolean, unclassed: boolean): number {
  if (rule.then === 'require') return 0
  if (rule.then !== 'allow') return certain ? effect[rule.then === 'refuse' ? 'refuses' : 'refers'] : effect.hangs
  return unclassed ? effect.mayAllow | effect.unclassed : certain ? effect.allows : effect.mayAllow
}

/** What a rule does when something it requires is not met, if it says. */
export const unmetOf = ({ rule }: CompiledRule, certain: boolean): number =>
  rule.unmet === undefined ? 0 : certain ? effect[rule.unmet === 'refuse' ? 'refuses' : 'refers'] : effect.hangs

/** The outcome for a method, once all rulebooks have spoken: default deny applies here and nowhere else. */
function outcomeOf(effects: number): OutcomeWord {
  const word = outcomeIn(effects)
  return word === 'OUT_OF_SCOPE' || !isSpokenOf(effects) ? 'BLOCK' : word
}

/** Whether some rulebook allows, refuses or refers; one that may refuse and never allow leaves it refused either way. */
const isSpokenOf = (effects: number) =>
  (effects & (effect.allows | effect.mayAllow | effect.refers | effect.refuses)) !== 0

function outcomeIn(effects: number): OutcomeWord {
  if (effects & effect.refuses) return 'BLOCK'
  if (effects & (effect.refers | effect.hangs | effect.unclassed)) return 'REFER'
  if (effects & effect.allows) return effects & effect.due ? 'ALLOW_WITH' : 'ALLOW'
  return effects & effect.mayAllow ? 'REFER' : 'OUT_OF_SCOPE'
}

/** 0 may be used, 1 once something known to be missing is there, 2 referred, 3 refused, 4 not spoken of. */
export function worth(effects: number): number {
  const outcome = outcomeOf(effects)
  if (outcome === 'REFER') return 2
  if (outcome === 'BLOCK') return isSpokenOf(effects) ? 3 : 4
  return effects & effect.late ? 1 : 0
}

/** The best method that may be used here, or else the best of all. */
export function best(policy: Policy, judged: Judged): number {
  let [first, offered] = [0, -1]
  for (let method = 0; method < policy.methods.length; method += 1) {
    if (judged.rank[method]! < judged.rank[first]!) first = method
    if (policy.isOffered[method] && (offered < 0 || judged.rank[method]! < judged.rank[offered]!)) offered = method
  }
  return offered >= 0 && isUsable(judged, offered) ? offered : first
}

const isUsable = ({ ofMethod }: Judged, method: number) => worth(ofMethod[method]!) < 2

/** What the rulebooks say about one method. */
export function describe(
  policy: Policy,
  judged: Judged,
  possible: Possible,
  method: number,
  said: Said[] = [],
): MethodDecision {
  const { status, ofRule, ofMethod } = judged
  const effects = ofMethod[method]!
  const outcome = outcomeOf(effects)
  const mask = decisiveFor(outcome, effects)
  const isRefused = outcome === 'BLOCK'
  const isReferred = outcome === 'REFER'
  const decisive =
    (effects & mask) === 0 ? nothing : policy.rulesOf[method]!.filter(({ place }) => (ofRule[place]! & mask) !== 0)
  const liftable = policy.liftable[method]!
  const lifted = liftable.length === 0 ? nothing : liftable.filter(({ place }) => status[place] === isLifted)
  const refers = isReferred ? decisive.filter(({ place }) => (ofRule[place]! & effect.refers) !== 0) : nothing
  const open = isReferred ? decisive.filter((rule) => !refers.includes(rule)) : nothing
  const needs = openFacts(policy, open, possible)
  const referTo = refers.length > 0 ? unique(refers.map(({ rule }) => rule.referTo!)) : nothing
  const unsure = needs.length > 0 ? unique(decisive.map(({ book }) => book)) : nothing
  const words = (rule: CompiledRule) => (said[rule.place] ??= say(rule, judged, possible))
  const reasons = decisive.map((rule) => words(rule).reason)
  for (const book of unsure) if (policy.unsure[book]) reasons.push(policy.unsure[book].reason)
  for (const rule of lifted) reasons.push(words(rule).reason)
  return {
    method: policy.methods[method]!,
    outcome,
    byRulebook: byRulebook(policy, judged, method),
    silent: !isSpokenOf(effects),
    obligations: isRefused ? nothing : obligationsOf(policy, judged, method, words),
    limits: isRefused ? {} : limitsOf(policy, judged, method),
    referTo,
    needs,
    reasons,
    instead: isRefused ? (decisive.find(({ rule }) => rule.instead)?.rule.instead ?? null) : null,
    ask: isRefused
      ? askAbout(policy, decisive)
      : referTo.length > 0
        ? referTo
        : needs.length > 0
          ? unique(needs.map((id) => roleFor(policy, id, open)))
          : nothing,
  }
}

const nothing: never[] = []

/** What a rule adds to every method it is about. */
interface Said {
  reason: Reason
  due: Due[]
}

function say({ face, clauses, due, place }: CompiledRule, { status, ofRule }: Judged, possible: Possible): Said {
  const certain = status[place] === 2
  const met = (group: Group[] | undefined) => [false, null, true][holds(group, possible)]!
  return status[place] === isLifted
    ? { reason: { ...face, effect: 'lifted', certain: true }, due: [] }
    : {
        reason: { ...face, effect: wordFor(ofRule[place]!), certain },
        due: due.map((each) => ({ ...each.words, met: met(each.met), certain, clauses })),
      }
}

/** The effects that brought an outcome about: the others are not reasons for it. */
function decisiveFor(outcome: OutcomeWord, effects: number): number {
  if (outcome === 'BLOCK') return effect.refuses
  if (outcome === 'REFER')
    return effect.refers | effect.hangs | effect.unclassed | (effects & effect.allows ? 0 : effect.mayAllow)
  return effect.allows | effect.due
}

const unique = <T>(values: T[]): T[] =>
  values.length < 2 ? values : values.filter((value, at) => values.indexOf(value) === at)

function wordFor(effects: number): Reason['effect'] {
  if (effects & effect.refers) return 'refers'
  if (effects & (effect.refuses | effect.hangs)) return 'refuses'
  return effects & (effect.allows | effect.mayAllow) ? 'allows' : 'requires'
}

/** Facts not known on which these rules hang, in the order of a person's thinking. */
function openFacts(policy: Policy, open: CompiledRule[], possible: Possible): string[] {
  if (open.length === 0) return nothing
  const isNeeded = new Uint8Array(policy.facts.length)
  for (const { rule, when, scheme } of open) {
    if (rule.then === 'allow' && isOpen(possible[scheme]!)) isNeeded[scheme] = 1
    for (const group of when)
      for (let at = 0; at < group.length; at += 2) {
        const left = possible[group[at]!]!
        const common = left & group[at + 1]!
        if (common !== 0 && common !== left) isNeeded[group[at]!] = 1
      }
  }
  const needed: string[] = []
  for (let place = 0; place < isNeeded.length; place += 1) if (isNeeded[place]) needed.push(policy.facts[place]!.id)
  return needed
}

function roleFor(policy: Policy, fact: string, [first]: CompiledRule[]): string {
  const { rulebook, book } = first!
  return policy.vocabulary.facts.get(fact)!.notSure ?? policy.unsure[book]?.referTo ?? rulebook.ask
}

/** Whom a refusal is taken to: what no role can lift comes first, since lifting the rest would not help. */
function askAbout(policy: Policy, decisive: CompiledRule[]): string[] {
  if (decisive.length === 0) return unique(policy.rulebooks.map(({ ask }) => ask))
  const hard = decisive.filter(({ rule }) => rule.strength === 'hard')
  return unique((hard.length > 0 ? hard : decisive).map(({ rule, rulebook }) => rule.ask ?? rulebook.ask))
}

function byRulebook({ rulebooks }: Policy, { ofBook }: Judged, method: number): Record<string, OutcomeWord> {
  const words: Record<string, OutcomeWord> = {}
  for (let book = 0; book < rulebooks.length; book += 1)
    words[rulebooks[book]!.id] = outcomeIn(ofBook[method * rulebooks.length + book]!)
  return words
}

/** The union of what all rules require. Where several rules ask the same, it is met only if it is met for each. */
function obligationsOf(policy: Policy, judged: Judged, method: number, words: (rule: CompiledRule) => Said): Due[] {
  const all: Due[] = []
  for (const asked of policy.dueOf[method]!) {
    let joined: Due | undefined
    for (const { rule, at } of asked) {
      if (judged.ofRule[rule.place] === 0) continue
      const due = words(rule).due[at]!
      joined = joined ? both(joined, due) : due
    }
    if (joined) all.push(joined)
  }
  return all
}

const both = (a: Due, b: Due): Due => ({
  ...a,
  met: a.met === false || b.met === false ? false : a.met && b.met,
  certain: a.certain || b.certain,
  clauses: unique([...a.clauses, ...b.clauses]),
})

/** The strictest of each limit. */
function limitsOf(policy: Policy, judged: Judged, method: number): MethodDecision['limits'] {
  const all: MethodDecision['limits'] = {}
  for (const { id, strictestFirst } of policy.limitsOf[method]!) {
    const first = strictestFirst.find(({ rule }) => judged.ofRule[rule.place] !== 0)
    if (first) all[id] = first.value
  }
  return all
}

/**
 * Decides how a case may be carried.
 *
 * @param facts - what is known; what is absent is unknown, and a method that hangs on it is referred, never allowed
 * @returns the decision, or `facts-unreadable` or `facts-contradict`
 * @source DESIGN §3; outcomes and their precedence, DOMAIN §0.3
 */
export function decide(policy: Policy, facts: unknown): Outcome<Decision> {
  const possible = possibleIn(policy, facts)
  if (!possible.ok) return possible
  const judged = judge(policy, possible.value)
  const said: Said[] = []
  const methods: Record<string, MethodDecision> = {}
  for (const [place, method] of policy.methods.entries())
    methods[method] = describe(policy, judged, possible.value, place, said)
  const order = inOrder(judged)
  const names = order.map((method) => policy.methods[method]!)
  const first = methods[names[0]!]!
  return ok({
    outcome: first.outcome,
    recommended: names.filter((_, at) => policy.isOffered[order[at]!] && isUsable(judged, order[at]!)),
    order: names,
    methods,
    ask: first.ask,
    rulebooks: policy.rulebooks.map(({ id, version }) => ({ id, version })),
  })
}

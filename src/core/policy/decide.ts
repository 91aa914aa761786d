import { ok, type Outcome } from '#core/kit/outcome'
import { holds, isOpen, possibleIn, type CompiledRule, type Policy, type Possible } from '#core/policy/stack'
import type { Clause, Phase, Rule } from '#core/policy/terms'

export type OutcomeWord = 'ALLOW' | 'ALLOW_WITH' | 'REFER' | 'BLOCK' | 'OUT_OF_SCOPE'

/** A rule that had its say about a method. */
export interface Reason {
  rulebook: string
  rule: string
  title: string
  effect: 'allows' | 'requires' | 'refers' | 'refuses' | 'lifted'
  strength: Rule['strength']
  clauses: Clause[]
  /** Roles that may lift it, or did. */
  liftedBy: string[]
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
const effect = { allows: 1, mayAllow: 2, refers: 4, hangs: 8, refuses: 16, due: 32, late: 64 }

const lifted = 3

/** What every rule and every method comes to, in numbers. Analysis and questions work on these. */
export interface Judged {
  /** For each rule: 0 does not apply, 1 not known, 2 applies, 3 lifted. */
  status: Uint8Array
  /** For each rule, then for each method: effects. */
  ofRule: Uint8Array
  ofMethod: Uint8Array
  /** For each method: smaller is better. */
  rank: Float64Array
}

/** Judges a case. Pure arithmetic over masks; nothing is put into words. */
export function judge(policy: Policy, possible: Possible): Judged {
  const { rules, methods } = policy
  const status = new Uint8Array(rules.length)
  const ofRule = new Uint8Array(rules.length)
  const ofMethod = new Uint8Array(methods.length)
  const rank = new Float64Array(methods.length).fill(9999)
  for (let place = 0; place < rules.length; place += 1) {
    const compiled = rules[place]!
    const state = holds(compiled.when, possible)
    if (state === 0) continue
    if (compiled.lifts.some(({ when }) => holds(when, possible) === 2)) {
      status[place] = lifted
      continue
    }
    status[place] = state
    const effects = effectsOf(compiled, state === 2, possible)
    ofRule[place] = effects
    for (const method of compiled.methods) {
      ofMethod[method]! |= effects
      if (state === 2 && compiled.rule.prefer !== undefined)
        rank[method] = Math.min(rank[method]!, compiled.rule.prefer)
    }
  }
  for (let method = 0; method < methods.length; method += 1)
    rank[method] = (worth(ofMethod[method]!) * 1e4 + rank[method]!) * 100 + method
  return { status, ofRule, ofMethod, rank }
}

function effectsOf({ rule, due, scheme }: CompiledRule, certain: boolean, possible: Possible): number {
  let effects = 0
  if (rule.then === 'allow') effects = certain && !isOpen(possible[scheme]!) ? effect.allows : effect.mayAllow
  else if (rule.then === 'refuse') effects = certain ? effect.refuses : effect.hangs
  else if (rule.then === 'refer') effects = certain ? effect.refers : effect.hangs
  for (const { obligation, met } of due) {
    const isUnmet = holds(met, possible) === 0
    if (isUnmet && rule.unmet)
      effects |= !certain ? effect.hangs : rule.unmet === 'refuse' ? effect.refuses : effect.refers
    else effects |= effect.due | (isUnmet && obligation.phase === 'before' ? effect.late : 0)
  }
  return effects
}

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
  if (effects & (effect.refers | effect.hangs)) return 'REFER'
  if (effects & effect.allows) return effects & effect.due ? 'ALLOW_WITH' : 'ALLOW'
  return effects & effect.mayAllow ? 'REFER' : 'OUT_OF_SCOPE'
}

/** 0 may be used, 1 once something known to be missing is there, 2 referred, 3 refused, 4 not spoken of. */
function worth(effects: number): number {
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

/** What the person is told to do about one method: what the answer to a question may change. */
export type Told = Pick<MethodDecision, 'method' | 'outcome' | 'obligations' | 'limits' | 'referTo' | 'needs' | 'ask'>

/** The rules that apply to a method and those among them that brought its outcome about. */
function rulesFor(policy: Policy, judged: Judged, method: number) {
  const effects = judged.ofMethod[method]!
  const outcome = outcomeOf(effects)
  const applying = policy.rulesOf[method]!.filter(({ place }) => judged.ofRule[place]! > 0)
  const mask = decisiveFor(outcome, effects)
  return { outcome, applying, decisive: applying.filter(({ place }) => judged.ofRule[place]! & mask) }
}

export function tell(policy: Policy, judged: Judged, possible: Possible, method: number): Told {
  const { outcome, applying, decisive } = rulesFor(policy, judged, method)
  const told = {
    method: policy.methods[method]!,
    outcome,
    limits: {},
    obligations: [],
    referTo: [],
    needs: [],
    ask: [],
  }
  if (outcome === 'BLOCK') return { ...told, ask: askAbout(policy, decisive) }
  const due = { obligations: obligationsOf(applying, judged, possible), limits: limitsOf(policy, applying) }
  if (outcome !== 'REFER') return { ...told, ...due }
  const open = decisive.filter(({ place }) => !(judged.ofRule[place]! & effect.refers))
  const needs = openFacts(policy, open, possible)
  const referTo = unique(
    decisive.filter(({ place }) => judged.ofRule[place]! & effect.refers).map(({ rule }) => rule.referTo!),
  )
  return {
    ...told,
    ...due,
    referTo,
    needs,
    ask: referTo.length > 0 ? referTo : unique(needs.map((id) => roleFor(policy, id, open))),
  }
}

/** The same with its reasons in words. */
function describe(policy: Policy, judged: Judged, possible: Possible, method: number): MethodDecision {
  const { outcome, applying, decisive } = rulesFor(policy, judged, method)
  const told = tell(policy, judged, possible, method)
  const liftedRules = policy.rulesOf[method]!.filter(({ place }) => judged.status[place] === lifted)
  return {
    ...told,
    byRulebook: byRulebook(policy, judged, applying),
    silent: !isSpokenOf(judged.ofMethod[method]!),
    reasons: [
      ...decisive.map((compiled) => reasonOf(compiled, judged)),
      ...(told.needs.length > 0 ? notSure(policy, decisive) : []),
      ...liftedRules.map((compiled) => reasonOf(compiled, judged)),
    ],
    instead: outcome === 'BLOCK' ? (decisive.find(({ rule }) => rule.instead)?.rule.instead ?? null) : null,
  }
}

/** The effects that brought an outcome about: the others are not reasons for it. */
function decisiveFor(outcome: OutcomeWord, effects: number): number {
  if (outcome === 'BLOCK') return effect.refuses
  if (outcome === 'REFER') return effect.refers | effect.hangs | (effects & effect.allows ? 0 : effect.mayAllow)
  return effect.allows | effect.due
}

const unique = (words: string[]) => [...new Set(words)]

function reasonOf({ rule, rulebook, lifts, place }: CompiledRule, judged: Judged): Reason {
  const effects = judged.ofRule[place]!
  const word =
    effects & effect.refuses
      ? 'refuses'
      : effects & effect.refers
        ? 'refers'
        : effects & (effect.allows | effect.mayAllow)
          ? 'allows'
          : effects & effect.due
            ? 'requires'
            : 'refuses'
  return {
    rulebook: rulebook.id,
    rule: rule.id,
    title: rule.title,
    effect: judged.status[place] === lifted ? 'lifted' : word,
    strength: rule.strength,
    clauses: rule.clauses,
    liftedBy: unique(lifts.map(({ role }) => role)),
    certain: judged.status[place] === 2,
  }
}

/** Facts not known on which these rules hang, in the order of a person's thinking. */
function openFacts(policy: Policy, open: CompiledRule[], possible: Possible): string[] {
  const places = new Set<number>()
  for (const { rule, when, scheme } of open) {
    if (rule.then === 'allow' && isOpen(possible[scheme]!)) places.add(scheme)
    for (const group of when)
      for (let at = 0; at < group.length; at += 2) {
        const left = possible[group[at]!]!
        const common = left & group[at + 1]!
        if (common !== 0 && common !== left) places.add(group[at]!)
      }
  }
  return [...places]
    .map((place) => policy.facts[place]!)
    .toSorted((a, b) => a.fact.order - b.fact.order)
    .map(({ id }) => id)
}

const notSureRule = (rulebook: CompiledRule['rulebook']) => rulebook.rules.find(({ when }) => when === 'not-sure')

function notSure(policy: Policy, decisive: CompiledRule[]): Reason[] {
  return policy.rulebooks
    .filter((rulebook) => decisive.some((each) => each.rulebook === rulebook))
    .flatMap((rulebook) => {
      const rule = notSureRule(rulebook)
      if (!rule) return []
      return [
        {
          rulebook: rulebook.id,
          rule: rule.id,
          title: rule.title,
          effect: 'refers',
          strength: rule.strength,
          clauses: rule.clauses,
          liftedBy: [],
          certain: true,
        },
      ]
    })
}

function roleFor(policy: Policy, fact: string, decisive: CompiledRule[]): string {
  const { rulebook } = decisive[0]!
  return policy.vocabulary.facts.get(fact)!.notSure ?? notSureRule(rulebook)?.referTo ?? rulebook.ask
}

/** Whom a refusal is taken to: what no role can lift comes first, since lifting the rest would not help. */
function askAbout(policy: Policy, decisive: CompiledRule[]): string[] {
  if (decisive.length === 0) return unique(policy.rulebooks.map(({ ask }) => ask))
  const hard = decisive.filter(({ rule }) => rule.strength === 'hard')
  return unique((hard.length > 0 ? hard : decisive).map(({ rule, rulebook }) => rule.ask ?? rulebook.ask))
}

function byRulebook(policy: Policy, judged: Judged, applying: CompiledRule[]): Record<string, OutcomeWord> {
  const effects = Object.fromEntries(policy.rulebooks.map(({ id }) => [id, 0]))
  for (const { rulebook, place } of applying) effects[rulebook.id]! |= judged.ofRule[place]!
  return Object.fromEntries(Object.entries(effects).map(([id, sum]) => [id, outcomeIn(sum)]))
}

/** The union of what all rules require. Where several rules ask the same, it is met only if it is met for each. */
function obligationsOf(applying: CompiledRule[], judged: Judged, possible: Possible): Due[] {
  const all = new Map<string, Due>()
  for (const { rule, due, place } of applying)
    for (const { id, obligation, met } of due) {
      const state = holds(met, possible)
      const before = all.get(id)
      const isMet = state === 0 || before?.met === false ? false : state === 1 || before?.met === null ? null : true
      const certain = judged.status[place] === 2 || (before?.certain ?? false)
      const clauses = unique([...(before?.clauses ?? []), ...rule.clauses.map((clause) => clause.id)])
      all.set(id, {
        id,
        phase: obligation.phase,
        says: obligation.says,
        record: obligation.record,
        met: isMet,
        certain,
        clauses,
      })
    }
  return [...all.values()].toSorted((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase))
}

const phases: Phase[] = ['before', 'at', 'after', 'end']

/** The strictest of each limit. */
function limitsOf(policy: Policy, applying: CompiledRule[]): MethodDecision['limits'] {
  const all: MethodDecision['limits'] = {}
  for (const { rule, rulebook } of applying)
    for (const id of rule.limits) {
      const { choices, stricter } = policy.vocabulary.limits.get(id)!
      const parameter = rulebook.parameters.get(id)!
      const value = typeof parameter === 'string' ? parameter : parameter.amount
      const order = (each: number | string) =>
        (typeof each === 'string' ? choices!.indexOf(each) : each) * (stricter === 'smaller' ? -1 : 1)
      if (all[id] === undefined || order(value) > order(all[id])) all[id] = value
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
  const order = [...judged.rank.keys()].toSorted((a, b) => judged.rank[a]! - judged.rank[b]!)
  const methods: Record<string, MethodDecision> = {}
  for (const method of order) methods[policy.methods[method]!] = describe(policy, judged, possible.value, method)
  const [first] = order.map((method) => methods[policy.methods[method]!]!)
  const usable = order.filter((method) => isUsable(judged, method)).map((method) => policy.methods[method]!)
  return ok({
    outcome: first!.outcome,
    recommended: usable.filter((method) => policy.offered.includes(method)),
    order: order.map((method) => policy.methods[method]!),
    methods,
    ask: usable.length > 0 ? [] : first!.ask,
    rulebooks: policy.rulebooks.map(({ id, version }) => ({ id, version })),
  })
}

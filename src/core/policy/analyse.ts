import { fail, ok, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { describeCases, type Described } from '#core/policy/case-words'
import { spaceOf, type Cases, type Space } from '#core/policy/space'
import type { CompiledRule, Policy } from '#core/policy/stack'

/**
 * What is wrong with the rulebooks of a policy, taken together.
 *
 * - `gap`: inside some rulebook's scope, no method may be used, none is referred to a role, no refusal in force names
 *   whom to ask, and some method is refused only because no rule speaks about it: nobody thought of this case.
 * - `contradiction`: either a rule allows a method, and other rules of the same rulebook refuse it in every case that has
 *   one of the answers the allowance names (or in every case at all), lifted refusals not counted, so that naming it
 *   achieves nothing; or two rules of a rulebook ask two things of one method that are never both met where both are
 *   asked. A refusal that leaves some of an allowance's cases, for every answer it names, is an exception and no
 *   contradiction: refusals count more by design (DESIGN §3), and how strong one is shows in what lifts it. Answers under
 *   `not` are not named.
 * - `never-fires`: no case meets a rule's condition, or every case that does also lifts the rule.
 * - `never-met`: an obligation is met in no case that meets the condition of the rule asking for it. What meets it may
 *   lift the rule: then it is asked for until it is met.
 * - `never-allowed`: some rule allows a method, but what other rules say of it leaves no case in which it may be used. No
 *   finding if one rule of a rulebook that nowhere allows the method refuses it throughout: that rulebook closes it.
 */
export type FindingKind = 'gap' | 'contradiction' | 'never-fires' | 'never-met' | 'never-allowed'

/** One finding, with the cases it is about; a rule that never fires may have none. Plain data. */
export interface Finding extends Described {
  kind: FindingKind
  /** A sentence for the person who keeps the rulebook. */
  says: string
  /** The rules that together make it so. */
  rules: { rulebook: string; rule: string; title: string }[]
  methods: string[]
}

/** What analysis came to. Every complete case has been looked at, none sampled. Plain data but for the bigints. */
export interface Analysis {
  /** How many cases that is: facts taken together whose answers some rule tells apart. */
  cases: bigint
  /** At most `limits.rulebookFindings`. */
  findings: Finding[]
  /** How many more there are. */
  more: number
  /** Methods that may never be used because no rule allows them or a rulebook closes them. No findings. */
  closed: string[]
}

/** Where a rule does what, as sets of complete cases. */
export interface Doing {
  compiled: CompiledRule
  /** Where its condition holds, and where it is not lifted either. */
  meets: Cases
  applies: Cases
  refuses: Cases
  refers: Cases
  /** Where each thing it requires is met or may be; unset where only a record can say. */
  due: { id: string; met: Cases | undefined }[]
}

/** Where these rules apply and what they do there: `judge`, for all cases at once. */
export function doingsOf({ where, minus, or, none }: Space, rules: CompiledRule[]): Doing[] {
  return rules.map((compiled) => {
    const { rule, when, lifts } = compiled
    const meets = where(when)
    const applies = minus(meets, or(none, ...lifts.map((lift) => where(lift.when))))
    const due = compiled.due.map(({ words, met }) => ({ id: words.id, met: met && where(met) }))
    const unmet = or(none, ...due.map(({ met }) => (met === undefined ? none : minus(applies, met))))
    const does = (what: 'refuse' | 'refer') => (rule.then === what ? applies : rule.unmet === what ? unmet : none)
    return { compiled, meets, applies, refuses: does('refuse'), refers: does('refer'), due }
  })
}

type Outcomes = ReturnType<typeof outcomesOf>

/** Where each outcome of a method is reached, by all the rules about it: a refusal first, default deny last. */
export function outcomesOf({ or, and, minus, none, all }: Space, doings: Doing[]) {
  const where = (is: (doing: Doing) => Cases) => or(none, ...doings.map(is))
  const refuses = where((doing) => doing.refuses)
  const refers = minus(
    where((doing) => doing.refers),
    refuses,
  )
  const spoken = where(({ compiled, applies }) => (compiled.rule.then === 'allow' ? applies : none))
  const allows = minus(minus(spoken, refuses), refers)
  const due = where((doing) => (doing.due.length > 0 ? doing.applies : none))
  return {
    ALLOW: minus(allows, due),
    ALLOW_WITH: and(allows, due),
    REFER: refers,
    BLOCK: minus(minus(all, refers), allows),
    /** Refused only because nothing is said: part of BLOCK. */
    silent: minus(minus(minus(all, refuses), refers), spoken),
  }
}

/**
 * Proves that stacked rulebooks have no gap, no contradiction and nothing dead, or says where they have.
 *
 * It takes a fraction of a second for rulebooks like those that ship. A policy and an analysis are plain data, so a page
 * runs it in a worker thread.
 *
 * @returns the analysis, or `rulebooks-tangled` when the rules are too intertwined for `limits.analysisDiagrams`
 * @source DESIGN §1, point 2
 */
export function analyse(policy: Policy): Outcome<Analysis> {
  const space = spaceOf(policy)
  const doings = doingsOf(space, policy.rules)
  const outcomes = policy.methods.map((_, method) => outcomesOf(space, about(doings, method)))
  const search: Search = { policy, space, doings, outcomes }
  const finders = [gaps, contradictions, clashes, neverFires, neverMet, neverAllowed]
  const found = finders.flatMap((find) => find(search))
  const findings = found.slice(0, limits.rulebookFindings).map((each) => describe(search, each))
  const isNever = ({ ALLOW, ALLOW_WITH }: Outcomes) => space.or(ALLOW, ALLOW_WITH) === space.none
  const isFound = (method: number) =>
    found.some(({ kind, methods }) => kind === 'never-allowed' && methods[0] === method)
  const closed = policy.methods.filter((_, method) => isNever(outcomes[method]!) && !isFound(method))
  const more = found.length - findings.length
  return space.isFull() ? fail('rulebooks-tangled') : ok({ cases: space.count(space.all), findings, more, closed })
}

interface Search {
  policy: Policy
  space: Space
  doings: Doing[]
  /** For each method. */
  outcomes: Outcomes[]
}

/** A finding not yet in words: its cases, the rules that make it so, and the places of its methods. */
interface Found {
  kind: FindingKind
  says: string
  set: Cases
  by: Doing[]
  methods: number[]
}

const describe = ({ policy, space }: Search, { kind, says, set, by, methods }: Found): Finding => ({
  kind,
  says,
  rules: by.map(({ compiled: { face } }) => ({ rulebook: face.rulebook, rule: face.rule, title: face.title })),
  methods: methods.map((at) => policy.methods[at]!),
  ...describeCases(policy, space, set),
})

/** Those of the rules about a method. */
export const about = (doings: Doing[], method: number) =>
  doings.filter(({ compiled }) => compiled.methods.includes(method))

function gaps({ policy, space, doings, outcomes }: Search): Found[] {
  const { or, and, minus, none } = space
  const inScope = or(none, ...policy.scopes.map(space.where))
  const unasked = doings.reduce(
    (left, { compiled, refuses }) => (compiled.rule.ask ? minus(left, refuses) : left),
    inScope,
  )
  const blocked = outcomes.reduce((left, { BLOCK }) => and(left, BLOCK), unasked)
  const set = or(none, ...outcomes.map(({ silent }) => and(silent, blocked)))
  const by = doings.filter(({ refuses }) => and(refuses, set) !== none)
  const says = 'No method may be used here, none is referred to anyone, and no rule says whom to ask.'
  return set === none ? [] : [{ kind: 'gap', says, set, by, methods: [] }]
}

/** Allowances that name an answer for which other rules of the same rulebook always refuse. */
function contradictions(search: Search): Found[] {
  const { or, and, minus, none } = search.space
  const says = 'A rule allows this, and the same rulebook refuses it wherever it does.'
  return search.doings.flatMap((doing) => {
    const { rule, rulebook, methods } = doing.compiled
    if (rule.then !== 'allow' || doing.applies === none) return []
    const rivals = search.doings.filter(({ compiled }) => compiled.rulebook === rulebook && compiled.rule !== rule)
    return methods.flatMap((method) => {
      const refusing = about(rivals, method).filter(({ refuses }) => refuses !== none)
      const left = minus(doing.applies, or(none, ...refusing.map(({ refuses }) => refuses)))
      const set = or(none, ...named(search, doing).map((part) => (and(part, left) === none ? part : none)))
      const by = [doing, ...against(search.space, refusing, set)]
      return set === none ? [] : { kind: 'contradiction' as const, says, set, by, methods: [method] }
    })
  })
}

/** The cases of a rule, whole and by each answer that its condition names. */
function named({ policy, space }: Search, { compiled: { rule }, applies }: Doing): Cases[] {
  const tests = rule.when === 'not-sure' ? [] : rule.when.flat()
  const places = tests.flatMap(({ fact, test }) => ('not' in test && test.not ? [] : policy.placeOf.get(fact)!))
  const answers = [...new Set(places)].flatMap((place) =>
    policy.facts[place]!.alike.map((mask) => space.and(applies, space.where([[place, mask]]))),
  )
  return [applies, ...answers]
}

/** Pairs of rules that ask for two things of one method which are never both met. */
function clashes({ space: { and, none }, doings }: Search): Found[] {
  const asked = doings.flatMap((doing) =>
    doing.due.flatMap(({ id, met = none }) => (and(met, doing.meets) === none ? [] : { doing, id, met })),
  )
  return asked.flatMap(({ doing, id, met }, place) =>
    asked.slice(place + 1).flatMap((other) => {
      const { compiled } = other.doing
      if (id === other.id || doing.compiled.rulebook !== compiled.rulebook) return []
      const methods = doing.compiled.methods.filter((method) => compiled.methods.includes(method))
      if (methods.length === 0) return []
      const set = and(doing.applies, other.doing.applies)
      if (set === none || and(and(doing.meets, met), and(other.doing.meets, other.met)) !== none) return []
      const says = `‘${id}’ and ‘${other.id}’ are both asked for here, and cannot both be met.`
      return { kind: 'contradiction' as const, says, set, by: [doing, other.doing], methods }
    }),
  )
}

function neverFires({ space: { or, none }, doings }: Search): Found[] {
  return [...Map.groupBy(doings, ({ compiled }) => compiled.rule).values()].flatMap((parts) => {
    if (parts.some(({ applies }) => applies !== none)) return []
    const set = or(none, ...parts.map(({ meets }) => meets))
    const says =
      set === none ? 'No case meets the condition of this rule.' : 'Whatever meets this rule’s condition also lifts it.'
    const methods = parts.flatMap(({ compiled }) => compiled.methods)
    return { kind: 'never-fires' as const, says, set, by: parts.slice(0, 1), methods }
  })
}

function neverMet({ space: { and, none }, doings }: Search): Found[] {
  return doings.flatMap((doing) =>
    doing.due.flatMap(({ id, met }) => {
      if (met === undefined || doing.applies === none || and(met, doing.meets) !== none) return []
      const says = `‘${id}’ is asked for here, and nothing can meet it.`
      return { kind: 'never-met' as const, says, set: doing.applies, by: [doing], methods: doing.compiled.methods }
    }),
  )
}

function neverAllowed({ policy, space, doings, outcomes }: Search): Found[] {
  const { or, minus, none } = space
  const says = 'A rule allows this, and in no case may it be used.'
  return policy.methods.flatMap((_, method) => {
    const { ALLOW, ALLOW_WITH } = outcomes[method]!
    const speaking = about(doings, method)
    const allowing = speaking.filter(({ compiled, applies }) => compiled.rule.then === 'allow' && applies !== none)
    const set = or(none, ...allowing.map(({ applies }) => applies))
    if (set === none || or(ALLOW, ALLOW_WITH) !== none) return []
    const allows = allowing.map(({ compiled }) => compiled.rulebook)
    const isClosing = ({ compiled, refuses }: Doing) =>
      !allows.includes(compiled.rulebook) && minus(set, refuses) === none
    if (speaking.some(isClosing)) return []
    const by = [...new Set([...allowing, ...against(space, speaking, set)])]
    return { kind: 'never-allowed' as const, says, set, by, methods: [method] }
  })
}

/** The rule that keeps a method from being used in all of these cases, or else every rule that does in some. */
function against({ and, or, minus, none }: Space, doings: Doing[], set: Cases): Doing[] {
  const enough = doings.find(({ refuses }) => minus(set, refuses) === none)
  return enough ? [enough] : doings.filter(({ refuses, refers }) => and(set, or(refuses, refers)) !== none)
}

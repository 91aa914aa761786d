import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { about, doingsOf, outcomesOf, type Doing } from '#core/policy/analyse'
import { describeCases, type Described } from '#core/policy/case-words'
import { decide, type MethodDecision, type OutcomeWord } from '#core/policy/decide'
import { spaceOf, type Cases, type Space } from '#core/policy/space'
import { stack, type Policy } from '#core/policy/stack'

/** One thing that is said of a method. An obligation is said twice where it is known to be met. */
export type Said =
  | { outcome: OutcomeWord }
  | { obligation: string }
  | { obligation: string; met: true }
  | { limit: string; value: number | string }

/** What is no longer said of a method, and what is said instead. */
export interface Difference {
  before: Said[]
  after: Said[]
}

/** A group of cases in which the same changes for the same methods. Plain data. */
export interface Change extends Difference, Described {
  methods: string[]
  /** The rules about these methods that do something else now in some of these cases. */
  rules: ChangedRule[]
}

export interface ChangedRule {
  rulebook: string
  rule: string
  title: string
  is: 'new' | 'gone' | 'changed'
}

/** How two policies differ, over every complete case. Plain data but for the bigints. */
export interface Comparison {
  cases: bigint
  /** In how many of them anything changes for any method. */
  changed: bigint
  /** The most cases first; at most `limits.rulebookFindings`. */
  changes: Change[]
  /** How many more groups there are. */
  more: number
  /** Rules that do something else now, even where that changes no case. Words alone are no change. */
  rules: ChangedRule[]
}

/**
 * Which cases change when one policy takes the place of another: for each method its outcome; and, where it is not refused
 * before or after, what it obliges to and its limits. Exhaustive, like `analyse`, and runs in a worker like it.
 *
 * @param before - its rulebooks are read with the words of the other's vocabulary, which must have them all
 * @returns the comparison, or `rulebooks-tangled`
 */
export function compare(before: Policy, after: Policy): Outcome<Comparison> {
  const cutsIn = (policy: Policy, id: string) => policy.facts[policy.placeOf.get(id) ?? -1]?.cuts ?? []
  const isTooFine = after.facts.some(
    ({ id, cuts }) => new Set([...cuts, ...cutsIn(before, id)]).size >= limits.factValues,
  )
  if (isTooFine) return fail('rulebooks-tangled')
  // Stacked together, both divide the cases alike.
  const old = before.rulebooks.map((rulebook) => ({ ...rulebook, id: `${rulebook.id} before` }))
  const policy = stack(after.vocabulary, [...old, ...after.rulebooks], after.offered)
  const space = spaceOf(policy)
  const doings = doingsOf(space, policy.rules)
  const was = doings.filter(({ compiled }) => old.includes(compiled.rulebook))
  const is = doings.filter((doing) => !was.includes(doing))

  const groups = new Map<string, Piece & { methods: string[] }>()
  for (const [place, method] of policy.methods.entries()) {
    const [one, other] = [was, is].map((side) => sayings(space, about(side, place), policy.limitsOf[place]!))
    for (const piece of pieces(space, one!, other!)) {
      const key = JSON.stringify(Object.values(piece))
      groups.set(key, { ...piece, methods: [...(groups.get(key)?.methods ?? []), method] })
    }
  }
  const changed = space.or(space.none, ...[...groups.values()].map(({ set }) => set))
  const largest = [...groups.values()]
    .map((group) => ({ ...group, size: space.count(group.set) }))
    .toSorted((a, b) => Number(b.size - a.size))
    .slice(0, limits.rulebookFindings)
  const rules = changedRules(space, was, is)
  const changes = largest.map(({ set, methods, before: lost, after: gained }): Change => {
    const isAbout = ({ compiled }: Doing) => compiled.methods.some((at) => methods.includes(policy.methods[at]!))
    const atWork = rules.filter(({ parts, works }) => parts.some(isAbout) && space.and(works, set) !== space.none)
    return {
      methods,
      before: lost,
      after: gained,
      rules: atWork.map(({ rule }) => rule),
      ...describeCases(policy, space, set),
    }
  })
  if (space.isFull()) return fail('rulebooks-tangled')
  return ok({
    cases: space.count(space.all),
    changed: space.count(changed),
    changes,
    more: groups.size - changes.length,
    rules: rules.map(({ rule }) => rule),
  })
}

/** What is said of a method, and in which cases; by what is said, as text. */
interface Sayings {
  all: Map<string, { said: Said; set: Cases }>
  /** Where the method is not refused. */
  open: Cases
}

function sayings(space: Space, doings: Doing[], strictest: Policy['limitsOf'][number]): Sayings {
  const { and, or, minus, none } = space
  const { silent: _, ...outcomes } = outcomesOf(space, doings)
  const open = minus(space.all, outcomes.BLOCK)
  const all: Sayings['all'] = new Map()
  const say = (said: Said, set: Cases) => void all.set(JSON.stringify(said), { said, set })
  for (const [outcome, set] of Object.entries(outcomes)) say({ outcome: outcome as OutcomeWord }, set)
  for (const obligation of new Set(doings.flatMap(({ due }) => due.map(({ id }) => id)))) {
    let [due, isMet] = [none, open]
    for (const { applies, due: asked } of doings)
      for (const { id, met = none } of asked)
        if (id === obligation) [due, isMet] = [or(due, and(open, applies)), minus(isMet, minus(applies, met))]
    say({ obligation }, due)
    say({ obligation, met: true }, and(due, isMet))
  }
  for (const { id, strictestFirst } of strictest) {
    let left = open
    const sets = new Map<number | string, Cases>()
    for (const { rule, value } of strictestFirst) {
      const applies = doings.find(({ compiled }) => compiled === rule)?.applies ?? none
      sets.set(value, or(sets.get(value) ?? none, and(left, applies)))
      left = minus(left, applies)
    }
    for (const [value, set] of sets) say({ limit: id, value }, set)
  }
  return { all, open }
}

interface Piece extends Difference {
  set: Cases
}

/** Divides the cases in which anything differs by what does. */
function pieces(space: Space, before: Sayings, after: Sayings): Piece[] {
  const { and, or, minus, none } = space
  const differing = (side: keyof Difference, from: Sayings, to: Sayings) =>
    [...from.all].flatMap(([key, { said, set }]) => {
      // Whether an obligation is met is compared where it is asked for on both sides.
      const comparable =
        'outcome' in said
          ? space.all
          : 'met' in said
            ? (to.all.get(JSON.stringify({ obligation: said.obligation }))?.set ?? none)
            : to.open
      const apart = minus(and(set, comparable), to.all.get(key)?.set ?? none)
      return apart === none ? [] : { side, said, apart }
    })
  const all = [...differing('before', before, after), ...differing('after', after, before)]
  const whole = or(none, ...all.map(({ apart }) => apart))
  return all.reduce<Piece[]>(
    (found, { side, said, apart }) =>
      found
        .flatMap((piece) => [
          { ...piece, set: and(piece.set, apart), [side]: [...piece[side], said] },
          { ...piece, set: minus(piece.set, apart) },
        ])
        .filter(({ set }) => set !== none),
    whole === none ? [] : [{ set: whole, before: [], after: [] }],
  )
}

/** The rules that do something else, and in which cases. */
function changedRules({ or, minus, none }: Space, was: Doing[], is: Doing[]) {
  const nameOf = ({ compiled: { face } }: Doing) => `${face.rulebook.replace(/ before$/, '')} ${face.rule}`
  const [old, now] = [Map.groupBy(was, nameOf), Map.groupBy(is, nameOf)]
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => {
    const [before = [], after = []] = [old.get(name), now.get(name)]
    const [one, other] = [before, after].map((parts) => or(none, ...parts.map(({ applies }) => applies)))
    const [apart, either] = [or(minus(one!, other!), minus(other!, one!)), or(one!, other!)]
    const works = effects(before) === effects(after) ? apart : either
    if (works === none) return []
    const [rulebook, rule] = name.split(' ') as [string, string]
    const { title } = [...before, ...after].at(-1)!.compiled.rule
    const kind = before.length === 0 ? 'new' : after.length === 0 ? 'gone' : 'changed'
    return { rule: { rulebook, rule, title, is: kind } as ChangedRule, parts: [...before, ...after], works }
  })
}

/** What a rule does where it applies, as text. */
const effects = (parts: Doing[]) =>
  JSON.stringify(
    parts.map(({ compiled: { rule, rulebook, methods, due } }) => {
      const { then, require, unmet, referTo, prefer, strength, ask } = rule
      const bounds = rule.limits.map((id) => [id, rulebook.parameters.get(id)])
      return [then, require, unmet, referTo, prefer, strength, ask, methods, due.map(({ met }) => met), bounds]
    }),
  )

/**
 * What changes for one case, whose facts may be partly unknown, by method; nothing where nothing does.
 *
 * @returns the differences, or the problems of `decide`
 */
export function affected(before: Policy, after: Policy, facts: unknown): Outcome<Record<string, Difference>> {
  const [was, is] = [decide(before, facts), decide(after, facts)]
  if (!was.ok) return was
  if (!is.ok) return is
  // A space without facts has one case.
  const space = spaceOf({ facts: [], implications: [] })
  const differences = Object.entries(is.value.methods).flatMap(([method, decision]): [string, Difference][] => {
    const [piece] = pieces(space, sayingsIn(space, was.value.methods[method]!), sayingsIn(space, decision))
    return piece ? [[method, { before: piece.before, after: piece.after }]] : []
  })
  return ok(Object.fromEntries(differences))
}

function sayingsIn({ all, none }: Space, { outcome, obligations, limits: most }: MethodDecision): Sayings {
  const said: Said[] = [
    { outcome },
    ...obligations.map(({ id }) => ({ obligation: id })),
    ...obligations.flatMap(({ id, met }) => (met ? { obligation: id, met } : [])),
    ...Object.entries(most).map(([limit, value]) => ({ limit, value })),
  ]
  const sets = said.map((each) => [JSON.stringify(each), { said: each, set: all }] as const)
  return { all: new Map(sets), open: outcome === 'BLOCK' ? none : all }
}

import { limits } from '#core/kit/limits'
import type { CompiledFact, Group, Policy, Possible } from '#core/policy/stack'

/**
 * A set of complete cases: the number of its decision diagram in the space it belongs to. Equal sets are equal numbers.
 *
 * A case gives every fact one of the groups of values that no rule tells apart, so there are finitely many, and a set of
 * them, however large, is a diagram that branches only on facts that still matter (Bryant 1986, with many values).
 */
export type Cases = number

/** All cases of a policy, and the arithmetic of sets of them. */
export interface Space {
  none: Cases
  /** The cases that what is known of the world permits. Every set below lies within it. */
  all: Cases
  /** Where a condition holds; without one, nowhere. */
  where: (condition: Group[] | undefined) => Cases
  and: (a: Cases, b: Cases) => Cases
  or: (...sets: Cases[]) => Cases
  minus: (a: Cases, b: Cases) => Cases
  /** How many cases; exact. */
  count: (set: Cases) => bigint
  /** For each fact, which of its values occur in the set. */
  values: (set: Cases) => Possible
  /** The first case of a set, each fact at one value. */
  first: (set: Cases) => Possible
  /** True once the diagrams have become more than the limit: nothing computed is right then. */
  isFull: () => boolean
}

type Operation = 'and' | 'or' | 'minus'

/** What an operation comes to where one of two sets is nothing or everything, or both are the same. */
function atOnce(operation: Operation, a: Cases, b: Cases): Cases | undefined {
  if (a === b) return operation === 'minus' ? 0 : a
  if (operation === 'and') return a === 0 || b === 0 ? 0 : a === 1 ? b : b === 1 ? a : undefined
  if (operation === 'or') return a === 1 || b === 1 ? 1 : a === 0 ? b : b === 0 ? a : undefined
  return a === 0 || b === 1 ? 0 : b === 0 ? a : undefined
}

/** Makes the space of all cases of a policy. */
export function spaceOf({ facts, implications }: Pick<Policy, 'facts' | 'implications'>): Space {
  const depth = facts.length
  // The first two diagrams are the empty set and, once the facts have run out, everything.
  const place: number[] = [depth, depth]
  const branches: Cases[][] = [[], []]
  const known = facts.map(() => new Map<string, Cases>())
  const done = { and: new Map<number, Cases>(), or: new Map<number, Cases>(), minus: new Map<number, Cases>() }
  let isFull = false

  const make = (at: number, below: Cases[]): Cases => {
    if (below.every((each) => each === below[0])) return below[0]!
    const key = below.join()
    const found = known[at]!.get(key)
    if (found !== undefined) return found
    isFull ||= place.length >= limits.analysisDiagrams
    if (isFull) return 0
    known[at]!.set(key, place.length)
    branches.push(below)
    return place.push(at) - 1
  }
  const apply = (operation: Operation, a: Cases, b: Cases): Cases => {
    const settled = isFull ? 0 : atOnce(operation, a, b)
    if (settled !== undefined) return settled
    const key = a * limits.analysisDiagrams + b
    const found = done[operation].get(key)
    if (found !== undefined) return found
    const at = Math.min(place[a]!, place[b]!)
    const [of, by] = [place[a] === at ? branches[a]! : undefined, place[b] === at ? branches[b]! : undefined]
    const below = facts[at]!.kinds.map((_, kind) => apply(operation, of ? of[kind]! : a, by ? by[kind]! : b))
    const result = make(at, below)
    isFull ||= done[operation].size >= 4 * limits.analysisDiagrams
    if (!isFull) done[operation].set(key, result)
    return result
  }
  const cube = (group: Group): Cases => {
    let set = 1
    for (let at = depth - 1; at >= 0; at -= 1)
      for (let test = 0; test < group.length; test += 2)
        if (group[test] === at)
          set = make(
            at,
            facts[at]!.kinds.map((bit) => (bit & group[test + 1]! ? set : 0)),
          )
    return set
  }
  const anywhere = (condition: Group[]) => condition.map(cube).reduce((a, b) => apply('or', a, b), 0)
  const all = implications
    .map(({ fact, bits, then }) => anywhere([[fact, facts[fact]!.all & ~bits], then]))
    .reduce((a, b) => apply('and', a, b), 1)

  return {
    none: 0,
    all,
    where: (condition) => apply('and', all, anywhere(condition ?? [])),
    and: (a, b) => apply('and', a, b),
    or: (...sets) => sets.reduce((a, b) => apply('or', a, b), 0),
    minus: (a, b) => apply('minus', a, b),
    count: counter(facts, place, branches),
    values(set) {
      const values = new Int32Array(depth)
      const seen = new Set<Cases>()
      const walk = (at: Cases, from: number) => {
        for (let skipped = from; skipped < place[at]!; skipped += 1) values[skipped] = facts[skipped]!.all
        if (at === 1 || seen.has(at)) return
        seen.add(at)
        for (const [kind, below] of branches[at]!.entries())
          if (below !== 0) {
            values[place[at]!]! |= facts[place[at]!]!.alike[kind]!
            walk(below, place[at]! + 1)
          }
      }
      if (set !== 0) walk(set, 0)
      return values
    },
    first(set) {
      const found = Int32Array.from(facts, ({ kinds }) => kinds[0]!)
      for (let at = set; at > 1;) {
        const kind = branches[at]!.findIndex((below) => below !== 0)
        found[place[at]!] = facts[place[at]!]!.kinds[kind]!
        at = branches[at]![kind]!
      }
      return found
    },
    isFull: () => isFull,
  }
}

function counter(facts: CompiledFact[], place: number[], branches: Cases[][]): Space['count'] {
  const counted = new Map<Cases, bigint>([
    [0, 0n],
    [1, 1n],
  ])
  const skipped = (from: number, to: number) =>
    facts.slice(from, to).reduce((product, { kinds }) => product * BigInt(kinds.length), 1n)
  const below = (set: Cases): bigint => {
    let sum = counted.get(set)
    if (sum !== undefined) return sum
    sum = 0n
    for (const each of branches[set]!) sum += below(each) * skipped(place[set]! + 1, place[each]!)
    counted.set(set, sum)
    return sum
  }
  return (set) => below(set) * skipped(0, place[set]!)
}

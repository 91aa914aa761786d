import fc from 'fast-check'
import type { Policy } from '#core/policy/stack'
import type { Facts, FactValue } from '#core/policy/terms'
import { possibleIn } from '#core/policy/stack'
import { aRule, rulebookText, smallPolicy } from './policy.ts'

/** One value of each group of a fact's values that no rule tells apart. */
const valuesAt = ({ facts }: Policy, place: number): FactValue[] =>
  facts[place]!.kinds.map((bit) => {
    const { fact, bits, cuts } = facts[place]!
    const at = Math.log2(bit)
    if (fact.type === 'quantity') return cuts[at] ?? (cuts.at(-1) ?? 0) + 1
    return fact.type === 'yes-no' ? bit === 1 : ([...bits].find((each) => each[1] === bit)![0] as string)
  })

/** Every complete case there is, by such values, with these facts given. */
export function everyCase(policy: Policy, given: Facts = {}): Facts[] {
  let all: Facts[] = [given]
  for (const [place, { id, kinds }] of policy.facts.entries()) {
    if (kinds.length === 1 || given[id] !== undefined) continue
    const values = valuesAt(policy, place)
    all = all.flatMap((facts) => values.map((value) => ({ ...facts, [id]: value })))
    all = all.filter((facts) => possibleIn(policy, facts).ok)
  }
  return all
}

/** Any complete case that can be, but for a few facts that are left open. */
export const anyAlmostWhole = (policy: Policy): fc.Arbitrary<Facts> => {
  const read = policy.facts.flatMap(({ id, kinds }) => (kinds.length > 1 ? id : []))
  const picks = fc.array(fc.nat(), { minLength: policy.facts.length, maxLength: policy.facts.length })
  return fc.tuple(picks, fc.subarray(read, { minLength: 1, maxLength: 8 })).map(([pick, open]) => {
    let facts: Facts = {}
    for (const [place, { id }] of policy.facts.entries()) {
      if (!read.includes(id) || open.includes(id)) continue
      const next = valuesAt(policy, place).map((value) => ({ ...facts, [id]: value }))
      const can = next.filter((each) => possibleIn(policy, each).ok)
      facts = can[pick[place]! % can.length]!
    }
    return facts
  })
}

const condition = fc.constantFrom(
  '{}',
  '{ class: low }',
  '{ class: [low, high] }',
  '{ class: { not: low } }',
  '{ class: high, near: no }',
  '{ class: mid, near: no }',
  '{ near: yes }',
  '{ cleared: no }',
  '{ partner: $method }',
  '{ partner: { not: [none, $method] }, class: mid }',
  '{ size: { above: most } }',
  '{ size: { above: most, at-most: 2 MB } }',
  '[{ class: high }, { size: { above: 3 MB } }]',
)
const lifted = { strength: 'soft', 'lifted-by': '{ role: owner, when: { near: yes } }' }
const effects = [
  { then: 'allow' },
  { then: 'allow', limits: 'keepDays' },
  { then: 'allow', require: '[fit, note]', unmet: 'refuse', instead: 'Walk.' },
  { then: 'allow', require: 'clear', unmet: 'refer', 'refer-to': 'owner' },
  { then: 'refuse', instead: 'Walk.' },
  { then: 'refuse', instead: 'Walk.', ask: 'owner' },
  { then: 'refuse', instead: 'Walk.', ...lifted },
  { then: 'refer', 'refer-to': 'owner' },
  { then: 'require', require: 'clear', ...lifted },
  { then: 'require', require: '[unclear, fit]' },
]
const rule = fc.record({
  when: condition,
  methods: fc.constantFrom('mail', 'parcel', 'all', '[parcel, walk]'),
  effect: fc.constantFrom(...effects),
})
const head = fc.record({
  scope: fc.constantFrom('{}', '{ class: [low, mid] }', '{ near: yes }'),
  parameters: fc.constantFrom(
    '{ most: 10 MB, keepDays: 28 days, proof: letter }',
    '{ most: 1 MB, keepDays: 7 days, proof: letter }',
  ),
})

/** The text of a rulebook of a few rules, all sorts of mistakes included. */
export const anyRulebook = (id = 'first'): fc.Arbitrary<string> =>
  fc.tuple(head, fc.array(rule, { minLength: 1, maxLength: 6 })).map(([lines, rules]) =>
    rulebookText(rules.map(({ effect, ...rest }, place) => aRule({ ...rest, ...effect, id: `R${place}` })).join(''), {
      id,
      ...lines,
    }),
  )

/** One small rulebook, or two stacked. */
export const anySmallPolicy: fc.Arbitrary<Policy> = fc
  .tuple(anyRulebook(), fc.option(anyRulebook('second')))
  .map(([first, second]) => smallPolicy(...(second === null ? [first] : [first, second])))

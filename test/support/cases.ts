import fc from 'fast-check'
import type { Policy } from '#core/policy/stack'
import type { Facts, FactValue } from '#core/policy/terms'
import { possibleIn } from '#core/policy/stack'
import { aRule, rulebookText, smallPolicy } from './policy.ts'

/** Every complete case there is, one answer of each group that no rule tells apart, with these answers given. */
export function everyCase(policy: Policy, given: Facts = {}): Facts[] {
  let all: Facts[] = [given]
  for (const { id, fact, kinds, bits, cuts } of policy.facts) {
    if (kinds.length === 1 || given[id] !== undefined) continue
    const values = kinds.map((bit): FactValue => {
      const at = Math.log2(bit)
      if (fact.type === 'quantity') return cuts[at] ?? cuts.at(-1)! + 1
      return fact.type === 'yes-no' ? bit === 1 : ([...bits].find((each) => each[1] === bit)![0] as string)
    })
    all = all.flatMap((facts) => values.map((value) => ({ ...facts, [id]: value })))
    all = all.filter((facts) => possibleIn(policy, facts).ok)
  }
  return all
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
  { then: 'require', require: 'unclear' },
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

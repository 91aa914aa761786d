import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { orThrow } from '#core/kit/outcome'
import { affected, compare, type Change, type Difference } from '#core/policy/compare'
import { decide, type MethodDecision } from '#core/policy/decide'
import type { Policy } from '#core/policy/stack'
import { anyRulebook, everyCase } from '../../../test/support/cases.ts'
import { aRule, rulebookText, shippedPolicy, smallPolicy } from '../../../test/support/policy.ts'

const compared = (before: string, after: string, head: Record<string, string> = {}) =>
  orThrow(compare(smallPolicy(rulebookText(before)), smallPolicy(rulebookText(after, head))))
const short = ({ methods, before, after, rules, cases, of, where }: Change) => ({
  methods: methods.join(),
  before,
  after,
  rules: rules.map(({ rule, is }) => `${rule} ${is}`).join(),
  cases: `${cases} of ${of}`,
  where: where.map(({ question, answer }) => `${question} ${answer}`).join(' '),
})

test('a policy compared with itself changes nothing', () => {
  const policy = shippedPolicy('council', 'practitioner', 'ministry')
  const { changed, changes, rules } = orThrow(compare(policy, policy))
  assert.deepEqual([changed, changes, rules], [0n, [], []])
})

test('a refusal that is added changes the cases that it refuses', () => {
  const refusal = aRule({ id: 'R2', then: 'refuse', instead: 'Walk.', when: '{ near: no }', methods: 'all' })
  const allow = aRule({ methods: '[mail, parcel]', when: '{ class: [low, mid] }' })
  const { cases, changed, changes, rules } = compared(allow, allow + refusal)
  assert.deepEqual([cases, changed, rules.length], [3n, 1n, 1])
  assert.deepEqual(changes.map(short), [
    {
      methods: 'mail,parcel',
      before: [{ outcome: 'ALLOW' }],
      after: [{ outcome: 'BLOCK' }],
      rules: 'R2 new',
      cases: '1 of 1',
      where: 'Is it near? No',
    },
  ])
})

test('a parameter that changes is a change of what depends on it', () => {
  const rules = aRule({ require: 'fit', limits: 'keepDays' })
  const { changes } = compared(rules, rules, { parameters: '{ most: 20 MB, keepDays: 28 days, proof: letter }' })
  assert.deepEqual(changes.map(short), [
    {
      methods: 'mail',
      before: [],
      after: [{ obligation: 'fit', met: true }],
      rules: 'R1 changed',
      cases: '3 of 3',
      where: 'How large? above 10 MB, at most 20 MB',
    },
  ])
})

test('an obligation and a limit that come and go are told where the method is not refused', () => {
  const rules = aRule({ limits: 'keepDays' })
  const [one, ...others] = compared(rules, aRule({ require: 'note' })).changes
  assert.deepEqual(others, [])
  assert.deepEqual(
    [one!.before, one!.after],
    [
      [{ outcome: 'ALLOW' }, { limit: 'keepDays', value: 28 }],
      [{ outcome: 'ALLOW_WITH' }, { obligation: 'note' }],
    ],
  )
})

test('facts that do not tell the group from all other cases are said to be not all', () => {
  const refusal = (when: string) => aRule({ id: 'R2', then: 'refuse', instead: 'Walk.', when })
  const { changes } = compared(
    aRule(),
    aRule() + refusal('[{ cleared: no, lifted: no }, { cleared: yes, lifted: yes }]'),
  )
  assert.deepEqual([changes[0]!.cases, changes[0]!.of, changes[0]!.where], [6n, 12n, []])
  assert.deepEqual(
    changes[0]!.because.map(({ fact, answer }) => `${fact} ${answer}`),
    ['cleared Yes', 'lifted Yes'],
  )
})

test('words alone change nothing', () => {
  const { changed, rules } = compared(aRule(), aRule({ title: 'Another title' }))
  assert.deepEqual([changed, rules], [0n, []])
})

test('one case is affected or not, even while facts are missing', () => {
  const refusal = aRule({ id: 'R2', then: 'refuse', instead: 'Walk.', when: '{ near: no }' })
  const [before, after] = [smallPolicy(rulebookText(aRule())), smallPolicy(rulebookText(aRule() + refusal))]
  assert.deepEqual(orThrow(affected(before, after, { class: 'low', near: true })), {})
  assert.deepEqual(orThrow(affected(before, after, { class: 'low' })), {
    mail: { before: [{ outcome: 'ALLOW' }], after: [{ outcome: 'REFER' }] },
  })
  assert(!affected(before, after, { class: 'unheard of' }).ok)
})

/** What one decision says of a method and another does not: obligations and limits only where neither refuses. */
function only(one: MethodDecision, other: MethodDecision): string[] {
  const outcome = one.outcome === other.outcome ? [] : [JSON.stringify({ outcome: one.outcome })]
  if (one.outcome === 'BLOCK' || other.outcome === 'BLOCK') return outcome
  const obligations = one.obligations.flatMap(({ id, met }) => {
    const theirs = other.obligations.find((each) => each.id === id)
    if (!theirs) return JSON.stringify({ obligation: id })
    return met && !theirs.met ? JSON.stringify({ obligation: id, met }) : []
  })
  const limits = Object.entries(one.limits).filter(([id, value]) => other.limits[id] !== value)
  return [...outcome, ...obligations, ...limits.map(([limit, value]) => JSON.stringify({ limit, value }))]
}

/** How many cases have which difference, by method, by looking at one case after the other. */
function oneByOne(before: Policy, after: Policy, cases: Policy): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const facts of everyCase(cases)) {
    const [was, is] = [orThrow(decide(before, facts)).methods, orThrow(decide(after, facts)).methods]
    const keys = Object.keys(is).flatMap((method) => {
      const [lost, gained] = [only(was[method]!, is[method]!), only(is[method]!, was[method]!)]
      return lost.length + gained.length === 0 ? [] : inOrder(method, lost, gained)
    })
    for (const key of keys) counts[key] = (counts[key] ?? 0) + 1
    const one = Object.entries(orThrow(affected(before, after, facts)))
    assert.deepEqual(one.map(([method, difference]) => asText(method, difference)).toSorted(), keys.toSorted())
  }
  return counts
}

const inOrder = (method: string, ...sides: string[][]) =>
  [method, ...sides.map((side) => side.toSorted().join())].join(' | ')
const asText = (method: string, { before, after }: Difference) =>
  inOrder(method, ...[before, after].map((side) => side.map((each) => JSON.stringify(each))))

test('over whole small spaces: what changes is what deciding each case before and after tells apart', () => {
  fc.assert(
    fc.property(anyRulebook(), anyRulebook(), fc.option(anyRulebook('third')), (one, other, third) => {
      const beside = third === null ? [] : [third]
      const [before, after] = [smallPolicy(one, ...beside), smallPolicy(other, ...beside)]
      // Both together divide the cases as finely as either.
      const both = smallPolicy(one, other.replace('id: first', 'id: second'), ...beside)
      const { cases, changes, more } = orThrow(compare(before, after))
      const counts: Record<string, number> = {}
      for (const change of changes)
        for (const method of change.methods) counts[asText(method, change)] = Number(change.cases)
      fc.pre(more === 0)
      assert.equal(Number(cases), everyCase(both).length)
      assert.deepEqual(counts, oneByOne(before, after, both))
    }),
    { numRuns: 80 },
  )
})

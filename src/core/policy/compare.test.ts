import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { orThrow } from '#core/kit/outcome'
import { affected, compare, type Change } from '#core/policy/compare'
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

/** The same by looking at one case after the other: how many cases have which difference, by method. */
function oneByOne(before: Policy, after: Policy, cases: Policy): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const facts of everyCase(cases))
    for (const [method, difference] of Object.entries(orThrow(affected(before, after, facts)))) {
      const key = inOrder(method, difference)
      counts[key] = (counts[key] ?? 0) + 1
    }
  return counts
}

const inOrder = (method: string, { before, after }: Pick<Change, 'before' | 'after'>) =>
  [
    method,
    ...[before, after].map((side) =>
      side
        .map((each) => JSON.stringify(each))
        .toSorted()
        .join(),
    ),
  ].join(' | ')

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
        for (const method of change.methods) counts[inOrder(method, change)] = Number(change.cases)
      fc.pre(more === 0)
      assert.equal(Number(cases), everyCase(both).length)
      assert.deepEqual(counts, oneByOne(before, after, both))
    }),
    { numRuns: 80 },
  )
})

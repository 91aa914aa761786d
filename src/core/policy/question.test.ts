import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { orThrow } from '#core/kit/outcome'
import { decide } from '#core/policy/decide'
import { answerText, nextQuestion } from '#core/policy/question'
import { valuesOf } from '#core/policy/condition'
import type { Policy } from '#core/policy/stack'
import type { Facts, FactValue } from '#core/policy/terms'
import { aRule, councilPolicy, rulebookText, shippedPolicy, smallPolicy } from '../../../test/support/policy.ts'

const council = councilPolicy()
const deciding = (policy: Policy) => policy.facts.filter(({ fact }) => fact.asked === 'deciding').map(({ id }) => id)

/** What the person is told, as the question's search compares it. */
function told(policy: Policy, facts: Facts): string {
  const { methods, recommended, order } = orThrow(decide(policy, facts))
  return answerText(methods[recommended[0] ?? order[0]!]!)
}

/** Asks until nothing is asked. */
function ask(
  policy: Policy,
  given: Facts,
  answers: Facts,
  askable = deciding(policy),
): { asked: string[]; facts: Facts } {
  const facts = { ...given }
  const asked: string[] = []
  for (;;) {
    const next = orThrow(nextQuestion(policy, facts, askable))
    if (!next) return { asked, facts }
    assert(!asked.includes(next.fact), `${next.fact} is asked twice`)
    asked.push(next.fact)
    facts[next.fact] = answers[next.fact]!
  }
}

test('a public leaflet to a resident takes two questions', () => {
  const { asked } = ask(council, {}, { audience: 'individual', published: true })
  assert.deepEqual(asked, ['audience', 'published'])
})

const officer: Facts = {
  audience: 'organisation',
  sector: 'police',
  address: 'ordinary',
  mailbox: 'person',
  'required-method': 'none-on-file',
  agreement: 'none',
}
const childProtection: Facts = {
  published: false,
  artefact: 'file',
  size: 4e6,
  'council-class': 'restricted',
  personal: true,
  'internal-use-only': false,
  purpose: 'protect-someone',
  urgency: 'at-risk-now',
  'emergency-certified': true,
}

test('a child protection file to an officer in the directory is asked about in the order of thinking', () => {
  const { asked, facts } = ask(council, officer, childProtection)
  assert.deepEqual(asked, [
    'published',
    'artefact',
    'council-class',
    'personal',
    'internal-use-only',
    'urgency',
    'emergency-certified',
  ])
  assert.deepEqual(orThrow(decide(council, facts)).recommended.slice(0, 2), ['telephone', 'managed_transfer'])
})

const dataset: Facts = {
  audience: 'organisation',
  sector: 'government-department',
  address: 'ordinary',
  mailbox: 'team',
  'required-method': 'none-on-file',
  agreement: 'in-force',
}
const extract: Facts = {
  published: false,
  artefact: 'file',
  size: 4e8,
  'council-class': 'controlled',
  personal: true,
  'internal-use-only': false,
  purpose: 'statutory-return',
  urgency: 'no-rush',
}
/** What the other two rulebooks want to know. Each has a classification of its own; none is translated into another. */
const forOthers: Facts = { sensitivity: 'high', people: 1, planned: false, kind: 'share', 'must-keep': false }
const leaflet: Facts = { audience: 'individual', published: true }

test('the three commonest transfers take at most seven questions under one rulebook, a leaflet two under three', () => {
  const all = shippedPolicy('council', 'practitioner', 'ministry')
  assert(ask(council, officer, childProtection).asked.length <= 7)
  assert(ask(council, dataset, extract).asked.length <= 7)
  assert.equal(ask(all, {}, leaflet).asked.length, 2)
})

test('three rulebooks with a classification each ask at most four questions more', () => {
  const all = shippedPolicy('council', 'practitioner', 'ministry')
  const protection = { ...childProtection, ...forOthers, 'government-class': 'official-sensitive' }
  const monthly = { ...extract, ...forOthers, people: 5_000, planned: true, 'government-class': 'official' }
  assert(ask(all, officer, protection).asked.length <= 11)
  assert(ask(all, dataset, monthly).asked.length <= 11)
})

test('the emergency is asked about only when someone is at risk now', () => {
  const { asked } = ask(council, officer, { ...childProtection, urgency: 'today' })
  assert(!asked.includes('emergency-certified'))
})

test('a question comes with why it is asked and the clauses that read it', () => {
  const next = orThrow(nextQuestion(council, { audience: 'individual' }, deciding(council)))
  assert.equal(next?.fact, 'published')
  assert.equal(next.why, 'Public information needs no protection.')
  assert(next.clauses.includes('D41'))
})

test('what she was not sure about is not asked again, and the decision refers it', () => {
  const askable = deciding(council).filter((id) => id !== 'council-class')
  const { asked, facts } = ask(
    council,
    { ...officer, agreement: 'in-force' },
    { ...childProtection, urgency: 'today' },
    askable,
  )
  assert(!asked.includes('council-class'))
  assert.equal(orThrow(decide(council, facts)).outcome, 'REFER')
})

test('garbage facts are a question, none, or a typed problem, never a throw', () => {
  const all = shippedPolicy('council', 'practitioner', 'ministry')
  const name = fc.constantFrom(...all.facts.map(({ id }) => id), '__proto__', 'constructor', 'toString')
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), fc.dictionary(name, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })),
      (facts) => {
        const next = nextQuestion(all, facts, deciding(all))
        assert(next.ok || next.problem.slug === 'facts-unreadable' || next.problem.slug === 'facts-contradict')
      },
    ),
    { numRuns: 300 },
  )
})

test('facts that cannot be used are the same problem as in a decision', () => {
  const next = nextQuestion(council, { audience: 'nobody' }, deciding(council))
  assert(!next.ok && next.problem.slug === 'facts-unreadable')
})

/** A full set of facts that do not contradict each other: each is drawn, and left out if it cannot be. */
const anyCase = (policy: Policy): fc.Arbitrary<Facts> =>
  fc.array(fc.nat(), { minLength: policy.facts.length, maxLength: policy.facts.length }).map((draws) => {
    const facts: Facts = {}
    for (const [place, { id, fact, cuts }] of policy.facts.entries()) {
      const values: FactValue[] =
        fact.type === 'quantity'
          ? [0, ...cuts.map((cut) => cut + 1)]
          : fact.type === 'yes-no'
            ? [true, false]
            : valuesOf(fact, policy.vocabulary)
      for (let turn = 0; turn < values.length; turn += 1) {
        const value = values[(draws[place]! + turn) % values.length]!
        if (!decide(policy, { ...facts, [id]: value }).ok) continue
        facts[id] = value
        break
      }
    }
    return facts
  })

const without = (facts: Facts, leave: (id: string) => boolean): Facts =>
  Object.fromEntries(Object.entries(facts).filter(([id]) => !leave(id)))

for (const names of [['council'], ['council', 'practitioner', 'ministry']])
  test(`${names.join(', ')}: what is told after the questions asked is what would be told with every answer known`, () => {
    const policy = shippedPolicy(...names)
    const askable = new Set(deciding(policy))
    fc.assert(
      fc.property(anyCase(policy), fc.nat(), (all, known) => {
        const unknown = policy.facts
          .filter(({ id }, place) => !askable.has(id) && (known >> (place % 30)) & 1)
          .map(({ id }) => id)
        const full = without(all, (id) => unknown.includes(id))
        const given = without(full, (id) => askable.has(id))
        assert.equal(told(policy, ask(policy, given, full).facts), told(policy, full))
      }),
      { numRuns: 60 },
    )
  })

const condition = fc.constantFrom(
  '{}',
  '{ class: low }',
  '{ class: [low, high] }',
  '{ near: yes }',
  '{ near: no }',
  '{ class: mid, near: no }',
  '{ size: { above: most } }',
  '{ size: { at-most: 2 MB } }',
  '[{ class: high }, { size: { above: 3 MB } }]',
)
const effects = [
  { then: 'allow' },
  { then: 'allow', prefer: '1' },
  { then: 'allow', require: 'fit', unmet: 'refuse', instead: 'Walk.' },
  { then: 'refuse', instead: 'Walk.' },
  { then: 'refuse', instead: 'Walk.', strength: 'soft', 'lifted-by': '{ role: owner, when: { near: yes } }' },
  { then: 'refer', 'refer-to': 'owner' },
  { then: 'require', require: 'note' },
]
const rule = fc.record({
  when: condition,
  methods: fc.constantFrom('mail', 'parcel', 'all', '[parcel, walk]'),
  effect: fc.constantFrom(...effects),
})
const anyRules = fc.array(rule, { minLength: 1, maxLength: 6 })
/** One rulebook, or two or three stacked; the third speaks only of what is near. */
const anyPolicy = fc.array(anyRules, { minLength: 1, maxLength: 3 }).map((books) =>
  smallPolicy(
    ...books.map((rules, book) =>
      rulebookText(rules.map(({ effect, ...rest }, place) => aRule({ ...rest, ...effect, id: `R${place}` })).join(''), {
        id: ['first', 'second', 'third'][book]!,
        ...(book === 2 ? { scope: '{ near: yes }' } : {}),
      }),
    ),
  ),
)

/** Every answer to everything that is not given. */
const every = (policy: Policy, given: Facts): Facts[] => {
  const sizes = [0, ...policy.facts.find(({ id }) => id === 'size')!.cuts.map((cut) => cut + 1)]
  const all: Facts[] = ['low', 'mid', 'high'].flatMap((secret) =>
    [true, false].flatMap((near) => sizes.map((size) => ({ class: secret, near, size, ...given }))),
  )
  return all.filter((facts) => decide(policy, facts).ok)
}

test('over whole small spaces: a question is asked exactly while an answer can still change what is told', () => {
  const given = fc.record({ near: fc.boolean(), class: fc.constantFrom('low', 'mid') }, { requiredKeys: [] })
  fc.assert(
    fc.property(anyPolicy, given, (policy, facts) => {
      const open = deciding(policy)
      const next = orThrow(nextQuestion(policy, facts, open))
      const answers = new Set([facts, ...every(policy, facts)].map((each) => told(policy, each)))
      assert.equal(next !== null, answers.size > 1)
      for (const full of every(policy, facts))
        assert.equal(told(policy, ask(policy, facts, full).facts), told(policy, full))
    }),
    { numRuns: 300 },
  )
})

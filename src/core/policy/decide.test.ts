import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { loadCases, readFacts, runCase } from '#core/policy/cases'
import { decide, type Decision, type MethodDecision } from '#core/policy/decide'
import { explain } from '#core/policy/explain'
import type { Facts } from '#core/policy/terms'
import {
  aRule,
  councilCases,
  councilPolicy,
  rulebookText,
  shippedPolicy,
  smallPolicy,
} from '../../../test/support/policy.ts'
import { anyFacts } from '../../../test/support/facts.ts'

const policy = councilPolicy()
const cases = orThrow(loadCases('deciding.yaml', councilCases(), policy.vocabulary))
for (const each of cases.cases)
  test(`${each.id}: ${each.title}`, () =>
    assert.deepEqual(orThrow(runCase(policy, cases.assume, each)).differences, []))

test('a case that comes out otherwise says what was expected and what came', () => {
  const [first] = cases.cases
  const wrong = { ...first!, expect: { ...first!.expect, outcome: 'BLOCK' as const } }
  assert.deepEqual(orThrow(runCase(policy, cases.assume, wrong)).differences, [
    'outcome: expected "BLOCK", got "ALLOW_WITH"',
  ])
})

const known: Facts = { class: 'low' }
const mail = (rules: string, facts: Facts = known, head = {}): MethodDecision =>
  orThrow(decide(smallPolicy(rulebookText(rules, head)), facts)).methods['mail']!
const refuse = { id: 'R2', then: 'refuse', instead: 'Walk.' }

test('any of several values holds', () => {
  const rules = aRule({ when: '{ class: [low, mid] }' })
  assert.equal(mail(rules, { class: 'mid' }).outcome, 'ALLOW')
  assert.equal(mail(rules, { class: 'high' }).outcome, 'BLOCK')
})

test('not one of the values holds', () => {
  const rules = aRule() + aRule({ ...refuse, when: '{ class: { not: [low, mid] } }' })
  assert.equal(mail(rules, { class: 'mid' }).outcome, 'ALLOW')
  assert.equal(mail(rules, { class: 'high' }).outcome, 'BLOCK')
})

test('any of several groups holds, and a group only when all its tests do', () => {
  const rules = aRule() + aRule({ ...refuse, when: '[{ class: high }, { class: mid, near: no }]' })
  assert.equal(mail(rules, { class: 'high' }).outcome, 'BLOCK')
  assert.equal(mail(rules, { class: 'mid', near: false }).outcome, 'BLOCK')
  assert.equal(mail(rules, { class: 'mid', near: true }).outcome, 'ALLOW')
})

test('above and at most split a quantity at its parameter, which itself is at most', () => {
  const rules = aRule({ when: '{ size: { at-most: most } }' }) + aRule({ ...refuse, when: '{ size: { above: most } }' })
  for (const [size, outcome] of [
    [9_999_999, 'ALLOW'],
    [10_000_000, 'ALLOW'],
    [10_000_001, 'BLOCK'],
  ] as const)
    assert.equal(mail(rules, { ...known, size }).outcome, outcome)
})

test('a band that lies on one side of a bound decides, and one that spans it does not', () => {
  const rules = aRule() + aRule({ ...refuse, when: '{ size: { above: 2 MB, at-most: most } }' })
  assert.equal(mail(rules, { ...known, size: { atMost: 2_000_000 } }).outcome, 'ALLOW')
  assert.equal(mail(rules, { ...known, size: { atLeast: 2_000_001, atMost: 10_000_000 } }).outcome, 'BLOCK')
  assert.equal(mail(rules, { ...known, size: { atLeast: 10_000_001 } }).outcome, 'ALLOW')
  const spans = mail(rules, { ...known, size: { atLeast: 1_000_000 } })
  assert.deepEqual([spans.outcome, spans.needs, spans.ask], ['REFER', ['size'], ['desk']])
})

test('a rule may compare a fact with the method being judged', () => {
  const rules =
    aRule({ methods: 'all' }) + aRule({ ...refuse, methods: 'all', when: '{ partner: { not: [none, $method] } }' })
  const { methods } = orThrow(decide(smallPolicy(rulebookText(rules)), { ...known, partner: 'parcel' }))
  assert.deepEqual(
    Object.values(methods)
      .map(({ method, outcome }) => `${method} ${outcome}`)
      .toSorted(),
    ['mail BLOCK', 'parcel ALLOW', 'walk BLOCK'],
  )
})

test('methods may be named by a tag', () => {
  const { recommended } = orThrow(
    decide(smallPolicy(rulebookText(aRule({ methods: '{ tagged: electronic }' }))), known),
  )
  assert.deepEqual(recommended, ['mail', 'parcel'])
})

test('an unknown fact refers to the role that knows, else to the one the rulebook names for not sure', () => {
  const unsure = aRule({
    id: 'R9',
    when: 'not-sure',
    methods: 'all',
    then: 'refer',
    'refer-to': 'owner',
    clauses: '[{ id: C9, says: Ask. }]',
  })
  const told = mail(aRule({ when: '{ near: yes }' }) + unsure)
  assert.deepEqual([told.outcome, told.needs, told.ask], ['REFER', ['near'], ['owner']])
  assert(told.reasons.some(({ rule }) => rule === 'R9'))
  assert.deepEqual(mail(aRule() + aRule({ ...refuse, when: '{ lifted: yes }' })).ask, ['owner'])
})

test('a rulebook allows nothing while its classification is not known', () => {
  const told = mail(aRule(), {})
  assert.deepEqual([told.outcome, told.needs], ['REFER', ['class']])
})

test('what follows from an answer is known with it, and what cannot be is refused as facts', () => {
  const rules = aRule({ when: '{ near: yes }' })
  assert.equal(mail(rules, { class: 'high' }).outcome, 'ALLOW')
  const both = decide(smallPolicy(rulebookText(rules)), { class: 'high', near: false })
  assert(
    !both.ok && both.problem.slug === 'facts-contradict' && both.problem.detail === 'What is highly secret stays near.',
  )
})

test('an obligation is met, not met, or not known', () => {
  const rules = aRule({ require: '[clear, fit, note]' })
  const met = (facts: Facts) =>
    Object.fromEntries(mail(rules, { ...known, ...facts }).obligations.map((due) => [due.id, due.met]))
  assert.deepEqual(met({}), { clear: null, fit: null, note: null })
  assert.deepEqual(met({ cleared: true, size: 3 }), { clear: true, fit: true, note: null })
  assert.deepEqual(met({ cleared: false, size: 1e9 }), { clear: false, fit: false, note: null })
})

test('an obligation known not to be met refuses or refers where the rule says so, and stays outstanding elsewhere', () => {
  const facts = { ...known, cleared: false }
  assert.equal(mail(aRule({ require: 'clear' }), facts).outcome, 'ALLOW_WITH')
  assert.equal(mail(aRule({ require: 'clear', unmet: 'refuse', instead: 'Walk.' }), facts).outcome, 'BLOCK')
  assert.deepEqual(mail(aRule({ require: 'clear', unmet: 'refer', 'refer-to': 'owner' }), facts).referTo, ['owner'])
  assert.equal(mail(aRule({ require: 'clear', unmet: 'refuse', instead: 'Walk.' })).outcome, 'ALLOW_WITH')
})

test('a rule is lifted only once the fact that lifts it is known', () => {
  const rules =
    aRule() + aRule({ ...refuse, strength: 'overridable', 'lifted-by': '[{ role: owner, when: { lifted: yes } }]' })
  assert.equal(mail(rules).outcome, 'BLOCK')
  assert.equal(mail(rules, { ...known, lifted: false }).outcome, 'BLOCK')
  const lifted = mail(rules, { ...known, lifted: true })
  assert.equal(lifted.outcome, 'ALLOW')
  assert.deepEqual(lifted.reasons.find(({ effect }) => effect === 'lifted')?.liftedBy, ['owner'])
})

test('a refusal takes precedence over a referral, and that over an allowance', () => {
  const refer = aRule({ id: 'R3', then: 'refer', 'refer-to': 'owner' })
  assert.equal(mail(aRule() + refer).outcome, 'REFER')
  assert.equal(mail(aRule() + refer + aRule(refuse)).outcome, 'BLOCK')
})

test('a method no rulebook speaks about is refused, with someone to ask', () => {
  const told = orThrow(decide(smallPolicy(rulebookText(aRule())), known)).methods['walk']!
  assert.deepEqual(
    [told.outcome, told.silent, told.ask, told.byRulebook],
    ['BLOCK', true, ['desk'], { first: 'OUT_OF_SCOPE' }],
  )
})

test('the order follows the preference; what is known to be missing comes after what is not', () => {
  const rules =
    aRule({ prefer: '2', require: 'clear' }) +
    aRule({ id: 'R2', methods: 'parcel', prefer: '3' }) +
    aRule({ id: 'R3', methods: 'walk', prefer: '1' })
  const order = (facts: Facts) => orThrow(decide(smallPolicy(rulebookText(rules)), { ...known, ...facts })).recommended
  assert.deepEqual(order({}), ['walk', 'mail', 'parcel'])
  assert.deepEqual(order({ cleared: false }), ['walk', 'parcel', 'mail'])
})

const second = { id: 'second', parameters: '{ most: 1 MB, keepDays: 7 days, proof: signature }' }

test('stacked: a silent rulebook is neutral, and the worst outcome counts', () => {
  const first = rulebookText(aRule({ methods: '[mail, parcel]' }))
  const other = rulebookText(
    aRule({ ...refuse, methods: 'mail' }) + aRule({ methods: 'walk', then: 'refer', 'refer-to': 'owner' }),
    second,
  )
  const { methods } = orThrow(decide(smallPolicy(first, other), known))
  assert.deepEqual(methods['mail']!.byRulebook, { first: 'ALLOW', second: 'BLOCK' })
  assert.deepEqual(methods['parcel']!.byRulebook, { first: 'ALLOW', second: 'OUT_OF_SCOPE' })
  assert.deepEqual(
    ['mail', 'parcel', 'walk'].map((id) => methods[id]!.outcome),
    ['BLOCK', 'ALLOW', 'REFER'],
  )
})

test('stacked: obligations are joined, limits are the strictest, and one obligation is met only if it is for each', () => {
  const rules = aRule({ require: '[fit]', limits: '[keepDays, proof]' })
  const other = aRule({ require: '[fit, note]', limits: '[keepDays, proof]' })
  const told = orThrow(
    decide(smallPolicy(rulebookText(rules), rulebookText(other, second)), { ...known, size: 5_000_000 }),
  ).methods['mail']!
  assert.deepEqual(
    told.obligations.map(({ id, met }) => [id, met]),
    [
      ['fit', false],
      ['note', null],
    ],
  )
  assert.deepEqual(told.limits, { keepDays: 7, proof: 'signature' })
})

test('stacked: a rulebook out of its scope is neutral, and one whose scope is not known is asked about', () => {
  const scoped = rulebookText(aRule(refuse), { ...second, scope: '{ near: no }' })
  const outcome = (facts: Facts) =>
    orThrow(decide(smallPolicy(rulebookText(aRule()), scoped), { ...known, ...facts })).methods['mail']!.outcome
  assert.deepEqual([outcome({ near: true }), outcome({ near: false }), outcome({})], ['ALLOW', 'BLOCK', 'REFER'])
})

test('stacked: what one rulebook may refuse and none allows stays refused', () => {
  const rules = aRule({ ...refuse, when: '{ near: yes }', methods: 'walk' }) + aRule()
  assert.equal(orThrow(decide(smallPolicy(rulebookText(rules)), known)).methods['walk']!.outcome, 'BLOCK')
})

/** Whether it may be sent now: allowed, and everything a fact can show before or at sending is shown to be met. */
const mayGo = ({ outcome, obligations }: MethodDecision) =>
  outcome === 'ALLOW' || (outcome === 'ALLOW_WITH' && obligations.every(({ id, met }) => met === true || !isGate(id)))
const isGate = (id: string) => policy.vocabulary.obligations.get(id)!.metWhen !== undefined

function monotone(decided: Decision, less: Decision) {
  for (const [method, told] of Object.entries(decided.methods))
    if (told.outcome === 'BLOCK')
      assert(!mayGo(less.methods[method]!), `${method} was refused, and may go once less is known`)
}

for (const names of [['council'], ['practitioner'], ['ministry'], ['council', 'practitioner', 'ministry']])
  test(`${names.join(', ')}: removing a fact never turns a refusal into something that may be sent`, () => {
    const shipped = shippedPolicy(...names)
    fc.assert(
      fc.property(anyFacts(shipped), fc.nat(), (given, pick) => {
        const before = decide(shipped, given)
        const ids = Object.keys(given)
        if (!before.ok || ids.length === 0) return
        const { [ids[pick % ids.length]!]: _, ...less } = given
        const after = decide(shipped, less)
        if (after.ok) monotone(before.value, after.value)
      }),
      { numRuns: 1_000 },
    )
  })

test('a refusal always carries someone to ask, and words or an allowed method', () => {
  fc.assert(
    fc.property(anyFacts(policy), (given) => {
      const decided = decide(policy, given)
      if (!decided.ok) return
      for (const told of Object.values(decided.value.methods)) {
        if (told.outcome === 'ALLOW' || told.outcome === 'ALLOW_WITH') continue
        assert(told.ask.length > 0, `${told.method} asks nobody`)
        if (told.outcome === 'BLOCK') assert(told.instead !== null || told.silent, `${told.method} offers nothing`)
      }
      if (decided.value.recommended.length === 0) assert(decided.value.ask.length > 0)
    }),
    { numRuns: 500 },
  )
})

const garbage = fc.oneof(
  fc.anything({ withNullPrototype: true, withBigInt: true, withSparseArray: true }),
  fc.jsonValue(),
  fc.dictionary(
    fc.oneof(fc.constantFrom(...policy.facts.map(({ id }) => id), '__proto__', 'constructor', 'toString'), fc.string()),
    fc.oneof(fc.anything(), fc.constantFrom(NaN, Infinity, -0, [], {}, 'x'.repeat(100_000), { atLeast: 2, atMost: 1 })),
    { maxKeys: 4 },
  ),
)

test('garbage facts are answered or are a typed problem, never a throw', () => {
  fc.assert(
    fc.property(garbage, (facts) => {
      const decided = decide(policy, facts)
      assert(decided.ok || decided.problem.slug === 'facts-unreadable' || decided.problem.slug === 'facts-contradict')
    }),
    { numRuns: 2_000 },
  )
})

test('names from JSON that look like parts of an object are names that are not known', () => {
  for (const text of [
    '{ "__proto__": true }',
    '{ "constructor": "x" }',
    '{ "size": [] }',
    '{ "size": { "__proto__": 1 } }',
  ]) {
    const decided = decide(policy, JSON.parse(text))
    assert(!decided.ok && decided.problem.slug === 'facts-unreadable', text)
  }
})

test('of very many wrong facts the first fifty are named', () => {
  const many = Object.fromEntries(Array.from({ length: 51 }, (_, place) => [`wrong-${place}`, 1]))
  const decided = decide(policy, many)
  assert(!decided.ok && Object.keys(decided.problem.fields!).length === limits.factsWrong)
})

test('a wrong fact is named with the nearest right word', () => {
  const decided = decide(policy, { audiense: 'inside', sector: 'polise', size: -1 })
  assert(!decided.ok)
  assert.match(decided.problem.fields!['audiense']!, /Did you mean 'audience'\?/)
  assert.match(decided.problem.fields!['sector']!, /Did you mean 'police'\?/)
  assert.match(decided.problem.fields!['size']!, /Give a number of bytes/)
})

test('a decision is plain data: it survives being stored', () => {
  const decided = orThrow(decide(policy, { audience: 'individual', published: true }))
  assert.deepEqual(JSON.parse(JSON.stringify(decided)), decided)
})

test('an explanation of a refusal names the clauses, the nearest allowed thing and whom to ask', () => {
  const decided = orThrow(
    decide(
      policy,
      orThrow(
        readFacts(
          '{ audience: organisation, sector: supplier, address: ordinary, published: no, artefact: file, size: 3 MB, council-class: controlled, personal: no, internal-use-only: no, urgency: no-rush, required-method: none-on-file }',
          policy.vocabulary,
        ),
      ),
    ),
  )
  const says = explain(policy.vocabulary, decided, 'standard_email')
  assert.equal(says[0]!.says, 'Ordinary email: you cannot use this here.')
  assert.deepEqual(
    says.flatMap(({ clauses }) => clauses),
    ['D21', 'D22'],
  )
  assert.deepEqual(
    says.slice(-2).map((each) => each.says),
    ['You can use: Email (protected on its way).', 'Ask: Service desk.'],
  )
})

test('an explanation of what may be done puts the duties in order of time', () => {
  const decided = orThrow(
    decide(policy, {
      audience: 'organisation',
      sector: 'police',
      address: 'ordinary',
      published: false,
      artefact: 'file',
      'council-class': 'restricted',
      personal: true,
      'internal-use-only': false,
      urgency: 'at-risk-now',
      'emergency-certified': true,
    }),
  )
  const duties = explain(policy.vocabulary, decided, 'telephone').map(({ says }) => says.split(':')[0])
  assert.deepEqual(duties.slice(1, 6), [
    'Before you send',
    'Before you send',
    'When you send',
    'Afterwards',
    'Afterwards',
  ])
})

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { limits } from '#core/kit/limits'
import { loadCases } from '#core/policy/cases'
import { loadRulebook, rulebookSchema } from '#core/policy/rulebook'
import { loadVocabulary } from '#core/policy/vocabulary'
import {
  aRule,
  council,
  rulebookText,
  shippedVocabulary,
  smallVocabulary,
  smallWords,
} from '../../../test/support/policy.ts'

/** What is found wrong in a rulebook: `line:column sentence`. */
function faults(text: string): string[] {
  const loaded = loadRulebook('a.yaml', text, smallVocabulary())
  assert(!loaded.ok, 'the rulebook was accepted')
  assert.equal(loaded.problem.slug, 'rulebook-unreadable')
  return Object.entries(loaded.problem.fields ?? {}).map(([place, says]) => `${place.replace('a.yaml:', '')} ${says}`)
}

test('the shipped vocabulary and rulebook are sound', () => {
  const loaded = council(shippedVocabulary())
  assert.equal(loaded.id, 'council')
  const ids = loaded.rules.map(({ id }) => id)
  for (let rule = 1; rule <= 24; rule += 1) assert(ids.includes(`D-R${rule}`), `D-R${rule} is there`)
})

test('a rule that says only what it must is read with everything else filled in', () => {
  const loaded = loadRulebook('a.yaml', rulebookText(aRule()), smallVocabulary())
  assert(loaded.ok)
  const [rule] = loaded.value.rules
  assert.deepEqual(rule?.when, [[]])
  assert.deepEqual(rule.methods, ['mail'])
  assert.equal(rule.strength, 'hard')
  assert.deepEqual(loaded.value.parameters.get('most'), { amount: 10_000_000, unit: 'bytes' })
})

const wrong: [string, string, RegExp][] = [
  [
    'an unknown field',
    rulebookText(aRule({ wen: '{ near: yes }' })),
    /^11:\d+ 'wen' is not a field of a rule\. Did you mean 'when'\?$/,
  ],
  [
    'an unknown fact',
    rulebookText(aRule({ when: '{ neer: yes }' })),
    /^11:\d+ 'neer' is not a fact\. Did you mean 'near'\?$/,
  ],
  [
    'an unknown value',
    rulebookText(aRule({ when: '{ class: hihg }' })),
    /'hihg' is not a value of 'class'\. Did you mean 'high'\?$/,
  ],
  [
    'a misspelt method',
    rulebookText(aRule({ methods: '[mail, parsel]' })),
    /'parsel' is not a method\. Did you mean 'parcel'\?$/,
  ],
  [
    'an unknown tag',
    rulebookText(aRule({ methods: '{ tagged: seeled }' })),
    /'seeled' is not a tag\. Did you mean 'sealed'\?$/,
  ],
  [
    'an unknown obligation',
    rulebookText(aRule({ require: 'cleer' })),
    /'cleer' is not an obligation\. Did you mean 'clear'\?$/,
  ],
  ['an unknown role', rulebookText(aRule(), { ask: 'dest' }), /^8:6 'dest' is not a role\. Did you mean 'desk'\?$/],
  [
    'an unknown unit',
    rulebookText(aRule(), { parameters: '{ most: 10 MBs }' }),
    /^9:21 'MBs' is not a unit\. Did you mean 'MB'\?$/,
  ],
  [
    'an unknown limit',
    rulebookText(aRule({ limits: 'keepDay' })),
    /'keepDay' is not a limit\. Did you mean 'keepDays'\?$/,
  ],
  ['an unknown effect', rulebookText(aRule({ then: 'alow' })), /'alow' is not an effect\. Did you mean 'allow'\?$/],
  [
    'a missing clause',
    rulebookText('  - { id: R1, title: A, methods: mail, then: allow }\n'),
    /^11:5 'clauses' is missing from a rule\.$/,
  ],
  [
    'a missing parameter',
    rulebookText(aRule({ when: '{ size: { above: mots } }' })),
    /'mots' is not among this rulebook's parameters\. Did you mean 'most'\?$/,
  ],
  [
    'a parameter in the wrong unit',
    rulebookText(aRule({ when: '{ size: { above: keepDays } }' })),
    /'keepDays' is in days; here it must be in bytes\.$/,
  ],
  [
    'a literal in the wrong unit',
    rulebookText(aRule({ when: '{ size: { above: 3 days } }' })),
    /'size' is counted in bytes, not in days\.$/,
  ],
  [
    'a limit with no such choice',
    rulebookText(aRule({ limits: 'proof' }), { parameters: '{ proof: leter }' }),
    /'proof' is 'leter'\. Did you mean 'letter'\?$/,
  ],
  [
    'an obligation whose parameter is missing',
    rulebookText(aRule({ require: 'fit' }), { parameters: '{ keepDays: 1 days }' }),
    /'most' is not among this rulebook's parameters/,
  ],
  [
    'an impossible date',
    rulebookText(aRule(), { 'review-date': '2027-02-29' }),
    /^6:14 2027-02-29 is not a day of the calendar\.$/,
  ],
  [
    'a review before the guidance',
    rulebookText(aRule(), { 'review-date': '2025-01-01' }),
    /'review-date' is not after 'guidance-date'\.$/,
  ],
  ['a duplicate rule', rulebookText(aRule() + aRule()), /^12:5 Rule R1 is there twice/],
  ['a duplicate field', rulebookText(aRule({ id: 'R1, id: R2' })), /This name is given twice\. Keep one\.$/],
  [
    'a clause cited twice',
    rulebookText(aRule({ clauses: '[{ id: C1, says: A }, { id: C1, says: B }]' })),
    /Clause C1 is cited twice\.$/,
  ],
  [
    'a refusal that offers nothing',
    rulebookText(aRule({ then: 'refuse' })),
    /says the nearest allowed thing in 'instead'\.$/,
  ],
  ['a referral to nobody', rulebookText(aRule({ then: 'refer' })), /says whom to in 'refer-to'\.$/],
  [
    'an overridable rule that nobody may lift',
    rulebookText(aRule({ strength: 'overridable' })),
    /Say who may lift this rule/,
  ],
  [
    'a hard rule that somebody may lift',
    rulebookText(aRule({ 'lifted-by': '{ role: owner, when: { lifted: yes } }' })),
    /A hard rule cannot be lifted/,
  ],
  ['a requirement of nothing', rulebookText(aRule({ then: 'require' })), /name them in 'require'\.$/],
  [
    'a comparison that is not known',
    rulebookText(aRule({ when: '{ size: { over: 3 MB } }' })),
    /'over' is not known here\. Use one of|'over' is not known here/,
  ],
  ['a quantity without comparison', rulebookText(aRule({ when: '{ size: 3 MB }' })), /'size' is a quantity: write/],
  [
    'a condition that is no condition',
    rulebookText(aRule({ when: 'always' })),
    /Write a condition as 'fact: value' lines\.$/,
  ],
  [
    'the judged method outside a rule',
    rulebookText(aRule(), { scope: '{ partner: $method }' }),
    /'\$method' is not a value of 'partner'/,
  ],
  [
    'an alias',
    rulebookText(aRule({ when: '&w { near: yes }' }) + aRule({ id: 'R2', when: '*w' })),
    /Anchors \(&name\)/,
  ],
  ['a tag of YAML', rulebookText(aRule({ title: '!!binary aGk=' })), /Anchors \(&name\) and tags/],
  [
    'another format',
    rulebookText(aRule(), { format: 'safehand-rulebook/2' }),
    /^1:9 'safehand-rulebook\/2' is not a format/,
  ],
  ['an empty file', '', /Write a rulebook as/],
]
for (const [what, text, says] of wrong)
  test(`${what} is refused with its line and what to write`, () =>
    assert.match(faults(text).join('\n'), new RegExp(says.source, 'm')))

test('every fault of a file is named, not only the first', () => {
  assert.equal(
    faults(rulebookText(aRule({ then: 'alow', methods: 'parsel' }) + aRule({ id: 'R2', when: '{ neer: yes }' })))
      .length,
    3,
  )
})

test('no more faults are named than anyone would read at once', () => {
  const rules = (count: number) =>
    Array.from({ length: count }, (_, place) => aRule({ id: `R${place}`, then: 'alow' })).join('')
  const most = limits.rulebookFindings
  const named = [most - 1, most, most + 1].map((count) => faults(rulebookText(rules(count))).length)
  assert.deepEqual(named, [most - 1, most, most])
})

test('a rulebook at the limit of length is read, and one character longer is refused', () => {
  const text = rulebookText(aRule({ then: 'refuse', instead: 'Walk.' }))
  const padded = (length: number) => `${text}#${'x'.repeat(length - text.length - 1)}`
  for (const [length, isRead] of [
    [limits.rulebookCharacters - 1, true],
    [limits.rulebookCharacters, true],
    [limits.rulebookCharacters + 1, false],
  ] as const)
    assert.equal(loadRulebook('a.yaml', padded(length), smallVocabulary()).ok, isRead)
})

test('a bomb of aliases and a tower of brackets are refused quickly', () => {
  const bomb = [
    'a: &a [x, x]',
    ...Array.from({ length: 20 }, (_, n) => `b${n}: &b${n} [*${n ? `b${n - 1}` : 'a'}, *${n ? `b${n - 1}` : 'a'}]`),
  ].join('\n')
  for (const text of [bomb, '['.repeat(100_000), '- '.repeat(50_000), `${'{a: '.repeat(20_000)}`])
    assert(faults(text).length > 0)
})

test('garbage is a typed problem, never a throw', () => {
  const vocabulary = smallVocabulary()
  const base = rulebookText(
    aRule({ when: '{ class: [low, mid], size: { above: most } }', then: 'refuse', instead: 'Walk.' }),
  )
  const mutated = fc
    .tuple(fc.nat(base.length), fc.nat(8), fc.string({ maxLength: 8 }))
    .map(([at, cut, put]) => base.slice(0, at) + put + base.slice(at + cut))
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), mutated), (text) => {
      for (const read of [
        loadRulebook('a', text, vocabulary),
        loadVocabulary('a', text),
        loadCases('a', text, vocabulary),
      ])
        assert(read.ok || read.problem.slug === 'rulebook-unreadable')
    }),
    { numRuns: 500 },
  )
})

test('a vocabulary names what is wrong in it', () => {
  const change = (from: string, to: string) => {
    const loaded = loadVocabulary('w.yaml', smallWords.replace(from, to))
    assert(!loaded.ok)
    return loaded.problem.detail
  }
  assert.match(change('unit: bytes, asked', 'asked')!, /line 13: A quantity, and nothing else, has a 'unit'/)
  assert.match(change('not-sure: owner', 'not-sure: ower')!, /Did you mean 'owner'\?/)
  assert.match(
    change('met-when: { cleared: yes }', 'met-when: { clared: yes }')!,
    /'clared' is not a fact\. Did you mean 'cleared'\?/,
  )
  assert.match(change('when: { class: high }', 'when: { class: high, near: no }')!, /An implication goes from one fact/)
})

test('the published schema describes the same fields and words as the reader', () => {
  const schema = JSON.parse(JSON.stringify(rulebookSchema(smallVocabulary())))
  assert.equal(schema.additionalProperties, false)
  assert.deepEqual(schema.required, [
    'format',
    'id',
    'title',
    'version',
    'guidance-date',
    'review-date',
    'scheme',
    'ask',
    'rules',
  ])
  const rule = schema.$defs.rule
  assert.deepEqual(rule.properties.then.enum, ['allow', 'refuse', 'refer', 'require'])
  assert.equal(rule.properties.when.anyOf[1].$ref, '#/$defs/ruleCondition')
  assert(schema.$defs.ruleConditionGroup.properties.class.anyOf[0].enum.includes('high'))
})

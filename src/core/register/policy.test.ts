import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { formatVkey, keyTypes } from '#core/register/note'
import { lackingOf, meetsQuorum, parseTrustPolicy, trustPolicyFor } from '#core/register/policy'
import { aSigner } from '#core/register/small-register'

const log = formatVkey(aSigner().vkey)
const key = (byte: number) => formatVkey(aSigner(`w${byte}.example`, keyTypes.ed25519Cosignature, byte).vkey)
const witnesses = [1, 2, 3, 4].map((byte) => `witness w${byte} ${key(byte)}`).join('\n')

const detail = (text: string) => {
  const parsed = parseTrustPolicy(text)
  return parsed.ok ? 'accepted' : parsed.problem.detail
}

test('a policy with two levels of groups asks for what it says', () => {
  const policy = orThrow(
    parseTrustPolicy(
      `# whom we trust\nlog ${log}\n\n${witnesses}\n group\tx 2 w1 w2 w3 \ngroup y any w4\ngroup both all x y\nquorum both\n`,
    ),
  )
  assert.equal(policy.logs.length, 1)
  const met = (...names: string[]) => meetsQuorum(policy, new Set(names))
  assert.ok(met('w1', 'w3', 'w4'))
  assert.ok(met('w1', 'w2', 'w3', 'w4'))
  assert.ok(!met('w1', 'w4'))
  assert.ok(!met('w1', 'w2', 'w3'))
  assert.ok(!met())
})

test('a quorum of none is met by nobody, a single witness only by itself', () => {
  assert.ok(meetsQuorum(orThrow(parseTrustPolicy(trustPolicyFor(aSigner().vkey))), new Set()))
  const single = orThrow(parseTrustPolicy(`${witnesses}\nquorum w2`))
  assert.ok(meetsQuorum(single, new Set(['w2'])))
  assert.ok(!meetsQuorum(single, new Set(['w1'])))
})

test('what a quorum lacks is said group by group', () => {
  const policy = orThrow(parseTrustPolicy(`${witnesses}\ngroup x 2 w1 w2 w3\ngroup both all x w4\nquorum both`))
  assert.equal(
    lackingOf(policy, new Set(['w3'])),
    'both needs 2 of x, w4; without x, w4 it has 0. x needs 2 of w1, w2, w3; without w1, w2 it has 1.',
  )
  assert.equal(lackingOf(policy, new Set(['w1', 'w3'])), 'both needs 2 of x, w4; without w4 it has 1.')
  assert.equal(lackingOf(orThrow(parseTrustPolicy(`${witnesses}\nquorum w2`)), new Set(['w1'])), 'w2 has not signed.')
})

test('an address may follow a key, and nothing else', () => {
  assert.equal(
    detail(`log ${log} https://register.example.gov.uk\nwitness w ${key(1)} https://w.example\nquorum w`),
    'accepted',
  )
  const { urls } = orThrow(parseTrustPolicy(`witness w ${key(1)} https://w.example\nwitness v ${key(2)}\nquorum w`))
  assert.deepEqual([...urls], [['w', 'https://w.example']])
  assert.match(detail(`log ${log} a b\nquorum none`)!, /^Line 1: Write: log KEY/)
  assert.match(detail(`witness w ${key(1)} a b\nquorum none`)!, /^Line 1: Write: witness/)
})

test('every way of being wrong names its line', () => {
  const cases: [string, RegExp][] = [
    ['', /no quorum/],
    [`log ${log}`, /no quorum/],
    ['quorum none\nquorum none', /Line 2: There is more than one/],
    ['quorum', /Line 1: Write: quorum/],
    ['quorum w1 w2', /Line 1: Write: quorum/],
    ['quorum w1', /Line 1: w1 is not defined/],
    ['trust everyone\nquorum none', /Line 1: trust is not known/],
    ['toString x\nquorum none', /Line 1: toString is not known/],
    ['log nonsense\nquorum none', /Line 1: Write: log/],
    [`log ${key(1)}\nquorum none`, /Line 1: Write: log/],
    [`log ${log}\nlog ${log}\nquorum none`, /Line 2: This key is already/],
    [`witness w ${log}\nquorum none`, /Line 1: Write: witness/],
    [`witness none ${key(1)}\nquorum none`, /Line 1: The name none/],
    [`witness a ${key(1)}\nwitness a ${key(2)}\nquorum a`, /Line 2: The name a/],
    [`witness a ${key(1)}\nwitness b ${key(1)}\nquorum a`, /Line 2: This key is already/],
    [`${witnesses}\ngroup w1 any w2\nquorum none`, /Line 5: The name w1/],
    [`${witnesses}\ngroup g any\nquorum g`, /Line 5: Write: group/],
    [`${witnesses}\ngroup g 0 w1\nquorum g`, /Line 5: Write: group/],
    [`${witnesses}\ngroup g 3 w1 w2\nquorum g`, /Line 5: Write: group/],
    [`${witnesses}\ngroup g 01 w1 w2\nquorum g`, /Line 5: Write: group/],
    [`${witnesses}\ngroup g any later\ngroup later any w1\nquorum g`, /Line 5: later is not defined/],
    [`${witnesses}\ngroup g any g\nquorum g`, /Line 5: g is not defined/],
    [`${witnesses}\ngroup g any none\nquorum g`, /Line 5: none is not defined/],
    [`${witnesses}\ngroup g any w1 w1\nquorum g`, /Line 5: w1 is already/],
    [`${witnesses}\ngroup g any w1\ngroup h any w1\nquorum g`, /Line 6: w1 is already/],
    ['quorum none\r\n', /Line 1: There is a control character/],
  ]
  for (const [text, sentence] of cases) assert.match(detail(text)!, sentence, text)
})

test('a policy is at most 256 KiB long', () => {
  const padded = (length: number) => `quorum none\n#${'x'.repeat(length - 13)}`
  for (const more of [-1, 0]) assert.equal(detail(padded(limits.trustPolicyBytes + more)), 'accepted')
  assert.equal(detail(padded(limits.trustPolicyBytes + 1)), 'The file is too long.')
})

test('any text at all is a policy or refused', () => {
  const word = fc.constantFrom(
    'log',
    'witness',
    'group',
    'quorum',
    'none',
    'all',
    'any',
    '2',
    'w',
    key(1),
    log,
    '\n',
    '\n',
    ' ',
    '#',
  )
  fc.assert(fc.property(fc.array(fc.oneof(word, fc.string())), (words) => void parseTrustPolicy(words.join(' '))))
})

import assert from 'node:assert/strict'
import test from 'node:test'
import { loadRulebook, rulebookSchema } from '#core/policy/rulebook'
import { aRule, council, rulebookText, shippedVocabulary, smallVocabulary } from '../../../test/support/policy.ts'

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
  assert(schema.$defs.ruleConditionGroup.properties.class.anyOf[1].enum.includes('high'))
})

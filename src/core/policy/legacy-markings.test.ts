import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggestionFor } from '#core/policy/legacy-markings'
import { shippedVocabulary } from '#test/policy'

const classOf = (written: string) => suggestionFor(written)?.governmentClass

test('an old marking suggests the classification it most often comes to', () => {
  assert.equal(classOf('PROTECT'), 'official')
  assert.equal(classOf('RESTRICTED'), 'official')
  assert.equal(classOf('IL3'), 'official')
  assert.equal(classOf('IL3 REST*'), 'official-sensitive')
  assert.equal(classOf('CONFIDENTIAL'), 'official-sensitive')
})

test('it is found however it is written', () => {
  assert.equal(suggestionFor('  il3   rest* ')?.marking, 'IL3 REST*')
  assert.equal(suggestionFor('not protectively marked')?.marking, 'UNCLASSIFIED')
})

test('for SECRET and above nothing is suggested: it stops', () => {
  for (const written of ['SECRET', 'IL5', 'TOP SECRET', 'IL6']) {
    assert.equal(classOf(written), null, written)
    assert.match(suggestionFor(written)!.ask, /^Stop here/)
  }
})

test('what is no old marking suggests nothing, a council’s class and today’s included', () => {
  for (const written of ['', 'controlled', 'OFFICIAL', 'OFFICIAL-SENSITIVE', 'IL7', '__proto__', 'REST'])
    assert.equal(suggestionFor(written), undefined, written)
})

test('every suggestion is a value of the vocabulary, and says what to ask before it is confirmed', () => {
  const { facts } = shippedVocabulary()
  for (const written of ['IL0', 'IL1', 'IL2', 'IL3', 'IL3 REST*', 'IL4', 'IL5', 'IL6']) {
    const { governmentClass, sensitivity, ask, clauses } = suggestionFor(written)!
    assert.ok(governmentClass === null || facts.get('government-class')!.options!.has(governmentClass), written)
    assert.ok(sensitivity === null || facts.get('sensitivity')!.options!.has(sensitivity), written)
    assert.ok(ask.length > 0 && clauses.length > 0, written)
  }
})

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { orThrow } from '#core/kit/outcome'
import { doingsOf } from '#core/policy/analyse'
import { caseWords, describeCases } from '#core/policy/case-words'
import { spaceOf } from '#core/policy/space'
import { possibleIn, type Policy } from '#core/policy/stack'
import type { Facts } from '#core/policy/terms'
import { anySmallPolicy, everyCase } from '../../../test/support/cases.ts'
import { aRule, rulebookText, smallPolicy, smallVocabulary } from '../../../test/support/policy.ts'

const inWords = (facts: Facts) =>
  caseWords(smallVocabulary(), facts).map(({ question, answer }) => `${question} ${answer}`)

test('a case is said in the words of its questions and answers, in the order of the vocabulary', () => {
  assert.deepEqual(inWords({ partner: 'parcel', near: false, class: 'mid' }), [
    'How secret? Middle',
    'Is it near? No',
    'What do they take? Parcel',
  ])
  assert.deepEqual(inWords({ partner: 'none', lifted: true }), ['What do they take? None', 'Lifted? Yes'])
})

test('a quantity is said in the largest unit without a fraction, and a band by its ends', () => {
  assert.deepEqual(inWords({ size: 12_000_000 }), ['How large? 12 MB'])
  assert.deepEqual(inWords({ size: 12_000_001 }), ['How large? 12,000,001 bytes'])
  assert.deepEqual(inWords({ size: { atLeast: 1_000_000 } }), ['How large? at least 1 MB'])
  assert.deepEqual(inWords({ size: { atLeast: 0, atMost: 2_000_000 } }), ['How large? at least 0 MB, at most 2 MB'])
})

/** Where the one rule of a rulebook applies, in words. */
function whereIt(when: string): string[] {
  const policy = smallPolicy(rulebookText(aRule({ when })))
  const space = spaceOf(policy)
  const [{ applies } = { applies: space.none }] = doingsOf(space, policy.rules)
  return describeCases(policy, space, applies).where.map(({ answer }) => answer)
}

test('answers in common are said the shorter way round', () => {
  assert.deepEqual(whereIt('{ class: low }'), ['Low'])
  assert.deepEqual(whereIt('{ class: [low, high] }'), ['Low or High'])
  assert.deepEqual(whereIt('{ partner: { not: none } }'), ['Anything but: None'])
  assert.deepEqual(whereIt('{ size: { above: 1 MB, at-most: most } }'), ['above 1 MB, at most 10 MB'])
  assert.deepEqual(whereIt('[{ size: { at-most: 1 MB } }, { size: { above: most } }]'), ['at most 1 MB or above 10 MB'])
})

test('what follows from an answer is not said beside it', () => {
  assert.deepEqual(whereIt('{ class: high, near: yes }'), ['High'])
})

test('over whole small spaces: the example lies in the set, as few of its facts as are given suffice, and the counts are right', () => {
  fc.assert(
    fc.property(anySmallPolicy, fc.nat(), (policy: Policy, pick) => {
      const space = spaceOf(policy)
      const doings = doingsOf(space, policy.rules)
      const set = doings[pick % doings.length]!.applies
      const { cases, where, of, example, because } = describeCases(policy, space, set)
      const isIn = (facts: Facts) => {
        const here = space.where([[...orThrow(possibleIn(policy, facts)).entries()].flat()])
        return space.minus(here, set) === space.none
      }
      const all = everyCase(policy)
      assert.equal(Number(cases), all.filter(isIn).length)
      if (cases === 0n) return
      assert(isIn(example))
      const few = because.map(({ fact }) => fact)
      const enough = all.filter((facts) => few.every((fact) => facts[fact] === example[fact]))
      assert(enough.length > 0 && enough.every(isIn))
      const common = where.map(({ fact }) => ({ fact, values: new Set(all.filter(isIn).map((facts) => facts[fact])) }))
      const agreeing = all.filter((facts) => common.every(({ fact, values }) => values.has(facts[fact])))
      assert.equal(Number(of), agreeing.length)
      assert(all.filter(isIn).every((facts) => agreeing.includes(facts)))
    }),
    { numRuns: 200 },
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { paceOf, sizeWords, timeLeftWords } from '#shell/islands/shared/amounts'

test('a size is said in the unit that keeps its number short', () => {
  const said = [0, 1, 999, 1_000, 1_234, 99_940, 123_456, 205_000_000, 1_500_000_000, 2e15].map((size) =>
    sizeWords(size),
  )
  assert.deepEqual(said, [
    '0 bytes',
    '1 byte',
    '999 bytes',
    '1 kB',
    '1.2 kB',
    '99.9 kB',
    '123 kB',
    '205 MB',
    '1.5 GB',
    '2,000 TB',
  ])
})

test('the time left is said roughly, and in words', () => {
  assert.equal(timeLeftWords(3), 'a few seconds left')
  assert.equal(timeLeftWords(41), 'about 50 seconds left')
  assert.equal(timeLeftWords(75), 'about 1 minute left')
  assert.equal(timeLeftWords(600), 'about 10 minutes left')
  assert.equal(timeLeftWords(4_000), 'about 1 hour left')
  assert.equal(timeLeftWords(9_000), 'about 3 hours left')
})

test('no pace is given before there is enough to tell it by', () => {
  const pace = paceOf(1_000)
  assert.equal(pace.note(0, 0), undefined)
  assert.equal(pace.note(100, 1_000), undefined)
  assert.deepEqual(pace.note(200, 2_000), { bytesPerSecond: 100, secondsLeft: 8 })
})

test('the pace is that of the last fifteen seconds', () => {
  const pace = paceOf(100_000)
  for (let second = 0; second <= 60; second += 1) pace.note(second, second * 1_000)
  let last
  for (let second = 61; second <= 80; second += 1) last = pace.note(60 + (second - 60) * 1_000, second * 1_000)
  assert.equal(last?.bytesPerSecond, 1_000)
})

test('a line that stands still has no pace', () => {
  const pace = paceOf(1_000)
  pace.note(500, 0)
  assert.equal(pace.note(500, 5_000), undefined)
})

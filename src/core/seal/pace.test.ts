import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as settled } from 'node:timers/promises'
import { limits } from '#core/kit/limits'
import { newPace } from '#core/seal/pace'

/** Parts that wait for a place on a line, each of which arrives or fails when told. */
function aLine() {
  let now = 0
  const pace = newPace(() => now)
  const onTheirWay: { arrive: () => void; fail: (error: Error) => void; refuse: () => void }[] = []
  const results: Promise<string>[] = []
  const offer = (count: number) => {
    for (let n = 0; n < count; n += 1)
      results.push(
        pace(
          () =>
            new Promise<string>((resolve, reject) =>
              onTheirWay.push({ arrive: () => resolve('there'), refuse: () => resolve('refused'), fail: reject }),
            ),
          (answer) => answer === 'there',
        ).catch(({ message }: Error) => message),
      )
  }
  /** Lets time pass, and the one that left first end. */
  const after = async (ms: number, how: 'arrive' | 'refuse' | 'fail' = 'arrive') => {
    now += ms
    onTheirWay.shift()![how](new Error('lost'))
    await settled()
  }
  return { offer, after, results, count: () => onTheirWay.length }
}

test('on a quick line one part goes ahead, then three at once, and all arrive', async () => {
  const line = aLine()
  line.offer(7)
  assert.equal(line.count(), 1)
  await line.after(100)
  for (let left = 6; left > 0; left -= 1) {
    assert.equal(line.count(), Math.min(limits.partsAtOnce, left))
    await line.after(100)
  }
  assert.deepEqual(
    await Promise.all(line.results),
    Array.from({ length: 7 }, () => 'there'),
  )
})

test('where one part takes as long as it may, no other shares the line, and none is broken off', async () => {
  const line = aLine()
  line.offer(4)
  for (let n = 0; n < 4; n += 1) {
    assert.equal(line.count(), 1)
    // The slowest line that is provided for: see `limits.requestMs`.
    await line.after(262_000)
  }
  assert.equal((await Promise.all(line.results)).length, 4)
})

test('a line that becomes slow, fails or refuses has one part at a time until one has come through quickly', async () => {
  for (const how of ['arrive', 'refuse', 'fail'] as const) {
    const line = aLine()
    line.offer(12)
    await line.after(100)
    assert.equal(line.count(), 3)
    for (let left = 3; left > 0; left -= 1) {
      assert.equal(line.count(), left)
      await line.after(how === 'arrive' ? 280_000 : 0, how)
    }
    assert.equal(line.count(), 1)
    await line.after(5_000)
    assert.equal(line.count(), 3)
  }
})

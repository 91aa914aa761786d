import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '#core/kit/limits'
import { judge } from '#edge/watch/health'
import type { Standing } from '#edge/watch/standing'

/** An installation that is well; a test changes what it is about. */
const well = (change: Partial<Standing> = {}, database: Partial<NonNullable<Standing['database']>> = {}): Standing => ({
  database: {
    eventsWaiting: 0,
    eventWaitMs: 0,
    eventsSigned: 9,
    eventsPublished: 9,
    mails: {},
    mailWaitMs: 0,
    parcels: {},
    jobs: {},
    ...database,
  },
  registerTrouble: undefined,
  sendsMail: true,
  diskFreeBytes: 10 * limits.diskFreeBytes,
  ...change,
})
const wrong = (standing: Standing) => Object.keys(judge(standing))

test('nothing is wrong with an installation that is well', () => assert.deepEqual(judge(well()), {}))

test('a database that does not answer is named, and nothing is said about what only it knows', () =>
  assert.deepEqual(wrong(well({ database: null })), ['database']))

test('a keeper that signs nothing is named with its problem', () =>
  assert.deepEqual(judge(well({ registerTrouble: 'keeper-behind' })), {
    register: 'Nothing is signed: keeper-behind.',
  }))

for (const [part, at] of [
  ['register', (by: number) => well({}, { eventWaitMs: limits.eventWaitMs + by })],
  ['mail', (by: number) => well({}, { mailWaitMs: limits.mailWaitMs + by })],
  ['disk', (by: number) => well({ diskFreeBytes: limits.diskFreeBytes - by })],
] as const)
  test(`${part}: well up to the limit, and not beyond`, () => {
    assert.deepEqual(
      [-1, 0, 1].map((by) => wrong(at(by))),
      [[], [], [part]],
    )
  })

test('mail that waits is no fault where none is sent', () =>
  assert.deepEqual(wrong(well({ sendsMail: false }, { mailWaitMs: limits.mailWaitMs + 1 })), []))

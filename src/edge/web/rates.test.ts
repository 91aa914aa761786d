import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { rates, type RateName } from '#core/kit/limits'
import { countUse, giveUseBack, networkList, networkOf, ratesKeyOf, tidyRates } from '#edge/web/rates'
import { freshDatabase } from '#test/database'

const { db } = await freshDatabase({ after })
let at = Date.parse('2026-03-02T09:00:00Z')
const counting = { db, ratesKey: new Uint8Array(32).fill(1), now: () => new Date(at) }

test('every rate lets through as many as it says, in its time, and not one more', async () => {
  for (const name of Object.keys(rates) as RateName[]) {
    const { most } = rates[name]
    const uses = (count: number) =>
      Promise.all(Array.from({ length: count }, () => countUse(counting, name, '192.0.2.1')))
    assert.ok(
      (await uses(most - 1)).every(({ ok }) => ok),
      `${name}: one below`,
    )
    assert.ok(
      (await uses(1)).every(({ ok }) => ok),
      `${name}: at the limit`,
    )
    assert.ok(
      (await uses(2)).every(({ ok }) => !ok),
      `${name}: above`,
    )
  }
})

test('somebody else has a window of their own, and what is over says when it begins anew', async () => {
  assert.ok((await countUse(counting, 'problems-reported', 'another')).ok)
  const refused = await countUse(counting, 'problems-reported', '192.0.2.1')
  assert.ok(!refused.ok)
  assert.equal(refused.problem.slug, 'too-many-requests')
  assert.equal(refused.problem.retryAfterSeconds, 3600)
  at += 3_599_999
  const nearly = await countUse(counting, 'problems-reported', '192.0.2.1')
  assert.equal(!nearly.ok && nearly.problem.retryAfterSeconds, 1)
  at += 1
  assert.ok((await countUse(counting, 'problems-reported', '192.0.2.1')).ok)
})

test('parallel uses cannot share one', async () => {
  const { most } = rates['uploads-begun']
  const all = await Promise.all(
    Array.from({ length: most + 20 }, () => countUse(counting, 'uploads-begun', 'somebody')),
  )
  assert.equal(all.filter(({ ok }) => ok).length, most)
})

test('a use that is given back can be used again, and never more than was taken', async () => {
  const { most } = rates['wrong-codes']
  await giveUseBack(counting, 'wrong-codes', 'careful')
  for (let n = 0; n < most; n += 1) await countUse(counting, 'wrong-codes', 'careful')
  await giveUseBack(counting, 'wrong-codes', 'careful')
  assert.ok((await countUse(counting, 'wrong-codes', 'careful')).ok)
  assert.ok(!(await countUse(counting, 'wrong-codes', 'careful')).ok)
})

test('the table tells nobody’s address, not even to who knows which to look for without the key', async () => {
  await countUse(counting, 'codes-asked', '198.51.100.7')
  const before = await db.selectFrom('rates').selectAll().execute()
  for (const row of before) assert.equal(row.key.length, 32)
  assert.doesNotMatch(before.map(({ key }) => Buffer.from(key).toString('latin1')).join(), /198\.51/)
  await countUse({ ...counting, ratesKey: new Uint8Array(32).fill(2) }, 'codes-asked', '198.51.100.7')
  assert.equal((await db.selectFrom('rates').select('key').execute()).length, before.length + 1)
})

test('what no longer counts is tidied away, and what counts is not', async () => {
  await countUse(counting, 'codes-asked', 'still counting')
  const all = await db.selectFrom('rates').select('endsAt').execute()
  const live = all.filter(({ endsAt }) => endsAt.valueOf() > at)
  assert.ok(live.length > 0 && live.length < all.length)
  await tidyRates(db, counting.now())
  assert.equal((await db.selectFrom('rates').select('key').execute()).length, live.length)
})

test('the key follows from the register’s, so that every node has the same', async () => {
  const signer = (fill: number) =>
    ({ sign: async (message: Uint8Array) => new Uint8Array([fill, ...message]) }) as never
  assert.deepEqual(await ratesKeyOf(signer(1)), await ratesKeyOf(signer(1)))
  assert.notDeepEqual(await ratesKeyOf(signer(1)), await ratesKeyOf(signer(2)))
})

test('a network is an IPv4 address, or the 64 bits of an IPv6 one', () => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ] as const)
    assert.equal(networkOf(address), network, address)
})

test('a list of networks is read whole or not at all', () => {
  assert.ok(networkList([])!.check('192.0.2.7', 'ipv4') === false)
  const list = networkList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])!
  for (const address of ['10.255.0.1', '192.0.2.7']) assert.ok(list.check(address), address)
  assert.ok(list.check('2001:db8:9::1', 'ipv6'))
  for (const address of ['11.0.0.1', '192.0.2.8']) assert.ok(!list.check(address), address)
  for (const wrong of [
    'yes',
    'true',
    'localhost',
    '*',
    '10.0.0.0/0',
    '::/0',
    '10.0.0.0/33',
    '10.0.0',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    ' ',
    '',
  ])
    assert.equal(networkList([wrong]), undefined, wrong)
})

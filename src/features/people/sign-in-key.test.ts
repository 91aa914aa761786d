import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { ok, orThrow } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { makeSignInKey } from '#features/people/codes'
import { staffByEmail } from '#features/people/queries'
import { aHouse } from '#test/house'

const { house, browser, advance } = await aHouse({ after })
const ines = (await staffByEmail(house.db, 'ines.duarte@exampleshire.example'))!

const aKey = async () =>
  orThrow(
    await inTransaction(house.db, async (tx) => ok(await makeSignInKey(tx, { personId: ines.id, now: house.now() }))),
  )

test('a sign-in key signs its person in, in any browser, once', async () => {
  const key = await aKey()
  const first = await browser()
  assert.equal((await first.call('GET', `/sign-in/code?key=${key}`)).statusCode, 200)
  await first.post('/api/sign-in/code', { code: ` ${key} ` })
  assert.equal((await first.get<{ person: { email: string } }>('/api/account')).person.email, ines.email)
  for (const again of [first, await browser()])
    assert.equal((await again.problem('POST', '/api/sign-in/code', { code: key })).slug, 'code-expired')
})

test('half of a key, or one with a letter changed, signs nobody in, and guessing uses it up', async () => {
  const key = await aKey()
  const stranger = await browser()
  for (const typed of [key.slice(0, 8), key.slice(9), `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`])
    assert.equal((await stranger.problem('POST', '/api/sign-in/code', { code: typed })).slug, 'code-expired')
  const wrong = `${key.startsWith('AAAA') ? 'BBBB' : 'AAAA'}${key.slice(4)}`
  for (let n = 0; n < limits.codeTries; n++)
    assert.equal((await stranger.problem('POST', '/api/sign-in/code', { code: wrong })).slug, 'code-wrong')
  assert.equal((await stranger.problem('POST', '/api/sign-in/code', { code: key })).slug, 'code-expired')
})

test('a key works for fifteen minutes and no longer', async () => {
  const [inTime, late] = [await aKey(), await aKey()]
  advance(limits.codeMinutes * 60_000 - 1_000)
  await (await browser()).post('/api/sign-in/code', { code: inTime })
  advance(2_000)
  assert.equal((await (await browser()).problem('POST', '/api/sign-in/code', { code: late })).slug, 'code-expired')
})

test('that a key was made is in the register, and the key is nowhere', async () => {
  const key = await aKey()
  const rows = await house.db.selectFrom('registerEvents').where('name', '=', 'sign-in-key-made').selectAll().execute()
  assert.ok(rows.some(({ body }) => body?.includes(ines.id)))
  const codes = await house.db.selectFrom('mailedCodes').selectAll().execute()
  for (const secret of [key.slice(0, 8), key.slice(9)]) {
    const text = JSON.stringify([rows, codes], (_, value: { type?: string; data: number[] } | null) =>
      value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
    )
    assert.ok(!text.includes(secret))
  }
})

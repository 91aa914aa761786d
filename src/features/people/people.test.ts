import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { limits, rates } from '#core/kit/limits'
import { aHouse } from '#test/house'
import { newestCode } from '#test/sending'

const { house, browser, advance } = await aHouse({ after })
const email = 'priya.nair@exampleshire.example'
const json = { accept: 'application/json' }

/** Asks for a code as a page does: the form is not part of the API. */
const ask = async (as: Awaited<ReturnType<typeof browser>>, address: string) =>
  as.call('POST', '/sign-in', { email: address })

test('a mailed code signs in once, in the browser that asked', async () => {
  const as = await browser()
  assert.equal((await ask(as, email)).statusCode, 303)
  const code = await newestCode(as, email)
  const elsewhere = await browser()
  assert.equal((await elsewhere.problem('POST', '/api/sign-in/code', { code }, json)).slug, 'code-expired')
  await as.post('/api/sign-in/code', { code })
  assert.equal((await as.get<{ person: { email: string } }>('/api/account')).person.email, email)
  await as.post('/api/sign-out')
  assert.equal((await as.problem('GET', '/api/account')).slug, 'sign-in-needed')
})

test('asking tells nobody whether an address is known, however often one asks', async () => {
  const as = await browser()
  for (const address of ['nobody@exampleshire.example', 'amir.khan@northbrook-police.example', email]) {
    for (let times = 0; times <= rates['codes-to-one'].most; times += 1) {
      const answer = await ask(as, address)
      assert.equal(answer.statusCode, 303)
      assert.equal(answer.headers.location, '/sign-in/code?next=%2F')
    }
  }
  const { count } = await house.db
    .selectFrom('mailedCodes')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  assert.ok(count <= rates['codes-to-one'].most + 1, 'no more are mailed than the limit allows')
})

test('nobody is sent to another site after signing in', async () => {
  const as = await browser()
  for (const next of [
    'https://elsewhere.example/',
    '//elsewhere.example',
    '/\\elsewhere.example',
    'javascript:alert(1)',
  ]) {
    const { next: shown } = await as.call('GET', `/sign-in?next=${encodeURIComponent(next)}`).then(({ body }) => ({
      next: /name="next" value="([^"]*)"/.exec(body)?.[1],
    }))
    assert.equal(shown, '/')
  }
})

test('a session ends, a token acts as its person until it is ended', async () => {
  const as = await browser('Priya Nair')
  const { token, id } = await as.post<{ token: string; id: string }>('/api/account/tokens', { label: 'Laptop' })
  const bearer = { authorization: `Bearer ${token}` }
  const program = await browser()
  assert.equal((await program.call('GET', '/api/account', undefined, bearer)).statusCode, 200)
  const other = await browser('Tom Fletcher')
  assert.equal((await other.problem('POST', `/api/account/tokens/${id}/end`)).slug, 'not-found')
  await as.post(`/api/account/tokens/${id}/end`)
  assert.equal((await program.problem('GET', '/api/account', undefined, bearer)).slug, 'sign-in-needed')
  advance(limits.sessionHours * 3_600_000 + 1)
  assert.equal((await as.problem('GET', '/api/account')).slug, 'sign-in-needed')
})

test('a name of a token has its limit', async () => {
  const as = await browser('Priya Nair')
  for (const length of [limits.nameCharacters - 1, limits.nameCharacters])
    await as.post('/api/account/tokens', { label: 'x'.repeat(length) })
  for (const label of ['x'.repeat(limits.nameCharacters + 1), '']) {
    assert.deepEqual(Object.keys((await as.problem('POST', '/api/account/tokens', { label })).fields!), ['label'])
  }
})

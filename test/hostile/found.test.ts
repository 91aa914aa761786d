/** Cases that the hostile tests have found, as they were found, made as small as they go. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { loadVocabulary } from '#core/policy/vocabulary'
import { aHouse } from '#test/house'
import { smallWords } from '#test/policy'

const { app, browser } = await aHouse({ after })

const vocabularies: [string, string][] = [
  ['a unit whose name is none', smallWords.replace('bytes: {}', "byte' OR '1'='1s: {}")],
  ['a fact whose name is none', smallWords.replace('  near: {', '  ne ar: {')],
  ['a method that says nothing', smallWords.replace('{ name: Mail, tags: [electronic] }', '')],
  [
    'more faults than are told of',
    smallWords.replace('facts:\n', `facts:\n${Array.from({ length: 60 }, (_, n) => `  x${n}: y\n`).join('')}`),
  ],
]
for (const [what, words] of vocabularies)
  test(`a vocabulary with ${what} is refused by its lines`, () => {
    const loaded = loadVocabulary('words.yaml', words)
    assert.equal(loaded.ok ? '' : loaded.problem.slug, 'rulebook-unreadable')
  })

const anyId = '0192f0c1-2222-7333-8444-555566667777'
const requests: ['GET' | 'POST' | 'PUT', string, number][] = [
  ['GET', '/problems/nowhere', 404],
  ['GET', '/problems/__proto__', 404],
  ['GET', '/transfers/%ED%A0%80', 404],
  ['GET', `/transfers/${'a'.repeat(300)}`, 404],
  ['GET', '/api/demonstration/outbox?to=%00', 200],
  ['GET', '/api/demonstration/outbox?to=a&to=b', 200],
  ['POST', '/api/account/tokens/x/end', 404],
  ['POST', '/api/parcels/x/complete', 404],
  ['PUT', '/api/parcels/x/manifest', 404],
  ['POST', '/api/transfers/x/parcel', 404],
  ['POST', `/api/transfers/${anyId}/ask/__proto__`, 404],
]
for (const [method, url, status] of requests)
  test(`${method} ${url.slice(0, 60)} is answered with ${status}`, async () => {
    const sender = await browser('Priya Nair')
    const answer = await sender.call(
      method,
      url,
      method === 'GET' ? undefined : '{}',
      method === 'GET' ? {} : { 'content-type': method === 'PUT' ? 'application/octet-stream' : 'application/json' },
    )
    assert.equal(answer.statusCode, status, answer.body)
    if (status >= 400) assert.match(String(answer.headers['content-type']), /^application\/problem\+json/)
  })

test('an address that cannot be read has a page, with the headers of every page', async () => {
  const page = await app.inject({ url: '/transfers/%ff', headers: { accept: 'text/html' } })
  assert.equal(page.statusCode, 404)
  assert.match(page.body, /<h1/)
  assert.match(String(page.headers['content-security-policy']), /'nonce-[A-Za-z0-9+/]{22}=='/)
})

const strangeDays: [string, string, string][] = [
  ['a name that comes twice', 'application/x-www-form-urlencoded', 'startsOn=1&startsOn=2'],
  ['a number', 'application/json', '{"startsOn":1e400}'],
  ['a list', 'application/json', '{"startsOn":[["2027-01-01"]],"to":["role"],"reason":{"a":1}}'],
]
for (const [what, type, body] of strangeDays)
  test(`a page whose day is ${what} is shown again with what is wrong`, async () => {
    const desk = await browser('Grace Oduya')
    const page = await desk.call('POST', '/grants', body, { accept: 'text/html', 'content-type': type })
    assert.equal(page.statusCode, 422)
    assert.match(page.body, /There is a problem/)
  })

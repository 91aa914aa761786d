import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { formTokenOf } from '#features/people/sessions'
import { allRoutes } from '#shell/web/routes'
import { aHouse, page, type Browser } from '#test/house'
import { aSentParcel, newestCode, newestToken, sergeant } from '#test/sending'
import { addressesOf, filled, methodOf, pagesFrom } from '#test/walking'
import { aWorld } from '../hostile/world.ts'

const { house, app, browser } = await aHouse({ after })
const routes = allRoutes(house.policy)
const { callers, pool } = await aWorld(app)
const recipientId = pool.recipient![0]!
const strangersPages = ['/sign-in', '/sign-in/code', '/demonstration', `/collect/${recipientId}`]

/** Everybody with the pages from which they begin; the recipient's depend on what this browser has proved. */
const beginnings = [...callers].map(
  ([who, as]) =>
    [
      who,
      as,
      who === 'stranger'
        ? [...strangersPages, `/collect/${recipientId}?step=code`, `/collect/${recipientId}?lang=cy`]
        : who === 'recipient'
          ? [`/collect/${recipientId}`, `/collect/${recipientId}?step=read`]
          : ['/', '/account', ...pool.transfer!.map((id) => `/transfers/${id}`)],
    ] as const,
)

const policy = (nonce: string, seals: boolean) =>
  [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}'`,
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    ...(seals ? ["frame-src 'self'"] : []),
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types safehand',
  ].join('; ')

test('every form of every page carries the token of the browser it was shown in, and every page its policy', async () => {
  const seen = new Set<string>()
  const nonces = new Set<string>()
  let pages = 0
  for (const [who, as, starts] of beginnings) {
    for (const { path, html, headers } of await pagesFrom(as, starts)) {
      const where = `${path} as ${who}`
      const field = `<input type="hidden" name="_formToken" value="${formTokenOf(as.token!)}">`
      for (const [form, method, action, next] of html.matchAll(
        /<form(?: method="(\w+)")?(?: action="([^"]*)")?[^>]*>(.{0,200})/gs,
      )) {
        // What only chooses what a page shows is no act: its address is all it sends, and carries no token.
        if (method === 'get') assert.doesNotMatch(next!, /_formToken/, where)
        else if (method === undefined)
          assert.match(form, /^<form data-/, `${where}: a form that is not the page’s own island’s`)
        else assert.ok(method === 'post' && next!.startsWith(field), `${where}: ${form}`)
        if (action) seen.add(action.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ':id'))
      }
      if (html.includes('name="form-token"')) assert.ok(html.includes(`content="${formTokenOf(as.token!)}"`), where)
      const nonce = /<script nonce="([^"]+)">/.exec(html)![1]!
      const seals = path.includes('/seal') || path.startsWith('/collect/')
      assert.equal(headers['content-security-policy'], policy(nonce, seals), where)
      assert.equal(headers['cache-control'], 'no-store', where)
      assert.ok(!nonces.has(nonce), 'a nonce is used once')
      nonces.add(nonce)
      assert.doesNotMatch(html, /<[a-z][^>]*\s(on[a-z]+|style)=|javascript:|<style/i, `${where}: nothing inline`)
      assert.equal([...html.matchAll(/<script(?! nonce| type="module" src="\/assets\/)/g)].length, 0, where)
      pages += 1
    }
  }
  for (const action of [
    '/sign-in',
    '/sign-in/code',
    '/sign-out',
    '/transfers',
    '/grants',
    '/exceptions',
    '/organisations',
    '/account/tokens',
    '/transfers/:id/recall',
    '/collect/:id/code',
    '/collect/:id/acknowledge',
    '/certifications/:id/review',
    '/agreements/:id/withdraw',
  ])
    assert.ok(seen.has(action), `the walk comes to the form of ${action}: ${[...seen].join(' ')}`)
  assert.ok(pages > 100, `${pages} pages`)
})

/** What goes wrong with a form's token. */
async function wrongTokens(): Promise<[string, Browser, Record<string, string>][]> {
  const as = await browser('Ines Duarte')
  const before = formTokenOf(as.token!)
  await as.call('POST', '/sign-out', '', page)
  await as.call('GET', '/sign-in', undefined, page)
  const between = formTokenOf(as.token!)
  const { people } = await as.get<{ people: { id: string; name: string }[] }>('/api/demonstration')
  await as.post('/api/demonstration', { person: people.find(({ name }) => name === 'Ines Duarte')!.id })
  const another = await browser('Ines Duarte')
  return [
    ['none', as, { 'safehand-form-token': '' }],
    ['another browser’s', as, { 'safehand-form-token': formTokenOf(another.token!) }],
    ['of before signing out', as, { 'safehand-form-token': before }],
    ['of before signing in', as, { 'safehand-form-token': between }],
    ['of nothing', as, { 'safehand-form-token': 'x'.repeat(43) }],
  ]
}

test('every route that changes something refuses a cookie without the token, with another’s and with a stale one', async () => {
  for (const [what, as, headers] of await wrongTokens()) {
    for (const route of routes.filter((one) => methodOf(one) !== 'GET')) {
      for (const address of addressesOf(route)) {
        const type = methodOf(route) === 'PUT' ? { 'content-type': 'application/octet-stream' } : {}
        const sent = { ...headers, ...type, accept: 'text/html' }
        const answer = await as.call(
          methodOf(route),
          filled(address),
          methodOf(route) === 'PUT' ? Buffer.from('x') : {},
          sent,
        )
        const where = `${methodOf(route)} ${address}, token ${what}`
        assert.equal(answer.statusCode, 403, where)
        assert.match(answer.body, /This page is out of date/, where)
        assert.match(answer.body, /Open the page again/, where)
      }
    }
  }
})

test('a page’s form without a cookie is refused, as is a cookie that is none of ours', async () => {
  for (const cookie of ['', 'safehand=planted', `safehand=${'A'.repeat(42)}`, 'safehand=']) {
    const answer = await app.inject({
      method: 'POST',
      url: '/sign-in',
      headers: { cookie, 'safehand-form-token': formTokenOf(cookie.slice(9)) },
      payload: { email: 'priya.nair@exampleshire.example' },
    })
    assert.equal(answer.statusCode, 403, cookie)
    assert.match(answer.body, /problems\/form-expired/)
  }
})

test('a bearer token needs no form’s token, and no cookie beside it stands for anybody', async () => {
  const priya = await browser('Priya Nair')
  const { token } = await priya.post<{ token: string }>('/api/account/tokens', { label: 'Laptop' })
  const helen = await browser('Helen Marsh')
  const sent = { authorization: `Bearer ${token}`, 'safehand-form-token': '' }
  const { statusCode } = await helen.call('POST', '/api/transfers', {}, sent)
  assert.equal(statusCode, 200)
  assert.equal(
    (await helen.call('GET', '/api/account', undefined, sent)).json<{ person: { name: string } }>().person.name,
    'Priya Nair',
  )
  const wrong = { ...sent, authorization: 'Bearer nobody-has-this-token-at-all' }
  assert.equal(
    (await helen.problem('POST', '/api/transfers', {}, wrong)).slug,
    'sign-in-needed',
    'the cookie does not help',
  )
})

test('the token is right once the form is sent as it was shown', async () => {
  const as = await browser('Priya Nair')
  const shown = await as.call('GET', '/', undefined, page)
  const [, value] = /name="_formToken" value="([^"]+)"/.exec(shown.body)!
  const sent = await as.call('POST', '/transfers', `_formToken=${value}`, {
    'safehand-form-token': '',
    'content-type': 'application/x-www-form-urlencoded',
  })
  assert.equal(sent.statusCode, 403, 'an empty header is not left out')
  const { statusCode, headers } = await app.inject({
    method: 'POST',
    url: '/transfers',
    payload: `_formToken=${value}`,
    headers: { cookie: `safehand=${as.token}`, 'content-type': 'application/x-www-form-urlencoded' },
  })
  assert.equal(statusCode, 303)
  assert.match(String(headers.location), /^\/transfers\/.*\/who$/)
})

test('a proof of the mailbox changes the token too, and the browser stays admitted', async () => {
  const priya = await browser('Priya Nair')
  const parcel = await aSentParcel(priya)
  const recipient = callers.get('recipient')!
  const before = recipient.token
  const at = `/api/collect/${parcel.recipients[0]}`
  await recipient.post(`${at}/code`, { token: await newestToken(recipient, sergeant.email) })
  await recipient.post(`${at}/prove`, { code: await newestCode(recipient, sergeant.email) })
  assert.notEqual(recipient.token, before)
  for (const id of [parcel.recipients[0], recipientId])
    assert.ok((await recipient.get<{ parcel?: unknown }>(`/api/collect/${id}`)).parcel, 'admitted to both')
  const old = { cookie: `safehand=${before}` }
  const { parcel: seen } = (await app.inject({ url: at, headers: old })).json<{ parcel?: unknown }>()
  assert.equal(seen, undefined, 'who knew the old secret is not')
})

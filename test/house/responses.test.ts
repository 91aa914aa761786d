import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { limits, rates } from '#core/kit/limits'
import type { House } from '#edge/house'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'
import { aHouse, Browser, page } from '#test/house'
import {
  aFile,
  aSentParcel,
  newestCode,
  newestMail,
  newestToken,
  sealAndUpload,
  aReadyTransfer,
  sergeant,
} from '#test/sending'
import { filled, methodOf } from '#test/walking'

const { house, app, browser, advance } = await aHouse({ after })
const routes = allRoutes(house.policy)
const assets = { folder: import.meta.dirname, url: '/assets/test', version: '0' }
/** Another node on the same database, with its own settings. */
const aNode = (config: Partial<House['config']> = {}) =>
  buildApp({ ...house, config: { ...house.config, ...config } }, routes, assets)

const priya = await browser('Priya Nair')
const parcel = await aSentParcel(priya)
const recipient = await browser()
const at = `/api/collect/${parcel.recipients[0]}`
await recipient.post(`${at}/code`, { token: await newestToken(priya, sergeant.email) })
await recipient.post(`${at}/prove`, { code: await newestCode(priya, sergeant.email) })
await recipient.post(`${at}/acknowledge`, {
  purpose: 'yes',
  limits: 'yes',
  handling: 'yes',
  key: Buffer.alloc(32, 9).toString('base64'),
})

const nothing = "default-src 'none'; frame-ancestors 'none'; sandbox"

test('bytes that people sent go as attachments of a neutral type, and nothing in them can run', async () => {
  for (const path of [`${at}/lock`, `${at}/manifest`, `${at}/content`]) {
    const { headers, statusCode } = await recipient.call('GET', path)
    assert.equal(statusCode, 200)
    assert.equal(headers['content-type'], 'application/octet-stream', path)
    assert.match(String(headers['content-disposition']), /^attachment/, path)
    assert.equal(headers['x-content-type-options'], 'nosniff', path)
    assert.equal(headers['content-security-policy'], nothing, path)
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path)
  }
  const { timeline } = await priya.get<{ timeline: { id: string }[] }>(`/api/transfers/${parcel.transferId}`)
  const proof = () => priya.call('GET', `/api/transfers/${parcel.transferId}/proofs/${timeline[0]!.id}`)
  let receipt = await proof()
  while (receipt.statusCode === 503) receipt = await proof()
  assert.match(String(receipt.headers['content-disposition']), /^attachment; filename="SH-/)
  assert.match(String(receipt.headers['content-type']), /^text\/plain/)
  assert.equal(receipt.headers['content-security-policy'], nothing)
})

test('JSON, problems and what is not found have the policy of nothing', async () => {
  for (const path of ['/api/account', '/api', '/api/nowhere', '/problems/not-found', '/register/checkpoint'])
    assert.equal((await priya.call('GET', path)).headers['content-security-policy'], nothing, path)
})

test('methods that nobody needs are refused, and say which there are', async () => {
  for (const method of ['TRACE', 'OPTIONS', 'PATCH', 'PROPFIND', 'LOCK', 'SEARCH']) {
    for (const url of ['/', '/api/account', '/nowhere', `${at}/content`]) {
      const answer = await app.inject({ method: method as never, url, headers: { 'x-secret': 'echo' } })
      assert.equal(answer.statusCode, 405, `${method} ${url}`)
      assert.equal(answer.headers.allow, 'GET, HEAD, POST, PUT, DELETE')
      assert.doesNotMatch(answer.body, /echo/)
      assert.equal(answer.headers['access-control-allow-origin'], undefined)
    }
  }
})

test('a HEAD answers as the GET would, without its words, and a release has none', async () => {
  for (const route of routes.filter((one) => methodOf(one) === 'GET' && one.who !== 'recipient')) {
    const path = filled(route.path, { transfer: parcel.transferId })
    const [head, get] = [
      await priya.call('HEAD', path, undefined, page),
      await priya.call('GET', path, undefined, page),
    ]
    assert.equal(head.statusCode, get.statusCode, path)
    assert.equal(head.headers['content-type'], get.headers['content-type'], path)
    assert.equal(head.body, '', path)
  }
  const fresh = await aSentParcel(priya)
  const other = await browser()
  const there = `/api/collect/${fresh.recipients[0]}`
  await other.post(`${there}/code`, { token: await newestToken(priya, sergeant.email) })
  await other.post(`${there}/prove`, { code: await newestCode(priya, sergeant.email) })
  await other.post(`${there}/acknowledge`, {
    purpose: 'yes',
    limits: 'yes',
    handling: 'yes',
    key: Buffer.alloc(32, 9).toString('base64'),
  })
  for (const what of ['lock', 'manifest', 'content', 'receipt'])
    assert.equal((await other.call('HEAD', `${there}/${what}`)).statusCode, 404, what)
  const { timeline } = await priya.get<{ timeline: { name?: string; words: string }[] }>(
    `/api/transfers/${fresh.transferId}`,
  )
  assert.doesNotMatch(JSON.stringify(timeline), /downloaded|released/i)
})

test('a failure inside is said in our words, without a stack, a path or what the outside said', async () => {
  const transferId = await aReadyTransfer(priya)
  house.blobs.failNext('put', 'before')
  await assert.rejects(sealAndUpload(priya, transferId, [aFile('x.txt')]), (error: Error) => {
    assert.match(error.message, /503 .*Safehand cannot do this just now/)
    assert.doesNotMatch(error.message, /blobs|node_modules|\.ts|Error:/)
    return true
  })
  const broken = await buildApp({ ...house, db: null as never, system: null as never }, routes, assets)
  for (const headers of [page, { accept: 'application/json' }]) {
    const answer = await broken.inject({
      url: '/sign-in',
      headers: { ...headers, cookie: `safehand=${'A'.repeat(43)}` },
    })
    assert.equal(answer.statusCode, 503)
    assert.match(answer.body, /Safehand cannot do this just now/)
    assert.doesNotMatch(answer.body, /null|selectFrom|TypeError|\.ts|node_modules/)
  }
})

test('an address far too long is refused as a problem', async () => {
  for (const length of [300, 8_000, 60_000]) {
    const { statusCode, headers } = await app.inject({ url: `/transfers/${'a'.repeat(length)}` })
    assert.ok(statusCode >= 400 && statusCode < 500, String(statusCode))
    assert.match(String(headers['content-type']), /problem\+json/)
  }
})

test('no link is built from what the caller calls us', async () => {
  const evil = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    forwarded: 'host=evil.example',
    'x-forwarded-proto': 'https',
  }
  const proxied = await aNode({ trustProxy: ['127.0.0.1'] })
  for (const node of [app, proxied]) {
    const as = await Browser.of(node, 'Tom Fletcher')
    await as.call('POST', '/sign-in', { email: 'tom.fletcher@exampleshire.example' }, evil)
    assert.doesNotMatch(JSON.stringify(await newestMail(as, 'tom.fletcher@exampleshire.example')), /evil/)
    for (const path of [
      '/',
      '/account',
      '/agreements',
      '/api',
      '/nowhere',
      '/api/nowhere',
      '/sign-in',
      '/genuine',
      `/collect/${parcel.recipients[0]}`,
    ]) {
      const { body, headers } = await as.call('GET', path, undefined, { ...evil, ...page })
      assert.doesNotMatch(body + JSON.stringify(headers), /evil/, path)
    }
    const { headers } = await node.inject({ url: '/agreements', headers: { ...evil, ...page } })
    assert.equal(headers.location, '/sign-in?next=%2Fagreements')
    assert.equal(
      (await as.problem('POST', '/api/transfers', {}, { ...evil, origin: 'https://evil.example' })).slug,
      'wrong-origin',
    )
  }
})

/** How often somebody with these headers may ask for a code before being told to wait. */
async function asks(
  node: typeof app,
  times: number,
  from: (n: number) => Record<string, string>,
  remoteAddress = '192.0.2.9',
) {
  const statuses: number[] = []
  for (let n = 0; n < times; n += 1) {
    const { statusCode } = await node.inject({
      method: 'POST',
      url: '/api/passkeys/sign-in/options',
      payload: {},
      headers: from(n),
      remoteAddress,
    })
    statuses.push(statusCode)
  }
  return statuses.filter((status) => status === 200).length
}

test('two nodes count together, and say when to come back', async () => {
  const { most, minutes } = rates['codes-asked']
  const other = await aNode()
  assert.equal(await asks(app, most - 10, () => ({})), most - 10)
  assert.equal(await asks(other, 20, () => ({})), 10)
  const refused = await other.inject({
    method: 'POST',
    url: '/api/sign-in',
    payload: { email: 'priya.nair@exampleshire.example' },
    remoteAddress: '192.0.2.9',
  })
  assert.equal(refused.statusCode, 429)
  assert.ok(Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= minutes * 60)
  assert.match(refused.json<{ next: string }>().next, /Wait a few minutes/)
  assert.equal(await asks(app, 1, () => ({}), '192.0.2.10'), 1, 'another network is not concerned')
  advance(minutes * 60_000)
  assert.equal(await asks(other, 1, () => ({})), 1)
})

test('who is calling is believed of a trusted proxy only', async () => {
  const { most } = rates['codes-asked']
  const forged = (n: number) => ({ 'x-forwarded-for': `198.51.100.${n % 200}, 203.0.113.${n % 200}` })
  assert.equal(
    await asks(app, most + 5, forged, '192.0.2.20'),
    most,
    'nobody is trusted: every call is the same caller’s',
  )
  const proxied = await aNode({ trustProxy: ['10.0.0.0/8'] })
  assert.equal(await asks(proxied, most + 5, forged, '192.0.2.21'), most, 'the caller is no trusted proxy')
  assert.equal(await asks(proxied, 20, forged, '10.1.2.3'), 20, 'a proxy’s callers are counted each')
  const one = (n: number) => ({ 'x-forwarded-for': `198.51.100.${n % 200}, 203.0.113.77` })
  assert.equal(
    await asks(proxied, most + 5, one, '10.1.2.3'),
    most,
    'what a caller wrote before the proxy did says nothing',
  )
})

test('wrong codes are counted for a network, and right ones are not', async () => {
  const { most } = rates['wrong-codes']
  advance(60 * 60_000)
  const enter = async (code: string, as: Browser) => (await as.call('POST', '/api/sign-in/code', { code })).statusCode
  const email = 'martin.ashdown@exampleshire.example'
  const martin = await browser()
  await martin.call('POST', '/sign-in', { email })
  assert.equal(await enter(await newestCode(martin, email), martin), 200)
  const guesser = await browser()
  const statuses: number[] = []
  for (let n = 0; n < most + 1; n += 1) statuses.push(await enter('00000000', guesser))
  assert.deepEqual([...new Set(statuses.slice(0, most))], [422])
  assert.equal(statuses.at(-1), 429)
})

test('the limits of time leave room for a slow part, and a share is no more than a part of all connections', () => {
  const slowestMs = (limits.partSizeBytes * 8 * 1000) / 256_000
  assert.ok(slowestMs < limits.requestMs)
  assert.ok(limits.connectionsPerAddress * 2 <= limits.connections)
  assert.equal(app.server.requestTimeout, limits.requestMs)
  assert.equal(app.server.headersTimeout, limits.headersMs)
  assert.equal(app.server.keepAliveTimeout, limits.keepAliveMs)
  assert.equal(app.server.timeout, limits.stallMs)
  assert.equal(app.server.maxConnections, limits.connections)
  assert.equal(app.server.maxRequestsPerSocket, limits.requestsPerConnection)
})

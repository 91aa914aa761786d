import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { rawPaths, apiPath, type Route } from '#edge/web/route'
import { allRoutes } from '#shell/web/routes'
import { aHouse, type Browser } from '#test/house'

const { house, app, browser } = await aHouse({ after })
const routes = allRoutes(house.policy)

const anyId = '0192f0c1-2222-7333-8444-555566667777'
const method = (route: Route) => (route.kind === 'screen' ? 'GET' : route.kind === 'action' ? 'POST' : route.method)
const apiOf = (route: Route) => (route.kind === 'raw' ? rawPaths(route.path).at(-1)! : apiPath(route.path))
const filled = (path: string) =>
  path
    .replace(/:method/, 'post')
    .replace(/:page/, 'what')
    .replace(/:n\b/, '0')
    .replace(/:\w+/g, anyId)
    .replace('*', '0/000')

/** Calls a route's API as somebody, with a body that is no good. */
async function call(as: Browser, route: Route) {
  if (route.kind !== 'raw' && route.pageOnly)
    return as.call(method(route), filled(route.path), method(route) === 'POST' ? '' : undefined, {
      accept: 'application/json',
    })
  if (method(route) === 'PUT')
    return as.call('PUT', filled(apiOf(route)), Buffer.from('x'), { 'content-type': 'application/octet-stream' })
  return as.call(method(route), filled(apiOf(route)), method(route) === 'POST' ? {} : undefined)
}

const people = [
  'Priya Nair',
  'Martin Ashdown',
  'Grace Oduya',
  'Helen Marsh',
  'Dilys Rowan',
  'Omar Siddiq',
  'Rhiannon Bell',
  'Peter Lang',
  'Ines Duarte',
]
const rolesOf = new Map<string, string[]>()

test('a stranger gets in nowhere that does not say “anyone”, and nothing fails', async () => {
  for (const route of routes) {
    const answer = await call(await browser(), route)
    const name = `${method(route)} ${route.path}`
    assert.ok(answer.statusCode < 500, `${name}: ${answer.statusCode}`)
    if (route.who === 'anyone' || route.who === 'demonstration') assert.notEqual(answer.statusCode, 401, name)
    else assert.equal(answer.statusCode, route.who === 'recipient' ? 403 : 401, name)
  }
})

test('each role gets in where its role is named, and nowhere else', async () => {
  for (const name of people) {
    const as = await browser(name)
    const { person } = await as.get<{ person: { roles: string[] } }>('/api/account')
    rolesOf.set(name, person.roles)
    for (const route of routes) {
      if (route.path.includes('sign-out') || route.who === 'recipient') continue
      const answer = await call(as, route)
      const what = `${method(route)} ${route.path} as ${name}`
      assert.ok(answer.statusCode < 500, `${what}: ${answer.statusCode}`)
      const isRefused = answer.statusCode === 403 && answer.body.includes('/problems/not-allowed')
      const mayNot = Array.isArray(route.who) && !route.who.some((role) => person.roles.includes(role))
      assert.equal(isRefused, mayNot, `${what}: ${answer.statusCode} ${answer.body.slice(0, 200)}`)
    }
  }
  assert.ok(new Set([...rolesOf.values()].flat()).size >= 9, 'somebody has each role')
})

test('a recipient’s route refuses members of staff who have not proved the mailbox', async () => {
  const as = await browser('Helen Marsh')
  for (const route of routes.filter(({ who }) => who === 'recipient'))
    assert.equal((await call(as, route)).statusCode, 403, route.path)
})

test('a page sends a stranger to sign in and back; a form from another site is refused', async () => {
  const page = await app.inject({ url: '/agreements', headers: { accept: 'text/html' } })
  assert.equal(page.statusCode, 303)
  assert.equal(page.headers.location, '/sign-in?next=%2Fagreements')
  const as = await browser('Priya Nair')
  for (const headers of [
    { origin: 'https://elsewhere.example' },
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'null' },
  ] as Record<string, string>[]) {
    assert.equal((await as.problem('POST', '/api/transfers', {}, headers)).slug, 'wrong-origin')
  }
})

test('the description names every route of the API, and every answer has its headers', async () => {
  const { paths, openapi } = (await app.inject('/api')).json<{
    paths: Record<string, Record<string, unknown>>
    openapi: string
  }>()
  assert.equal(openapi, '3.1.0')
  for (const route of routes) {
    if (route.kind !== 'raw' && route.pageOnly) continue
    const path = apiOf(route).replace(/:(\w+)/g, '{$1}')
    if (path.startsWith('/api')) assert.ok(paths[path]?.[method(route).toLowerCase()], `${method(route)} ${path}`)
  }
  const answer = await app.inject('/sign-in')
  assert.match(
    String(answer.headers['content-security-policy']),
    /default-src 'none'.*require-trusted-types-for 'script'/,
  )
  assert.equal(answer.headers['referrer-policy'], 'same-origin')
})

test('what cannot be read is refused with a problem, and an unknown address is one too', async () => {
  const as = await browser('Priya Nair')
  const json = { 'content-type': 'application/json' }
  for (const body of [
    '{',
    '[]',
    '"text"',
    'null',
    '{"to":1}',
    '{"to":"\\ud800"}',
    '{"__proto__":{"x":1},"to":"individual"}',
  ]) {
    const answer = await as.call('POST', `/api/transfers/${anyId}/who`, body, json)
    assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${body}: ${answer.statusCode}`)
    assert.match(String(answer.headers['content-type']), /problem\+json/, body)
  }
  assert.equal(
    (await as.problem('POST', '/api/transfers', '<a/>', { 'content-type': 'text/xml' })).slug,
    'unsupported-media-type',
  )
  for (const path of [
    '/nowhere',
    '/api/nowhere',
    '/assets/../package.json',
    '/register/tile/../../package.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/transfers/%00',
  ]) {
    const answer = await as.call('GET', path)
    assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${path}: ${answer.statusCode}`)
  }
})

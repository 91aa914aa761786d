import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Route } from '#edge/web/route'
import { allRoutes } from '#shell/web/routes'
import { aHouse, type Browser } from '#test/house'
import { aSentParcel, bytesHeaders, newestCode, newestToken, sergeant } from '#test/sending'
import { aBody, addressesOf, filled, methodOf } from '#test/walking'

const { house, browser } = await aHouse({ after })
const routes = allRoutes(house.policy)
const [priya, tom] = (await Promise.all(['Priya Nair', 'Tom Fletcher'].map((name) => browser(name)))) as [
  Browser,
  Browser,
]
const hers = await aSentParcel(priya)
const his = await aSentParcel(tom)
const { timeline } = await priya.get<{ timeline: { id: string }[] }>(`/api/transfers/${hers.transferId}`)
const { id: problem } = await priya.post<{ id: string }>(`/api/transfers/${hers.transferId}/problem`, {
  kind: 'other',
  whatHappened: 'It was left open.',
})

const objects = {
  transfer: hers.transferId,
  parcel: hers.parcelId,
  who: hers.recipients[0]!,
  event: timeline[0]!.id,
  problem,
}

/** What a route wants beyond the fields it always requires. */
const more: Record<string, object> = {
  '/api/parcels/:parcel/complete': { locks: [] },
  '/transfers/:transfer/recipients/:who/told': { how: 'in-person' },
  '/transfers/:transfer/ask/:page': {
    artefact: 'file',
    size: 'at-most-12000000',
    informationWords: 'A list',
    caseReference: '1',
  },
}

/** Calls each address of a route with a body that its fields take, so that only whose it is can be wrong. */
async function calls(as: Browser, route: Route, ids: Record<string, string>) {
  const method = methodOf(route)
  const schema = route.kind === 'action' ? route.fields : route.kind === 'raw' ? route.body : undefined
  const body =
    method === 'PUT' ? Buffer.from('x') : method === 'POST' ? { ...aBody(schema), ...more[route.path] } : undefined
  const headers = method === 'PUT' ? bytesHeaders('0'.repeat(64)) : {}
  return Promise.all(
    addressesOf(route).map(async (address) => {
      const { status, slug } = await as.problem(method, filled(address, ids), body, {
        ...headers,
        accept: 'application/json',
      })
      return { where: `${method} ${address}`, status, slug }
    }),
  )
}

const naming = (...names: string[]) => routes.filter(({ path }) => names.some((name) => path.includes(`:${name}`)))
const notFound = (answers: Awaited<ReturnType<typeof calls>>) => {
  for (const { where, status, slug } of answers) assert.equal(`${status} ${slug}`, '404 not-found', where)
}

test('a colleague of the same role finds nothing under another’s transfer, parcel, recipient, proof or report', async () => {
  const all = naming('transfer', 'parcel', 'problem')
  assert.ok(all.length > 30, `${all.length} routes`)
  for (const route of all) notFound(await calls(tom, route, objects))
})

test('what is another’s is not found under one’s own transfer either', async () => {
  const mixed = { ...objects, transfer: his.transferId }
  const answers = (await Promise.all(naming('who', 'event').map((route) => calls(tom, route, mixed)))).flat()
  // His own parcel is sent: what is no longer possible with it is said before whom it would be about.
  notFound(answers.filter(({ slug }) => slug !== 'transfer-closed'))
  assert.ok(answers.some(({ slug }) => slug === 'not-found'))
})

test('nothing was changed by all this', async () => {
  const { state, recipients } = await priya.get<{ state: string; recipients: { notForMe: boolean }[] }>(
    `/api/transfers/${hers.transferId}/parcel`,
  )
  assert.equal(state, 'sealed')
  assert.deepEqual(
    recipients.map(({ notForMe }) => notForMe),
    [false],
  )
  const incidents = await house.db.selectFrom('incidents').select('reportedBy').execute()
  assert.equal(incidents.length, 1)
})

test('another’s browsers, tokens, devices and passkeys are not found', async () => {
  await priya.post('/api/account/tokens', { label: 'Laptop' })
  await priya.post('/api/devices', { signingKey: Buffer.alloc(32, 3).toString('base64'), label: 'Laptop' })
  const mine = await priya.get<Record<'browsers' | 'tokens' | 'devices', { id: string }[]>>('/api/account')
  for (const [name, list] of [
    ['browser', mine.browsers],
    ['token', mine.tokens],
    ['device', mine.devices],
  ] as const)
    for (const route of naming(name)) notFound(await calls(tom, route, { [name]: list[0]!.id }))
  const now = await priya.get<typeof mine>('/api/account')
  assert.deepEqual([now.browsers.length, now.tokens.length, now.devices.length], [1, 1, 1])
  assert.equal((await tom.problem('POST', '/api/account/passkeys/end', { passkey: 'x' })).slug, 'not-found')
})

/** Proves the newest parcel's mailbox in a browser. */
async function admit(recipientId: string): Promise<Browser> {
  const recipient = await browser()
  const at = `/api/collect/${recipientId}`
  await recipient.post(`${at}/code`, { token: await newestToken(priya, sergeant.email) })
  await recipient.post(`${at}/prove`, { code: await newestCode(priya, sergeant.email) })
  return recipient
}

test('a recipient of one transfer gets nowhere in another’s, with neither its browser, its link nor its code', async () => {
  const one = await aSentParcel(priya)
  const linkOfOne = await newestToken(priya, sergeant.email)
  const recipient = await admit(one.recipients[0]!)
  const codeOfOne = await newestCode(priya, sergeant.email)
  const another = await aSentParcel(tom)
  const recipientId = another.recipients[0]!
  const released = routes.filter(({ who }) => who === 'recipient')
  assert.ok(released.length >= 6)
  for (const route of released)
    for (const { where, status, slug } of await calls(recipient, route, { recipient: recipientId }))
      assert.equal(`${status} ${slug}`, '403 mailbox-not-proved', where)
  const there = `/api/collect/${recipientId}`
  assert.equal((await recipient.get<{ parcel?: unknown }>(there)).parcel, undefined)
  assert.equal((await recipient.problem('POST', `${there}/code`, { token: linkOfOne })).slug, 'link-wrong')
  assert.equal((await recipient.problem('POST', `${there}/prove`, { code: codeOfOne })).slug, 'code-expired')
})

test('a recipient is nobody at the organisation, and a sender is no recipient', async () => {
  const parcel = await aSentParcel(priya)
  const recipient = await admit(parcel.recipients[0]!)
  for (const route of naming('transfer', 'parcel'))
    for (const { where, status, slug } of await calls(recipient, route, {
      transfer: parcel.transferId,
      parcel: parcel.parcelId,
    }))
      assert.equal(`${status} ${slug}`, '401 sign-in-needed', where)
  for (const route of routes.filter(({ who }) => who === 'recipient'))
    for (const { where, status, slug } of await calls(priya, route, { recipient: parcel.recipients[0]! }))
      assert.equal(`${status} ${slug}`, '403 mailbox-not-proved', where)
})

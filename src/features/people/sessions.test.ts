import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { ok } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { tidySessions } from '#features/people/queries'
import { browserLabel, hashSecret, isToken, makeToken } from '#features/people/sessions'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'
import { aHouse, Browser, page } from '#test/house'
import { aReadyTransfer, bytesHeaders } from '#test/sending'

const { house, app, browser, advance } = await aHouse({ after })
const minute = 60_000

const isSignedIn = async (as: Browser) => (await as.call('GET', '/api/account')).statusCode === 200
interface Account {
  browsers: { id: string; label: string; isThis: boolean }[]
  tokens: { id: string }[]
  signedInBefore: string | null
}
const account = (as: Browser) => as.get<Account>('/api/account')
const mailsTo = async (to: string) =>
  (await (await browser()).get<{ mails: { text: string }[] }>(`/api/demonstration/outbox?to=${to}`)).mails

test('a cookie is the host’s own on https, unreadable to scripts, and sent to no other site', async () => {
  const https = { ...house, config: { ...house.config, publicUrl: 'https://safehand.example' } }
  const secure = await buildApp(https, allRoutes(house.policy), {
    folder: import.meta.dirname,
    url: '/assets/x',
    version: '0',
  })
  const { headers } = await secure.inject({ url: '/sign-in', headers: page })
  const cookie = String(headers['set-cookie'])
  assert.match(cookie, /^__Host-safehand=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  assert.equal(headers['strict-transport-security'], 'max-age=31536000; includeSubDomains')
  const plain = await app.inject({ url: '/sign-in', headers: page })
  assert.match(String(plain.headers['set-cookie']), /^safehand=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
})

test('a browser that is used stays signed in, one that is not does not, and neither beyond twelve hours', async () => {
  const priya = await browser('Priya Nair')
  advance((limits.sessionIdleMinutes - 1) * minute)
  await priya.call('GET', '/', undefined, page)
  advance((limits.sessionIdleMinutes - 1) * minute)
  assert.ok(await isSignedIn(priya), 'used meanwhile')
  await priya.call('GET', '/', undefined, page)
  advance(limits.sessionIdleMinutes * minute)
  assert.ok(!(await isSignedIn(priya)), 'not used meanwhile')

  const tom = await browser('Tom Fletcher')
  const halfHours = limits.sessionHours * 2
  for (let n = 1; n < halfHours; n += 1) {
    advance(30 * minute)
    assert.equal((await tom.call('GET', '/', undefined, page)).statusCode, 200, `after ${n} half hours`)
  }
  advance(30 * minute)
  assert.ok(!(await isSignedIn(tom)))
})

test('what a page asks for by itself keeps nobody signed in', async () => {
  const priya = await browser('Priya Nair')
  advance((limits.sessionIdleMinutes - 1) * minute)
  assert.ok(await isSignedIn(priya))
  advance(minute)
  assert.ok(!(await isSignedIn(priya)))
})

test('a page waits for nobody else who notes that its browser was used', async () => {
  const priya = await browser('Priya Nair')
  advance((limits.sessionIdleMinutes / 2) * minute)
  await inTransaction(house.system, async (tx) => {
    await tx.selectFrom('browsers').select('id').forUpdate().execute()
    assert.equal((await priya.call('GET', '/', undefined, page)).statusCode, 200)
    return ok()
  })
  assert.equal((await priya.call('GET', '/', undefined, page)).statusCode, 200)
  advance((limits.sessionIdleMinutes - 1) * minute)
  assert.ok(await isSignedIn(priya), 'noted by the second')
})

test('a page whose laptop slept finishes what it sends, and signs nobody in by that', async () => {
  const priya = await browser('Priya Nair')
  const transferId = await aReadyTransfer(priya)
  const { parcelId } = await priya.post<{ parcelId: string }>(`/api/transfers/${transferId}/parcel`, {
    sizeBytes: 1_000,
    fileCount: 1,
    availableDays: 14,
  })
  const part = randomBytes(1_000)
  const digest = createHash('sha256').update(part).digest('hex')
  const sendsPart = () => priya.call('PUT', `/api/parcels/${parcelId}/parts/0`, part, bytesHeaders(digest))
  const parts = `/api/parcels/${parcelId}/parts`
  advance((limits.sessionIdleMinutes + 5) * minute)
  assert.ok(!(await isSignedIn(priya)))
  assert.equal((await sendsPart()).statusCode, 204)
  assert.equal((await priya.call('GET', parts)).statusCode, 200)
  const manifest = await priya.call('PUT', `/api/parcels/${parcelId}/manifest`, part, bytesHeaders(digest))
  const completed = await priya.call('POST', `/api/parcels/${parcelId}/complete`, {})
  // Heard, and told what is wrong with them; not asked to sign in.
  for (const { statusCode } of [manifest, completed]) assert.equal(statusCode, 422)
  assert.ok(!(await isSignedIn(priya)), 'sending is no use of the session')
  const other = { sizeBytes: 1_000, fileCount: 1, availableDays: 14 }
  assert.equal((await priya.call('POST', `/api/transfers/${transferId}/parcel`, other)).statusCode, 401)
  assert.equal((await priya.call('GET', `/transfers/${transferId}`, undefined, page)).statusCode, 303)
  advance((limits.sessionFinishMinutes - limits.sessionIdleMinutes) * minute)
  assert.equal((await sendsPart()).statusCode, 401)
})

test('a planted cookie is worth nothing after its victim has signed in or proved a mailbox', async () => {
  const victim = await browser()
  const planted = makeToken()
  victim.cookies.set('safehand', planted)
  await victim.call('POST', '/sign-in', { email: 'priya.nair@exampleshire.example' })
  const [{ text }] = (await mailsTo('priya.nair@exampleshire.example')) as [{ text: string }]
  await victim.post('/api/sign-in/code', { code: /^ *([0-9A-Z]{8})$/m.exec(text)![1]! })
  assert.ok(await isSignedIn(victim))
  assert.notEqual(victim.token, planted)
  const thief = await browser()
  thief.cookies.set('safehand', planted)
  assert.ok(!(await isSignedIn(thief)))
})

test('a cookie that cannot be ours is not taken up', async () => {
  for (const value of ['x', 'A'.repeat(42), 'A'.repeat(44), `${'A'.repeat(42)}!`]) {
    assert.equal(isToken(value) as boolean, false)
    const { headers } = await app.inject({ url: '/sign-in', headers: { ...page, cookie: `safehand=${value}` } })
    assert.match(String(headers['set-cookie']), /^safehand=[\w-]{43};/, value)
  }
  assert.ok(isToken(makeToken()))
  assert.equal(hashSecret(makeToken()).length, 32)
})

test('signing out ends the session on the server and clears what the browser kept; others stay', async () => {
  const here = await browser('Priya Nair')
  const there = await browser('Priya Nair')
  const old = here.token!
  const { headers, statusCode } = await here.call('POST', '/sign-out', '', page)
  assert.equal(statusCode, 303)
  assert.equal(headers['clear-site-data'], '"cache"')
  assert.match(String(headers['set-cookie']), /^safehand=; .*Expires=Thu, 01 Jan 1970/)
  const thief = await browser()
  thief.cookies.set('safehand', old)
  assert.ok(!(await isSignedIn(thief)))
  assert.ok(await isSignedIn(there))
})

test('the account names every browser, ends one, and ends all of them', async () => {
  const [one, two, three] = (await Promise.all([1, 2, 3].map(() => browser('Dilys Rowan')))) as [
    Browser,
    Browser,
    Browser,
  ]
  const { browsers } = await account(one)
  assert.equal(browsers.length, 3)
  assert.deepEqual(browsers.filter(({ isThis }) => isThis).length, 1)
  const shown = await one.call('GET', '/account', undefined, page)
  assert.equal([...shown.body.matchAll(/This browser<\/strong>/g)].length, 1)
  const second = (await account(two)).browsers.find(({ isThis }) => isThis)!.id
  const stranger = await browser('Tom Fletcher')
  assert.equal((await stranger.problem('POST', `/api/account/browsers/${second}/end`)).slug, 'not-found')
  assert.ok(await isSignedIn(two))
  await one.post(`/api/account/browsers/${second}/end`)
  assert.ok(!(await isSignedIn(two)))
  assert.ok(await isSignedIn(three))
  await one.post('/api/account/sign-out-everywhere')
  assert.deepEqual([await isSignedIn(one), await isSignedIn(three)], [false, false])
})

test('the account shows when one signed in before', async () => {
  const first = await browser('Rhiannon Bell')
  assert.equal((await account(first)).signedInBefore, null)
  const at = house.now()
  advance(minute)
  const { signedInBefore } = await account(await browser('Rhiannon Bell'))
  assert.ok(Math.abs(Date.parse(signedInBefore!) - at.valueOf()) < minute)
})

test('whoever is changed or deactivated is signed out everywhere at once, and their tokens end', async () => {
  const ines = await browser('Ines Duarte')
  const { organisations } = await ines.get<{ organisations: { id: string; isOwn: boolean }[] }>('/api/organisations')
  const own = organisations.find(({ isOwn }) => isOwn)!.id
  const { people } = await ines.get<{ people: { id: string; fullName: string; email: string }[] }>(
    `/api/organisations/${own}`,
  )
  const omar = people.find(({ fullName }) => fullName === 'Omar Siddiq')!
  const details = { fullName: omar.fullName, email: omar.email, cjsmAccount: false, active: true }
  const officer = { ...details, roles: ['data-protection-officer'] }
  const save = (body: object) => ines.post(`/api/organisations/${own}/staff/${omar.id}`, body)
  const both = async () => {
    const as = await browser('Omar Siddiq')
    const { token } = await as.post<{ token: string }>('/api/account/tokens', { label: 'Desk' })
    const program = async () =>
      (await app.inject({ url: '/api/account', headers: { authorization: `Bearer ${token}` } })).statusCode
    return async () => [await isSignedIn(as), (await program()) === 200]
  }
  const kept = await both()
  await save({ ...officer, telephone: '01632 960 001', telephoneKind: 'direct' })
  assert.deepEqual(await kept(), [true, true], 'a new telephone number ends nothing')
  for (const change of [
    { ...officer, roles: ['data-protection-officer', 'auditor'] },
    { ...officer, email: 'omar.s@exampleshire.example' },
    { ...officer, email: 'omar.s@exampleshire.example', active: false },
  ]) {
    const still = await both()
    assert.deepEqual(await still(), [true, true])
    await save(change)
    assert.deepEqual(await still(), [false, false], JSON.stringify(change))
  }
  await save(officer)
})

test('a token and a passkey that are added are told to their person by mail', async () => {
  const helen = await browser('Helen Marsh')
  await helen.post('/api/account/tokens', { label: 'Kitchen laptop' })
  const texts = (await mailsTo('helen.marsh@exampleshire.example')).map(({ text }) => text)
  assert.match(texts.join('\n'), /A token for the command line was added to your account, called:\s+Kitchen laptop/)
})

test('no page of a person’s is kept by anything on the way', async () => {
  const priya = await browser('Priya Nair')
  for (const path of ['/', '/account', '/agreements', '/api/account', '/api/home', '/nowhere', '/sign-in'])
    assert.equal((await priya.call('GET', path, undefined, page)).headers['cache-control'], 'no-store', path)
})

test('what has ended is taken out of the database', async () => {
  await browser('Priya Nair')
  advance(13 * 60 * minute)
  const live = await browser('Priya Nair')
  await tidySessions(house.db, house.now())
  const rows = await house.db.selectFrom('browsers').select('tokenHash').execute()
  assert.deepEqual(
    rows.map(({ tokenHash }) => Buffer.from(tokenHash)),
    [hashSecret(live.token!)],
  )
})

test('a browser is named as a person would name it, and by nothing it wrote itself', () => {
  const edge =
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0'
  assert.equal(browserLabel(edge), 'Edge on Windows')
  assert.equal(
    browserLabel('Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0'),
    'Firefox on Linux',
  )
  assert.equal(
    browserLabel('Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1'),
    'Safari on iPhone',
  )
  for (const other of [undefined, '', '<script>', 'x'.repeat(10_000)]) assert.equal(browserLabel(other), 'A browser')
})

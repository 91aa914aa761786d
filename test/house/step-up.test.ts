import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { limits, rates } from '#core/kit/limits'
import { allRoutes } from '#shell/web/routes'
import { aHouse, Browser, page } from '#test/house'
import { aBody, addressesOf, filled } from '#test/walking'

const { house, app, browser, advance } = await aHouse({ after })
const routes = allRoutes(house.policy).flatMap((route) => (route.kind === 'screen' ? [] : [route]))
const tokens = '/account/tokens'
const form = { ...page, 'content-type': 'application/x-www-form-urlencoded' }

const send = (as: Browser, url: string, fields: [string, string][] | Record<string, string>) =>
  as.call('POST', url, new URLSearchParams(fields).toString(), form)

/** How many tokens somebody has. */
const count = async (as: Browser) => (await as.get<{ tokens: unknown[] }>('/api/account')).tokens.length

/** The hidden fields of the page that asks to confirm. */
const carried = (html: string): [string, string][] =>
  [...html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)]
    .map(([, name, value]): [string, string] => [
      name!,
      value!.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&').replaceAll('&quot;', '"'),
    ])
    .filter(([name]) => name !== '_formToken')

test('the dangerous acts are these, and no others', () => {
  const acts = routes.flatMap(({ path, stepUp }) =>
    stepUp ? [stepUp === true ? path : `${path} with ${stepUp.given}`] : [],
  )
  assert.deepEqual(acts.toSorted(), [
    '/account/passkeys',
    '/account/tokens',
    '/agreements',
    '/agreements/:agreement/withdraw',
    '/certifications/:certification/review',
    '/devices with senderRecipient',
    '/exceptions',
    '/grants',
    '/organisations with domains',
    '/organisations/:organisation',
    '/organisations/:organisation/people/:person with ageRecipient',
    '/organisations/:organisation/profile',
    '/organisations/:organisation/staff',
    '/organisations/:organisation/staff/:person',
    '/rulebooks/:rulebook/drafts/:draft/approve',
  ])
})

test('without JavaScript: a page asks, carries every word along, and the mailed code does exactly that', async () => {
  const ines = await browser('Ines Duarte')
  const { organisations } = await ines.get<{ organisations: { id: string; isOwn: boolean }[] }>('/api/organisations')
  const own = organisations.find(({ isOwn }) => isOwn)!.id
  const given: [string, string][] = [
    ['fullName', 'Bea <b> & "Co"'],
    ['email', 'bea@exampleshire.example'],
    ['roles', 'auditor'],
    ['roles', 'manager'],
    ['cjsmAccount', 'false'],
    ['active', 'true'],
    ['jobTitle', ''],
  ]
  const asked = await send(ines, `/organisations/${own}/staff`, given)
  assert.equal(asked.statusCode, 403)
  assert.match(asked.body, /<h1[^>]*>Confirm that it is you<\/h1>/)
  assert.match(asked.body, /Add a member of our own staff, who can then sign in/)
  assert.deepEqual(carried(asked.body), given)
  const before = ines.token
  const done = await send(ines, `/organisations/${own}/staff`, [
    ...carried(asked.body),
    ['_code', await ines.mailedCode()],
  ])
  assert.equal(done.statusCode, 303, done.body)
  assert.notEqual(ines.token, before, 'who has proved more has a new secret')
  const { person } = await ines.get<{ person: { fullName: string; roles: string[] } }>(
    `/api${String(done.headers.location)}`,
  )
  assert.equal(person.fullName, 'Bea <b> & "Co"')
  assert.deepEqual(person.roles, ['auditor', 'manager'])
})

test('the mail names the act, has no link, and nothing of the body; and nothing of the body is kept', async () => {
  const priya = await browser('Priya Nair')
  await send(priya, tokens, { label: 'A very private label' })
  const { mails } = await priya.get<{ mails: { to: string; text: string; links: unknown[]; subject: string }[] }>(
    '/api/demonstration/outbox',
  )
  const mail = mails.find(({ to }) => to === 'priya.nair@exampleshire.example')!
  assert.match(mail.text, /Make a token for the command line/)
  assert.deepEqual(mail.links, [])
  assert.doesNotMatch(mail.text + mail.subject, /private/)
  const codes = await house.db.selectFrom('mailedCodes').selectAll().execute()
  assert.ok(codes.length > 0)
  assert.doesNotMatch(codes.map((row) => Object.values(row).map(String).join(' ')).join(' '), /private/)
})

test('a changed word, another address, another person and another browser need a confirmation of their own', async () => {
  const priya = await browser('Priya Nair')
  const elsewhere = await browser('Priya Nair')
  const tom = await browser('Tom Fletcher')
  const had = await count(priya)
  await send(priya, tokens, { label: 'One' })
  const _code = await priya.mailedCode()
  for (const [as, url, label] of [
    [priya, tokens, 'Two'],
    [priya, `/api${tokens}`, 'One'],
    [elsewhere, tokens, 'One'],
    [tom, tokens, 'One'],
  ] as const) {
    const answer = await send(as, url, { label, ...(url.startsWith('/api') ? {} : { _code }) })
    assert.equal(answer.statusCode, 403, `${url} ${label}`)
  }
  const other = { 'safehand-confirmation': _code }
  assert.match(
    (await priya.problem('POST', `/api${tokens}`, { label: 'One' }, other)).slug!,
    /step-up-needed|code-wrong/,
  )
  assert.equal(await count(priya), had)
})

test('a confirmation is good once', async () => {
  const priya = await browser('Priya Nair')
  await send(priya, tokens, { label: 'Once' })
  const _code = await priya.mailedCode()
  const both = await Promise.all([1, 2].map(() => send(priya, tokens, { label: 'Once', _code })))
  assert.equal(both.filter(({ statusCode }) => statusCode === 200).length, 1)
  assert.equal((await send(priya, tokens, { label: 'Once', _code })).statusCode, 403)
})

test('a confirmation is good for five minutes and not a moment more', async () => {
  const priya = await browser('Priya Nair')
  const stands = async (waitMs: number) => {
    await send(priya, tokens, { label: 'Soon' })
    const _code = await priya.mailedCode()
    advance(waitMs)
    return (await send(priya, tokens, { label: 'Soon', _code })).statusCode
  }
  assert.equal(await stands((limits.confirmMinutes - 1) * 60_000), 200)
  assert.equal(await stands(limits.confirmMinutes * 60_000), 403)
})

test('a wrong code is said beside its field, does nothing, and tries are few; another code can be asked for', async () => {
  const priya = await browser('Priya Nair')
  const had = await count(priya)
  await send(priya, tokens, { label: 'Wrong' })
  const right = await priya.mailedCode()
  for (let left = limits.codeTries - 1; left >= 0; left -= 1) {
    const answer = await send(priya, tokens, { label: 'Wrong', _code: 'AAAAAAAA' })
    assert.equal(answer.statusCode, 422)
    assert.match(answer.body, new RegExp(`id="_code-error"[^]*You have ${left} tries left`))
    assert.match(answer.body, /href="#_code"/)
  }
  const spent = await send(priya, tokens, { label: 'Wrong', _code: right })
  assert.equal(spent.statusCode, 403, 'no try is left for the right one')
  const again = await send(priya, tokens, { label: 'Wrong', _code: '', _again: 'yes' })
  assert.equal(again.statusCode, 403)
  assert.equal(await count(priya), had)
  assert.equal((await send(priya, tokens, { label: 'Wrong', _code: await priya.mailedCode() })).statusCode, 200)
})

test('a passkey’s answer that is none, or is JSON of the wrong kind, confirms nothing', async () => {
  const priya = await browser('Priya Nair')
  for (const _passkey of ['x', 'null', '{}', '[]', '{"id":1}', '{"id":"x","response":{}}']) {
    const answer = await send(priya, tokens, { label: 'Key', _passkey })
    assert.equal(answer.statusCode, 422, _passkey)
    assert.match(answer.body, /The passkey could not be checked/)
  }
})

test('what is wrong with the words is said before anybody is asked to confirm them', async () => {
  const priya = await browser('Priya Nair')
  assert.deepEqual(Object.keys((await priya.problem('POST', `/api${tokens}`, { label: '' })).fields!), ['label'])
})

test('a bearer token cannot confirm: it is told to use the browser, and no mail goes', async () => {
  const desk = await browser('Grace Oduya')
  const { token } = await desk.post<{ token: string }>(`/api${tokens}`, { label: 'Desk' })
  const mails = async () => (await desk.get<{ mails: unknown[] }>('/api/demonstration/outbox')).mails.length
  const before = await mails()
  const program = new Browser(app)
  const grant = {
    method: 'post',
    to: 'role',
    role: 'sender',
    reason: 'Letters',
    startsOn: '2026-01-01',
    endsOn: house.now().toISOString().slice(0, 10),
  }
  const answer = await program.call('POST', '/api/grants', grant, { authorization: `Bearer ${token}` })
  assert.equal(answer.statusCode, 403)
  assert.match(answer.json<{ type: string; next: string }>().type, /step-up-needed$/)
  assert.match(answer.json<{ next: string }>().next, /in the browser/)
  assert.equal(await mails(), before)
})

test('a device that only signs is enrolled at once; one that may read what is sent later is confirmed, and its person told', async () => {
  const tom = await browser('Tom Fletcher')
  const signingKey = Buffer.alloc(32, 7).toString('base64')
  assert.equal((await tom.call('POST', '/api/devices', { signingKey, label: 'Laptop' })).statusCode, 200)
  const reading = { signingKey, senderRecipient: 'age1pq1example', label: 'Laptop' }
  assert.equal((await tom.problem('POST', '/api/devices', reading)).slug, 'step-up-needed')
  await tom.post('/api/devices', reading)
  const { devices } = await tom.get<{ devices: { id: string; reads: boolean }[] }>('/api/account')
  assert.deepEqual(
    devices.map(({ reads }) => reads),
    [true],
  )
  const { mails } = await tom.get<{ mails: { to: string; text: string }[] }>(
    '/api/demonstration/outbox?to=tom.fletcher@exampleshire.example',
  )
  assert.match(mails.map(({ text }) => text).join(), /A device that can open what you send was added/)
  await tom.post(`/api/devices/${devices[0]!.id}/end`)
  assert.deepEqual((await tom.get<{ devices: unknown[] }>('/api/account')).devices, [])
  assert.equal((await tom.problem('POST', '/api/devices', { signingKey, label: 'Laptop' })).slug, 'device-unknown')
})

test('codes for one person are mailed so often an hour, and no more', async () => {
  const omar = await browser('Omar Siddiq')
  const asked: number[] = []
  for (let times = 0; times <= rates['confirmations-to-one'].most; times += 1)
    asked.push((await send(omar, tokens, { label: `Token ${times}` })).statusCode)
  assert.deepEqual([...new Set(asked.slice(0, -1))], [403])
  assert.equal(asked.at(-1), 429)
})

test('every address of a dangerous act asks whoever may do it, before it looks at what it is about', async () => {
  const people = ['Priya Nair', 'Grace Oduya', 'Helen Marsh', 'Ines Duarte', 'Dilys Rowan']
  const everybody = await Promise.all(people.map((name) => browser(name)))
  for (const route of routes.filter(({ stepUp }) => stepUp !== undefined)) {
    const body = {
      ...aBody(route.kind === 'raw' ? route.body : route.fields),
      ...(route.stepUp === true ? {} : { [route.stepUp!.given]: 'x' }),
    }
    for (const address of addressesOf(route)) {
      const slugs = await Promise.all(
        everybody.map(async (as) => (await as.problem('POST', filled(address), body)).slug),
      )
      assert.ok(slugs.includes('step-up-needed'), `${address}: ${slugs.join()}`)
      assert.deepEqual(
        slugs.filter((slug) => slug !== 'step-up-needed' && slug !== 'not-allowed'),
        [],
        address,
      )
    }
  }
})

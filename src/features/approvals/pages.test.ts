import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { orThrow, type Outcome } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { inTransaction } from '#edge/store/database'
import { check, fromForm } from '#edge/web/fields'
import type { Action, Actor, Model, Raw, Route, Screen, Visit } from '#edge/web/route'
import { routes as agreementRoutes } from '#features/agreements/routes'
import { askAdvice, certifyEmergency, panel } from '#features/approvals/approvals'
import { routes as approvalRoutes } from '#features/approvals/routes'
import { routes as organisationRoutes } from '#features/organisations/routes'
import { makeRenderer } from '#shell/web/pages'
import { mayCall } from '#shell/web/session'
import { aColleague, aCouncil, aTransfer, anOrganisation } from '#test/council'
import { freshDatabase } from '#test/database'
import { councilPolicy } from '#test/policy'

const { db } = await freshDatabase({ after })
const policy = councilPolicy()
const house = { db, policy, config: { publicUrl: 'https://safehand.example' } } as unknown as House
const render = makeRenderer('/assets', 'https://safehand.example')
const now = new Date('2026-03-02T16:40:00Z')
const routes: Route[] = [...organisationRoutes, ...agreementRoutes, ...approvalRoutes]

const council = await aCouncil(db)
const police = await anOrganisation(db, {
  name: 'Northbrook Police',
  sector: 'police',
  domains: ['northbrook-police.example'],
})
const sender = await aColleague(db, council.id, [])
const administrator = await aColleague(db, council.id, ['administrator'])
const desk = await aColleague(db, council.id, ['service-desk'])
const governance = await aColleague(db, council.id, ['information-governance'])

const visit = (actor: Actor, params: Record<string, string>, query: Record<string, string> = {}) =>
  ({ house, actor, params, query, now, language: 'en' }) as unknown as Visit

/** The route whose path fits, with what its parameters are. */
function find(kind: 'screen' | 'action', url: string): { route: Screen | Action; params: Record<string, string> } {
  for (const route of routes) {
    const match = new RegExp(`^${route.path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`).exec(url)
    if (route.kind === kind && match) return { route, params: { ...match.groups } }
  }
  throw new Error(`no ${kind} at ${url}`)
}

const refusal = (route: Route, seen: Visit): Outcome<never> | undefined => {
  const problem = mayCall(route.who, seen)
  return problem && { ok: false, problem }
}

async function page(
  actor: Actor,
  url: string,
  query: Record<string, string> = {},
  more: Record<string, unknown> = {},
): Promise<string> {
  const { route, params } = find('screen', url)
  const seen = visit(actor, params, query)
  const model: Outcome<Model> = refusal(route, seen) ?? (await (route as Screen).load(seen))
  if (!model.ok) return model.problem.slug
  const html = render((route as Screen).view, { values: {}, errors: {}, ...model.value, ...more, actor }, 'en')
  assert.equal(html.match(/<h1[ >]/g)?.length, 1, `${url} has one heading`)
  assert.doesNotMatch(html, /\[object |undefined|NaN|Invalid Date|&lt;(div|input|label|select)/, url)
  const labelled = [...html.matchAll(/<(?:input|select|textarea)(?![^>]*type="hidden")[^>]* id="([^"]+)"/g)].map(
    ([, id]) => id!,
  )
  for (const id of labelled) assert.match(html, new RegExp(`for="${id}"`), `${url}: ${id} has a label`)
  return html
}

/** What a search shows: it is sent, so that no name is in an address. */
async function found(actor: Actor, words: string): Promise<string> {
  const route = routes.find((one) => one.kind === 'raw' && one.path === '/organisations/search') as Raw
  const reply = {
    page: (view: string, model: Model) => render(view, { ...model, values: {}, errors: {}, actor }, 'en'),
  }
  return orThrow(await route.handle(visit(actor, {}), { body: { words } } as never, reply as never)) as string
}

async function send(
  actor: Actor,
  url: string,
  form: Record<string, unknown> = {},
): Promise<{ then: string; problem?: string; fields?: Record<string, string> | undefined }> {
  const { route, params } = find('action', url)
  const seen = visit(actor, params)
  const refused = refusal(route, seen)
  const body = check((route as Action).fields, fromForm((route as Action).fields, form))
  const result: Outcome<unknown> = refused ?? (body.ok ? await (route as Action).run(seen, body.value) : body)
  return result.ok
    ? { then: (route as Action).then(result.value, seen) }
    : { then: '', problem: result.problem.slug, fields: result.problem.fields }
}
const fieldsOf = async (...sent: Parameters<typeof send>) => Object.keys((await send(...sent)).fields ?? {})

let transfer: { id: string; reference: string }
let advice = ''
let certification = ''
before(async () => {
  transfer = await aTransfer(db, sender.id, { facts: { audience: 'organisation', sector: 'police', personal: true } })
  const doing = { byId: sender.id, now, publicUrl: house.config.publicUrl }
  await inTransaction(db, async (tx) => {
    advice = orThrow(
      await askAdvice(tx, {
        transferId: transfer.id,
        askedBy: sender.id,
        role: 'service-desk',
        facts: ['council-class'],
        question: 'Which <class>?',
        ...doing,
      }),
    ).id
    certification = orThrow(
      await certifyEmergency(tx, { transferId: transfer.id, whatCouldHappen: 'Harm', whyNow: 'Tonight', ...doing }),
    ).id
    return { ok: true, value: undefined }
  })
})

test('every list says what to do when it is empty', async () => {
  for (const [url, words] of [
    ['/agreements', /no agreements yet/],
    ['/grants', /Nothing is granted/],
    ['/exceptions', /No exception has been allowed/],
  ] as const)
    assert.match(await page(governance, url), words)
  assert.match(await page(administrator, '/certifications').catch(String), /not-allowed/)
  assert.match(await page(sender, `/organisations/${police.id}`), /Nobody is listed yet/)
  assert.match(await found(sender, 'nobody here'), /Nobody has been found/)
  assert.match(await page(administrator, '/advice'), /You have asked nothing yet/)
})

test('at 16:40 anybody adds an organisation, a contact and finds them', async () => {
  const made = await send(sender, '/organisations', { name: 'Harbour Trust', sector: 'voluntary' })
  assert.match(made.then, /^\/organisations\/[0-9a-f-]{36}$/)
  assert.match(await page(sender, made.then), /Harbour Trust/)
  await page(sender, '/organisations/new')
  await page(sender, `${made.then}/people/new`)
  const contact = await send(sender, `${made.then}/people`, {
    fullName: 'Lou Harbour',
    email: 'lou@harbour-trust.example',
    telephone: '01632 960 001',
    telephoneKind: 'direct',
    language: 'cy',
  })
  const shown = await page(sender, contact.then)
  assert.match(shown, /Lou Harbour/)
  assert.doesNotMatch(shown, /<title>[^<]*Lou/, 'no name in a title')
  assert.match(await found(sender, 'lou harb'), /Lou Harbour/)
})

test('only those who keep the directory list domains, keys, logins and required methods', async () => {
  assert.deepEqual(await fieldsOf(sender, '/organisations', { name: 'X', sector: 'supplier', domains: 'x.example' }), [
    'domains',
  ])
  assert.equal((await send(sender, `/organisations/${police.id}/profile`, { tls: 'unknown' })).problem, 'not-allowed')
  assert.equal(await page(sender, `/organisations/${police.id}/profile`), 'not-allowed')
  assert.deepEqual(
    await fieldsOf(desk, `/organisations/${police.id}/profile`, { tls: 'unknown', requiredRestricted: 'pigeon' }),
    ['requiredRestricted'],
  )
  const kept = await send(desk, `/organisations/${police.id}/profile`, {
    tls: 'proven',
    tlsEvidence: 'Tried',
    'tlsCheckedOn-day': '1',
    'tlsCheckedOn-month': '3',
    'tlsCheckedOn-year': '2026',
    requiredRestricted: 'cjsm_email',
  })
  assert.match(await page(sender, kept.then), /Restricted: Criminal justice email[^]*Proven[^]*Tried, 1 March 2026/)
  await page(desk, `/organisations/${police.id}/profile`)
  await page(desk, `/organisations/${police.id}/edit`)
})

test('only an administrator changes our own organisation and its staff', async () => {
  const own = `/organisations/${council.id}`
  assert.equal(
    (await send(desk, own, { name: 'X', sector: 'council', domains: 'evil.example' })).problem,
    'not-allowed',
  )
  assert.equal(
    (
      await send(desk, `${own}/staff`, {
        fullName: 'Eve',
        email: 'eve@exampleshire.example',
        cjsmAccount: 'false',
        active: 'true',
      })
    ).problem,
    'not-allowed',
  )
  assert.equal(
    (await send(administrator, `${own}/people`, { fullName: 'Eve', email: 'eve@exampleshire.example' })).problem,
    'not-allowed',
  )
  const made = await send(administrator, `${own}/staff`, {
    fullName: 'Eve',
    email: 'eve@exampleshire.example',
    cjsmAccount: 'false',
    active: 'true',
    roles: ['auditor', 'manager'],
    lineManager: sender.email,
  })
  assert.match(await page(administrator, made.then), /Auditor, Manager/)
  assert.match(await page(administrator, `${made.then}/edit`), /value="auditor" checked/)
  assert.equal(await page(desk, `${made.then}/edit`), 'not-allowed')
  await page(administrator, `${own}/people/new`)
})

test('a person or team is found only under its own organisation', async () => {
  const other = await anOrganisation(db)
  assert.equal(await page(sender, `/organisations/${other.id}/people/${sender.id}`), 'not-found')
  for (const url of [
    '/organisations/nonsense',
    '/agreements/nonsense',
    '/advice/nonsense',
    `/organisations/${police.id}/mailboxes/x`,
  ])
    assert.equal(await page(sender, url), 'not-found', url)
})

test('a team mailbox is added, checked, changed and must be checked again', async () => {
  const under = `/organisations/${police.id}/mailboxes`
  await page(sender, `${under}/new`)
  const { then: here } = await send(sender, under, {
    name: 'Duty team',
    address: 'duty@northbrook-police.example',
    owner: 'The inspector',
    members: 'Bea\r\nCal',
  })
  assert.match(await page(sender, here), /has not been checked/)
  assert.deepEqual(await fieldsOf(sender, `${here}/check`, { listVersion: '1' }), ['note'])
  await send(sender, `${here}/check`, { listVersion: '1', note: 'Read to the inspector' })
  assert.match(await page(sender, here), /was checked on 2 March 2026[^]*Read to the inspector/)
  assert.match(await page(sender, `${here}/edit`), /Bea\nCal/)
  await send(sender, here, { name: 'Duty team', owner: 'The inspector', members: 'Bea\r\nDee' })
  assert.match(await page(sender, here), /list version 2[^]*has not been checked/)
  assert.equal((await send(sender, `${here}/check`, { listVersion: '1', note: 'Late' })).problem, 'changed-meanwhile')
})

const day = (name: string, year: string, month: string, date: string) => ({
  [`${name}-year`]: year,
  [`${name}-month`]: month,
  [`${name}-day`]: date,
})
const agreement = () => ({
  kind: 'contract',
  title: 'Safeguarding',
  organisations: police.id,
  purposes: ['protect-someone', 'criminal-justice'],
  information: 'Records',
  ...day('startsOn', '2026', '1', '1'),
  ...day('endsOn', '2026', '12', '31'),
})

test('information governance enters an agreement, sees that its review is due, and withdraws it', async () => {
  assert.equal(await page(sender, '/agreements/new'), 'not-allowed')
  assert.match(await page(governance, '/agreements/new', { organisation: police.id }), /Northbrook Police/)
  const { then: here } = await send(governance, '/agreements', { ...agreement(), ...day('reviewOn', '2026', '2', '1') })
  assert.match(await page(sender, here), /Its review was due on 1 February 2026/)
  assert.match(await page(sender, '/agreements'), /Northbrook Police[^]*Review due/)
  assert.deepEqual(await fieldsOf(governance, `${here}/withdraw`), ['reason'])
  await send(governance, `${here}/withdraw`, { reason: 'Replaced' })
  assert.match(await page(governance, here), /Withdrawn[^]*Replaced/)
  assert.equal((await send(governance, `${here}/withdraw`, { reason: 'Again' })).problem, 'changed-meanwhile')
})

test('an agreement without parties or purposes, with ourselves, with nobody known or with dates that cannot be is not entered', async () => {
  const entering = (changes: Record<string, unknown>) =>
    fieldsOf(governance, '/agreements', { ...agreement(), ...changes })
  assert.deepEqual(await entering({ organisations: '' }), ['organisations'])
  assert.deepEqual(await entering({ organisations: council.id }), ['organisations'])
  assert.deepEqual(await entering({ organisations: [police.id, '0190f3a2-7c1e-7000-8000-000000000000'] }), [
    'organisations',
  ])
  assert.deepEqual(await entering({ purposes: '' }), ['purposes'])
  assert.deepEqual(await entering(day('endsOn', '2025', '12', '31')), ['endsOn'])
  assert.deepEqual(await entering(day('startsOn', '2026', '2', '30')), ['startsOn'])
  const { route, params } = find('action', '/agreements')
  const empty = await (route as Action).run(visit(governance, params), {
    ...agreement(),
    organisations: [],
    purposes: [],
    startsOn: '2026-01-01',
    endsOn: '2026-12-31',
  })
  assert.deepEqual(empty.ok ? [] : Object.keys(empty.problem.fields ?? {}), ['organisations', 'purposes'])
})

test('the service desk reads a question in the words of the form, answers it, and the asker sees the answer', async () => {
  assert.match(await page(desk, '/advice'), new RegExp(transfer.reference))
  const shown = await page(desk, `/advice/${advice}`)
  assert.match(shown, /Which &lt;class&gt;\?/)
  assert.match(shown, /Who is it for\?[^]*Another organisation[^]*value="council-class=controlled"/)
  assert.equal(await page(governance, `/advice/${advice}`), 'not-allowed')
  assert.deepEqual(
    await fieldsOf(desk, `/advice/${advice}/answer`, { answer: 'Yes', settles: ['agreement=in-force'] }),
    ['settles'],
  )
  await send(desk, `/advice/${advice}/answer`, {
    answer: 'It is controlled.',
    settles: ['council-class=controlled', '', 'service-desk-answer=yes'],
  })
  assert.match(await page(sender, `/advice/${advice}`), /It is controlled\.[^]*How sensitive is it\?[^]*Controlled/)
  assert.match(await page(sender, '/advice'), /Answered/)
})

test('information governance reviews an emergency and allows an exception; the transfer’s page shows both', async () => {
  assert.match(await page(governance, '/certifications'), new RegExp(`${transfer.reference}[^]*due 4 March 2026`))
  await page(governance, `/certifications/${certification}`)
  assert.deepEqual(await fieldsOf(governance, `/certifications/${certification}/review`), ['outcome', 'words'])
  await send(governance, `/certifications/${certification}/review`, {
    outcome: 'not-upheld',
    words: 'It could have waited.',
  })
  assert.match(await page(governance, `/certifications/${certification}`), /It was not an emergency/)
  assert.match(await page(governance, '/certifications'), /reviewed by/)
  assert.match(
    await page(governance, '/exceptions/new', { transfer: transfer.reference }),
    new RegExp(`value="${transfer.reference}"`),
  )
  assert.deepEqual(
    await fieldsOf(governance, '/exceptions', {
      reference: 'SH-2026-999999',
      fact: 'cj-exception',
      ground: 'other',
      reason: 'x',
    }),
    ['reference'],
  )
  await send(governance, '/exceptions', {
    reference: transfer.reference.toLowerCase(),
    fact: 'exception-agreement',
    ground: 'one-off-decision',
    reason: 'Weighed and justified',
  })
  assert.match(await page(governance, '/exceptions'), /Share without an agreement[^]*Weighed and justified/)
  const shown = (await panel(db, transfer.id, policy.vocabulary))!
  const html = render(shown.view, { panel: shown }, 'en')
  assert.match(html, /Share without an agreement: allowed[^]*It was not an emergency/)
})

test('the service desk grants a method for a time, to somebody else, and ends it', async () => {
  const grant = (changes: Record<string, unknown> = {}) => ({
    method: 'managed_transfer',
    to: 'person',
    email: sender.email,
    ...day('startsOn', '2026', '3', '2'),
    ...day('endsOn', '2026', '9', '1'),
    reason: 'Regular sharing',
    ...changes,
  })
  await page(desk, '/grants/new')
  assert.equal((await send(sender, '/grants', grant())).problem, 'not-allowed')
  assert.deepEqual(await fieldsOf(desk, '/grants', grant({ method: 'pigeon' })), ['method'])
  assert.deepEqual(await fieldsOf(desk, '/grants', grant({ email: desk.email })), ['email'])
  assert.deepEqual(await fieldsOf(desk, '/grants', grant({ email: 'sam@northbrook-police.example' })), ['email'])
  assert.deepEqual(await fieldsOf(desk, '/grants', grant({ to: 'role' })), ['role'])
  assert.deepEqual(await fieldsOf(desk, '/grants', grant(day('endsOn', '2026', '3', '1'))), ['endsOn'])
  assert.deepEqual(await fieldsOf(desk, '/grants', grant(day('endsOn', '2027', '3', '4'))), ['endsOn'])
  assert.deepEqual(
    await fieldsOf(desk, '/grants', grant(day('endsOn', '2027', '3', '3'))),
    [],
    'the longest a grant may last',
  )
  await send(desk, '/grants', grant({ to: 'role', role: 'manager' }))
  const shown = await page(desk, '/grants')
  assert.match(shown, /Safehand parcel: Everyone with the role Manager/)
  await send(desk, /action="(\/grants\/[^"]+\/end)"/.exec(shown)![1]!)
  assert.match(await page(desk, '/grants'), /Ended/)
})

test('every form shows again what was typed, with its sentence', async () => {
  const values = { name: 'Kept <b>', sector: 'police' }
  const html = await page(
    sender,
    '/organisations/new',
    {},
    { values, errors: { name: 'The name is taken' }, errorList: [{ text: 'The name is taken', href: '#name' }] },
  )
  assert.match(html, /value="Kept &lt;b&gt;"/)
  assert.match(html, /There is a problem[^]*The name is taken[^]*<option value="police" selected>/)
})

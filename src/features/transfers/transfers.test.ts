import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { aHouse, page, type Browser } from '#test/house'
import { newestMail } from '#test/sending'

const { house, browser } = await aHouse({ after })
const priya = await browser('Priya Nair')
const tom = await browser('Tom Fletcher')

/** Starts a transfer and says who it is for: a kind of person, or somebody found in the directory. */
async function start(sender: Browser, to: string): Promise<string> {
  const { id } = await sender.post<{ id: string }>('/api/transfers')
  if (['individual', 'colleague', 'not-sure'].includes(to)) await sender.post(`/api/transfers/${id}/who`, { to })
  else {
    const { found } = await sender.post<{ found: { kind: string; id: string }[] }>(`/api/transfers/${id}/who/search`, {
      q: to,
    })
    await sender.post(`/api/transfers/${id}/who`, { to: `${found[0]!.kind}:${found[0]!.id}` })
  }
  return id
}

const answer = (sender: Browser, id: string, page: string, answers: object) =>
  sender.post<{ next: string }>(`/api/transfers/${id}/ask/${page}`, answers)

interface Shown {
  best?: { method: string; unmet: { id: string }[] }
  then?: { method: string }
  others: { method: string }[]
  refused: { method: string; reasons: { clauses: { id: string }[] }[] }[]
  ask: string[]
  recipients: { id: string }[]
}
const decision = (sender: Browser, id: string) => sender.get<Shown>(`/api/transfers/${id}/decision`)

const restricted = { 'council-class': 'restricted', personal: 'yes' }
const aFile = { artefact: 'file', size: 'at-most-12000000', informationWords: 'Case notes' }
const why = (urgency = 'no-rush', purpose = 'protect-someone') => ({
  purpose,
  urgency,
  purposeWords: 'To protect a child',
})

test('a public leaflet to a resident takes three screens, and nothing else is needed', async () => {
  const id = await start(tom, 'individual')
  const { next } = await answer(tom, id, 'sensitivity', { 'council-class': 'published' })
  assert.equal(next, `/transfers/${id}/decision`)
  const { best } = await decision(tom, id)
  assert.equal(best?.method, 'standard_email')
  assert.deepEqual(best.unmet, [])
})

test('an urgent child protection file to an officer: telephone the minimum now, then a parcel', async () => {
  const id = await start(priya, 'Amir')
  assert.equal((await answer(priya, id, 'sensitivity', restricted)).next, `/transfers/${id}/ask/what`)
  assert.equal((await answer(priya, id, 'what', aFile)).next, `/transfers/${id}/ask/why`)
  assert.equal((await answer(priya, id, 'why', why('at-risk-now'))).next, `/transfers/${id}/emergency`)
  const certified = await priya.post<{ next: string }>(`/api/transfers/${id}/emergency`, {
    whatCouldHappen: 'Harm',
    whyNow: 'The visit is at 17:30',
  })
  assert.equal(certified.next, `/transfers/${id}/decision`)
  const shown = await decision(priya, id)
  assert.deepEqual([shown.best?.method, shown.then?.method], ['telephone', 'managed_transfer'])
  const { mails } = await priya.get<{ mails: { to: string; subject: string }[] }>('/api/demonstration/outbox')
  assert.ok(
    mails.some(({ to, subject }) => to.startsWith('helen.marsh') && subject.includes('emergency')),
    'a reviewer is told',
  )
})

test('an emergency never lifts that the recipient must be authorised', async () => {
  const id = await start(priya, 'Amir')
  await answer(priya, id, 'sensitivity', restricted)
  await answer(priya, id, 'what', aFile)
  await answer(priya, id, 'why', why('at-risk-now'))
  await priya.post(`/api/transfers/${id}/emergency`, { whatCouldHappen: 'Harm', whyNow: 'Now' })
  const { recipients } = await decision(priya, id)
  await priya.post(`/api/transfers/${id}/recipients/${recipients[0]!.id}/confirm`, {
    authorised: 'no',
    how: 'switchboard',
    detail: 'He has left',
  })
  const shown = await decision(priya, id)
  assert.equal(shown.best, undefined)
  assert.ok(
    shown.refused
      .find(({ method }) => method === 'managed_transfer')!
      .reasons.some(({ clauses }) => clauses.some((clause) => clause.id === 'D13')),
  )
  assert.equal(
    (await priya.problem('POST', `/api/transfers/${id}/method`, { method: 'managed_transfer' })).slug,
    'method-not-allowed',
  )
})

test('without an agreement for the purpose everything is refused with D2 and information governance to ask', async () => {
  const id = await start(priya, 'Lena')
  await answer(priya, id, 'sensitivity', { 'council-class': 'controlled', personal: 'yes' })
  await answer(priya, id, 'what', aFile)
  await answer(priya, id, 'why', why('no-rush', 'criminal-justice'))
  const shown = await decision(priya, id)
  assert.equal(shown.best, undefined)
  assert.ok(shown.ask.includes('information-governance'))
  const helen = await browser('Helen Marsh')
  const { transfer } = await priya.get<{ transfer: { reference: string } }>(`/api/transfers/${id}`)
  await helen.post('/api/exceptions', {
    reference: transfer.reference,
    fact: 'exception-agreement',
    ground: 'one-off-decision',
    reason: 'A single justified disclosure',
  })
  assert.ok((await decision(priya, id)).best, 'the exception lifts the refusal')
})

test('‘not sure’ is an answer: it goes to a queue, and what is answered settles it', async () => {
  const id = await start(priya, 'Amir')
  await answer(priya, id, 'sensitivity', { 'council-class': 'not-sure', personal: 'yes' })
  await answer(priya, id, 'what', aFile)
  const { next } = await answer(priya, id, 'why', why())
  assert.equal(next, `/transfers/${id}/decision`)
  const shown = await decision(priya, id)
  assert.equal(shown.best, undefined)
  assert.deepEqual(shown.ask, ['service-desk'])
  await priya.post(`/api/transfers/${id}/advice`, { role: 'service-desk', question: 'How sensitive is a case note?' })
  const state = async () => (await priya.get<{ transfer: { state: string } }>(`/api/transfers/${id}`)).transfer.state
  assert.equal(await state(), 'asking')
  const grace = await browser('Grace Oduya')
  const { open } = await grace.get<{ open: { id: string; transferId: string }[] }>('/api/advice')
  await grace.post(`/api/advice/${open.find((row) => row.transferId === id)!.id}/answer`, {
    answer: 'Case notes are restricted.',
    settles: ['council-class=restricted'],
  })
  assert.equal(await state(), 'draft')
  assert.equal((await decision(priya, id)).best?.method, 'managed_transfer')
})

test('a changed answer undoes the choice and makes a new decision; the old one is kept', async () => {
  const id = await start(priya, 'Amir')
  await answer(priya, id, 'sensitivity', restricted)
  await answer(priya, id, 'what', aFile)
  await answer(priya, id, 'why', why())
  const kept = async () =>
    (await house.db.selectFrom('decisions').where('transferId', '=', id).select('id').execute()).length
  const before = await kept()
  const { recipients } = await decision(priya, id)
  await priya.post(`/api/transfers/${id}/recipients/${recipients[0]!.id}/confirm`, {
    authorised: 'yes',
    how: 'known',
    detail: 'Met him',
  })
  await priya.post(`/api/transfers/${id}/method`, { method: 'managed_transfer' })
  const { next } = await answer(priya, id, 'what', { ...aFile, size: 'above-12000000' })
  assert.equal(next, `/transfers/${id}/decision`)
  assert.ok((await kept()) > before)
  const row = await house.db
    .selectFrom('transfers')
    .where('id', '=', id)
    .select(['method', 'state'])
    .executeTakeFirstOrThrow()
  assert.deepEqual(row, { method: null, state: 'draft' })
})

test('each question left open has its sentence, and limits hold at their edges', async () => {
  const id = await start(priya, 'Amir')
  const { fields } = await priya.problem('POST', `/api/transfers/${id}/ask/sensitivity`, {})
  assert.deepEqual(
    Object.keys(fields!).toSorted((a, b) => a.localeCompare(b)),
    ['council-class', 'personal'],
  )
  const words = (length: number) => ({ ...aFile, informationWords: 'x'.repeat(length) })
  for (const length of [limits.lineCharacters - 1, limits.lineCharacters])
    await answer(priya, id, 'what', words(length))
  assert.deepEqual(
    (await priya.problem('POST', `/api/transfers/${id}/ask/what`, words(limits.lineCharacters + 1))).fields,
    {
      informationWords: `What it is must be ${limits.lineCharacters} characters or fewer`,
    },
  )
  assert.equal(
    (await priya.problem('POST', `/api/transfers/${id}/ask/what`, { ...aFile, artefact: 'spaceship' })).slug,
    'form-incomplete',
  )
  assert.equal((await priya.problem('POST', `/api/transfers/${id}/ask/nonsense`, {})).slug, 'not-found')
  assert.equal(
    (await priya.problem('POST', `/api/transfers/${id}/ask/recipient-authorised`, { 'recipient-authorised': 'yes' }))
      .slug,
    'form-incomplete',
  )
})

test('the same recipient cannot be added twice, nor somebody who is not in the directory', async () => {
  const id = await start(priya, 'Amir')
  const { found } = await priya.post<{ found: { kind: string; id: string }[] }>(`/api/transfers/${id}/who/search`, {
    q: 'Amir',
  })
  assert.equal(
    (await priya.problem('POST', `/api/transfers/${id}/who`, { to: `person:${found[0]!.id}` })).slug,
    'recipient-twice',
  )
  for (const to of ['person:nobody', `team:${found[0]!.id}`, 'person:', 'everyone']) {
    assert.equal((await priya.problem('POST', `/api/transfers/${id}/who`, { to })).slug, 'form-incomplete', to)
  }
})

test('two recipients: each must be allowed, and everyone must be confirmed', async () => {
  const id = await start(priya, 'Amir')
  const { found } = await priya.post<{ found: { kind: string; id: string }[] }>(`/api/transfers/${id}/who/search`, {
    q: 'Lena',
  })
  await priya.post(`/api/transfers/${id}/who`, { to: `person:${found[0]!.id}` })
  await answer(priya, id, 'sensitivity', restricted)
  await answer(priya, id, 'what', aFile)
  await answer(priya, id, 'why', why())
  const shown = await decision(priya, id)
  assert.equal(shown.recipients.length, 2)
  assert.equal(shown.best, undefined, 'the charity has no agreement for this purpose')
  assert.ok(shown.ask.includes('information-governance'))
})

test('deciding not to share is kept on the record, and closes the transfer', async () => {
  const id = await start(priya, 'Amir')
  await priya.post(`/api/transfers/${id}/stop`, { reason: 'They have it already' })
  assert.equal((await priya.problem('POST', `/api/transfers/${id}/ask/what`, aFile)).slug, 'transfer-closed')
  const { timeline } = await priya.get<{ timeline: { words: string }[] }>(`/api/transfers/${id}`)
  assert.ok(timeline.some(({ words }) => words === 'It was decided not to share: They have it already'))
})

test('sending another way is recorded with every field of W78; without one it is not closed', async () => {
  const id = await start(tom, 'individual')
  await answer(tom, id, 'sensitivity', { 'council-class': 'published' })
  await tom.post(`/api/transfers/${id}/method`, { method: 'standard_email' })
  const at = `/api/transfers/${id}/sent/standard_email`
  const record = {
    reason: 'Asked for it',
    information: 'Leaflet',
    recipientName: 'A. Resident',
    recipientJobTitle: 'Not applicable',
    recipientOrganisation: 'Member of the public',
    recipientTelephone: '01632 960 555',
  }
  for (const field of Object.keys(record)) {
    const { fields } = await tom.problem('POST', at, { ...record, [field]: undefined })
    assert.deepEqual(Object.keys(fields!), [field])
  }
  await tom.post(at, record)
  const { transfer } = await tom.get<{ transfer: { state: string } }>(`/api/transfers/${id}`)
  assert.equal(transfer.state, 'recorded')
})

test('a call is disclosed only to the person who asked; then the file may follow', async () => {
  const id = await start(priya, 'Amir')
  await answer(priya, id, 'sensitivity', restricted)
  await answer(priya, id, 'what', aFile)
  await answer(priya, id, 'why', why('at-risk-now'))
  await priya.post(`/api/transfers/${id}/emergency`, { whatCouldHappen: 'Harm', whyNow: 'Now' })
  const { recipients } = await decision(priya, id)
  await priya.post(`/api/transfers/${id}/recipients/${recipients[0]!.id}/confirm`, {
    authorised: 'yes',
    how: 'switchboard',
    detail: 'Rang',
  })
  await priya.post(`/api/transfers/${id}/method`, { method: 'telephone' })
  const at = `/api/transfers/${id}/sent/telephone`
  const record = {
    time: '16:42',
    reason: 'Harm',
    information: 'Whereabouts',
    recipientName: 'Amir Khan',
    recipientJobTitle: 'Sergeant',
    recipientOrganisation: 'Northbrook Police',
    recipientTelephone: '01632 960 100',
  }
  assert.equal((await priya.problem('POST', at, { ...record, outcome: 'wrong-person' })).slug, 'not-disclosed')
  assert.deepEqual((await priya.problem('POST', at, { ...record, outcome: 'spoke', time: '25:00' })).fields, {
    time: 'Enter the time like 16:40',
  })
  await priya.post(at, { ...record, outcome: 'spoke' })
  const { next } = await priya.post<{ next: string }>(`/api/transfers/${id}/method`, { method: 'managed_transfer' })
  assert.equal(next, `/transfers/${id}/seal`)
})

test('a problem that is reported reaches the line manager and the data protection officer, and the manager records it', async () => {
  const id = await start(priya, 'Amir')
  const { id: problem } = await priya.post<{ id: string }>(`/api/transfers/${id}/problem`, {
    kind: 'wrong-recipient',
    whatHappened: 'The address may be old',
  })
  for (const to of ['martin.ashdown@exampleshire.example', 'omar.siddiq@exampleshire.example'])
    assert.match((await newestMail(priya, to)).subject, /problem was reported/)
  const martin = await browser('Martin Ashdown')
  const { waiting } = await martin.get<{ waiting: { url: string }[] }>('/api/home')
  assert.ok(waiting.some(({ url }) => url === `/problems-reported/${problem}`))
  assert.equal(
    (await priya.problem('POST', `/api/problems-reported/${problem}/record`, { words: 'Mine' })).slug,
    'not-allowed',
  )
  assert.equal((await tom.problem('GET', `/api/problems-reported/${problem}`)).slug, 'not-found')
  await martin.post(`/api/problems-reported/${problem}/record`, { words: 'Rang the station; nothing was opened' })
  assert.equal(
    (await martin.problem('POST', `/api/problems-reported/${problem}/record`, { words: 'Again' })).status,
    409,
  )
})

test('what need not be sent is looked for once, before the files; what was left out is on the record', async () => {
  const id = await start(priya, 'Amir')
  await answer(priya, id, 'sensitivity', restricted)
  await answer(priya, id, 'what', aFile)
  await answer(priya, id, 'why', why('today'))
  const { recipients } = await decision(priya, id)
  const said = { authorised: 'yes', how: 'switchboard', detail: 'Rang' }
  await priya.post(`/api/transfers/${id}/recipients/${recipients[0]!.id}/confirm`, said)
  const { next } = await priya.post<{ next: string }>(`/api/transfers/${id}/method`, { method: 'managed_transfer' })
  assert.equal(next, `/transfers/${id}/look-through`)
  const at = `/api/transfers/${id}/look-through`
  assert.deepEqual(Object.keys((await priya.problem('POST', at, { looked: 'left-out' })).fields!), ['leftOutWords'])
  const looked = { looked: 'left-out', leftOutWords: 'Reports about the brother' }
  assert.equal((await priya.post<{ next: string }>(at, looked)).next, `/transfers/${id}/seal`)
  const record = (await priya.call('GET', `/transfers/${id}/record`, undefined, page)).body
  assert.match(record, /Reports about the brother/)
  assert.match(record, /The sender looked for what need not be sent/)
})

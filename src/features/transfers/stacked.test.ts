import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { aHouse, type Browser } from '#test/house'

const { house, browser } = await aHouse({ after }, { rulebooks: ['council', 'practitioner', 'ministry'] })
const priya = await browser('Priya Nair')

/** Starts a transfer to a member of the public, or to somebody found in the directory. */
async function start(sender: Browser, to: string): Promise<string> {
  const { id } = await sender.post<{ id: string }>('/api/transfers')
  if (to === 'individual') await sender.post(`/api/transfers/${id}/who`, { to })
  else {
    const { found } = await sender.post<{ found: { kind: string; id: string }[] }>(`/api/transfers/${id}/who/search`, {
      q: to,
    })
    await sender.post(`/api/transfers/${id}/who`, { to: `${found[0]!.kind}:${found[0]!.id}` })
  }
  return id
}

/** Answers the page given, and says which comes next. */
async function answer(id: string, page: string, answers: object): Promise<string> {
  const { next } = await priya.post<{ next: string }>(`/api/transfers/${id}/ask/${page}`, answers)
  return next.replace(`/transfers/${id}/`, '').replace('ask/', '')
}

interface Shown {
  best?: { method: string; unmet: { id: string }[]; says: { says: string; from: string[] }[] }
  then?: { method: string; unmet: { id: string }[] }
  refused: { method: string; says: { clauses: string[]; from: string[] }[] }[]
  rulebooks: { title: string }[]
}
const decision = (id: string) => priya.get<Shown>(`/api/transfers/${id}/decision`)

test('a public leaflet needs no more questions than with one rulebook', async () => {
  const id = await start(priya, 'individual')
  assert.equal(await answer(id, 'sensitivity', { 'council-class': 'published' }), 'decision')
  const { best } = await decision(id)
  assert.equal(best?.method, 'standard_email')
  assert.deepEqual(best.unmet, [])
})

test('each rulebook’s own classification is asked, and the decision says whose each reason is', async () => {
  const id = await start(priya, 'Amir')
  assert.equal(await answer(id, 'sensitivity', { 'council-class': 'restricted' }), 'government-class')
  assert.equal(await answer(id, 'government-class', { 'government-class': 'official' }), 'what')
  assert.equal(await answer(id, 'what', { artefact: 'file', size: 'at-most-12000000' }), 'people')
  assert.equal(await answer(id, 'people', { sensitivity: 'high', people: 'at-most-1' }), 'why')
  const next = await answer(id, 'why', { purpose: 'protect-someone', urgency: 'at-risk-now' })
  assert.equal(next, 'emergency')
  const certified = await priya.post<{ next: string }>(`/api/transfers/${id}/emergency`, {
    whatCouldHappen: 'Harm',
    whyNow: 'The next visit is too late',
  })
  assert.equal(certified.next, `/transfers/${id}/ask/kind`)
  assert.equal(await answer(id, 'kind', { kind: 'share' }), 'decision')
  const { best, then, rulebooks, refused } = await decision(id)
  assert.equal(best?.method, 'telephone')
  assert.equal(then?.method, 'managed_transfer')
  assert.equal(rulebooks.length, 3)
  const from = new Set(best.says.flatMap((sentence) => sentence.from))
  assert.deepEqual([...from].toSorted(), rulebooks.map(({ title }) => title).toSorted())
  const ordinary = refused.find(({ method }) => method === 'standard_email')!
  assert.deepEqual(
    ['D22', 'M16', 'W36'].filter((clause) => ordinary.says.some(({ clauses }) => clauses.includes(clause))),
    ['D22', 'M16', 'W36'],
  )
  const missing = then.unmet.map((due) => due.id)
  for (const due of ['auth', 'cleared', 'iao', 'dmf', 'nda']) assert.ok(missing.includes(due), due)
})

test('an old marking suggests, and answers nothing', async () => {
  const id = await start(priya, 'Amir')
  const asked = await priya.get<{ old: { words: string; found: { ask: string } } }>(
    `/api/transfers/${id}/ask/government-class?marking=IL3%20rest*`,
  )
  assert.equal(asked.old.words, 'OFFICIAL-SENSITIVE')
  assert.ok(asked.old.found.ask)
  const { told } = await priya.get<{ told: { question: string }[] }>(`/api/transfers/${id}/decision`)
  assert.deepEqual(told, [])
})

test('every page of questions can be read by a person', async () => {
  const id = await start(priya, 'Amir')
  for (const page of ['sensitivity', 'government-class', 'what', 'people', 'why', 'kind', 'must-keep', 'planned'])
    assert.equal((await priya.call('GET', `/transfers/${id}/ask/${page}`)).statusCode, 200, page)
  assert.equal(house.policy.rulebooks.length, 3)
})

test('the owner’s answer authorises the recipient and the form, and stays with the transfer', async () => {
  const id = await start(priya, 'Jo Whitfield')
  await answer(id, 'sensitivity', { 'council-class': 'restricted' })
  await answer(id, 'government-class', { 'government-class': 'official' })
  await priya.post(`/api/transfers/${id}/advice`, { role: 'information-asset-owner', question: 'May they have it?' })
  const dilys = await browser('Dilys Rowan')
  const { open } = await dilys.get<{ open: { id: string }[] }>('/api/advice')
  const { settles } = await dilys.get<{ settles: { id: string }[] }>(`/api/advice/${open[0]!.id}`)
  assert.deepEqual(
    settles.map((each) => each.id),
    ['movement-form', 'owner-authorised'],
  )
  await dilys.post(`/api/advice/${open[0]!.id}/answer`, {
    answer: 'Yes, by form 12',
    settles: ['movement-form=authorised', 'owner-authorised=yes'],
  })
  await answer(id, 'what', { artefact: 'file', size: 'at-most-12000000' })
  await answer(id, 'people', { sensitivity: 'none', people: 'at-most-1' })
  await answer(id, 'why', { purpose: 'protect-someone', urgency: 'no-rush' })
  await answer(id, 'planned', { planned: 'no' })
  await answer(id, 'kind', { kind: 'share' })
  const { best } = await decision(id)
  assert.equal(best?.method, 'managed_transfer')
  const unmet = best.unmet.map((due) => due.id)
  for (const due of ['iao', 'dmf', 'ctr']) assert.ok(!unmet.includes(due), due)
  for (const due of ['nda', 'cleared']) assert.ok(unmet.includes(due), due)
})

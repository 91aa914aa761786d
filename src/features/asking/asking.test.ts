import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { aHouse, page, type Browser } from '#test/house'

const { house, browser } = await aHouse({ after }, { rulebooks: ['council', 'ministry'] })
const tom = await browser('Tom Fletcher')

interface Asked {
  step: 'ask' | 'organisation' | 'answer' | 'stop'
  title: string
  question?: { id: string }
  options?: { value: string }[]
  found?: { id: string; name: string }[]
  best?: { id: string; first: { id: string }[] }
  refused?: { id: string }[]
  stopped?: { ask: string }
}

/** Answers what is asked, by these answers and `no` or the first option otherwise, until nothing is asked any more. */
async function ask(by: Browser, answers: Record<string, string>) {
  const query = new URLSearchParams()
  for (let count = 0; count < 30; count += 1) {
    const shown = await by.get<Asked>(`/api/may-i?${query}`)
    if (shown.step === 'organisation') query.set('_organisation', answers._organisation ?? 'unlisted')
    else if (shown.step === 'ask') {
      const { id } = shown.question!
      const values = shown.options!.map(({ value }) => value)
      query.set(id, answers[id] ?? (values.includes('no') ? 'no' : values[0]!))
    } else return { shown, query, count }
  }
  throw new Error(`It asks for ever: ${query}`)
}

test('a public leaflet for a resident is answered after two questions', async () => {
  const { shown, count } = await ask(tom, { audience: 'individual', published: 'yes' })
  assert.equal(shown.title, 'Yes')
  assert.equal(shown.best?.id, 'standard_email')
  assert.deepEqual(shown.best.first, [])
  assert.ok(count <= 3, `${count} questions`)
})

test('what records say of an organisation is not asked, and nothing is kept', async () => {
  const rows = async () =>
    (
      await sql<{
        n: number
      }>`select (select count(*) from transfers) + (select count(*) from register_events) as n`.execute(house.db)
    ).rows[0]!.n
  const before = await rows()
  const listed = await tom.get<Asked>('/api/may-i?audience=organisation&_search=police')
  assert.equal(listed.step, 'organisation')
  const police = listed.found![0]!
  const { query, shown } = await ask(tom, {
    audience: 'organisation',
    _organisation: police.id,
    'council-class': 'restricted',
    personal: 'yes',
    'government-class': 'official-sensitive',
  })
  assert.equal(shown.step, 'answer')
  assert.ok(!query.has('sector') && !query.has('agreement'))
  assert.equal(await rows(), before)
  const html = await tom.call('GET', `/may-i?${query}`, undefined, page)
  assert.match(html.body, new RegExp(police.name))
})

test('the answers become a transfer, whose own questions are not asked again', async () => {
  const { query } = await ask(tom, {
    audience: 'individual',
    'government-class': 'official-sensitive',
    'council-class': 'restricted',
    personal: 'yes',
  })
  const answers = Object.fromEntries([...query].filter(([name]) => !name.startsWith('_')))
  const { id } = await tom.post<{ id: string }>('/api/may-i/start', answers)
  const { facts, recipientKind } = await house.db
    .selectFrom('transfers')
    .where('id', '=', id)
    .selectAll()
    .executeTakeFirstOrThrow()
  assert.equal(recipientKind, 'individual')
  assert.equal(facts['government-class'], 'official-sensitive')
  assert.ok(!('audience' in facts), 'who it is for is found out again')
  const { next } = await tom.post<{ next: string }>(`/api/transfers/${id}/who`, { to: 'individual' })
  assert.doesNotMatch(next, /\/ask\//)
})

test('an answer nobody knows, and answers that contradict each other, get a sentence', async () => {
  assert.deepEqual(await tom.problem('GET', '/api/may-i?audience=martians'), {
    status: 422,
    slug: 'facts-unreadable',
    fields: { audience: "'martians' is not an answer here. Use one of: inside, organisation, individual." },
  })
  assert.equal((await tom.problem('GET', '/api/may-i?published=yes&council-class=restricted')).status, 422)
})

test('a classification that stops everything stops at once, asks for nothing more, and keeps no detail', async () => {
  const { shown, count } = await ask(tom, { 'government-class': 'secret', published: 'no' })
  assert.equal(shown.step, 'stop')
  assert.equal(shown.stopped?.ask, 'Information security')
  assert.ok(count <= 6, `${count} questions`)

  const { id } = await tom.post<{ id: string }>('/api/transfers')
  await tom.post(`/api/transfers/${id}/who`, { to: 'individual' })
  await tom.post(`/api/transfers/${id}/details`, {
    informationWords: 'Plans of the harbour',
    purposeWords: 'For the exercise',
  })
  const { next } = await tom.post<{ next: string }>(`/api/transfers/${id}/ask/government-class`, {
    'government-class': 'secret',
  })
  assert.equal(next, `/transfers/${id}/stopped`)
  const row = await house.db.selectFrom('transfers').where('id', '=', id).selectAll().executeTakeFirstOrThrow()
  assert.deepEqual([row.state, row.informationWords, row.purposeWords, row.facts], ['withdrawn', null, null, {}])
  const { stopped } = await tom.get<Asked>(next.replace('/transfers', '/api/transfers'))
  assert.equal(stopped?.ask, 'Information security')
  assert.match((await tom.call('GET', next, undefined, page)).body, /write nothing about it/)
  assert.equal(
    (await tom.problem('POST', `/api/transfers/${id}/details`, { informationWords: 'More', purposeWords: 'More' }))
      .slug,
    'transfer-closed',
  )
})

test('whoever does not know the classification is helped to a suggestion, which they confirm', async () => {
  interface Help {
    tests: { name: string }[]
    suggestion?: { value: string }
    isUnsure: boolean
  }
  const help = (query: string) => tom.get<Help>(`/api/may-i/classify/council-class?audience=individual${query}`)
  const { tests, suggestion } = await help('')
  assert.deepEqual([tests.map(({ name }) => name), suggestion], [['_restricted', '_controlled'], undefined])
  assert.equal((await help('&_controlled=yes')).suggestion, undefined, 'the most sensitive comes first')
  assert.equal((await help('&_restricted=no&_controlled=yes')).suggestion?.value, 'controlled')
  assert.equal((await help('&_restricted=no&_controlled=no')).suggestion?.value, 'public')
  const unsure = await help('&_restricted=not-sure')
  assert.deepEqual([unsure.suggestion?.value, unsure.isUnsure], ['restricted', true])
  const html = (
    await tom.call('GET', '/may-i/classify/council-class?audience=individual&_restricted=yes', undefined, page)
  ).body
  assert.match(html, /href="\/may-i\?audience=individual&amp;_suggest=restricted"/)
  assert.equal((await tom.problem('GET', '/api/may-i/classify/artefact')).status, 404)

  const { id } = await tom.post<{ id: string }>('/api/transfers')
  const asked = (await tom.call('GET', `/transfers/${id}/ask/sensitivity?_suggest=restricted`, undefined, page)).body
  assert.match(asked, /value="restricted" checked/)
  assert.match(asked, new RegExp(`/transfers/${id}/classify/council-class`))
  assert.deepEqual(
    (await house.db.selectFrom('transfers').where('id', '=', id).select('facts').executeTakeFirstOrThrow()).facts,
    {},
  )
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { aVersion, draftsUrl, itsCases, keepDraft, publish } from '#test/drafting'
import { aHouse, page } from '#test/house'

const { house, open, browser } = await aHouse({ after })
const helen = await browser('Helen Marsh')
const omar = await browser('Omar Siddiq')
const priya = await browser('Priya Nair')

interface Versions {
  decided: { version: string }[]
  inForce: { version: string }[]
  isOutdated: boolean
}
const transfer = (id: string) =>
  priya.get<{ transfer: { state: string; method: string; decisionId: string }; versions: Versions }>(
    `/api/transfers/${id}`,
  )

const what = { artefact: 'file', informationWords: 'Minutes' }

/** An open transfer, decided and ready to be sent by email, of files up to 12 MB. */
async function anOpenTransfer(size = 'at-most-12000000'): Promise<string> {
  const { id } = await priya.post<{ id: string }>('/api/transfers')
  const { found } = await priya.post<{ found: { kind: string; id: string }[] }>(`/api/transfers/${id}/who/search`, {
    q: 'Lena',
  })
  await priya.post(`/api/transfers/${id}/who`, { to: `${found[0]!.kind}:${found[0]!.id}` })
  const at = `/api/transfers/${id}`
  await priya.post(`${at}/ask/sensitivity`, { 'council-class': 'controlled', personal: 'no' })
  await priya.post(`${at}/ask/what`, { ...what, size })
  await priya.post(`${at}/ask/why`, { purpose: 'deliver-a-service', purposeWords: 'To help', urgency: 'no-rush' })
  await priya.post(`${at}/method`, { method: 'encrypted_email' })
  return id
}

const decisions = async (id: string) =>
  (await house.db.selectFrom('decisions').where('transferId', '=', id).select('id').execute()).length

test('a draft says which open transfers it would decide otherwise, and changes none of them', async () => {
  const id = await anOpenTransfer()
  const had = await decisions(id)
  const draft = await keepDraft(helen, aVersion('2.0.0'), itsCases)
  const { affected, looked } = await omar.get<{
    affected: { id: string; was: string; would: string }[]
    looked: number
  }>(`${draftsUrl}/${draft}/transfers`)
  assert.equal(looked, 1)
  assert.deepEqual(
    affected.map((each) => each.id),
    [id],
  )
  assert.match(affected[0]!.was, /^Email with a link and code: Yes, with conditions/)
  assert.notEqual(affected[0]!.would, affected[0]!.was)
  assert.equal(await decisions(id), had)
  await priya.post(`/api/transfers/${id}/stop`, { reason: 'Not needed' })
  assert.equal((await omar.get<{ looked: number }>(`${draftsUrl}/${draft}/transfers`)).looked, 0, 'it is open no more')
  await helen.post(`${draftsUrl}/${draft}/withdraw`)
})

test('open transfers are looked at so many at a time, from where the last page ended', async () => {
  const id = await anOpenTransfer()
  const draft = await keepDraft(helen, aVersion('2.0.0'), itsCases)
  const url = `${draftsUrl}/${draft}/transfers`
  const owner = open('owner').db
  const more = (count: number) =>
    sql`with made as (
        insert into transfers (reference, sender_id, state, created_at, facts)
        select 'SH-copy-' || gen_random_uuid(), sender_id, state, created_at, facts
        from transfers, generate_series(1, ${count}) where id = ${id} returning id),
      decided as (
        insert into decisions (transfer_id, at, rulebooks, facts, result)
        select made.id, d.at, d.rulebooks, d.facts, d.result
        from made, decisions d join transfers t on t.decision_id = d.id where t.id = ${id} returning id, transfer_id)
      select id from decided`.execute(owner)
  const decide = () =>
    sql`update transfers t set decision_id = d.id from decisions d
      where d.transfer_id = t.id and t.decision_id is null`.execute(owner)
  interface Page {
    affected: unknown[]
    looked: number
    next?: string
  }
  for (const [extra, looked, isMore] of [
    [limits.affectedTransfers - 2, limits.affectedTransfers - 1, false],
    [1, limits.affectedTransfers, true],
    [1, limits.affectedTransfers, true],
  ] as const) {
    await more(extra)
    await decide()
    const first = await omar.get<Page>(url)
    assert.equal(first.looked, looked)
    assert.equal(first.affected.length, looked)
    assert.equal(first.next !== undefined, isMore)
  }
  const { next } = await omar.get<Page>(url)
  assert.deepEqual(((rest) => [rest.looked, rest.next])(await omar.get<Page>(`${url}?after=${next}`)), [1, undefined])
  assert.equal((await omar.problem('GET', `${url}?after=x`)).slug, 'not-found')
  await helen.post(`${draftsUrl}/${draft}/withdraw`)
})

test('an open transfer keeps its decision until its sender decides again; its page and its record name both versions', async () => {
  const id = await anOpenTransfer()
  const before = await transfer(id)
  assert.ok(!before.versions.isOutdated)
  const had = await decisions(id)
  await publish(helen, omar, aVersion('2.0.0'))
  const shown = await transfer(id)
  assert.deepEqual(
    [shown.versions.decided[0]!.version, shown.versions.inForce[0]!.version, shown.versions.isOutdated],
    ['1.0.0', '2.0.0', true],
  )
  for (const [path, says] of [
    ['', /version 2\.0\.0 is in force now\. The decision stays as it is until you decide again/],
    ['/decision', /This was decided by .*version 1\.0\.0\. Below is what version 2\.0\.0 says/],
    ['/record', /version 1\.0\.0, SHA-256 [0-9a-f]{64}[^]*version 2\.0\.0, SHA-256 [0-9a-f]{64}/],
  ] as const)
    assert.match((await priya.call('GET', `/transfers/${id}${path}`, undefined, page)).body, says)
  assert.equal(await decisions(id), had, 'looking decides nothing')
  assert.equal((await transfer(id)).transfer.decisionId, before.transfer.decisionId)
  assert.equal((await omar.problem('POST', `/api/transfers/${id}/decide-again`)).slug, 'not-found')
  const next = await priya.post<{ next: string }>(`/api/transfers/${id}/decide-again`)
  assert.equal(next.next, `/transfers/${id}/ask/what`, 'what its rules ask for is asked first')
  await priya.post(`/api/transfers/${id}/ask/what`, { ...what, size: 'at-most-9000000' })
  const again = await transfer(id)
  assert.deepEqual([again.versions.decided[0]!.version, again.versions.isOutdated], ['2.0.0', false])
  const { timeline } = await priya.get<{ timeline: { words: string }[] }>(`/api/transfers/${id}`)
  assert.ok(timeline.some(({ words }) => words === 'The policy was consulted: council 2.0.0'))
  await priya.post(`/api/transfers/${id}/stop`, { reason: 'Not needed' })
})

test('a way that is still allowed stays chosen when it is decided again; one that is not is chosen anew', async () => {
  const id = await anOpenTransfer('at-most-9000000')
  await publish(helen, omar, aVersion('3.0.0'))
  await priya.post(`/api/transfers/${id}/decide-again`)
  const { transfer: kept, versions } = await transfer(id)
  assert.deepEqual([versions.decided[0]!.version, kept.method, kept.state], ['3.0.0', 'encrypted_email', 'ready'])
  const text = aVersion('4.0.0', (shipped) =>
    shipped.replace(
      'rules:\n',
      `rules:
  - id: X-1
    title: No more
    methods: encrypted_email
    then: refuse
    instead: Send a parcel.
    clauses: [{ id: X1, says: No more. }]
`,
    ),
  )
  const sha256 = createHash('sha256').update(text).digest('hex')
  const row = { rulebook: 'council', version: '4.0.0', sha256, text, cases: '', publishedAt: new Date() }
  await open('owner')
    .db.insertInto('rulebookVersions')
    .values({ ...row, number: 100 })
    .execute()
  await priya.post(`/api/transfers/${id}/decide-again`)
  const { transfer: open4 } = await transfer(id)
  assert.deepEqual([open4.method, open4.state], [null, 'draft'])
})

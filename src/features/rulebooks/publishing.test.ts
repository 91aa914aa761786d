import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { compile, inForce, policyInForce } from '#features/rulebooks/in-force'
import { passes, prove } from '#features/rulebooks/proving'
import { readDraft } from '#features/rulebooks/reading'
import { loadPolicy } from '#shell/start'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'
import { aVersion, draftPage, draftsUrl, itsCases, keepDraft, publish, shippedCouncil } from '#test/drafting'
import { aHouse, Browser, page } from '#test/house'

const { house, browser, open } = await aHouse({ after })
const owner = open('owner').db
const helen = await browser('Helen Marsh')
const omar = await browser('Omar Siddiq')
const peter = await browser('Peter Lang')

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const versionInForce = async (as: Browser) =>
  (await as.get<{ rulebooks: { version: string; sha256: string }[] }>('/api/rulebooks')).rulebooks[0]!
/** A version that was in force when this was read, and is after what fails. */
const unchanged = async () => {
  const { version } = await versionInForce(helen)
  return async () => assert.equal((await versionInForce(helen)).version, version)
}
const withdraw = (id: string) => helen.post(`${draftsUrl}/${id}/withdraw`)
/** The slug that an act on a draft ends in. */
const problem = (as: Browser, id: string, what: string, body: object = {}) =>
  as.problem('POST', `${draftsUrl}/${id}/${what}`, body)

/** The approval, confirmed with a mailed code if that is asked for. */
async function approval(as: Browser, id: string, content: string) {
  const url = `${draftsUrl}/${id}/approve`
  const asked = await as.problem('POST', url, { content })
  if (asked.slug !== 'step-up-needed') return asked
  return as.problem('POST', url, { content }, { 'safehand-confirmation': await as.mailedCode() })
}

test('a new version is drafted, looked at, offered, approved by a second officer, and decides', async () => {
  const text = aVersion('2.0.0')
  const id = await keepDraft(helen, text, itsCases)
  const draft = await draftPage(helen, id)
  assert.deepEqual(draft.proof!.cases.failed, [])
  assert.deepEqual(draft.proof!.analysis!.findings, [])
  assert.notEqual(draft.proof!.comparison!.changed, '0')
  assert.ok(draft.isSound)
  assert.equal((await problem(omar, id, 'offer', { content: draft.content })).slug, 'not-allowed')
  await helen.post(`${draftsUrl}/${id}/offer`, { content: draft.content })
  const waits = await omar.get<{ waiting: { url: string }[] }>('/api/home')
  assert.ok(waits.waiting.some(({ url }) => url === `/rulebooks/council/drafts/${id}`))
  const before = await inForce(house)
  await omar.post(`${draftsUrl}/${id}/approve`, { content: draft.content })
  assert.deepEqual(((now) => [now.version, now.sha256])(await versionInForce(await browser('Priya Nair'))), [
    '2.0.0',
    sha256(text),
  ])
  assert.notEqual((await inForce(house)).inForce.policy, before.inForce.policy)
  const events = await house.db
    .selectFrom('registerEvents')
    .select(['name', 'body', 'leaf'])
    .where('name', 'in', ['rulebook-drafted', 'rulebook-offered', 'rulebook-published'])
    .orderBy('id')
    .execute()
  assert.deepEqual(
    events.map(({ name }) => name),
    ['rulebook-drafted', 'rulebook-offered', 'rulebook-published'],
  )
  const { by, offeredBy, ...published } = JSON.parse(events.at(-1)!.body!)
  assert.deepEqual(published, {
    draft: id,
    rulebook: 'council',
    version: '2.0.0',
    sha256: sha256(text),
    previousVersion: '1.0.0',
    previous: sha256(shippedCouncil),
  })
  assert.notEqual(by, offeredBy)
  assert.deepEqual(Object.keys(JSON.parse(Buffer.from(events.at(-1)!.leaf).toString())).toSorted(), [
    'at',
    'commitment',
    'event',
    'handle',
    'v',
  ])
})

test('whoever had a part in writing a draft cannot approve it, and it stays as it was', async () => {
  const assertUnchanged = await unchanged()
  const id = await keepDraft(helen, aVersion('2.1.0'), itsCases)
  const { content } = await draftPage(helen, id)
  await helen.post(`${draftsUrl}/${id}/offer`, { content })
  assert.equal((await approval(helen, id, content)).slug, 'draft-by-author')
  assert.equal((await approval(peter, id, content)).slug, 'not-allowed')
  await assertUnchanged()
  await withdraw(id)
  assert.equal((await approval(omar, id, content)).slug, 'draft-closed')
})

test('what is not offered, and what was changed after it was seen, is not approved', async () => {
  const id = await keepDraft(helen, aVersion('2.1.0'), itsCases)
  const { content } = await draftPage(helen, id)
  assert.equal((await approval(omar, id, content)).slug, 'changed-meanwhile')
  await helen.post(`${draftsUrl}/${id}/offer`, { content })
  await helen.post(`${draftsUrl}/${id}`, { text: aVersion('2.1.1'), cases: itsCases, was: content })
  const changed = await draftPage(helen, id)
  assert.equal(changed.draft.state.text, 'Being written', 'a change ends the offer')
  await helen.post(`${draftsUrl}/${id}/offer`, { content: changed.content })
  assert.equal((await approval(omar, id, content)).slug, 'changed-meanwhile')
  const again = { text: aVersion('2.1.2'), was: content }
  assert.equal((await helen.problem('POST', `${draftsUrl}/${id}`, again)).slug, 'changed-meanwhile')
  await withdraw(id)
})

test('an approval needs its officer to confirm it, and the confirmation is of this text alone', async () => {
  const assertUnchanged = await unchanged()
  const id = await keepDraft(helen, aVersion('2.1.0'), itsCases)
  const { content } = await draftPage(helen, id)
  await helen.post(`${draftsUrl}/${id}/offer`, { content })
  assert.equal((await problem(omar, id, 'approve', { content })).slug, 'step-up-needed')
  const code = { 'safehand-confirmation': await omar.mailedCode() }
  const other = { content: content.replace(/./, (first) => (first === '0' ? '1' : '0')) }
  assert.equal((await omar.problem('POST', `${draftsUrl}/${id}/approve`, other, code)).status, 403)
  await assertUnchanged()
  await withdraw(id)
})

test('a broken text is not kept: every fault is named by its line and the nearest word, and the page shows what was typed', async () => {
  const broken = aVersion('2.1.0', (text) =>
    text
      .replace('sector: [government', 'sektor: [government')
      .replace('methods: all', 'methods: al')
      .replace('id: council', 'id: counsel'),
  )
  const refused = await helen.problem('POST', draftsUrl, { text: broken })
  assert.equal(refused.slug, 'rulebook-unreadable')
  assert.match(JSON.stringify(refused.fields), /'sector'/)
  const form = new URLSearchParams({ text: broken, cases: 'format: safehand-cases/1\nrulebooks: [nobody]' }).toString()
  const html = { ...page, 'content-type': 'application/x-www-form-urlencoded' }
  const shown = await helen.call('POST', '/rulebooks/council/drafts', form, html)
  assert.equal(shown.statusCode, 422)
  for (const place of Object.keys(refused.fields!))
    assert.ok(shown.body.includes(`href="#${place}"`) && shown.body.includes(`id="${place}"`), place)
  assert.match(shown.body, /sektor: \[government/)
  assert.match(shown.body, /rulebooks: \[nobody\]/)
  const { drafts } = await helen.get<{ drafts: unknown[] }>(draftsUrl)
  assert.deepEqual(drafts, [])
})

test('a draft is of its rulebook, with a version of its own, and dates that can be', async () => {
  for (const [change, says] of [
    [(text: string) => text.replace('id: council', 'id: counsel'), /its id must be that/],
    [(text: string) => text.replace('version: 2.1.0', 'version: 1.0.0'), /a version 1\.0\.0 already/],
    [
      (text: string) => text.replace(/(guidance-date): .*\n(review-date): .*/, '$1: 2090-01-01\n$2: 2091-01-01'),
      /has not come yet/,
    ],
    [(text: string) => text.replace(/review-date: .*/, 'review-date: 2020-01-01'), /would be due already/],
    [(text: string) => text.replace(/review-date: .*/, 'review-date: 2099-01-01'), /years away/],
  ] as const) {
    const refused = await helen.problem('POST', draftsUrl, { text: aVersion('2.1.0', change) })
    assert.equal(refused.slug, 'rulebook-unreadable')
    assert.match(JSON.stringify(refused.fields), says)
    assert.match(Object.keys(refused.fields!)[0]!, /^text:[1-9]\d*:1$/)
  }
})

test('a draft whose cases fail is kept, says which and how, and can be neither offered nor approved', async () => {
  const assertUnchanged = await unchanged()
  const id = await keepDraft(helen, aVersion('2.1.0'))
  const { proof, isSound, content } = await draftPage(helen, id)
  assert.deepEqual(
    proof!.cases.failed.map((each) => each.id),
    ['TD-08'],
  )
  assert.match(proof!.cases.failed[0]!.differences.join(), /secure_email: expected "ALLOW_WITH", got "BLOCK"/)
  assert.ok(!isSound)
  assert.equal((await problem(helen, id, 'offer', { content })).slug, 'draft-fails')
  // Offered by some other way, it is looked at again when it is approved.
  await sql`update rulebook_drafts set state = 'offered', offered_by = authors[1] where id = ${id}`.execute(owner)
  assert.equal((await approval(omar, id, content)).slug, 'draft-fails')
  await assertUnchanged()
  await withdraw(id)
})

test('a draft in which looking at every case finds something can not be offered', async () => {
  const text = aVersion('2.1.0', (shipped) =>
    shipped.replace(
      'rules:\n',
      `rules:
  - id: X-1
    title: What can never be
    when: { published: yes, council-class: restricted }
    methods: all
    then: refuse
    instead: Something else.
    clauses: [{ id: X1, says: Nothing. }]
`,
    ),
  )
  const id = await keepDraft(helen, text, itsCases)
  const { proof, content, isSound } = await draftPage(helen, id)
  assert.deepEqual(proof!.cases.failed, [])
  assert.deepEqual(
    proof!.analysis!.findings.map(({ kind }) => kind),
    ['never-fires'],
  )
  assert.ok(!isSound)
  assert.equal((await problem(helen, id, 'offer', { content })).slug, 'draft-fails')
  await withdraw(id)
})

test('what was proved beside one policy is proved again beside another, before it is offered and before it is approved', async () => {
  const one = await keepDraft(helen, aVersion('2.2.0'), itsCases)
  const other = await keepDraft(helen, aVersion('2.3.0'), itsCases)
  const { content } = await draftPage(helen, one)
  await helen.post(`${draftsUrl}/${one}/offer`, { content })
  await publish(helen, omar, aVersion('2.2.5'))
  assert.equal((await draftPage(helen, other)).proof, undefined, 'it was looked at beside what is no longer in force')
  await helen.post(`${draftsUrl}/${other}/look`)
  assert.ok((await draftPage(helen, other)).isSound)
  await omar.post(`${draftsUrl}/${one}/approve`, { content })
  assert.equal((await versionInForce(omar)).version, '2.2.0')
  const twice = aVersion('2.4.0').replace('version: 2.4.0', 'version: 2.2.5')
  assert.match(
    JSON.stringify((await helen.problem('POST', draftsUrl, { text: twice })).fields),
    /a version 2\.2\.5 already/,
  )
  await withdraw(other)
})

test('another node decides by it from its next visit on, and so does one that is started then', async () => {
  const files = { folder: import.meta.dirname, url: '/assets/test', version: '0' }
  const start = async () => {
    const { release } = orThrow(await loadPolicy())
    const node = { ...house, release, ...(await policyInForce({ release, system: house.system })) }
    return buildApp(node, allRoutes(node.policy), files)
  }
  const second = await start()
  const there = await Browser.of(second, 'Priya Nair')
  assert.notEqual((await versionInForce(there)).version, '3.0.0')
  await publish(helen, omar, aVersion('3.0.0'))
  assert.equal((await versionInForce(there)).version, '3.0.0')
  const third = await start()
  assert.equal((await versionInForce(await Browser.of(third, 'Priya Nair'))).version, '3.0.0')
  for (const each of [second, third]) await each.close()
})

test('nothing is published while its transaction cannot be ended', async () => {
  const assertUnchanged = await unchanged()
  const id = await keepDraft(helen, aVersion('3.1.0'), itsCases)
  const { content } = await draftPage(helen, id)
  await helen.post(`${draftsUrl}/${id}/offer`, { content })
  await sql`create function no_event() returns trigger language plpgsql as
    $$ begin if new.name = 'rulebook-published' then raise 'no room'; end if; return new; end $$`.execute(owner)
  await sql`create trigger no_event before insert on register_events for each row execute function no_event()`.execute(
    owner,
  )
  assert.equal((await approval(omar, id, content)).status, 503)
  await assertUnchanged()
  assert.equal((await draftPage(omar, id)).draft.state.text, 'Waiting for approval')
  await sql`drop trigger no_event on register_events`.execute(owner)
  assert.equal((await approval(omar, id, content)).status, 200)
  assert.equal((await versionInForce(omar)).version, '3.1.0')
})

test('an officer who approves twice at once publishes once', async () => {
  const id = await keepDraft(helen, aVersion('3.2.0'), itsCases)
  const { content } = await draftPage(helen, id)
  await helen.post(`${draftsUrl}/${id}/offer`, { content })
  const second = await browser('Omar Siddiq')
  const answers = []
  for (const as of [omar, second]) {
    await as.problem('POST', `${draftsUrl}/${id}/approve`, { content })
    const code = { 'safehand-confirmation': await as.mailedCode() }
    answers.push(as.problem('POST', `${draftsUrl}/${id}/approve`, { content }, code))
  }
  const done = await Promise.all(answers)
  assert.deepEqual(done.map(({ slug }) => String(slug)).toSorted(), ['undefined', 'draft-closed'].toSorted())
})

test('a text may have as many characters as its limit, and not one more, also when every one takes nine bytes in a form', async () => {
  const padded = (to: number) => {
    const text = aVersion('4.0.0')
    return `${text}#${'€'.repeat(to - text.length - 1)}`
  }
  const form = (text: string) => new URLSearchParams({ text, cases: text }).toString()
  const html = { ...page, 'content-type': 'application/x-www-form-urlencoded' }
  for (const [characters, says] of [
    [limits.draftCharacters - 1, /What to correct/],
    [limits.draftCharacters, /What to correct/],
    [limits.draftCharacters + 1, /characters or fewer/],
  ] as const) {
    const answer = await helen.call('POST', '/rulebooks/council/drafts', form(padded(characters)), html)
    assert.equal(answer.statusCode, 422)
    assert.match(answer.body, says)
  }
})

test('so many drafts of a rulebook may be open, and not one more', async () => {
  const { drafts } = await helen.get<{ drafts: unknown[] }>(draftsUrl)
  const [row] = await owner.selectFrom('rulebookDrafts').selectAll().limit(1).execute()
  const rows = Array.from({ length: limits.draftsOpen - 1 - drafts.length }, () => {
    const { id: _id, proof: _proof, ...rest } = row!
    return { ...rest, state: 'draft' as const }
  })
  await owner.insertInto('rulebookDrafts').values(rows).execute()
  const last = await keepDraft(helen, aVersion('4.0.0'))
  assert.equal((await helen.problem('POST', draftsUrl, { text: aVersion('4.0.1') })).slug, 'drafts-too-many')
  await withdraw(last)
  await withdraw(await keepDraft(helen, aVersion('4.0.1')))
  await sql`delete from rulebook_drafts where state = 'draft'`.execute(owner)
})

test('so many drafts are looked at at once, and not one more; each frees its place', async () => {
  const read = orThrow(await readDraft(house, { rulebook: 'council', text: aVersion('4.0.0'), cases: '' }))
  const many = (count: number) => Promise.all(Array.from({ length: count }, () => prove(read)))
  assert.ok((await many(limits.proofsAtOnce - 1)).every((each) => each.ok))
  assert.ok((await many(limits.proofsAtOnce)).every((each) => each.ok))
  const over = await many(limits.proofsAtOnce + 1)
  assert.deepEqual(over.map((each) => (each.ok ? 'looked' : each.problem.slug)).toSorted(), [
    ...Array.from({ length: limits.proofsAtOnce }, () => 'looked'),
    'proofs-busy',
  ])
})

test('looking at a draft that takes too long is ended, which fails it, and frees its place', async () => {
  const read = orThrow(await readDraft(house, { rulebook: 'council', text: aVersion('4.0.0'), cases: '' }))
  for (let n = 0; n <= limits.proofsAtOnce; n += 1) {
    const proof = orThrow(await prove(read, 1))
    assert.equal(proof.trouble, 'rulebooks-tangled')
    assert.ok(!passes(proof))
  }
})

test('a review may be so many years away, and not a day more', async () => {
  const today = house.now()
  const away = (days: number) => {
    const at = new Date(
      Date.UTC(today.getUTCFullYear() + limits.reviewYears, today.getUTCMonth(), today.getUTCDate() + days),
    )
    return aVersion('4.0.0', (text) => text.replace(/review-date: .*/, `review-date: ${at.toISOString().slice(0, 10)}`))
  }
  // Two days beyond, as a day begins in London before it does in UTC.
  for (const [days, isOk] of [
    [-1, true],
    [0, true],
    [2, false],
  ] as const)
    assert.equal((await readDraft(house, { rulebook: 'council', text: away(days), cases: '' })).ok, isOk, `${days}`)
})

test('a process holds so many policies; one more and the one used longest ago is made again', () => {
  const { release } = house
  const [first, ...others] = Array.from({ length: limits.policiesKept + 1 }, (_, n) => [
    { id: 'council', text: aVersion(`5.${n}.0`) },
  ])
  const made = orThrow(compile(release, first!))
  for (const each of others.slice(0, -1)) orThrow(compile(release, each))
  assert.equal(orThrow(compile(release, first!)).policy, made.policy)
  for (const each of others) orThrow(compile(release, each))
  assert.notEqual(orThrow(compile(release, first!)).policy, made.policy)
})

test('a node that cannot read what was published decides nothing, and says what to do', async () => {
  const text = aVersion('9.0.0', (shipped) => shipped.replace('methods: all', 'methods: carrier-pigeon'))
  const row = { rulebook: 'council', version: '9.0.0', sha256: sha256(text), text, cases: '', publishedAt: new Date() }
  await owner
    .insertInto('rulebookVersions')
    .values({ ...row, number: 1_000 })
    .execute()
  const refused = await helen.problem('GET', '/api/home')
  assert.equal(refused.slug, 'rulebook-not-ours')
  assert.match(Object.values(refused.fields!).join(), /carrier-pigeon/)
  await owner.deleteFrom('rulebookVersions').where('number', '=', 1_000).execute()
  assert.equal((await helen.call('GET', '/api/home')).statusCode, 200)
})

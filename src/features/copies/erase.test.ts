import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { toHex } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { parseEvidence } from '#core/register/event'
import { parseTrustPolicy } from '#core/register/policy'
import { parseProof } from '#core/register/proof'
import { verifyReceipt } from '#core/register/verify'
import { parseVkey } from '#core/register/note'
import { tablesInOrder } from '#edge/backup/format'
import { fsckRegister } from '#edge/keeper/fsck'
import { receiptFor } from '#edge/keeper/receipt'
import { checkWork } from '#features/parcels/checking'
import { destroyParcel, tidy } from '#features/parcels/keeping'
import { eraseNow, planErasure, replayErasures, type Wanted } from '#features/copies/erase'
import { appendErasure, readErasures } from '#features/copies/list'
import { acknowledge, admit, openAll } from '#test/collecting'
import { aHouse, day } from '#test/house'
import { aReadyTransfer, aSentParcel, sergeant } from '#test/sending'

const { house, open, browser, advance } = await aHouse({ after })
const erasing = open('erasure').db
const owner = open('owner').db
const list = house.config.erasuresFile
let priya = await browser('Priya Nair')
const now = () => new Date()

/** Everything that the database holds, as text. */
async function everything(): Promise<string> {
  const parts: string[] = []
  for (const { name } of await tablesInOrder(house.db)) {
    const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.id(name)} t order by 1`.execute(
      house.db,
    )
    parts.push(...rows.map(({ row }) => `${name} ${row}`))
  }
  return parts.join('\n')
}

const referenceOf = async (id: string) =>
  (await house.db.selectFrom('transfers').where('id', '=', id).select('reference').executeTakeFirstOrThrow()).reference

/** A parcel that was sent, opened with a receipt, and has ended. */
async function anEndedTransfer() {
  const parcel = await aSentParcel(priya)
  const recipient = await admit(await browser(), priya, parcel)
  await acknowledge(recipient, parcel)
  const { said } = await openAll(recipient, parcel)
  await recipient.post(`/api/collect/${parcel.recipients[0]}/opened`, said)
  orThrow(await house.keeper.once())
  const receipt = (await recipient.call('GET', `/api/collect/${parcel.recipients[0]}/receipt`)).body
  advance(15 * day)
  await tidy(house)
  await destroyParcel(house, parcel.parcelId)
  priya = await browser('Priya Nair')
  return { ...parcel, receipt, reference: await referenceOf(parcel.transferId) }
}

const eraseIt = (wanted: Wanted, reason = 'Right to erasure, request 12') =>
  eraseNow(erasing, list, wanted, { reason, now: now() })

async function findings() {
  orThrow(await house.keeper.once())
  const found: unknown[] = []
  const { blobs, keyring, db } = house
  await checkWork({ db, blobs, keyring, now: house.now() }, false, (...finding) => void found.push(finding))
  const { findings: wrong } = await fsckRegister(db, house.keeper.tiles, orThrow(parseVkey(house.keeper.vkey)))
  return [...found, ...wrong]
}

test('an erased transfer is gone from every table, and the register stays whole', async () => {
  const ended = await anEndedTransfer()
  const other = await anEndedTransfer()
  const words = [ended.reference, ended.recipients[0]!, ended.parcelId]
  // The keeper may still be at what it was nudged for.
  orThrow(await house.keeper.once())
  const before = await everything()
  for (const word of words) assert.ok(before.includes(word), word)
  const events = await house.db
    .selectFrom('registerEvents')
    .where('transferId', '=', ended.transferId)
    .selectAll()
    .orderBy('id')
    .execute()
  const planned = orThrow(await planErasure(erasing, { transfer: ended.reference }, now()))
  assert.deepEqual(planned.erasure.events.toSorted(), events.map(({ handle }) => handle).toSorted())
  assert.equal(await everything(), before, 'a plan changes nothing')

  const done = orThrow(await eraseIt({ transfer: ended.reference }))
  assert.ok(done.mails > 3 && done.recipients === 1)
  const left = await everything()
  for (const word of [ended.reference, ended.recipients[0]!, ...events.map(({ salt }) => toHex(salt!))])
    assert.ok(!left.includes(word), word)
  assert.ok(left.includes(other.reference), 'another transfer is as it was')
  const rows = await house.db
    .selectFrom('registerEvents')
    .where('transferId', '=', ended.transferId)
    .selectAll()
    .orderBy('id')
    .execute()
  assert.ok(rows.every(({ salt, body }) => salt === null && body === null))
  assert.deepEqual(
    rows.map(({ leaf }) => leaf),
    events.map(({ leaf }) => leaf),
  )
  assert.deepEqual(await findings(), [])
  assert.equal((await priya.problem('GET', `/api/transfers/${ended.transferId}`)).slug, 'not-found')
  assert.equal((await priya.call('GET', '/')).statusCode, 200)
})

test('a receipt given out before verifies for whoever kept it, and none is made after', async () => {
  const ended = await anEndedTransfer()
  const { receiptEventId } = await house.db
    .selectFrom('recipients')
    .where('id', '=', ended.recipients[0]!)
    .select('receiptEventId')
    .executeTakeFirstOrThrow()
  orThrow(await eraseIt({ transfer: ended.reference }))
  const trust = orThrow(parseTrustPolicy(`log ${house.keeper.vkey}\nquorum none\n`))
  const verified = orThrow(verifyReceipt(ended.receipt, trust))
  assert.equal((verified.body as { transfer: string }).transfer, ended.transferId)
  const none = await receiptFor(house.db, house.keeper, receiptEventId!)
  assert.ok(!none.ok && none.problem.slug === 'proof-erased')
  // The only thing that ties the body to the leaf is the salt, and only the receipt has it now.
  const { salt } = orThrow(parseEvidence(orThrow(parseProof(ended.receipt)).extra!))
  assert.ok(!(await everything()).includes(toHex(salt)))
  const guessed = verifyReceipt(
    ended.receipt.replace(/^extra (.*)$/m, (_, extra: string) => {
      const said = JSON.parse(Buffer.from(extra, 'base64').toString()) as { salt: string }
      const other = Buffer.alloc(32, 1).toString('base64')
      return `extra ${Buffer.from(Buffer.from(extra, 'base64').toString().replace(said.salt, other)).toString('base64')}`
    }),
    trust,
  )
  assert.ok(!guessed.ok && guessed.problem.slug === 'proof-not-included')
})

test('what can still be opened, or is not ended, is not erased', async () => {
  const before = (await readErasures(list)) as { value: unknown[] }
  const draft = await aReadyTransfer(priya)
  const live = await aSentParcel(priya)
  const cases: [string, RegExp][] = [
    [draft, /: it is not ended\.$/],
    [live.transferId, /it is not ended\.\n.*its parcel can still be opened\.$/],
  ]
  for (const [id, said] of cases) {
    const refused = await eraseIt({ transfer: await referenceOf(id) })
    assert.ok(!refused.ok && refused.problem.slug === 'erasure-open')
    assert.match(refused.problem.detail!, said)
  }
  await priya.post(`/api/transfers/${live.transferId}/recall`, {})
  const locked = await eraseIt({ transfer: await referenceOf(live.transferId) })
  assert.ok(!locked.ok && /bytes of its parcel are not destroyed/.test(locked.problem.detail!))
  assert.ok(
    (await house.db.selectFrom('transfers').where('id', '=', draft).select('state').executeTakeFirst())!.state !==
      'erased',
  )
  const nobody = await eraseIt({ transfer: 'SH-1999-000001' })
  assert.ok(!nobody.ok && nobody.problem.slug === 'erasure-unknown')
  assert.deepEqual(await readErasures(list), before)
  await destroyParcel(house, live.parcelId)
  orThrow(await eraseIt({ transfer: await referenceOf(live.transferId) }))
})

test('a colleague who can sign in is not erased, and the reason may name nobody', async () => {
  const grace = await eraseIt({ person: 'grace.oduya@exampleshire.example' })
  assert.ok(!grace.ok && grace.problem.slug === 'erasure-open')
  await sql`update people set active = false where email = 'grace.oduya@exampleshire.example'`.execute(house.db)
  for (const reason of ['Asked for by grace oduya', 'See mail of GRACE.ODUYA@exampleshire.example']) {
    const named = await eraseIt({ person: 'grace.oduya@exampleshire.example' }, reason)
    assert.ok(!named.ok && named.problem.slug === 'reason-names')
  }
  orThrow(await eraseIt({ person: 'grace.oduya@exampleshire.example' }))
  assert.ok(!(await everything()).includes('Grace Oduya'))
})

test('the list holds ids only, and the event in the register names nobody', async () => {
  const text = await readFile(list, 'utf8')
  const ids = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}/g
  assert.match(
    text.replace(ids, 'ID'),
    /^(\{"v":1,"id":"ID","at":"[^"]+","transfers":\[("ID",?)*\],"recipients":\[("ID",?)*\],"people":\[("ID",?)*\],"events":\[("ID",?)*\]\}\n)+$/,
  )
  const { rows } = await sql<{ body: string }>`select body from register_events where name = 'erased'`.execute(house.db)
  assert.ok(rows.length >= 3)
  for (const { body } of rows) assert.match(body.replace(ids, 'ID'), /^\{"again":false,"erasure":"ID","events":\d+\}$/)
})

test('killed between the list and the database, it is done at the next start; killed in the list, it never was', async () => {
  const ended = await anEndedTransfer()
  const { erasure } = orThrow(await planErasure(erasing, { transfer: ended.reference }, now()))
  await appendErasure(list, erasure)
  assert.equal(orThrow(await replayErasures(erasing, list)), 1)
  assert.ok(!(await everything()).includes(ended.reference))
  assert.equal(orThrow(await replayErasures(erasing, list)), 0)

  const next = await anEndedTransfer()
  const whole = await readFile(list, 'utf8')
  const plan = orThrow(await planErasure(erasing, { transfer: next.reference }, now())).erasure
  await writeFile(list, `${whole}${JSON.stringify(plan).slice(0, 80)}`)
  assert.equal(orThrow(await replayErasures(erasing, list)), 0)
  orThrow(await eraseIt({ transfer: next.reference }))
  assert.equal(orThrow(await readErasures(list)).length, whole.split('\n').length)
  assert.deepEqual(await findings(), [])
})

test('an erasure whose transaction fails is still on the list, and done by the next that looks', async () => {
  const ended = await anEndedTransfer()
  await sql`alter table erasures add constraint broken check (at < '2000-01-01') not valid`.execute(owner)
  await assert.rejects(eraseIt({ transfer: ended.reference }))
  await sql`alter table erasures drop constraint broken`.execute(owner)
  assert.ok((await everything()).includes(ended.reference))
  assert.equal(orThrow(await replayErasures(erasing, list)), 1)
  assert.ok(!(await everything()).includes(ended.reference))
})

test('erasures that ask at once are done one after the other', async () => {
  const ended = [await anEndedTransfer(), await anEndedTransfer(), await anEndedTransfer()]
  const before = orThrow(await readErasures(list)).length
  const done = await Promise.all(
    ended.flatMap(({ reference }) => [eraseIt({ transfer: reference }), eraseIt({ transfer: reference })]),
  )
  assert.equal(done.filter(({ ok }) => ok).length, 3)
  assert.equal(orThrow(await readErasures(list)).length, before + 3)
})

test('a list that was damaged refuses, and nothing is erased', async () => {
  const ended = await anEndedTransfer()
  const whole = await readFile(list, 'utf8')
  for (const damaged of [
    whole.replace('"v":1', '"v":2'),
    `{}\n${whole}`,
    whole.slice(5),
    whole.replace('"id":"', '"id":"x'),
  ]) {
    await writeFile(list, damaged)
    for (const refused of [await replayErasures(erasing, list), await eraseIt({ transfer: ended.reference })])
      assert.ok(!refused.ok && refused.problem.slug === 'erasures-unreadable')
  }
  await rm(list)
  assert.deepEqual(orThrow(await readErasures(list)), [])
  await writeFile(list, whole)
  assert.ok((await everything()).includes(ended.reference))
})

test('a person is erased from the directory and wherever they received, and the transfers stay', async () => {
  const ended = await anEndedTransfer()
  // Whatever the other tests have open for him ends first.
  for (const { transferId, id } of await house.db
    .selectFrom('parcels')
    .where('state', 'in', ['sealed', 'sealing', 'recalled'])
    .select(['id', 'transferId'])
    .execute()) {
    await priya.call('POST', `/api/transfers/${transferId}/recall`, {})
    await destroyParcel(house, id)
  }
  const drafts = await house.db.selectFrom('transfers').where('state', 'in', ['draft', 'ready']).select('id').execute()
  for (const { id } of drafts) await priya.post(`/api/transfers/${id}/stop`, { reason: 'Not needed' })
  await house.db
    .updateTable('teamMailboxes')
    .set({ members: [sergeant.email, 'other@northbrook-police.example'] })
    .execute()
  const done = orThrow(await eraseIt({ person: sergeant.email.toUpperCase() }))
  assert.ok(done.erasure.recipients.length >= 1 && done.erasure.people.length === 1)
  const left = await everything()
  for (const word of [sergeant.email, 'Amir Khan', 'Rang the station']) assert.ok(!left.includes(word), word)
  assert.ok(left.includes(ended.reference) && left.includes('other@northbrook-police.example'))
  const again = await eraseIt({ person: sergeant.email })
  assert.ok(!again.ok && again.problem.slug === 'erasure-unknown')
  assert.deepEqual(await findings(), [])
  const shown = await priya.get<{ transfer: { reference: string } }>(`/api/transfers/${ended.transferId}`)
  assert.equal(shown.transfer.reference, ended.reference)
})

test('every table that refers to transfers, recipients, parcels or people is known to erasure', async () => {
  const { rows } = await sql<{ column: string }>`
    select c.relname || '.' || a.attname as column
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    left join pg_constraint f on f.conrelid = c.oid and f.contype = 'f' and a.attnum = any(f.conkey)
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
      and (a.attname in ('transfer_id', 'recipient_id', 'parcel_id')
        or f.confrelid in ('transfers'::regclass, 'recipients'::regclass, 'parcels'::regclass, 'people'::regclass))
    order by 1`.execute(house.db)
  // A new one must be erased, or kept for a reason; then it is added here.
  const erased =
    'admissions.recipient_id advice_requests.transfer_id api_tokens.person_id browsers.person_id decisions.transfer_id devices.person_id emergency_certifications.transfer_id exceptions.transfer_id locks.parcel_id locks.recipient_id outgoing_mail.transfer_id parcel_parts.parcel_id parcels.transfer_id passkeys.person_id phrase_tellings.recipient_id recipient_confirmations.recipient_id recipients.person_id recipients.transfer_id register_events.transfer_id sharing_records.transfer_id sign_ins.person_id'
  // Who acted in their office, by a number that names nobody once the person is erased.
  const acted =
    'advice_requests.answered_by advice_requests.asked_by agreements.entered_by emergency_certifications.by_id emergency_certifications.reviewed_by exceptions.by_id facility_grants.granted_by facility_grants.person_id incidents.recorded_by incidents.reported_by mailbox_checks.checked_by people.line_manager_id phrase_tellings.by_id recipient_confirmations.by_id rulebook_drafts.offered_by rulebook_versions.approved_by rulebook_versions.offered_by sharing_records.by_id transfers.sender_id'
  const kept = 'incidents.transfer_id'
  assert.deepEqual(
    rows.map(({ column }) => column),
    `${erased} ${acted} ${kept}`.split(' ').toSorted(),
  )
})

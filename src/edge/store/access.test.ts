import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CamelCasePlugin, Kysely, sql } from 'kysely'
import { Pool } from 'pg'
import { fail, ok } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import { holdMail, listMail } from '#edge/mail/outbox'
import { access } from '#edge/store/access'
import { asSystem, ContextDialect, type Context } from '#edge/store/context'
import { inTransaction, type Db } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'
import { aColleague, aCouncil, anOrganisation, aTransfer } from '#test/council'
import { freshDatabase } from '#test/database'

const { db: system, store, open } = await freshDatabase({ after })
const owner = open('owner').db
const keeper = open('keeper').db
const erasure = open('erasure').db

const council = await aCouncil(system)
await anOrganisation(system, { domains: ['northbrook-police.example'] })
const anna = await aColleague(system, council.id, ['sender'])
const bedwyr = await aColleague(system, council.id, ['sender', 'service-desk'])
const carys = await aColleague(system, council.id, ['auditor'])

const asStaff = ({ id, roles }: { id: string; roles: readonly string[] }) =>
  store.confine({ as: 'person', person: id, roles })
const stranger = store.confine({ as: 'stranger' })

/** A sealed parcel of this sender, for two recipients. */
async function aParcelForTwo(sender: { id: string }) {
  const transfer = await aTransfer(system, sender.id)
  const ids = async (query: { execute(): Promise<{ id: string }[]> }) => (await query.execute()).map(({ id }) => id)
  const person = { kind: 'individual' as const, transferId: transfer.id }
  const [one, other] = await ids(
    system
      .insertInto('recipients')
      .values([
        { ...person, fullName: 'One', email: 'one@millbrook.example' },
        { ...person, fullName: 'Other', email: 'other@millbrook.example' },
      ])
      .returning('id'),
  )
  const parcel = { transferId: transfer.id, state: 'sealed' as const, partSizeBytes: 1, pq: true, declaredBytes: 1 }
  const now = new Date()
  const [parcelId] = await ids(
    system
      .insertInto('parcels')
      .values({ ...parcel, handling: '', createdAt: now })
      .returning('id'),
  )
  await system.insertInto('parcelParts').values({ parcelId: parcelId!, n: 0, sizeBytes: 1, sha256: 'ab' }).execute()
  for (const recipientId of [one!, other!])
    await system
      .insertInto('locks')
      .values({
        id: crypto.randomUUID(),
        parcelId: parcelId!,
        recipientId,
        kind: 'passphrase',
        receiptPublicKey: Buffer.alloc(32),
        age: Buffer.from('lock'),
        createdAt: now,
      })
      .execute()
  const context: Context = { as: 'recipient', recipient: one!, transfer: transfer.id, sender: sender.id }
  return { transferId: transfer.id, parcelId: parcelId!, one: one!, other: other!, context }
}

const ofAnna = await aParcelForTwo(anna)
const ofBedwyr = await aParcelForTwo(bedwyr)
await inTransaction(system, async (tx) => {
  await recordEvent(tx, 'transfer-started', { transfer: ofAnna.transferId }, { transferId: ofAnna.transferId })
  await recordEvent(tx, 'token-made', { person: anna.id })
  return ok()
})

/** How many rows of each table somebody sees, of those that have any. */
async function seen(db: Db): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of Object.keys(access)) {
    const count = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`
      .execute(db)
      .then(({ rows }) => rows[0]!.n)
      .catch((error: { code: string }) => assert.equal(error.code, '42501', `${table}: ${error.code}`))
    if (count) counts[table] = count
  }
  return counts
}

const denied = (work: Promise<unknown>, why = /permission denied|must be owner|row-level security/) =>
  assert.rejects(work, why)
const changed = async (query: { execute(): Promise<unknown[]> }) => (await query.execute()).length

test('every table has its line, every line its table, and row-level security that holds for its owner too', async () => {
  const { rows } = await sql<{ name: string; held: boolean }>`
    select relname as name, relrowsecurity and relforcerowsecurity as held from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`.execute(owner)
  assert.deepEqual(rows.map(({ name }) => name).toSorted(), Object.keys(access).toSorted())
  assert.deepEqual(
    rows.filter(({ held }) => !held),
    [],
  )
})

test('without a context nothing is seen, not even that there is nothing', async () => {
  for (const table of Object.keys(access)) await denied(store.pool.query(`select from ${table}`), /permission denied/)
})

test('no role of a running server changes or takes away a leaf, nor what was said once', async () => {
  for (const db of [system, asStaff(anna), asStaff(carys), stranger, keeper, erasure]) {
    for (const set of [`leaf = ''`, `handle = ''`, `at = now()`, `transfer_id = null`, `name = ''`])
      await denied(sql`update register_events set ${sql.raw(set)}`.execute(db))
    await denied(sql`delete from register_events`.execute(db))
  }
  for (const table of ['decisions', 'recipient_confirmations', 'phrase_tellings', 'exceptions', 'sharing_records']) {
    for (const db of [system, asStaff(anna), asStaff(carys), stranger, keeper])
      await denied(sql`delete from ${sql.table(table)}`.execute(db))
    for (const db of [system, asStaff(anna), asStaff(carys), stranger, keeper, erasure])
      await denied(sql`update ${sql.table(table)} set id = id`.execute(db))
  }
  for (const db of [system, asStaff(anna), stranger]) await denied(sql`update register_events set seq = 1`.execute(db))
})

test('the keeper gives places and keeps the head, and neither reads nor changes the work', async () => {
  assert.deepEqual(await seen(keeper), { register_events: 2 })
  await sql`update register_events set seq = 7 where false`.execute(keeper)
  await denied(sql`update register_events set salt = null, body = null`.execute(keeper))
  await denied(sql`insert into register_events (name, at, handle, leaf) values ('', now(), '', '')`.execute(keeper))
  for (const table of ['transfers', 'people', 'recipients', 'outgoing_mail'])
    await denied(sql`update ${sql.table(table)} set id = id`.execute(keeper))
})

test('erasure takes the words of an event out and puts none in', async () => {
  assert.deepEqual(
    Object.keys(await seen(erasure)).filter((table) => !access[table]!.erasure),
    [],
  )
  await denied(sql`update register_events set body = '{}'`.execute(erasure))
  await denied(sql`update register_events set seq = 1`.execute(erasure))
  const undone = owner.transaction().execute(async (tx) => {
    await sql`set local role safehand_erasure`.execute(tx)
    assert.equal(
      (await sql`update register_events set salt = null, body = null returning id`.execute(tx)).rows.length,
      2,
    )
    throw new Error('only tried')
  })
  await assert.rejects(undone, /only tried/)
})

test('nobody who serves can switch the policies off, step past them, or become the owner', async () => {
  for (const db of [system, asStaff(carys), stranger, keeper, erasure]) {
    await denied(sql`alter table transfers disable row level security`.execute(db))
    await denied(sql`alter table transfers no force row level security`.execute(db))
    await denied(sql`drop policy system_select on transfers`.execute(db))
    await denied(sql`grant safehand_system to current_user`.execute(db))
    await denied(sql`create table public.mine ()`.execute(db))
    await denied(sql`set session authorization safehand`.execute(db))
  }
  for (const db of [system, asStaff(anna), stranger]) await denied(sql`set role safehand_erasure`.execute(db))
  await denied(
    inTransaction(asStaff(anna), async (tx) => {
      await sql`set local row_security = off`.execute(tx)
      return ok(await sql`select from transfers`.execute(tx))
    }),
  )
})

test('staff see the directory, their own transfers with what belongs to them, and nothing of a colleague’s', async () => {
  assert.deepEqual(await seen(asStaff(anna)), {
    organisations: 2,
    people: 3,
    transfers: 1,
    recipients: 2,
    parcels: 1,
    parcel_parts: 1,
    locks: 2,
    register_events: 1,
  })
  assert.deepEqual(await asStaff(anna).selectFrom('transfers').select('id').execute(), [{ id: ofAnna.transferId }])
  assert.equal(
    await changed(
      asStaff(bedwyr).updateTable('transfers').set({ state: 'x' }).where('id', '=', ofAnna.transferId).returning('id'),
    ),
    0,
  )
  const theirs = { transferId: ofAnna.transferId, at: new Date(), rulebooks: '[]', facts: '{}', result: '{}' }
  await denied(asStaff(bedwyr).insertInto('decisions').values(theirs).execute())
  await denied(asStaff(bedwyr).updateTable('transfers').set({ senderId: anna.id }).execute())
})

test('who reads every record reads it, and no content', async () => {
  const { transfers, recipients, parcels, locks } = await seen(asStaff(carys))
  assert.deepEqual(
    { transfers, recipients, parcels, locks },
    { transfers: 2, recipients: 4, parcels: undefined, locks: undefined },
  )
  assert.equal(await changed(asStaff(carys).updateTable('recipients').set({ failures: 0 }).returning('id')), 0)
})

test('a question opens its transfer to whom it is put, and nothing of the transfer but its row', async () => {
  const undone = system.transaction().execute(async (tx) => {
    const request = {
      askedBy: anna.id,
      askedOfRole: 'service-desk',
      aboutFacts: [],
      question: '?',
      askedAt: new Date(),
    }
    await tx
      .insertInto('adviceRequests')
      .values({ transferId: ofAnna.transferId, ...request })
      .execute()
    await sql`select set_config('role', 'safehand_staff', true), set_config('safehand.person', ${bedwyr.id}, true),
      set_config('safehand.roles', 'service-desk', true)`.execute(tx)
    assert.equal((await tx.selectFrom('transfers').select('id').execute()).length, 2)
    assert.equal((await tx.selectFrom('recipients').select('id').execute()).length, 2)
    assert.equal(
      await changed(tx.updateTable('adviceRequests').set({ answer: 'A', answeredBy: bedwyr.id }).returning('id')),
      1,
    )
    throw new Error('only tried')
  })
  await assert.rejects(undone, /only tried/)
})

test('nobody but an administrator makes or changes staff', async () => {
  const row = { organisationId: council.id, kind: 'staff' as const, fullName: 'X', email: 'x@exampleshire.example' }
  await denied(asStaff(bedwyr).insertInto('people').values(row).execute())
  const roles = { roles: ['administrator' as const] }
  assert.equal(
    await changed(asStaff(bedwyr).updateTable('people').set(roles).where('id', '=', bedwyr.id).returning('id')),
    0,
  )
  await denied(
    asStaff(bedwyr).insertInto('organisations').values({ name: 'X', sector: 'council', isOwn: true }).execute(),
  )
})

test('a recipient sees their own row, transfer, parcel and lock, and nothing of another recipient', async () => {
  const one = store.confine(ofAnna.context)
  assert.deepEqual(await seen(one), {
    organisations: 1,
    people: 1,
    transfers: 1,
    recipients: 1,
    parcels: 1,
    parcel_parts: 1,
    locks: 1,
  })
  assert.deepEqual(await one.selectFrom('recipients').select('id').execute(), [{ id: ofAnna.one }])
  assert.deepEqual(await one.selectFrom('locks').select('recipientId').execute(), [{ recipientId: ofAnna.one }])
  assert.deepEqual(await one.selectFrom('people').select('id').execute(), [{ id: anna.id }])
  await denied(one.updateTable('transfers').set({ state: 'collected' }).execute())
  assert.equal(
    await changed(
      one.updateTable('recipients').set({ openedAt: new Date() }).where('id', '=', ofAnna.other).returning('id'),
    ),
    0,
  )
  assert.equal(
    await changed(one.updateTable('locks').set({ age: null }).where('recipientId', '=', ofAnna.other).returning('id')),
    0,
  )
})

test('a stranger sees what our organisation is called, and nothing else', async () => {
  assert.deepEqual(await seen(stranger), { organisations: 1 })
  assert.equal(await changed(stranger.selectFrom('recipients').where('id', '=', ofAnna.one).selectAll()), 0)
})

test('whoever writes a mail or an event cannot read it again', async () => {
  for (const db of [asStaff(anna), stranger, store.confine(ofAnna.context)]) {
    const written = await inTransaction(db, async (tx) => {
      const letter = { subject: { en: 'X' }, body: { en: ['Y'] } }
      const id = await holdMail(tx, { to: 'one@millbrook.example', letter, language: 'en' })
      const { eventId } = await recordEvent(tx, 'token-made', { person: 'x' })
      return ok({ id, eventId })
    })
    assert.ok(written.ok)
    await listMail(db).then(
      (mails) => assert.deepEqual(mails, []),
      (error: { code: string }) => assert.equal(error.code, '42501'),
    )
    assert.equal(await changed(db.selectFrom('registerEvents').selectAll().where('id', '=', written.value.eventId)), 0)
  }
})

test('by one connection, nothing of one person’s work is there for the next, however it ended', async () => {
  const pool = new Pool({ connectionString: store.connectionString, max: 1, pipeline: true })
  const only = (context: Context): Db =>
    new Kysely<Tables>({ dialect: new ContextDialect({ pool }, context), plugins: [new CamelCasePlugin()] })
  const [a, b] = [anna, bedwyr].map(({ id, roles }) => only({ as: 'person', person: id, roles }))
  const mine = async (db: Db) => (await db.selectFrom('transfers').select('id').execute()).map(({ id }) => id)
  const both = async (after: string) => {
    await assert.rejects(pool.query('select from transfers'), /permission denied/, after)
    const { rows } = await pool.query(
      `select current_user as role, coalesce(current_setting('safehand.person', true), '') as person`,
    )
    assert.deepEqual(rows, [{ role: 'safehand_app', person: '' }], after)
    assert.deepEqual(await mine(b!), [ofBedwyr.transferId], after)
    assert.deepEqual(await mine(a!), [ofAnna.transferId], after)
  }
  assert.deepEqual(await mine(a!), [ofAnna.transferId])
  await both('a query')
  await assert.rejects(sql`select 1 / 0`.execute(a!), /division by zero/)
  await both('an error')
  await assert.rejects(sql`select 9007199254740993::bigint / 0`.execute(a!))
  await both('another error')
  await assert.rejects(
    a!.transaction().execute(() => Promise.reject(new Error('thrown'))),
    /thrown/,
  )
  await both('a thrown transaction')
  assert.deepEqual(await inTransaction(a!, async () => fail('not-found')), fail('not-found'))
  await both('a transaction that was undone')
  await assert.rejects(
    a!.transaction().execute((tx) => sql`select 1 / 0`.execute(tx)),
    /division by zero/,
  )
  await both('an error in a transaction')
  await a!.connection().execute(async (one) => {
    assert.deepEqual(await mine(one), [ofAnna.transferId])
    assert.ok((await inTransaction(one, async (tx) => ok(await mine(tx)))).ok)
  })
  await both('a connection of one’s own')
  const controlled = await a!.startTransaction().execute()
  const saved = await controlled.savepoint('here').execute()
  await assert.rejects(sql`select 1 / 0`.execute(saved), /division by zero/)
  await saved.rollbackToSavepoint('here').execute()
  assert.deepEqual(await mine(controlled), [ofAnna.transferId])
  await controlled.rollback().execute()
  await both('a savepoint')
  const read = a!.transaction().setIsolationLevel('serializable').setAccessMode('read only')
  assert.deepEqual(await read.execute(mine), [ofAnna.transferId])
  await both('a transaction of another kind')
  await Promise.all(Array.from({ length: 20 }, async (_, i) => mine(i % 2 ? a! : b!)))
  await both('many at once')
  await pool.end()
})

test('whoever cannot be told apart is done nothing for, though the first statement is sent before that is known', async () => {
  // The keeper's login may not become anybody else.
  const pool = new Pool({ connectionString: open('keeper').connectionString, max: 1, pipeline: true })
  const db: Db = new Kysely<Tables>({ dialect: new ContextDialect({ pool }, { as: 'stranger' }) })
  // A lock of the session stays when its transaction is undone: it would show that the statement ran.
  const acts = (on: Db) => sql`select pg_advisory_lock(7)`.execute(on)
  const refused = /permission denied to set role/
  await assert.rejects(acts(db), refused)
  await assert.rejects(db.transaction().execute(acts), refused)
  await assert.rejects(
    db.transaction().execute(async () => {}),
    refused,
  )
  await assert.rejects(
    db.transaction().execute(async (tx) => Promise.all([acts(tx), acts(tx)])),
    refused,
  )
  const { rows } = await pool.query(`select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`)
  assert.equal(rows.length, 0)
  await pool.end()
})

test('a statement that fails has done nothing, and one that succeeds is committed when it answers', async () => {
  const rate = { key: Buffer.from('k'), used: 1, endsAt: new Date() }
  await stranger.insertInto('rates').values(rate).execute()
  await assert.rejects(
    stranger
      .insertInto('rates')
      .values([{ ...rate, key: Buffer.from('l') }, rate])
      .execute(),
    { code: '23505' },
  )
  assert.deepEqual(await owner.selectFrom('rates').select('used').execute(), [{ used: 1 }])
})

test('part of a transaction is done as the system, and the rest is not', async () => {
  const counts = await inTransaction(asStaff(anna), async (tx) => {
    const count = async () => (await tx.selectFrom('transfers').select('id').execute()).length
    const before = await count()
    const within = await asSystem(tx, count)
    await assert.rejects(
      asSystem(tx, () => Promise.reject(new Error('inside'))),
      /inside/,
    )
    return ok([before, within, await count()])
  })
  assert.deepEqual(counts, ok([1, 2, 1]))
})

test('what staff search for is looked up in an index, policies or not', async () => {
  for (const db of [system, asStaff(anna)]) {
    const plan = await inTransaction(db, async (tx) => {
      await sql`set local enable_seqscan = off`.execute(tx)
      return ok((await sql`explain select from people where lower(email) = 'x@millbrook.example'`.execute(tx)).rows)
    })
    assert.match(JSON.stringify(plan), /Index Cond/)
  }
})

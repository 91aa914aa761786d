import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { toBase64 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { parseVkey } from '#core/register/note'
import { fsckRegister, noteIn, type Finding } from '#edge/keeper/fsck'
import { eraseNow } from '#features/copies/erase'
import { checkWork } from '#features/parcels/checking'
import { tidy } from '#features/parcels/keeping'
import { manifestKey, partKey } from '#features/parcels/sealing'
import { acknowledge, admit, collectingKey, openAll } from '#test/collecting'
import { aHouse, day, type Browser } from '#test/house'
import { aFile, aReadyTransfer, aSentParcel, sealAndUpload, sergeant, type SealedForTest } from '#test/sending'

const { house, open, browser, advance } = await aHouse({ after })
const { blobs } = house
// As the owner: what is found here, no role may do.
const { db } = open('owner')
let priya: Browser

/** What is wrong, in database, register, bytes and keys together. */
async function findingsIn(place: typeof house, quick: boolean, now: Date): Promise<Finding[]> {
  const check = await fsckRegister(place.db, place.keeper.tiles, orThrow(parseVkey(place.keeper.vkey)))
  await checkWork({ ...place, now }, quick, noteIn(check))
  return check.findings
}
const findings = (quick = false, now = house.now()) => findingsIn(house, quick, now)
const words = async (...args: Parameters<typeof findings>) =>
  (await findings(...args)).map(({ what }) => what).join('\n')

const another = async (transferId: string, q: string) => {
  const at = `/api/transfers/${transferId}`
  const { found } = await priya.post<{ found: { kind: string; id: string }[] }>(`${at}/who/search`, { q })
  const { next } = await priya.post<{ next: string }>(`${at}/who`, { to: `${found[0]!.kind}:${found[0]!.id}` })
  return next
}

const recall = (parcel: SealedForTest) => priya.post(`/api/transfers/${parcel.transferId}/recall`)

/** Gives somebody a lock on a parcel that is sent; a second time, another one. */
async function relock(parcel: SealedForTest, recipientId: string) {
  const lock = {
    id: crypto.randomUUID(),
    recipientId,
    kind: 'passphrase',
    receiptPublicKey: toBase64(collectingKey.publicKey),
  }
  await priya.post(`/api/parcels/${parcel.parcelId}/locks`, { ...lock, age: toBase64(new Uint8Array(100)) })
}

const live: SealedForTest[] = []

/** A transfer in every state that there is, some of them with more than happened to most. */
async function work() {
  priya = await browser('Priya Nair')
  const expiring = await aSentParcel(priya, undefined, 1)
  const opened = await aSentParcel(priya, undefined, 1)
  await acknowledge(await admit(await browser(), priya, opened), opened)
  const opener = await admit(await browser(), priya, opened)
  await opener.post(`/api/collect/${opened.recipients[0]}/opened`, (await openAll(opener, opened)).said)
  advance(2 * day)
  await tidy(house)
  priya = await browser('Priya Nair')
  await aReadyTransfer(priya)
  await priya.post('/api/transfers')
  await priya.post(`/api/transfers/${await aReadyTransfer(priya)}/stop`, { reason: 'It is not needed' })
  live.push(await sealAndUpload(priya, await aReadyTransfer(priya)))
  const abandoned = await sealAndUpload(priya, await aReadyTransfer(priya))
  live.push(await sealAndUpload(priya, abandoned.transferId))
  const collected = await aSentParcel(priya)
  const recipient = await admit(await browser(), priya, collected)
  await acknowledge(recipient, collected)
  await recipient.post(`/api/collect/${collected.recipients[0]}/opened`, (await openAll(recipient, collected)).said)
  const sent = await aSentParcel(priya, [aFile('large.bin', 'x'.repeat(limits.partSizeBytes))])
  await relock(sent, sent.recipients[0]!)
  const next = await another(sent.transferId, 'Jo')
  await priya.post(`/api${next}`, { authorised: 'yes', how: 'switchboard', detail: 'Rang the school' })
  await relock(sent, next.split('/')[4]!)
  await priya.post(`/api/transfers/${sent.transferId}/recipients/${next.split('/')[4]}/withdraw`)
  await priya.post(`/api/transfers/${sent.transferId}/extend`, { days: 20 })
  const refused = await aSentParcel(priya)
  await (await admit(await browser(), priya, refused)).post(`/api/collect/${refused.recipients[0]}/not-for-me`)
  const removed = await aReadyTransfer(priya)
  const { recipients } = await priya.get<{ recipients: { id: string }[] }>(`/api/transfers/${removed}/decision`)
  await priya.post(`/api/transfers/${removed}/recipients/${recipients[0]!.id}/remove`)
  await recall(await aSentParcel(priya))
  await tidy(house)
  await recall(await aSentParcel(priya))
  live.push(collected, sent, refused)
  assert.ok(expiring)
  orThrow(await house.keeper.once())
}
before(work)

test('work in every state is sound', async () => {
  const states = await db.selectFrom('transfers').select('state').distinct().orderBy('state').execute()
  assert.deepEqual(
    states.map(({ state }) => state),
    ['closed', 'collected', 'draft', 'expired', 'ready', 'recalled', 'sent', 'withdrawn'],
  )
  const parcels = await db.selectFrom('parcels').select('state').distinct().orderBy('state').execute()
  assert.deepEqual(
    parcels.map(({ state }) => state),
    ['abandoned', 'destroyed', 'recalled', 'sealed', 'sealing'],
  )
  assert.deepEqual(await findings(), [])
  assert.deepEqual(await findings(true), [])
})

/**
 * Rows whose every column counts but for those listed. Others are not relied on: a transfer of which nothing was sent, a
 * parcel that is not sealed, a lock that is destroyed or the sender's own.
 */
const relied: Record<string, string> = {
  register_events: 'true',
  transfers: "state not in ('draft', 'ready', 'asking')",
  recipients: 'true',
  parcels: "state in ('sealed', 'recalled')",
  parcel_parts: "parcel_id in (select id from parcels where state = 'sealed')",
  locks: 'recipient_id is not null and age is not null',
}

/**
 * What an edit of is not found, by design: an event's id that no receipt goes by; words she wrote for the record; what
 * else the directory said of a recipient; secrets that only the mail has; when to remind; what a parcel was declared to
 * be before it was measured; the size of a manifest that is destroyed.
 */
const uncovered: Record<string, string[]> = {
  register_events: ['id'],
  transfers: [
    'number',
    'facts',
    'not_sure',
    'recipient_kind',
    'purpose_words',
    'limits_words',
    'information_words',
    'case_reference',
    'available_days',
  ],
  recipients: [
    'person_id',
    'mailbox_id',
    'organisation_id',
    'kind',
    'job_title',
    'department',
    'telephone',
    'language',
    'link_hash',
    'failures',
    'chased',
    'remind_at',
  ],
  parcels: ['declared_bytes', 'handling', 'manifest_size_bytes'],
  parcel_parts: [],
  locks: [],
}

/** Other values that a column may take, as SQL. */
function editsOf(column: string, type: string, values: string[]): string[] {
  const others = values.map((value) => `'${value.replaceAll("'", "''")}'::${type}`)
  const byType: Record<string, string[]> = {
    uuid: ['gen_random_uuid()', 'null', ...others],
    text: [`"${column}" || 'x'`, 'null', "''", "'team'", ...others],
    'timestamp with time zone': [`"${column}" + interval '1 hour'`, `coalesce("${column}", now())`, 'null', ...others],
    bytea: [`set_byte("${column}", 0, (get_byte("${column}", 0) + 1) % 256)`, "'\\x00'", 'null'],
    boolean: [`not "${column}"`],
    jsonb: [`'{"x": 1}'`],
    ARRAY: [`array_append("${column}", 'x')`],
  }
  return byType[type] ?? [`"${column}" + 1`, 'null', '0']
}

/** Edits one column of one row, if the database lets us and it makes a difference; asks; puts it back. */
async function edited(table: string, column: string, where: string, edit: string, skip: number) {
  const row = sql.raw(`(select ctid from ${table} where ${where} order by ctid offset ${skip} limit 1)`)
  const name = sql.raw(`"${column}"`)
  const { rows } = await sql<{ was: string | null; differs: boolean }>`
    select ${name}::text as was, ${name} is distinct from (${sql.raw(edit)}) as differs from ${sql.raw(table)} where ctid = ${row}`
    .execute(db)
    .catch(() => ({ rows: [] }))
  if (!rows[0]?.differs) return undefined
  const type = sql.raw(`(select pg_typeof("${column}") from ${table} limit 1)`)
  const done = await db
    .connection()
    .execute(async (connection) => {
      // Whoever edits so is past constraints too.
      await sql`set session_replication_role = replica`.execute(connection)
      try {
        const { rows: after } = await sql<{ at: string; type: string }>`
          update ${sql.raw(table)} set ${name} = ${sql.raw(edit)} where ctid = ${row}
          returning ctid::text as at, ${type}::text as type`.execute(connection)
        return after[0]
      } finally {
        await sql`set session_replication_role = origin`.execute(connection)
      }
    })
    .catch(() => undefined)
  // The database itself refused it.
  if (!done) return undefined
  const found = await findings(true)
  await sql`update ${sql.raw(table)} set ${name} = ${rows[0].was}::text::${sql.raw(done.type)} where ctid = ${done.at}::tid`.execute(
    db,
  )
  return { found, was: rows[0].was }
}

for (const table of Object.keys(uncovered)) {
  test(`any edit of any column of ${table} that somebody relies on is found`, async () => {
    const { rows: columns } = await sql<{ name: string; type: string }>`
      select column_name as name, data_type as type from information_schema.columns
      where table_schema = 'public' and table_name = ${table} order by ordinal_position`.execute(db)
    const count = Number(
      (
        await sql<{ n: string }>`select count(*) as n from ${sql.raw(table)} where ${sql.raw(relied[table]!)}`.execute(
          db,
        )
      ).rows[0]!.n,
    )
    const missed: string[] = []
    let tried = 0
    for (const { name, type } of columns) {
      const values = (
        await sql<{
          value: string
        }>`select distinct ${sql.ref(name)}::text as value from ${sql.raw(table)} where ${sql.ref(name)} is not null limit 3`.execute(
          db,
        )
      ).rows.map(({ value }) => value)
      const isUncovered = uncovered[table]!.includes(name)
      let escaped = false
      for (const [i, edit] of editsOf(name, type, values).entries()) {
        // One row for each edit; of a column that is not covered, any row in which an edit goes unfound.
        const rows = isUncovered ? Array.from({ length: count }, (_, row) => row) : [(tried * 7 + i) % count]
        for (const row of rows) {
          if (escaped) break
          const result = await edited(table, name, relied[table]!, edit, row)
          if (!result) continue
          tried += 1
          if (result.found.length > 0) continue
          if (isUncovered) escaped = true
          else missed.push(`${table}.${name} = ${edit}, was ${result.was}`)
        }
      }
      if (isUncovered && name !== 'number') assert.ok(escaped, `${table}.${name} is covered: say so`)
    }
    assert.deepEqual(missed, [])
    assert.ok(tried >= columns.length, `${tried} edits`)
    assert.deepEqual(await findings(true), [])
  })
}

const where = async (...args: Parameters<typeof findings>) =>
  (await findings(...args)).map(({ where, what }) => `${where}: ${what}`)
const put = (key: string, text: string) => blobs.put(key, [Buffer.from(text)] as never, { sizeMax: 1000 })

/** Changes a blob, asks, and puts it back. */
async function afterChange(key: string, change: () => Promise<unknown>, quick = false) {
  const bytes = Buffer.concat(await Array.fromAsync(await blobs.read(key)))
  await change()
  const found = await where(quick)
  orThrow(await blobs.put(key, [bytes] as never, { sizeMax: bytes.length }))
  return found
}

test('bytes of a parcel that can be collected, or is being sent, are found missing, cut and altered', async () => {
  for (const { parcelId, sealed } of live) {
    for (const key of [partKey(parcelId, 0, sealed.parts[0]!), manifestKey(parcelId, sealed.manifestSha256)]) {
      const size = (await blobs.size(key))!
      assert.deepEqual(await afterChange(key, () => blobs.remove(key)), [`blobs: ${key} is missing.`])
      assert.deepEqual(await afterChange(key, () => put(key, 'cut')), [`blobs: ${key} has 3 bytes, not ${size}.`])
      const altered = () => blobs.put(key, [Buffer.alloc(size)] as never, { sizeMax: size })
      assert.deepEqual(await afterChange(key, altered), [`blobs: ${key} holds other bytes than were sent.`])
      assert.deepEqual(await afterChange(key, altered, true), [], 'quick looks at sizes only')
    }
  }
  assert.deepEqual(await findings(), [])
})

test('bytes that no parcel has are found once they can no longer be on their way', async () => {
  const { parcelId, sealed } = live[0]!
  const strays = [
    partKey(parcelId, 1, 'ab'.repeat(32)),
    partKey(parcelId, 0, 'cd'.repeat(32)),
    manifestKey(parcelId, 'ef'.repeat(32)),
    `${partKey(parcelId, 0, sealed.parts[0]!)}.x`,
    manifestKey(crypto.randomUUID(), 'ef'.repeat(32)),
    'elsewhere',
  ]
  for (const key of strays) await put(key, 'x')
  assert.deepEqual(await findings(), [])
  const later = new Date(house.now().valueOf() + limits.blobArrivingMs + 60_000)
  const found = await words(true, later)
  for (const key of strays) assert.ok(found.includes(`${key}: `), key)
  for (const key of strays) await blobs.remove(key)
  const [gone] = await db.selectFrom('parcels').select('id').where('state', '=', 'destroyed').execute()
  const key = manifestKey(gone!.id, 'ab'.repeat(32))
  await put(key, 'x')
  assert.deepEqual(await where(), [`blobs: ${key}: its parcel was destroyed.`])
  await blobs.remove(key)
})

test('a parcel that is destroyed while its bytes are looked for is no finding', async () => {
  const [gone] = await db.selectFrom('parcels').select('id').where('state', '=', 'destroyed').execute()
  const key = manifestKey(gone!.id, 'ab'.repeat(32))
  await put(key, 'x')
  const list = async function* (folder: string) {
    yield* blobs.list(folder)
    await blobs.remove(key)
  }
  assert.deepEqual(await findingsIn({ ...house, blobs: { ...blobs, list } }, true, house.now()), [])
})

test('a disposal that is late is named', async () => {
  const later = (days: number) => words(true, new Date(house.now().valueOf() + days * day))
  assert.doesNotMatch(await later(0.9), /should have/)
  assert.match(await later(1.1), /should have been destroyed/)
  assert.doesNotMatch(await later(2.9), /should have been abandoned/)
  assert.match(await later(3.1), /should have been abandoned/)
  assert.doesNotMatch(await later(14.9), /should have ended/)
  assert.match(await later(15.1), /should have ended/)
})

test('the keyring holds what live automatic locks need, and nothing that should be destroyed', async () => {
  const today = house.now().toISOString().slice(0, 10)
  const recipient = await house.keyring.recipientFor(today)
  await db.insertInto('keyring').values({ day: today, recipient }).execute()
  await db.updateTable('locks').set({ kind: 'automatic' }).where('age', 'is not', null).execute()
  const keys = async (now?: Date) =>
    (await findings(true, now)).filter((found) => found.where === 'keys').map(({ what }) => what)
  assert.deepEqual(await keys(), [])
  await db.updateTable('keyring').set({ recipient: 'age1other' }).execute()
  assert.deepEqual(await keys(), [`The identity of ${today} is not the one that locks were made for.`])
  await db.updateTable('keyring').set({ recipient, destroyedAt: house.now() }).execute()
  assert.deepEqual(await keys(), [`The identity of ${today} is there, and was destroyed.`])
  await db.updateTable('keyring').set({ destroyedAt: null }).execute()
  await writeFile(join(house.config.keysFolder, 'keyring', `${today}.identity`), 'nonsense')
  assert.deepEqual(await keys(), [`The identity of ${today} is not the one that locks were made for.`])
  await rm(join(house.config.keysFolder, 'keyring', `${today}.identity`))
  assert.deepEqual(await keys(), [`The identity of ${today} is missing: its automatic locks do not open.`])
  await db.updateTable('locks').set({ kind: 'passphrase' }).where('age', 'is not', null).execute()
  await house.keyring.recipientFor('2020-01-01')
  assert.deepEqual(await keys(), ['The identity of 2020-01-01 should have been destroyed: does Safehand run?'])
  await house.keyring.destroy('2020-01-01')
  await db.deleteFrom('keyring').execute()
})

test('what an erasure leaves is sound: the leaf still shows which event it was and when', async (t) => {
  const other = await aHouse(t)
  const sender = await other.browser('Priya Nair')
  const [first, second] = [await aSentParcel(sender), await aSentParcel(sender)]
  const recipient = await admit(await other.browser(), sender, second)
  await acknowledge(recipient, second)
  await recipient.post(`/api/collect/${second.recipients[0]}/opened`, (await openAll(recipient, second)).said)
  for (const { transferId } of [first, second]) await sender.post(`/api/transfers/${transferId}/recall`)
  await tidy(other.house)
  orThrow(await other.house.keeper.once())
  const sound = async () => findingsIn(other.house, false, other.house.now())
  assert.deepEqual(await sound(), [])
  const { transfer } = await sender.get<{ transfer: { reference: string } }>(`/api/transfers/${first.transferId}`)
  const list = join(other.house.config.keysFolder, 'erasures')
  const why = { reason: 'Asked for', now: other.house.now() }
  orThrow(await eraseNow(other.open('erasure').db, list, { transfer: transfer.reference }, why))
  assert.deepEqual(await sound(), [])
  orThrow(await eraseNow(other.open('erasure').db, list, { person: sergeant.email }, why))
  assert.deepEqual(await sound(), [])
  await other
    .open('owner')
    .db.updateTable('recipients')
    .set({ openedAt: new Date(0) })
    .execute()
  assert.match(JSON.stringify(await sound()), /opened the parcel, but no event says so/)
  await other.open('owner').db.updateTable('transfers').set({ state: 'erased' }).execute()
  assert.match(JSON.stringify(await sound()), /is erased, but its event transfer-started is not/)
})

test('an event about a transfer that is not there is named, with its place', async () => {
  const [row] = await db
    .selectFrom('registerEvents')
    .select(['id', 'seq'])
    .where('name', '=', 'parcel-opened')
    .execute()
  await db.updateTable('registerEvents').set({ transferId: crypto.randomUUID() }).where('id', '=', row!.id).execute()
  const found = await findings(true)
  assert.ok(found.some(({ seq, what }) => seq === row!.seq && /is about a transfer that is not there/.test(what)))
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { ok, orThrow } from '#core/kit/outcome'
import { aSigner } from '#core/register/small-register'
import { makeBackup, type BackupOrder } from '#edge/backup/backup'
import { tablesInOrder } from '#edge/backup/format'
import { finishRestore, loadBackup, openBackup } from '#edge/backup/restore'
import { checkDatabaseRestored } from '#edge/backup/unfinished'
import { memoryBlobs, type FaultyBlobs } from '#edge/blobs/memory'
import { enqueue } from '#edge/jobs/runner'
import { keepOnce } from '#edge/keeper/keeper'
import { recordEvent } from '#edge/keeper/record'
import { tileFolder } from '#edge/keeper/tiles'
import { inTransaction, openDatabase, type Db, type Store } from '#edge/store/database'
import { aColleague, aCouncil, aTransfer } from '#test/council'
import { emptyDatabase, freshDatabase } from '#test/database'

const folder = await mkdtemp(join(tmpdir(), 'safehand-backup-'))
after(() => rm(folder, { recursive: true }))
// The server of the run stays up as long as this file wants it.
await freshDatabase({ after })
const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const identityFile = join(folder, 'backup.identity')
await writeFile(identityFile, `# created: 2026-03-02\n${identity}\n`)

let count = 0
const aPath = () => join(folder, `backup-${(count += 1)}`)
const quiet = () => {}
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A parcel of these parts, sealed, its bytes in the store. */
async function aParcel(db: Db, blobs: FaultyBlobs, transferId: string, parts: Buffer[], state = 'sealed') {
  const { rows } = await sql<{ id: string }>`
    insert into parcels (transfer_id, state, part_size_bytes, pq, declared_bytes, handling, created_at)
    values (${transferId}, ${state}, 8388608, true, 1, '', now()) returning id`.execute(db)
  const { id } = rows[0]!
  for (const [n, bytes] of parts.entries()) {
    const key = `parcels/${id}/content/${n}-${sha256(bytes)}`
    orThrow(await blobs.put(key, [bytes] as never, { sizeMax: bytes.length }))
    await db
      .insertInto('parcelParts')
      .values({ parcelId: id, n, sizeBytes: bytes.length, sha256: sha256(bytes) })
      .execute()
  }
  return id
}

/** An installation with a council, a transfer with awkward words, a parcel, a register, and a job that waits. */
async function anInstallation(t: TestContext) {
  const store = (await freshDatabase(t)).open('owner')
  const { db } = store
  const blobs = memoryBlobs()
  const council = await aCouncil(db)
  const sender = await aColleague(db, council.id, ['sender'])
  const transfer = await aTransfer(db, sender.id, { facts: { words: 'a "quoted", line\nand \\N\t', nothing: null } })
  await sql`update transfers set purpose_words = '', limits_words = ${'\\.\n"ŵ" 日本'}, not_sure = '{"a,b",""}'`.execute(
    db,
  )
  const parcelId = await aParcel(db, blobs, transfer.id, [randomBytes(300_000), randomBytes(7), Buffer.alloc(0)])
  const tiles = tileFolder(join(folder, `tiles-${(count += 1)}`))
  const signer = aSigner()
  await inTransaction(db, async (tx) => {
    for (let i = 0; i < 20; i++) await recordEvent(tx, 'token-made', { i })
    await enqueue(tx, 'destroy-parcel', { parcelId }, { startAfter: new Date('2026-12-24T18:00:00Z') })
    return ok()
  })
  orThrow(await keepOnce({ db, tiles, signer }))
  await inTransaction(db, async (tx) => ok(await recordEvent(tx, 'token-ended', { waits: true })))
  return { db, store, blobs, sender, transfer, parcelId, tiles, signer }
}

const backUp = (from: { store: Store; blobs: FaultyBlobs }, more: Partial<BackupOrder> = {}) =>
  makeBackup({ ...from, demonstration: false, file: aPath(), recipient, at: new Date(), progress: quiet, ...more })

async function restoreInto(t: TestContext, file: string, blobs = memoryBlobs()) {
  const { db, store } = await emptyDatabase(t)
  const opened = await openBackup(file, identityFile, quiet)
  const loaded = opened.ok ? await loadBackup(store, blobs, opened.value) : opened
  if (loaded.ok) orThrow(await finishRestore(db))
  return { db, store, blobs, loaded }
}

/** Every row of every table, as text. */
async function allRows(db: Db): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {}
  for (const { name } of await tablesInOrder(db)) {
    const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.id(name)} t order by 1`.execute(db)
    all[name] = rows.map(({ row }) => row)
  }
  return all
}

const waiting = async (db: Db) =>
  (await sql`select name, data, start_after from jobs.job where state < 'completed' order by created_on`.execute(db))
    .rows

test('what was backed up comes back: every row, every byte, the jobs that wait and the next number', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  const made = orThrow(await backUp(from, { file }))
  assert.deepEqual([made.jobs, made.blobs, made.without, made.missing], [1, 3, 0, []])
  const to = await restoreInto(t, file)
  assert.deepEqual(orThrow(to.loaded), { rows: made.rows, jobs: 1, blobs: 3, without: 0 })
  const [before, now] = [await allRows(from.db), await allRows(to.db)]
  assert.equal(now.register_restored!.length, 1)
  await sql`update register_head set published = null`.execute(from.db)
  const { register_head: head } = await allRows(from.db)
  assert.deepEqual({ ...now, register_restored: [] }, { ...before, register_head: head })
  assert.deepEqual(await waiting(to.db), await waiting(from.db))
  const bytes = async (blobs: FaultyBlobs) => {
    const found = await Array.fromAsync(blobs.list(''), async ({ key }) => [
      key,
      sha256(Buffer.concat(await (await blobs.read(key)).toArray())),
    ])
    return new Map(found as [string, string][])
  }
  assert.deepEqual(await bytes(to.blobs), await bytes(from.blobs))
  const next = async (db: Db) =>
    (
      await db
        .insertInto('transfers')
        .values({ reference: 'x', senderId: from.sender.id, state: 'draft', createdAt: new Date() })
        .returning('number')
        .executeTakeFirstOrThrow()
    ).number
  assert.equal(await next(to.db), await next(from.db))
})

test('a restored register is not signed', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  const { db } = await restoreInto(t, file)
  const head = await db.selectFrom('registerHead').selectAll().executeTakeFirst()
  const kept = await keepOnce({ db, tiles: from.tiles, signer: from.signer })
  assert.ok(!kept.ok && kept.problem.slug === 'keeper-restored')
  assert.deepEqual(await db.selectFrom('registerHead').selectAll().executeTakeFirst(), head)
})

test('age and tar read a backup, and nobody without the identity does', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  const opened = execFileSync('age', ['-d', '-i', identityFile, file], { maxBuffer: 2 ** 26 })
  const names = execFileSync('tar', ['t'], { input: opened }).toString().trim().split('\n')
  assert.deepEqual([names[0], names.at(-1)], ['safehand-backup.json', 'end.json'])
  const csv = execFileSync('tar', ['xO', '--wildcards', 'tables/transfers.csv.*'], { input: opened }).toString()
  assert.match(csv, /^id,number,reference,[^]*""quoted\\"", line\\nand /)
  const raw = await readFile(file)
  for (const secret of [from.transfer.reference, from.parcelId, from.sender.email])
    assert.ok(!raw.includes(secret), secret)
  const other = join(folder, 'other.identity')
  await writeFile(other, `${await generateHybridIdentity()}\n`)
  const refused = await openBackup(file, other, quiet)
  assert.ok(!refused.ok && refused.problem.slug === 'sealed-for-another')
})

test('a backup is of one moment, whatever happens while it is made', async (t) => {
  const from = await anInstallation(t)
  let isOver = false
  let pairs = 0
  const working = (async () => {
    for (; !isOver; pairs++)
      await inTransaction(from.db, async (tx) => {
        // A transfer and its event: either both are in the backup, or neither.
        const made = await aTransfer(tx as never, from.sender.id)
        return ok(await recordEvent(tx, 'transfer-started', { transfer: made.id }, { transferId: made.id }))
      })
  })()
  const file = aPath()
  while (pairs < 20) await new Promise((resolve) => setTimeout(resolve, 5))
  orThrow(await backUp(from, { file, progress: () => assert.ok(!isOver) }))
  isOver = true
  await working
  const { db } = await restoreInto(t, file)
  const odd = await sql`
    select from register_events e full join transfers t on t.id = e.transfer_id
    where e.name = 'transfer-started' and t.id is null or e.id is null and t.id <> ${from.transfer.id}`.execute(db)
  assert.equal(odd.rows.length, 0)
})

test('a table larger than a piece is cut into pieces and comes back', async (t) => {
  const from = await anInstallation(t)
  const line = 'x'.repeat(1000)
  await sql`
    insert into agreements (kind, title, organisation_ids, purposes, information, starts_on, ends_on, entered_by, entered_at)
    select 'contract', n, '{}', '{}', ${line} || n, 'epoch', 'infinity', ${from.sender.id}, now()
    from generate_series(1, ${Math.ceil((2.5 * limits.backupPieceBytes) / 1000)}::int) n`.execute(from.db)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  const opened = execFileSync('age', ['-d', '-i', identityFile, file], { maxBuffer: 2 ** 27 })
  const names = execFileSync('tar', ['t'], { input: opened, maxBuffer: 2 ** 24 })
    .toString()
    .split('\n')
  assert.equal(names.filter((name) => name.startsWith('tables/agreements.csv.')).length, 3)
  const to = await restoreInto(t, file)
  assert.deepEqual((await allRows(to.db)).agreements, (await allRows(from.db)).agreements)
})

test('a backup cut short or altered anywhere is refused, and what it was restored into is not used', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  const whole = await readFile(file)
  const places = [10, 300, 70_000, Math.floor(whole.length / 2), whole.length - 20_000, whole.length - 1]
  for (const place of places) {
    const cut = aPath()
    await writeFile(cut, whole.subarray(0, place))
    const { db, loaded } = await restoreInto(t, cut)
    assert.ok(!loaded.ok && loaded.problem.slug.startsWith('sealed-'), `cut at ${place}`)
    const { rows } = await sql<{ there: boolean }>`select to_regclass('transfers') is not null as there`.execute(db)
    const checked = await checkDatabaseRestored(db)
    assert.equal(rows[0]!.there, place >= 70_000)
    if (rows[0]!.there) assert.ok(!checked.ok && checked.problem.slug === 'restore-unfinished')
    const flipped = Buffer.from(whole)
    flipped[place]! ^= 1
    await writeFile(cut, flipped)
    assert.ok(!(await restoreInto(t, cut)).loaded.ok, `altered at ${place}`)
  }
})

test('what was destroyed while the backup was made is left out; what is lost is said', async (t) => {
  const from = await anInstallation(t)
  const lost = await aTransfer(from.db, from.sender.id)
  const gone = await aTransfer(from.db, from.sender.id)
  const lostId = await aParcel(from.db, from.blobs, lost.id, [randomBytes(100), randomBytes(100)])
  const goneId = await aParcel(from.db, from.blobs, gone.id, [randomBytes(100)])
  const [first, second] = await Array.fromAsync(from.blobs.list(`parcels/${lostId}`))
  await from.blobs.remove(first!.key)
  orThrow(await from.blobs.put(second!.key, [randomBytes(100)] as never, { sizeMax: 100 }))
  const file = aPath()
  let isDestroyed: Promise<unknown> | undefined
  const destroy = async () => {
    await sql`update parcels set state = 'destroyed' where id = ${goneId}`.execute(from.db)
    await from.blobs.removeAll(`parcels/${goneId}`)
  }
  const blobs: FaultyBlobs = {
    ...from.blobs,
    size: async (key) => (await (isDestroyed ??= destroy()), from.blobs.size(key)),
  }
  const made = orThrow(await backUp({ ...from, blobs }, { file }))
  assert.deepEqual([made.without, made.missing.toSorted()], [3, [first!.key, second!.key].toSorted()])
  const { loaded } = await restoreInto(t, file)
  assert.ok(loaded.ok)
})

test('a backup that fails leaves no file, and none is overwritten', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  from.blobs.failNext('read', 'before')
  await assert.rejects(backUp(from, { file }))
  assert.deepEqual(
    (await readdir(folder)).filter((name) => join(folder, name).startsWith(file)),
    [],
  )
  orThrow(await backUp(from, { file }))
  const before = await readFile(file)
  const again = await backUp(from, { file })
  assert.ok(!again.ok && again.problem.slug === 'file-there')
  assert.deepEqual(await readFile(file), before)
  const wrong = await backUp(from, { recipient: 'age1nobody' })
  assert.ok(!wrong.ok && wrong.problem.slug === 'recipient-key-malformed')
})

test('a database in use is refused and left as it is', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  const before = await allRows(from.db)
  const loaded = await loadBackup(from.store, memoryBlobs(), orThrow(await openBackup(file, identityFile, quiet)))
  assert.ok(!loaded.ok && loaded.problem.slug === 'database-not-empty')
  assert.deepEqual(await allRows(from.db), before)
})

test('a store that fails while a backup is restored ends the restore', async (t) => {
  const from = await anInstallation(t)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  for (const when of ['before', 'after'] as const) {
    const blobs = memoryBlobs()
    blobs.failNext('put', when)
    const { db, store } = await emptyDatabase(t)
    await assert.rejects(loadBackup(store, blobs, orThrow(await openBackup(file, identityFile, quiet))))
    assert.ok(!(await checkDatabaseRestored(db)).ok)
  }
})

test('an owner who is no superuser restores and backs up, also what is guarded row by row', async (t) => {
  // First in, first out: the role goes while its database is still there.
  let clean = () => Promise.resolve()
  t.after(() => clean())
  const from = await anInstallation(t)
  const file = aPath()
  orThrow(await backUp(from, { file }))
  const { db, url } = await emptyDatabase(t)
  const owner = `owner_${randomBytes(6).toString('hex')}`
  const name = new URL(url.replace('postgresql:///', 'postgresql://host/')).pathname.slice(1)
  await sql`create role ${sql.id(owner)} login createrole bypassrls`.execute(db)
  // The roles are there already, and another made them.
  await sql`grant safehand_erasure to ${sql.id(owner)} with inherit false`.execute(db)
  await sql`alter database ${sql.id(name)} owner to ${sql.id(owner)}`.execute(db)
  const store = openDatabase({ url: url.replace(/user=\w+/, `user=${owner}`), role: 'owner' })
  clean = async () => {
    await store.close()
    await sql`reassign owned by ${sql.id(owner)} to current_user`.execute(db)
    await sql`drop owned by ${sql.id(owner)}`.execute(db)
    await sql`drop role ${sql.id(owner)}`.execute(db)
  }
  orThrow(await loadBackup(store, memoryBlobs(), orThrow(await openBackup(file, identityFile, quiet))))
  orThrow(await finishRestore(store.db))
  const again = orThrow(await backUp({ store, blobs: from.blobs }))
  assert.equal(again.rows.register_events, 21)
  // Rows that a guard hides from whoever makes the backup must not be missing without a word.
  await sql`alter role ${sql.id(owner)} nobypassrls`.execute(db)
  await assert.rejects(backUp({ store, blobs: from.blobs }), /row-level security/)
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { utf8 } from '#core/kit/bytes'
import { leafOf } from '#core/register/event'
import { aSigner, someEvidence } from '#core/register/small-register'
import { fsckRegister } from '#edge/keeper/fsck'
import { keepOnce } from '#edge/keeper/keeper'
import { recordEvent } from '#edge/keeper/record'
import { tileFolder } from '#edge/keeper/tiles'
import type { Tx } from '#edge/store/database'
import { freshDatabase } from '../../../test/support/database.ts'

// As the owner: what is found here, no role may do.
const { db } = (await freshDatabase({ after })).open('owner')
const folder = await mkdtemp(join(tmpdir(), 'safehand-fsck-'))
after(() => rm(folder, { recursive: true }))
const tiles = tileFolder(folder)
const signer = aSigner()

await db.transaction().execute(async (tx) => {
  for (let i = 0; i < 300; i++) await recordEvent(tx, 'token-made', { i })
})
await keepOnce({ db, tiles, signer })

const undo = new Error('undo')

/** What the check finds after an edit in the database, which is undone afterwards. */
async function afterEdit(edit: (tx: Tx) => Promise<unknown>) {
  let check: Awaited<ReturnType<typeof fsckRegister>> | undefined
  const edited = db.transaction().execute(async (tx) => {
    await edit(tx)
    check = await fsckRegister(tx, tiles, signer.vkey)
    throw undo
  })
  await assert.rejects(edited, undo)
  return check!
}

/** What the check finds after a change of a published file, which is put back afterwards. */
async function afterChange(path: string, change: (bytes: Buffer) => Buffer | undefined) {
  const file = join(folder, path)
  const before = await readFile(file)
  const changed = change(Buffer.from(before))
  await (changed ? writeFile(file, changed) : rm(file))
  const check = await fsckRegister(db, tiles, signer.vkey)
  await writeFile(file, before)
  return check
}

const flip = (at: number) => (bytes: Buffer) => {
  bytes[at]! ^= 1
  return bytes
}

test('a sound register has nothing wrong', async () => {
  const sound = { size: 300, published: 300, waiting: 0, findings: [] }
  assert.deepEqual(await fsckRegister(db, tiles, signer.vkey), sound)
})

test('an edit of any column in the database is found, with its place', async () => {
  const edits: Record<string, unknown> = {
    name: 'token-ended',
    at: new Date(0),
    handle: 'f'.repeat(32),
    salt: randomBytes(32),
    body: '{"i":1000}',
    leaf: Buffer.from('nonsense'),
  }
  for (const [column, value] of Object.entries(edits)) {
    const check = await afterEdit((tx) =>
      sql`update register_events set ${sql.ref(column)} = ${value} where seq = 217`.execute(tx),
    )
    assert.equal(check.firstWrong, 217, column)
  }
})

test('an edit that alters the leaf to fit is found, with its place', async () => {
  const evidence = someEvidence({ event: 'token-made', body: { i: 1000 } })
  const values = {
    at: new Date(evidence.at),
    handle: evidence.handle,
    salt: evidence.salt,
    body: '{"i":1000}',
    leaf: leafOf(evidence),
  }
  const check = await afterEdit((tx) => tx.updateTable('registerEvents').set(values).where('seq', '=', 42).execute())
  assert.equal(check.firstWrong, 42)
  assert.ok(check.findings.some(({ what }) => what.includes('signed root')))
})

test('an edit of an erased event is found as far as its leaf shows it', async () => {
  const check = await afterEdit((tx) =>
    sql`update register_events set salt = null, body = null, name = 'token-ended' where seq = 9`.execute(tx),
  )
  assert.equal(check.firstWrong, 9)
})

test('the first of several wrong events is named', async () => {
  const check = await afterEdit((tx) =>
    sql`update register_events set body = '{}' where seq in (280, 30, 111)`.execute(tx),
  )
  assert.equal(check.firstWrong, 30)
  assert.deepEqual(
    check.findings.map(({ seq }) => seq),
    [30, 111, 280],
  )
})

test('a deleted event is found, with its place', async () => {
  const check = await afterEdit((tx) => tx.deleteFrom('registerEvents').where('seq', '=', 255).execute())
  assert.equal(check.firstWrong, 255)
})

test('events that changed places are found', async () => {
  const check = await afterEdit(async (tx) => {
    await sql`update register_events set seq = 1000 where seq = 7`.execute(tx)
    await sql`update register_events set seq = 7 where seq = 8`.execute(tx)
    await sql`update register_events set seq = 8 where seq = 1000`.execute(tx)
  })
  assert.equal(check.firstWrong, 7)
})

test('an event with a place that was never signed is found', async () => {
  const check = await afterEdit((tx) => sql`update register_events set seq = 400 where seq = 299`.execute(tx))
  assert.equal(check.firstWrong, 299)
  assert.ok(check.findings.some(({ seq }) => seq === 400))
})

test('an edit of an event that waits for its place is found', async () => {
  const check = await afterEdit(async (tx) => {
    await recordEvent(tx, 'token-made', {})
    await sql`update register_events set body = '1' where seq is null`.execute(tx)
  })
  assert.equal(check.waiting, 1)
  assert.match(check.findings[0]!.what, /without a place yet/)
})

test('an edit of the head is found', async () => {
  for (const edit of [{ root: randomBytes(32) }, { size: 299 }, { checkpoint: 'nonsense' }, { vkey: 'other' }]) {
    const check = await afterEdit((tx) => tx.updateTable('registerHead').set(edit).execute())
    assert.ok(check.findings.length > 0, JSON.stringify(edit))
  }
})

test('a published entry that was altered is found, with its place', async () => {
  const second = 2 + (await readFile(join(folder, 'tile/entries/000'))).readUInt16BE(0) + 2
  assert.equal((await afterChange('tile/entries/000', flip(second + 5))).firstWrong, 1)
  assert.equal((await afterChange('tile/entries/001.p/44', flip(10))).firstWrong, 256)
})

test('a published file that was altered or is missing is found', async () => {
  for (const path of ['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1', 'tile/entries/000', 'checkpoint']) {
    assert.ok((await afterChange(path, flip(3))).findings.length > 0, path)
    assert.ok((await afterChange(path, () => undefined)).findings.length > 0, path)
  }
})

test('a published checkpoint of another register is found', async () => {
  const check = await afterChange('checkpoint', (bytes) =>
    Buffer.from(utf8(bytes.toString().replace('\n300\n', '\n301\n'))),
  )
  assert.match(check.findings[0]!.what, /signature is false/)
})

test('not more than a hundred findings are listed', async () => {
  const check = await afterEdit((tx) => sql`update register_events set body = '{}'`.execute(tx))
  assert.equal(check.findings.length, 100)
  assert.equal(check.firstWrong, 0)
})

test('the keeper may go on meanwhile', async () => {
  let hasGoneOn = false
  const busy = {
    ...tiles,
    async read(path: string) {
      if (path !== 'checkpoint' && !hasGoneOn) {
        hasGoneOn = true
        await db.transaction().execute((tx) => recordEvent(tx, 'token-made', {}))
        await keepOnce({ db, tiles, signer })
      }
      return tiles.read(path)
    },
  }
  assert.deepEqual((await fsckRegister(db, busy, signer.vkey)).findings, [])
  assert.ok(hasGoneOn)
})

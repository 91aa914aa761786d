import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { ok, orThrow, type Outcome, type Problem } from '#core/kit/outcome'
import { parseTrustPolicy, trustPolicyFor } from '#core/register/policy'
import { aSigner } from '#core/register/small-register'
import { verifyReceipt } from '#core/register/verify'
import { fsckRegister } from '#edge/keeper/fsck'
import { latestCheckpoint } from '#edge/keeper/head'
import { keepOnce, startKeeper } from '#edge/keeper/keeper'
import { receiptFor, waitForReceipt } from '#edge/keeper/receipt'
import { recordEvent } from '#edge/keeper/record'
import { tileFolder, type Tiles } from '#edge/keeper/tiles'
import { inTransaction, type Db } from '#edge/store/database'
import { freshDatabase, startTestServer } from '../../../test/support/database.ts'

// One server for the file when it is run by itself; a fresh database for each test, as each is a register of its own.
if (!process.env.SAFEHAND_TEST_DATABASE) {
  const server = await startTestServer()
  after(() => server.stop())
}

const signer = aSigner()
const trusted = orThrow(parseTrustPolicy(trustPolicyFor(signer.vkey)))
const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'done' : outcome.problem.slug)

async function aRegister(t: TestContext) {
  // As the owner: here the keeper meets what no role may do to a register.
  const { db } = (await freshDatabase(t)).open('owner')
  const folder = await mkdtemp(join(tmpdir(), 'safehand-tiles-'))
  t.after(() => rm(folder, { recursive: true }))
  return { db, tiles: tileFolder(folder), signer, folder }
}

const record = (db: Db, n: number) =>
  db.transaction().execute(async (tx) => {
    const ids: string[] = []
    for (let i = 0; i < n; i++) ids.push((await recordEvent(tx, 'token-made', { i })).eventId)
    return ids
  })

async function assertSound(register: { db: Db; tiles: Tiles }, size: number) {
  const check = await fsckRegister(register.db, register.tiles, signer.vkey)
  assert.deepEqual(check, { size, published: size, waiting: 0, findings: [] })
}

const places = async (db: Db) =>
  (await db.selectFrom('registerEvents').select('seq').orderBy('seq').execute()).map((row) => row.seq)

test('an event gets a place, a signature and a receipt that verifies without us', async (t) => {
  const register = await aRegister(t)
  const [id] = await record(register.db, 1)
  assert.equal(refusal(await receiptFor(register.db, register, id!)), 'proof-not-ready')
  assert.equal(await latestCheckpoint(register.db), undefined)
  orThrow(await keepOnce(register))
  const verified = orThrow(verifyReceipt(orThrow(await receiptFor(register.db, register, id!)), trusted))
  assert.deepEqual([verified.event, verified.body, verified.index, verified.size], ['token-made', { i: 0 }, 0, 1])
  assert.match((await latestCheckpoint(register.db))!, /^register\.example\.gov\.uk\n1\n/)
})

test('a register without events is signed and sound', async (t) => {
  const register = await aRegister(t)
  orThrow(await keepOnce(register))
  await assertSound(register, 0)
  assert.match((await latestCheckpoint(register.db))!, /\n0\n47DEQpj8HBSa/)
})

test('registers around the width of a tile are sound, and first and last receipts verify', async (t) => {
  const register = await aRegister(t)
  const ids: string[] = []
  for (const size of [1, 255, 256, 257, 600]) {
    ids.push(...(await record(register.db, size - ids.length)))
    orThrow(await keepOnce(register))
    await assertSound(register, size)
    for (const id of [ids[0]!, ids.at(-1)!]) {
      orThrow(verifyReceipt(orThrow(await receiptFor(register.db, register, id)), trusted))
    }
  }
})

test('one round takes in as many events as there are, in the order of their making', async (t) => {
  const register = await aRegister(t)
  let size = 0
  for (const more of [limits.registerRoundEvents - 1, limits.registerRoundEvents, limits.registerRoundEvents + 1]) {
    await record(register.db, more)
    orThrow(await keepOnce(register))
    size += more
  }
  await assertSound(register, size)
  const rows = await register.db.selectFrom('registerEvents').select('seq').orderBy('id').execute()
  assert.ok(rows.every((row, i) => row.seq === i))
})

test('an event of a transaction that was undone never was', async (t) => {
  const register = await aRegister(t)
  const undone = register.db.transaction().execute(async (tx) => {
    await recordEvent(tx, 'token-made', {})
    throw new Error('changed my mind')
  })
  await assert.rejects(undone, /changed my mind/)
  orThrow(await keepOnce(register))
  await assertSound(register, 0)
})

test('an act whose event the database refuses is not done, and fails as the event did', async (t) => {
  const { db, open } = await freshDatabase(t)
  await sql`alter table register_events add constraint refused check (name <> 'token-ended')`.execute(open('owner').db)
  const act = (name: 'token-made' | 'token-ended') =>
    inTransaction(db, async (tx) => {
      await recordEvent(tx, 'token-made', { name })
      return ok(await recordEvent(tx, name, { name }))
    })
  await assert.rejects(act('token-ended'), { code: '23514', constraint: 'refused' })
  assert.deepEqual(await places(db), [])
  orThrow(await act('token-made'))
  assert.deepEqual(await places(db), [null, null])
})

test('an event whose transaction began earlier and was committed later gets a place too', async (t) => {
  const register = await aRegister(t)
  await register.db.transaction().execute(async (tx) => {
    await recordEvent(tx, 'token-made', { early: true })
    await record(register.db, 2)
    orThrow(await keepOnce(register))
    assert.deepEqual(await places(register.db), [0, 1])
  })
  orThrow(await keepOnce(register))
  assert.deepEqual(await places(register.db), [0, 1, 2])
  await assertSound(register, 3)
})

test('many writers and two keepers at once leave no gap and lose nothing', async (t) => {
  const register = await aRegister(t)
  let writing = true
  const keep = async () => {
    while (writing) orThrow(await keepOnce(register))
  }
  const keepers = [keep(), keep()]
  const writer = async (w: number) => {
    for (let i = 0; i < 15; i++) {
      await register.db.transaction().execute(async (tx) => {
        await recordEvent(tx, 'token-made', { w, i })
        await rest(Math.random() * 8)
      })
    }
  }
  await Promise.all(Array.from({ length: 6 }, (_, w) => writer(w)))
  writing = false
  await Promise.all(keepers)
  orThrow(await keepOnce(register))
  assert.deepEqual(
    await places(register.db),
    Array.from({ length: 90 }, (_, i) => i),
  )
  await assertSound(register, 90)
})

/** Tiles whose write fails at the given count, before or after it took effect. */
function failingAt(tiles: Tiles, at: number, tookEffect: boolean): Tiles {
  let writes = 0
  return {
    read: tiles.read,
    async write(path, bytes) {
      const fails = writes++ === at
      if (!fails || tookEffect) await tiles.write(path, bytes)
      if (fails) throw new Error('killed')
    },
  }
}

test('a keeper killed at any write of publishing, before or after, is made good by the next', async (t) => {
  const register = await aRegister(t)
  let size = 0
  let survived = false
  for (let at = 0; !survived; at++) {
    for (const tookEffect of [false, true]) {
      const [id] = await record(register.db, 255)
      size += 255
      const before = await latestCheckpoint(register.db)
      const killed = keepOnce({ ...register, tiles: failingAt(register.tiles, at, tookEffect) })
      survived = await killed.then(orThrow).then(
        () => true,
        () => false,
      )
      if (!survived) {
        assert.equal(await latestCheckpoint(register.db), before, 'nothing is shown before its tiles are there')
        assert.notEqual(refusal(await receiptFor(register.db, register, id!)), 'done')
      }
      orThrow(await keepOnce(register))
      await assertSound(register, size)
    }
  }
  assert.ok(size > 255 * 8, 'several writes were tried')
})

test('a keeper that cannot sign gives no places', async (t) => {
  const register = await aRegister(t)
  await keepOnce(register)
  await record(register.db, 1)
  await assert.rejects(
    keepOnce({ ...register, signer: { ...signer, sign: () => Promise.reject(new Error('no key')) } }),
  )
  assert.deepEqual(await places(register.db), [null])
  orThrow(await keepOnce(register))
  await assertSound(register, 1)
})

test('a keeper that was stopped for several rounds of others is made good', async (t) => {
  const register = await aRegister(t)
  for (let i = 0; i < 3; i++) {
    await record(register.db, 200)
    await assert.rejects(keepOnce({ ...register, tiles: failingAt(register.tiles, 2, false) }))
  }
  orThrow(await keepOnce(register))
  await assertSound(register, 600)
})

test('a database restored from an old backup signs nothing', async (t) => {
  const register = await aRegister(t)
  const { db } = register
  await record(db, 3)
  orThrow(await keepOnce(register))
  const backup = await db.selectFrom('registerHead').selectAll().executeTakeFirstOrThrow()
  await record(db, 2)
  orThrow(await keepOnce(register))
  await db.deleteFrom('registerEvents').where('seq', '>=', 3).execute()
  await db.updateTable('registerHead').set(backup).execute()

  await record(db, 4)
  assert.equal(refusal(await keepOnce(register)), 'keeper-behind')
  assert.deepEqual(await db.selectFrom('registerHead').selectAll().executeTakeFirst(), backup)
  const check = await fsckRegister(db, register.tiles, signer.vkey)
  assert.equal(check.firstWrong, 3)
})

test('a database that grew another past after a restore signs nothing more', async (t) => {
  const register = await aRegister(t)
  await record(register.db, 3)
  orThrow(await keepOnce(register))
  const other = await aRegister(t)
  await record(other.db, 5)
  orThrow(await keepOnce(other))
  await record(other.db, 1)
  assert.equal(refusal(await keepOnce({ ...other, tiles: register.tiles })), 'keeper-differs')
})

test('tiles that were lost are published again', async (t) => {
  const register = await aRegister(t)
  await record(register.db, 300)
  orThrow(await keepOnce(register))
  await rm(register.folder, { recursive: true })
  orThrow(await keepOnce(register))
  await assertSound(register, 300)
})

test('nothing is signed on tiles that were altered', async (t) => {
  const register = await aRegister(t)
  await record(register.db, 3)
  orThrow(await keepOnce(register))
  await rm(join(register.folder, 'tile/0/000.p/3'))
  await register.tiles.write('tile/0/000.p/3', new Uint8Array(96))
  await record(register.db, 1)
  assert.equal(refusal(await keepOnce(register)), 'keeper-differs')
  assert.equal((await places(register.db)).filter((seq) => seq === null).length, 1)
})

test('a keeper with another key or under another name refuses', async (t) => {
  const register = await aRegister(t)
  orThrow(await keepOnce(register))
  for (const other of [aSigner('register.example.gov.uk', 1, 8), aSigner('other.example')]) {
    assert.equal(refusal(await keepOnce({ ...register, signer: other })), 'keeper-elsewhere')
  }
})

test('an erased event has no receipt any more, but an earlier one still verifies', async (t) => {
  const register = await aRegister(t)
  const [id] = await record(register.db, 2)
  orThrow(await keepOnce(register))
  const receipt = orThrow(await receiptFor(register.db, register, id!))
  await register.db.updateTable('registerEvents').set({ salt: null, body: null }).where('id', '=', id!).execute()
  assert.equal(refusal(await receiptFor(register.db, register, id!)), 'proof-erased')
  orThrow(verifyReceipt(receipt, trusted))
  await assertSound(register, 2)
})

test('there is no receipt for an event that never was', async (t) => {
  const register = await aRegister(t)
  const id = '00000000-0000-7000-8000-000000000000'
  assert.equal(refusal(await receiptFor(register.db, register, id)), 'not-found')
})

test('an event says at most 32 KiB', async (t) => {
  const { db } = await aRegister(t)
  const say = (bytes: number) => db.transaction().execute((tx) => recordEvent(tx, 'token-made', 'x'.repeat(bytes - 2)))
  await say(limits.eventBodyBytes - 1)
  await say(limits.eventBodyBytes)
  await assert.rejects(say(limits.eventBodyBytes + 1), /says too much/)
})

test('a keeper that runs makes receipts by itself, sooner when nudged, until it is stopped', async (t) => {
  const register = await aRegister(t)
  const told: (Problem | Error)[] = []
  const keeper = startKeeper({ ...register, restMs: 60_000, report: (what) => told.push(what) })
  await keeper.once()
  const [id] = await record(register.db, 1)
  assert.equal(refusal(await waitForReceipt(register.db, keeper, id!, 50)), 'proof-not-ready')
  keeper.nudge()
  const receipt = orThrow(await waitForReceipt(register.db, keeper, id!, 10_000))
  assert.equal(orThrow(verifyReceipt(receipt, trusted)).origin, keeper.origin)
  await keeper.stop()
  const [late] = await record(register.db, 1)
  keeper.nudge()
  assert.equal(refusal(await waitForReceipt(register.db, keeper, late!, 200)), 'proof-not-ready')
  assert.deepEqual(told, [])
})

test('a keeper that is refused says so once and goes on when it is put right', async (t) => {
  const register = await aRegister(t)
  let isBroken = true
  const tiles: Tiles = {
    read: register.tiles.read,
    write: (path, bytes) => (isBroken ? Promise.reject(new Error('disk full')) : register.tiles.write(path, bytes)),
  }
  const told: string[] = []
  const report = (what: Problem | Error) => told.push(what instanceof Error ? what.message : what.slug)
  const keeper = startKeeper({ ...register, tiles, restMs: 20, report })
  const [id] = await record(register.db, 1)
  await rest(200)
  isBroken = false
  orThrow(await waitForReceipt(register.db, { tiles }, id!, 10_000))
  await keeper.stop()
  assert.deepEqual(told, ['disk full'])
})

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { sql } from 'kysely'
import { ok, orThrow } from '#core/kit/outcome'
import { formatVkey } from '#core/register/note'
import { parseTrustPolicy, type TrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import type { Config } from '#edge/house'
import { adopt } from '#edge/keeper/adopt'
import { fsckClosed, fsckRegister } from '#edge/keeper/fsck'
import { openRegister, readOrMakeSigner, readSigner, tilesOf } from '#edge/keeper/installation'
import { keepOnce } from '#edge/keeper/keeper'
import { publishedAt } from '#edge/keeper/published'
import { receiptFor } from '#edge/keeper/receipt'
import { recordEvent } from '#edge/keeper/record'
import { closedRegisters, presentNumber } from '#edge/keeper/registers'
import { rotate } from '#edge/keeper/rotate'
import type { Tiles } from '#edge/keeper/tiles'
import { inTransaction, type Db } from '#edge/store/database'
import { freshDatabase } from '#test/database'

const folder = await mkdtemp(join(tmpdir(), 'safehand-rotate-'))
after(() => rm(folder, { recursive: true }))
// The server of the run stays up as long as this file wants it.
await freshDatabase({ after })
let count = 0

type Place = Pick<Config, 'dataFolder' | 'keysFolder' | 'publicUrl'>

const record = async (db: Db, events: number): Promise<string> => {
  let id = ''
  await inTransaction(db, async (tx) => {
    for (let i = 0; i < events; i++) id = (await recordEvent(tx, 'token-made', { i })).eventId
    return ok()
  })
  return id
}

/** Signs and publishes what is recorded in the present register. */
async function keep(db: Db, place: Place) {
  const register = orThrow(await openRegister(db, place))
  orThrow(await keepOnce({ db, ...register }))
  return register
}

async function turn(db: Db, place: Place, change: (tiles: Tiles) => Tiles = (tiles) => tiles) {
  const { tiles, signer } = orThrow(await openRegister(db, place))
  const next = await readOrMakeSigner(db, place, (await presentNumber(db)) + 1)
  return rotate({ db, tiles: change(tiles), signer, next })
}

async function anInstallation(t: TestContext) {
  const { db } = (await freshDatabase(t)).open('owner')
  const own = join(folder, `installation-${(count += 1)}`)
  const place = { dataFolder: join(own, 'data'), keysFolder: join(own, 'keys'), publicUrl: 'https://safehand.example' }
  return { db, place }
}

async function findings(db: Db, place: Place) {
  const { tiles, signer } = orThrow(await openRegister(db, place))
  const closed = await closedRegisters(db)
  const old = await Promise.all(closed.map((each) => fsckClosed(db, tilesOf(place, each.number), each)))
  return [...(await fsckRegister(db, tiles, signer.vkey)).findings, ...old.flat()]
}

const trusting = (...keys: string[]): TrustPolicy =>
  orThrow(parseTrustPolicy(`${keys.map((key) => `log ${key}\n`).join('')}quorum none\n`))

test('a register is closed by a last event that names the next key, and the next begins empty under its own name', async (t) => {
  const { db, place } = await anInstallation(t)
  const first = await record(db, 300)
  const old = await keep(db, place)
  const before = orThrow(await receiptFor(db, old, first))
  assert.deepEqual(orThrow(await turn(db, place)), { size: 301 })
  const second = await record(db, 3)
  const present = await keep(db, place)
  const { rows } = await sql<{ body: string }>`select body from register_events where seq = -1`.execute(db)
  assert.equal(JSON.parse(rows[0]!.body).next, formatVkey(present.signer.vkey))
  assert.equal(present.signer.vkey.name, 'safehand.example/register/2')
  assert.notDeepEqual(present.signer.vkey.publicKey, old.signer.vkey.publicKey)

  const both = trusting(formatVkey(old.signer.vkey), formatVkey(present.signer.vkey))
  assert.equal(orThrow(verifyReceipt(before, trusting(formatVkey(old.signer.vkey)))).size, 300)
  assert.equal(orThrow(verifyReceipt(before, both)).origin, 'safehand.example/register')
  const late = orThrow(verifyReceipt(orThrow(await receiptFor(db, present, first)), both))
  assert.deepEqual([late.origin, late.index, late.size], ['safehand.example/register', 299, 301])
  const fresh = orThrow(verifyReceipt(orThrow(await receiptFor(db, present, second)), both))
  assert.deepEqual([fresh.origin, fresh.index, fresh.size], ['safehand.example/register/2', 2, 3])
  const wrong = verifyReceipt(before, trusting(formatVkey(present.signer.vkey)))
  assert.ok(!wrong.ok && wrong.problem.slug === 'note-signature-unknown')
  assert.deepEqual(await findings(db, place), [])
})

test('registers are closed one after the other, and each is checked for itself', async (t) => {
  const { db, place } = await anInstallation(t)
  const ids: string[] = []
  for (const events of [5, 257, 1]) {
    ids.push(await record(db, events))
    await keep(db, place)
    orThrow(await turn(db, place))
  }
  const present = await keep(db, place)
  const keys = (await closedRegisters(db)).map(({ vkey }) => vkey)
  for (const [i, id] of ids.entries()) {
    const { origin } = orThrow(verifyReceipt(orThrow(await receiptFor(db, present, id)), trusting(...keys)))
    assert.equal(origin, ['safehand.example/register', 'safehand.example/register/2', 'safehand.example/register/3'][i])
  }
  assert.deepEqual(await findings(db, place), [])
  await sql`update register_events set body = '{"i":7}' where seq = (select first_place + 200 from closed_registers where number = 2)`.execute(
    db,
  )
  assert.deepEqual(await findings(db, place), [
    { where: 'database', what: 'Register 2: The event is not what its leaf says.', seq: 200 },
  ])
  await rm(join(place.dataFolder, 'register/3/checkpoint'))
  assert.match((await findings(db, place)).at(-1)!.what, /^Register 3: /)
})

test('a process that has the old key signs nothing after', async (t) => {
  const { db, place } = await anInstallation(t)
  await record(db, 3)
  const old = await keep(db, place)
  orThrow(await turn(db, place))
  await record(db, 3)
  const refused = await keepOnce({ db, ...old })
  assert.ok(!refused.ok && refused.problem.slug === 'keeper-elsewhere')
  await keep(db, place)
  assert.deepEqual(await findings(db, place), [])
})

test('killed at any write, it is done again and closes the register whole', async (t) => {
  for (let writes = 0, isOver = false; !isOver; writes++) {
    const { db, place } = await anInstallation(t)
    await record(db, 3)
    await keep(db, place)
    let left = writes
    const killed = turn(db, place, (tiles) => ({
      ...tiles,
      write: (path, bytes) => (left-- > 0 ? tiles.write(path, bytes) : Promise.reject(new Error('killed'))),
    }))
    isOver = await killed.then(
      () => true,
      () => false,
    )
    // The one that was killed may have been followed by others' events before it is tried again.
    if (!isOver) {
      await record(db, 2)
      if (writes % 2 === 0) await keep(db, place)
      orThrow(await turn(db, place))
    }
    await record(db, 1)
    await keep(db, place)
    const last = await sql<{ name: string }>`select name from register_events where seq = -1`.execute(db)
    assert.equal(last.rows[0]!.name, 'register-closed')
    assert.deepEqual(await findings(db, place), [], `killed at write ${writes}`)
  }
})

test('a backup from before is carried over into the register that was begun after it', async (t) => {
  const { db, place } = await anInstallation(t)
  await record(db, 10)
  await keep(db, place)
  const copy = (await freshDatabase(t)).open('owner').db
  for (const row of await db.selectFrom('registerEvents').selectAll().execute())
    await copy.insertInto('registerEvents').values(row).execute()
  await copy
    .insertInto('registerHead')
    .values(await db.selectFrom('registerHead').selectAll().executeTakeFirstOrThrow())
    .execute()
  await copy.insertInto('registerRestored').defaultValues().execute()
  await record(db, 300)
  orThrow(await turn(db, place))
  await record(db, 4)
  await keep(db, place)

  const order = {
    db: copy,
    published: publishedAt(join(place.dataFolder, 'register')),
    nothingLater: false,
  }
  const without = await adopt({
    ...order,
    signerOf: (number) => (number === 1 ? readSigner(copy, place, 1) : Promise.resolve(undefined)),
  })
  assert.ok(!without.ok && without.problem.slug === 'keeper-elsewhere')
  const adopted = orThrow(await adopt({ ...order, signerOf: (number) => readSigner(copy, place, number) }))
  assert.deepEqual(adopted, { size: 4, placed: 0, lost: 305, closed: 1 })
  await record(copy, 2)
  await keep(copy, place)
  assert.deepEqual(await findings(copy, place), [])
})

import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { sql } from 'kysely'
import { ok, orThrow } from '#core/kit/outcome'
import { aSigner } from '#core/register/small-register'
import { adopt, type AdoptOrder } from '#edge/keeper/adopt'
import { fsckRegister } from '#edge/keeper/fsck'
import { keepOnce } from '#edge/keeper/keeper'
import { publishedAt } from '#edge/keeper/published'
import { recordEvent } from '#edge/keeper/record'
import { tileFolder } from '#edge/keeper/tiles'
import { inTransaction, type Db } from '#edge/store/database'
import { freshDatabase } from '#test/database'

const folder = await mkdtemp(join(tmpdir(), 'safehand-adopt-'))
after(() => rm(folder, { recursive: true }))
// The server of the run stays up as long as this file wants it.
await freshDatabase({ after })
const signer = aSigner()
let count = 0

const record = (db: Db, from: number, to: number) =>
  inTransaction(db, async (tx) => {
    for (let i = from; i < to; i++) await recordEvent(tx, 'token-made', { i })
    return ok()
  })

/** Another database with the same events as this one now, as a backup of it gives: the mark, too. */
async function restored(t: TestContext, db: Db): Promise<Db> {
  const copy = (await freshDatabase(t)).open('owner').db
  for (const row of await db.selectFrom('registerEvents').selectAll().execute())
    await copy.insertInto('registerEvents').values(row).execute()
  for (const row of await db.selectFrom('registerHead').selectAll().execute())
    await copy.insertInto('registerHead').values(row).execute()
  await copy.insertInto('registerRestored').defaultValues().execute()
  return copy
}

/**
 * A register of `signed` events, a backup with `waiting` events more that had no place yet, and then those and `later`
 * ones published.
 */
async function aLostDatabase(t: TestContext, { signed = 300, waiting = 5, later = 400 } = {}) {
  const { db } = (await freshDatabase(t)).open('owner')
  const path = join(folder, `published-${(count += 1)}`)
  const tiles = tileFolder(path)
  await record(db, 0, signed)
  orThrow(await keepOnce({ db, tiles, signer }))
  const early = await readFile(join(path, 'checkpoint'), 'utf8')
  await record(db, signed, signed + waiting)
  const backup = await restored(t, db)
  await record(db, signed + waiting, signed + waiting + later)
  orThrow(await keepOnce({ db, tiles, signer }))
  const newest = await readFile(join(path, 'checkpoint'), 'utf8')
  return { db, backup, path, early, newest }
}

const adoptFrom = (db: Db, path: string, more: Partial<AdoptOrder> = {}) =>
  adopt({
    db,
    published: publishedAt(path),
    signerOf: (number) => Promise.resolve(number === 1 ? signer : undefined),
    nothingLater: false,
    ...more,
  })

const stateOf = async (db: Db) => [
  await db.selectFrom('registerEvents').selectAll().orderBy('id').execute(),
  await db.selectFrom('registerHead').selectAll().execute(),
  await db.selectFrom('registerRestored').selectAll().execute(),
]

async function refused(db: Db, path: string, slug: string, detail: RegExp, more: Partial<AdoptOrder> = {}) {
  const before = await stateOf(db)
  const answer = await adoptFrom(db, path, more)
  assert.ok(!answer.ok, 'it is refused')
  assert.equal(answer.problem.slug, slug)
  assert.match(answer.problem.detail ?? '', detail)
  assert.deepEqual(await stateOf(db), before)
}

test('what was published after the backup is taken in, and the next signature continues it', async (t) => {
  const { backup, path, newest } = await aLostDatabase(t)
  const keep = () => keepOnce({ db: backup, tiles: tileFolder(path), signer })
  const before = await keep()
  assert.ok(!before.ok && before.problem.slug === 'keeper-restored')
  assert.deepEqual(orThrow(await adoptFrom(backup, path, { newest })), { size: 705, placed: 5, lost: 400, closed: 0 })
  await record(backup, 0, 10)
  orThrow(await keep())
  const check = await fsckRegister(backup, tileFolder(path), signer.vkey)
  assert.deepEqual(check, { size: 715, published: 715, waiting: 0, findings: [] })
  const { rows } = await sql<{ body: string }>`select body from register_events where seq = 302`.execute(backup)
  assert.equal(rows[0]!.body, '{"i":302}')
})

test('taking it in again changes nothing', async (t) => {
  const { backup, path } = await aLostDatabase(t)
  orThrow(await adoptFrom(backup, path))
  const before = await stateOf(backup)
  assert.deepEqual(orThrow(await adoptFrom(backup, path)), { size: 705, placed: 0, lost: 0, closed: 0 })
  assert.deepEqual(await stateOf(backup), before)
})

test('a mirror at an address serves as well, and files lost here are published again', async (t) => {
  const { backup, path } = await aLostDatabase(t)
  const server = createServer((request, response) => {
    readFile(join(path, new URL(request.url!, 'http://localhost').pathname.replace('/register/', ''))).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => void server.close())
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/register`
  orThrow(await adoptFrom(backup, address))
  const anew = tileFolder(join(folder, `anew-${(count += 1)}`))
  orThrow(await keepOnce({ db: backup, tiles: anew, signer }))
  assert.deepEqual((await fsckRegister(backup, anew, signer.vkey)).findings, [])
})

test('a keeper is never asked to sign in between: it waits its turn or finds the mark', async (t) => {
  const { backup, path } = await aLostDatabase(t)
  const [adopted] = await Promise.all([
    adoptFrom(backup, path),
    ...Array.from({ length: 10 }, () => keepOnce({ db: backup, tiles: tileFolder(path), signer })),
  ])
  orThrow(adopted)
  assert.deepEqual((await fsckRegister(backup, tileFolder(path), signer.vkey)).findings, [])
})

test('when nothing was published after the backup, the published folder proves it', async (t) => {
  const { backup, path } = await aLostDatabase(t, { waiting: 0, later: 0 })
  assert.deepEqual(orThrow(await adoptFrom(backup, path)), { size: 300, placed: 0, lost: 0, closed: 0 })
})

test('where nothing is published, only the operator’s word lets the register be signed', async (t) => {
  const { backup } = await aLostDatabase(t)
  const nowhere = join(folder, 'nowhere')
  await refused(backup, nowhere, 'adopt-unproven', /^$/)
  assert.equal(orThrow(await adoptFrom(backup, nowhere, { nothingLater: true })).size, 300)
  orThrow(await keepOnce({ db: backup, tiles: tileFolder(join(folder, `own-${(count += 1)}`)), signer }))
})

test('a place that is older than the database, or than a checkpoint somebody holds, is refused', async (t) => {
  const { backup, path, newest, db } = await aLostDatabase(t)
  const stale = join(folder, `stale-${(count += 1)}`)
  await cp(path, stale, { recursive: true })
  orThrow(await adoptFrom(backup, path))
  await record(backup, 0, 3)
  orThrow(await keepOnce({ db: backup, tiles: tileFolder(path), signer }))
  await refused(backup, stale, 'adopt-older', /^The database has 708 events; 705 are there\.$/)
  const own = await restored(t, db)
  const beyond = await readFile(join(path, 'checkpoint'), 'utf8')
  await refused(own, stale, 'adopt-older', /708 events is known; 705 are there/, { newest: beyond })
  await refused(own, join(folder, 'none'), 'adopt-older', /708/, { newest: beyond, nothingLater: true })
  const foreign = beyond.replaceAll('example.gov.uk', 'example.org')
  await refused(own, path, 'adopt-differs', /not signed with our key/, { newest: foreign })
  assert.notEqual(beyond, newest)
})

test('anything that does not fit is refused with the first wrong event, and nothing is changed', async (t) => {
  const { backup, path, newest } = await aLostDatabase(t)
  const alter = async (file: string, change: (bytes: Buffer) => Buffer | undefined) => {
    const whole = join(path, file)
    const bytes = await readFile(whole)
    const changed = change(Buffer.from(bytes))
    await (changed ? writeFile(whole, changed) : rm(whole))
    return () => writeFile(whole, bytes)
  }
  const cases: [string, (bytes: Buffer) => Buffer | undefined, RegExp][] = [
    [
      'tile/entries/001',
      (bytes) => Buffer.from(bytes.toString('latin1').replace('token-made', 'token-fake'), 'latin1'),
      /is 256:/,
    ],
    ['tile/entries/002.p/193', () => undefined, /is 512: it is not published whole/],
    ['tile/entries/002.p/193', (bytes) => bytes.subarray(0, 1000), /is 512:/],
    ['tile/0/002.p/193', (bytes) => (bytes.fill(0, 32 * 10, 32 * 11), bytes), /is 522:/],
    ['checkpoint', () => Buffer.from(newest.replace('705', '704')), /not signed with/],
  ]
  for (const [file, change, said] of cases) {
    const putBack = await alter(file, change)
    await refused(backup, path, 'adopt-differs', said)
    await putBack()
  }
  await sql`update register_events set leaf = (select leaf from register_events where seq = 9) where seq = 7`.execute(
    backup,
  )
  await refused(backup, path, 'adopt-differs', /is 7: the database does not have/)
})

test('the register of another key, or a fork under our own, is refused', async (t) => {
  const { backup, path } = await aLostDatabase(t)
  const stranger = aSigner('elsewhere.example')
  await refused(backup, path, 'keeper-elsewhere', /The database has/, { signerOf: () => Promise.resolve(stranger) })
  await refused(backup, path, 'keeper-elsewhere', /key of register 1/, { signerOf: () => Promise.resolve(undefined) })
  const { db } = (await freshDatabase(t)).open('owner')
  const fork = join(folder, `fork-${(count += 1)}`)
  await record(db, 0, 800)
  orThrow(await keepOnce({ db, tiles: tileFolder(fork), signer }))
  await refused(backup, fork, 'adopt-differs', /is 0: the database does not have/)
})

test('a published event whose handle another event of the database has is refused', async (t) => {
  const { db, backup, path } = await aLostDatabase(t)
  const { rows } = await sql<{ handle: string }>`select handle from register_events where seq = 600`.execute(db)
  await sql`update register_events set handle = ${rows[0]!.handle} where seq = 100`.execute(backup)
  await refused(backup, path, 'adopt-differs', /is 600: the database has another event with its handle/)
})

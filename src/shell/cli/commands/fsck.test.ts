import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { openRegister } from '#edge/keeper/installation'
import { keepOnce } from '#edge/keeper/keeper'
import { recordEvent } from '#edge/keeper/record'
import { migrate } from '#edge/store/migrate'
import { fsck } from '#shell/cli/commands/fsck'
import { openInstalled } from '#shell/cli/installed'

const parent = await mkdtemp(join(tmpdir(), 'safehand-fsck-'))
after(() => rm(parent, { recursive: true }))
const dataFolder = join(parent, 'data')
const config = { dataFolder, keysFolder: `${dataFolder}-keys`, publicUrl: 'https://safehand.example.gov.uk' }

async function run(values: Record<string, boolean> = {}, json = false) {
  const lines = { out: '', err: '' }
  const io = {
    out: (text: string) => void (lines.out += text),
    err: (text: string) => void (lines.err += text),
    isTerminal: false,
    env: {},
  }
  const code = await fsck.run({ positionals: [], values: { data: dataFolder, ...values }, json, io })
  return { code, ...lines }
}

const { store, close } = orThrow(await openInstalled(config, 'owner'))
orThrow(await migrate(store.db))
const { tiles, signer } = orThrow(await openRegister(store.db, config))
await store.db.transaction().execute(async (tx) => {
  for (let i = 0; i < 300; i++) await recordEvent(tx, 'token-made', { i })
})
orThrow(await keepOnce({ db: store.db, tiles, signer }))
const counts =
  '300 events signed, 300 of them published, 0 waiting. 0 transfers, 0 parcels, 0 blobs of 0 bytes that can be collected.'

test('an installation is checked beside its running server, and its register keeps its name', async () => {
  assert.equal(signer.vkey.name, 'safehand.example.gov.uk/register')
  const beside = await run()
  assert.deepEqual([beside.code, beside.out], [0, `Sound. ${counts}`])
  const moved = { ...config, publicUrl: 'http://localhost:8080' }
  assert.equal(orThrow(await openRegister(store.db, moved)).signer.vkey.name, 'safehand.example.gov.uk/register')
  const elsewhere = await openRegister(store.db, { ...config, keysFolder: parent })
  assert.ok(!elsewhere.ok && elsewhere.problem.slug === 'keeper-elsewhere')
})

/** A file with an age; a second older than what may be on its way, unless told. */
async function aFile(path: string, ageMs = limits.blobArrivingMs + 60_000): Promise<string> {
  const whole = join(parent, path)
  await mkdir(dirname(whole), { recursive: true })
  await writeFile(whole, 'x')
  const at = new Date(Date.now() - ageMs)
  await utimes(whole, at, at)
  return whole
}
const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

test('repair mends what can be proved, says so, and is not needed twice', async () => {
  const lost = ['tile/0/000', 'tile/0/001.p/44', 'tile/entries/001.p/44', 'checkpoint']
  const before = new Map<string, Buffer>()
  for (const path of lost) {
    before.set(path, await readFile(join(dataFolder, 'register', path)))
    await rm(join(dataFolder, 'register', path))
  }
  const removed = [
    await aFile('data/blobs/kept/parcels/stray'),
    await aFile('data/blobs/arriving/half'),
    await aFile('data/register/tile/0/000.abc.unfinished'),
    await aFile('data-keys/keyring/2026-01-31.identity.x.new'),
    await aFile('data-keys/register.pem.0123456789ab'),
  ]
  const kept = [
    await aFile('data/blobs/kept/parcels/young', 0),
    await aFile('data/blobs/arriving/young', limits.blobArrivingMs - 60_000),
    await aFile('data-keys/notes.txt'),
  ]
  const found = await run()
  assert.equal(found.code, 1)
  for (const path of removed) assert.ok(found.out.includes(path.replace(/^.*kept\//, '')), path)
  assert.match(found.out, /There is no checkpoint that can be read/)
  for (const path of removed) assert.ok(await isThere(path), 'a check changes nothing')

  const repaired = await run({ repair: true })
  assert.equal(repaired.code, 0, repaired.out)
  assert.match(repaired.out, /Sound\./)
  for (const path of lost) {
    assert.ok(repaired.out.includes(`Published ${path}.`), path)
    assert.deepEqual(await readFile(join(dataFolder, 'register', path)), before.get(path))
  }
  for (const path of removed) assert.equal(await isThere(path), false, path)
  for (const path of kept) assert.equal(await isThere(path), true, path)
  assert.equal((await run({ repair: true })).out, `Sound. ${counts}`)
})

test('repair changes no file that is there, and publishes nothing that leads elsewhere than was signed', async () => {
  const altered = join(dataFolder, 'register/tile/0/000')
  const lost = join(dataFolder, 'register/tile/entries/000')
  const [tile, bundle] = [await readFile(altered), await readFile(lost)]
  await writeFile(altered, Buffer.alloc(tile.length))
  const kept = await run({ repair: true })
  assert.equal(kept.code, 1)
  assert.match(kept.out, /tile\/0\/000 does not fit the events/)
  assert.deepEqual(await readFile(altered), Buffer.alloc(tile.length))
  await writeFile(altered, tile)

  await rm(lost)
  const { leaf } = await store.db
    .selectFrom('registerEvents')
    .select('leaf')
    .where('seq', '=', 2)
    .executeTakeFirstOrThrow()
  await store.db
    .updateTable('registerEvents')
    .set({ leaf: Buffer.from('nonsense') })
    .where('seq', '=', 2)
    .execute()
  const unproved = await run({ repair: true })
  assert.doesNotMatch(unproved.out, /Published/)
  assert.match(unproved.out, /The first wrong event is 0\./)
  assert.equal(await isThere(lost), false)
  await store.db.updateTable('registerEvents').set({ leaf }).where('seq', '=', 2).execute()
  const json = JSON.parse((await run({ repair: true }, true)).out) as Record<string, unknown>
  assert.deepEqual([json.isSound, json.repaired], [true, ['Published tile/entries/000.']])
  assert.deepEqual(await readFile(lost), bundle)
})

test('without a running server too the first wrong event is named', async () => {
  await sql`update register_events set body = '{}' where seq = 2`.execute(store.db)
  await close()
  const alone = await run()
  assert.equal(alone.code, 1)
  assert.match(
    alone.out,
    /^NOT SOUND\..*\nThe first wrong event is 2\.\n {2}database 2: The event is not what its leaf says\.$/,
  )
  const json = JSON.parse((await run({}, true)).out) as Record<string, unknown>
  assert.deepEqual([json.isSound, json.firstWrong], [false, 2])
})

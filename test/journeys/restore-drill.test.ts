import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { sql } from 'kysely'
import { orThrow } from '#core/kit/outcome'
import { parseCheckpoint } from '#core/register/checkpoint'
import { parseNote, parseVkey } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { rootsFromTiles } from '#core/register/tile'
import { verifyReceipt } from '#core/register/verify'
import { makeBackup } from '#edge/backup/backup'
import { finishRestore, loadBackup, openBackup } from '#edge/backup/restore'
import { memoryBlobs } from '#edge/blobs/memory'
import { adopt } from '#edge/keeper/adopt'
import { fsckRegister } from '#edge/keeper/fsck'
import { openRegister, readSigner } from '#edge/keeper/installation'
import { startKeeper } from '#edge/keeper/keeper'
import { publishedAt } from '#edge/keeper/published'
import { tileFolder, tileReader } from '#edge/keeper/tiles'
import { eraseNow, replayErasures } from '#features/copies/erase'
import { checkWork } from '#features/parcels/checking'
import { destroyParcel } from '#features/parcels/keeping'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'
import { acknowledge, admit, openAll } from '#test/collecting'
import { emptyDatabase, freshDatabase } from '#test/database'
import { aHouse, Browser } from '#test/house'
import { aFile, aSentParcel } from '#test/sending'
import { aCommandLine, amir, treeOf } from './command-line.ts'

const folder = await mkdtemp(join(tmpdir(), 'safehand-drill-'))
after(() => rm(folder, { recursive: true, force: true }))
// The server of the run stays up as long as this file wants it.
await freshDatabase({ after })
const identity = join(folder, 'backup.identity')
execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' })
const recipient = execFileSync('age-keygen', ['-y', identity]).toString().trim()

test('a machine is lost: what was backed up comes back, what was erased does not, and the register goes on', async (t) => {
  const keys = join(folder, 'keys')
  const env = { SAFEHAND_KEYS: keys }
  const line = await aCommandLine(t, env)
  const { server, data, aCaseFile, send, prove, newestLink } = line
  const cli = (args: string[], more = {}) => line.cli(args, { env, ...more })
  /** Waits until all that was recorded is signed and published, and answers whether everything is sound. */
  const settled = async () => {
    for (let tries = 0; ; tries++) {
      const checked = await cli(['fsck', '--data', data, '--json'])
      const { waiting, size, published } = JSON.parse(checked.out) as Record<string, number>
      if (tries > 60 || (waiting === 0 && size === published)) return checked
      await rest(500)
    }
  }
  const { vkey } = (await (await fetch(`${server.url}/api/register/check`)).json()) as { vkey: string }

  const opened = await send(await aCaseFile('opened'), amir)
  await prove(opened.link, amir, 'amir')
  const first = join(folder, 'first')
  const collected = await cli(['collect', opened.link, '--out', first, '--yes', '--words', opened.words], {
    home: 'amir',
  })
  assert.equal(collected.code, 0, collected.err)
  const receipt = /Receipt: (.*\.tlog-proof)/.exec(collected.out)![1]!
  const source = await aCaseFile('waiting')
  await writeFile(join(source, 'recording.bin'), randomBytes(20 * 1024 * 1024))
  const waiting = await send(source, amir)

  // One that has ended and will be erased after the backup.
  const ended = await send(await aCaseFile('ended'), amir)
  const post = await fetch(`${server.url}/api/transfers/${ended.json.transferId}/recall`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await line.tokenOf('priya.nair@exampleshire.example')}`,
      'content-type': 'application/json',
    },
    body: '{}',
  })
  assert.ok(post.ok, await post.text())
  const reference = /SH-\d{4}-\d{6}/.exec(ended.out)![0]
  const reason = ['--reason', 'Right to erasure, request 12', '--data', data]
  for (let tries = 0; (await cli(['erase', '--transfer', reference, ...reason])).code !== 0; tries++) {
    assert.ok(tries < 60, 'the bytes are destroyed')
    await rest(500)
  }

  const file = join(folder, 'machine.backup')
  const progress: string[] = []
  const made = await cli(['backup', '--to', file, '--recipient', recipient, '--data', data], {
    onStatus: (shown: string) => void progress.push(shown),
  })
  assert.equal(made.code, 0, made.err)
  assert.match(
    made.out,
    /^Made: .*machine\.backup, 2\d\.\d MB\n {2}\d+ rows of \d+ tables, \d+ jobs that wait, \d+ parts/,
  )
  assert.match(progress.join('\n'), /Backing up █/)

  await send(await aCaseFile('later'), amir)
  assert.equal((await cli(['erase', '--transfer', reference, ...reason, '--yes'])).code, 0)
  assert.equal((await settled()).code, 0)
  const mirror = join(folder, 'mirror')
  await cp(join(data, 'register'), mirror, { recursive: true })
  await server.kill()
  await rm(data, { recursive: true })

  const restored = await cli(['restore', file, '--identity', identity, '--data', data])
  assert.equal(restored.code, 0, restored.err)
  assert.match(restored.out, /1 erasures made after the backup were done again/)
  assert.ok((await readdir(data)).includes('DEMONSTRATION'))
  assert.match((await cli(['restore', file, '--identity', identity, '--data', data])).err, /is in use/)
  const gone = await cli(['erase', '--transfer', reference, ...reason])
  assert.match(gone.err, /^There is nothing of this name to erase/)

  await server.start()
  assert.equal((await fetch(`${server.url}/register/checkpoint`)).status, 503, 'nothing is shown before it is adopted')
  assert.match((await cli(['keeper', 'adopt', '--data', data])).err, /^Nothing is published there/)
  const adopted = await cli([
    'keeper',
    'adopt',
    '--from',
    mirror,
    '--newest',
    join(mirror, 'checkpoint'),
    '--data',
    data,
    '--json',
  ])
  assert.equal(adopted.code, 0, adopted.err)
  assert.ok((JSON.parse(adopted.out) as { lost: number }).lost > 5)
  const sound = await settled()
  assert.equal(sound.code, 0, sound.out)

  assert.match((await cli(['verify', receipt, '--key', vkey])).out, /^Genuine\./)
  await prove(waiting.link, amir, 'amir')
  const second = join(folder, 'second')
  const late = await cli(['collect', waiting.link, '--out', second, '--yes', '--words', waiting.words], {
    home: 'amir',
  })
  assert.equal(late.code, 0, late.err)
  assert.deepEqual(await treeOf(join(second, 'waiting')), await treeOf(source))
  const lateReceipt = /Receipt: (.*\.tlog-proof)/.exec(late.out)![1]!
  assert.match((await cli(['verify', lateReceipt, '--key', vkey])).out, /^Genuine\./)
  assert.equal((await send(await aCaseFile('new'), amir)).code, 0)
  assert.ok(await newestLink(amir))
  // What the world has seen is still the beginning of what it sees now.
  const [before, now] = await Promise.all([mirror, join(data, 'register')].map(checkpointIn))
  const roots = rootsFromTiles(now!.size, tileReader(tileFolder(join(data, 'register'))))
  assert.ok(now!.size > before!.size)
  assert.deepEqual(await roots(0, before!.size), new Uint8Array(before!.root))
})

const checkpointIn = async (register: string) =>
  orThrow(parseCheckpoint(orThrow(parseNote(await readFile(join(register, 'checkpoint'), 'utf8'))).text))

test('the same with a database of one’s own: a new one takes its place', async (t) => {
  const { house, open, browser } = await aHouse(t)
  const priya = await browser('Priya Nair')
  const parcel = await aSentParcel(priya, [aFile('report.txt', 'The child is safe.')])
  const ended = await aSentParcel(priya)
  await priya.post(`/api/transfers/${ended.transferId}/recall`)
  await destroyParcel(house, ended.parcelId)
  orThrow(await house.keeper.once())
  const store = open('owner')
  const file = join(folder, 'database.backup')
  orThrow(
    await makeBackup({
      store,
      blobs: house.blobs,
      demonstration: false,
      file,
      recipient,
      at: new Date(),
      progress: () => {},
    }),
  )
  const later = await aSentParcel(priya)
  const { reference } = await house.db
    .selectFrom('transfers')
    .where('id', '=', ended.transferId)
    .select('reference')
    .executeTakeFirstOrThrow()
  const list = house.config.erasuresFile
  orThrow(await eraseNow(open('erasure').db, list, { transfer: reference }, { reason: 'Request 12', now: new Date() }))
  orThrow(await house.keeper.once())
  await house.keeper.stop()

  const { db, store: anew, open: openNew } = await emptyDatabase(t)
  const blobs = memoryBlobs()
  orThrow(await loadBackup(anew, blobs, orThrow(await openBackup(file, identity, () => {}))))
  assert.equal(orThrow(await replayErasures(db, list)), 1)
  orThrow(await finishRestore(db))
  const { rows } = await sql`select from transfers where reference = ${reference}`.execute(db)
  assert.equal(rows.length, 0)

  const register = orThrow(await openRegister(db, house.config))
  const reports: unknown[] = []
  const keeper = startKeeper({ db, ...register, restMs: 60_000, report: (what) => reports.push(what) })
  t.after(() => keeper.stop())
  const refused = await keeper.once()
  assert.ok(!refused.ok && refused.problem.slug === 'keeper-restored')
  const published = publishedAt(join(house.config.dataFolder, 'register'))
  const signerOf = (number: number) => readSigner(db, house.config, number)
  const adopted = orThrow(await adopt({ db, published, signerOf, nothingLater: false }))
  assert.ok(adopted.lost > 5)
  orThrow(await keeper.once())

  const { db: system, confine } = openNew('app')
  const after = { ...house, db: system, system, confine, blobs, keeper }
  const built = { folder: import.meta.dirname, url: '/assets/test', version: '0' }
  const app = await buildApp(after, allRoutes(house.policy), built)
  t.after(() => app.close())
  const [sender, amirs] = [await Browser.of(app, 'Priya Nair'), new Browser(app)]
  await admit(amirs, sender, parcel)
  await acknowledge(amirs, parcel)
  const { files, said } = await openAll(amirs, parcel)
  assert.equal(Buffer.from(files.get('report.txt')!).toString(), 'The child is safe.')
  await amirs.post(`/api/collect/${parcel.recipients[0]}/opened`, said)
  orThrow(await keeper.once())
  const receipt = (await amirs.call('GET', `/api/collect/${parcel.recipients[0]}/receipt`)).body
  orThrow(verifyReceipt(receipt, orThrow(parseTrustPolicy(`log ${keeper.vkey}\nquorum none\n`))))
  assert.equal((await sender.problem('GET', `/api/transfers/${later.transferId}`)).slug, 'not-found')

  const found: unknown[] = []
  const note = (...finding: unknown[]) => void found.push(finding)
  await checkWork({ db, blobs, keyring: house.keyring, now: new Date() }, false, note)
  assert.deepEqual([...found, ...(await fsckRegister(db, keeper.tiles, orThrow(parseVkey(keeper.vkey)))).findings], [])
  assert.deepEqual(reports.length, 1, 'it was said once that nothing is signed')
})

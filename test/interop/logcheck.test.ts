import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { orThrow } from '#core/kit/outcome'
import { formatVkey, signNote } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { aSigner } from '#core/register/small-register'
import { latestCheckpoint } from '#edge/keeper/head'
import { keepOnce } from '#edge/keeper/keeper'
import { tileFolder } from '#edge/keeper/tiles'
import { gatherFrom } from '#edge/keeper/witness'
import { serveWitness } from '#edge/witness/serve'
import { openWitness } from '#edge/witness/store'
import { freshDatabase, startTestServer } from '#test/database'

// One server for the file when it is run by itself.
if (!process.env.SAFEHAND_TEST_DATABASE) {
  const server = await startTestServer()
  after(() => server.stop())
}

const run = promisify(execFile)
const signer = aSigner()
const key = formatVkey(signer.vkey)
let folder: string
let logcheck: string

before(async () => {
  const found = spawnSync('sh', ['-c', 'command -v go']).status === 0
  assert.ok(found, "This test needs the program 'go': on Debian, apt-get install golang-go golang-golang-x-mod-dev.")
  folder = await mkdtemp(join(tmpdir(), 'safehand-logcheck-'))
  logcheck = join(folder, 'logcheck')
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: join(folder, 'cache') }
  await run('go', ['build', '-o', logcheck, '.'], { cwd: join(import.meta.dirname, 'logcheck'), env })
})
after(() => rm(folder, { recursive: true, force: true }))

/** A register of this many events, signed and published by the real keeper. */
async function aLog(t: TestContext, size: number) {
  const { db } = (await freshDatabase(t)).open('owner')
  await sql`
    insert into register_events (name, at, handle, leaf)
    select 'token-made', now(), md5(n::text), convert_to('{"entry":' || n || ',"text":"' || repeat('x', n % 200) || '"}', 'UTF8')
    from generate_series(1, ${size}::int) as n`.execute(db)
  const at = join(folder, String(size))
  const tiles = tileFolder(at)
  orThrow(await keepOnce({ db, tiles, signer }))
  return { db, tiles, at }
}

const accepts = async (at: string, ...keys: string[]) => (await run(logcheck, [at, key, ...keys])).stdout
const refuses = (at: string, why: RegExp, ...keys: string[]) =>
  assert.rejects(run(logcheck, [at, key, ...keys]), (error: { code: number; stderr: string }) => {
    assert.equal(error.code, 1)
    assert.match(error.stderr, why)
    return true
  })

/** Does something to a copy of a log, which must then be refused. */
async function refusedAfter(at: string, change: (copy: string) => Promise<void>, why: RegExp) {
  const copy = `${at}-copy`
  await rm(copy, { recursive: true, force: true })
  await cp(at, copy, { recursive: true })
  await change(copy)
  await refuses(copy, why)
}

/** Flips the last bit of a file. */
const flip = (path: string) => async (copy: string) => {
  const bytes = await readFile(join(copy, path))
  bytes[bytes.length - 1]! ^= 1
  await writeFile(join(copy, path), bytes)
}

const tampered = (at: string, paths: string[]) =>
  Promise.all(
    paths.map((path, i) =>
      cp(at, `${at}-${i}`, { recursive: true }).then(async () => {
        await flip(path)(`${at}-${i}`)
        await refuses(`${at}-${i}`, path.includes('entries') ? /is not the one that was signed/ : /inconsistent tile/)
      }),
    ),
  )

for (const size of [0, 1, 255, 256, 257, 65_536]) {
  test(`Go's own tlog accepts a register of ${size} entries, and none in which anything was changed`, async (t) => {
    const { at } = await aLog(t, size)
    assert.equal(await accepts(at), `ok: ${size} entries\n`)
    const files = (await readdir(join(at), { recursive: true, withFileTypes: true })).filter((one) => one.isFile())
    const tiles = files
      .map((one) => join(one.parentPath, one.name).slice(at.length + 1))
      .filter((one) => one !== 'checkpoint')
    assert.equal(tiles.length === 0, size === 0)
    // Of the largest, one of each kind: the rest differs in nothing.
    const wanted =
      size > 257 ? ['tile/0/255', 'tile/1/000', 'tile/2/000.p/1', 'tile/entries/000', 'tile/entries/255'] : tiles
    await tampered(at, wanted)
    const note = await readFile(join(at, 'checkpoint'), 'utf8')
    await refusedAfter(
      at,
      (copy) => writeFile(join(copy, 'checkpoint'), note.replace(`\n${size}\n`, `\n${size + 1}\n`)),
      /signature/,
    )
    const root = note.split('\n')[2]!
    const forged = await signNote(note.split('\n\n')[0]!.replace(root, 'A'.repeat(43) + '=') + '\n', signer)
    await refusedAfter(at, (copy) => writeFile(join(copy, 'checkpoint'), forged), /inconsistent tile|another root/)
    await refuses(at, /have signed|malformed|no key/, 'nonsense')
  })
}

test('a dropped entry is refused, also when the checkpoint is signed again for a smaller size', async (t) => {
  const { at } = await aLog(t, 3)
  const path = 'tile/entries/000.p/3'
  const bundle = await readFile(join(at, path))
  const withoutFirst = bundle.subarray(2 + bundle.readUInt16BE(0))
  await refusedAfter(at, (copy) => writeFile(join(copy, path), withoutFirst), /holds 2 entries, not 3/)
  await refusedAfter(at, (copy) => rm(join(copy, path)), /no such file/)
  const note = await readFile(join(at, 'checkpoint'), 'utf8')
  const smaller = await signNote(`${note.split('\n\n')[0]!.replace('\n3\n', '\n2\n')}\n`, signer)
  await refusedAfter(
    at,
    async (copy) => {
      await writeFile(join(copy, 'checkpoint'), smaller)
      await writeFile(join(copy, 'tile/0/000.p/2'), (await readFile(join(copy, 'tile/0/000.p/3'))).subarray(32))
      await writeFile(join(copy, 'tile/entries/000.p/2'), withoutFirst)
    },
    /inconsistent tile/,
  )
})

test("Go accepts a witness's cosignature, and notices when it is missing or of another", async (t) => {
  const log = await aLog(t, 7)
  const witness = orThrow(await openWitness(join(folder, 'witness'), 'witness.example', [signer.vkey]))
  const served = await serveWitness(witness, { host: '127.0.0.1', port: 0 }, (error) => assert.fail(error))
  const policy = orThrow(parseTrustPolicy(`witness w ${formatVkey(witness.vkey)} ${served.url}\nquorum w\n`))
  await gatherFrom({ ...log, trust: policy }, (problem) => assert.fail(JSON.stringify(problem))).look()
  await served.close()
  await witness.close()
  await refuses(log.at, /1 of 2 have signed/, formatVkey(witness.vkey))
  const checkpoint = (await latestCheckpoint(log.db))!
  await writeFile(join(log.at, 'checkpoint'), checkpoint)
  assert.equal(await accepts(log.at, formatVkey(witness.vkey)), 'ok: 7 entries\n')
  const [body, signatures] = checkpoint.split('\n\n')
  const lines = signatures!.trimEnd().split('\n')
  lines[1] = lines[1]!.replace(/.{8}$/, 'AAAAAAA=')
  await writeFile(join(log.at, 'checkpoint'), `${body}\n\n${lines.join('\n')}\n`)
  await refuses(log.at, /invalid signature/, formatVkey(witness.vkey))
})

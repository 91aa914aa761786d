import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sql } from 'kysely'
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

async function run(json = false) {
  const lines = { out: '', err: '' }
  const io = {
    out: (text: string) => void (lines.out += text),
    err: (text: string) => void (lines.err += text),
    isTerminal: false,
    env: {},
  }
  const code = await fsck.run({ positionals: [], values: { data: dataFolder }, json, io })
  return { code, ...lines }
}

test('an installation is checked beside its running server and without it, and the first wrong event is named', async () => {
  const { store, close } = orThrow(await openInstalled(config))
  orThrow(await migrate(store.db))
  const { tiles, signer } = orThrow(await openRegister(store.db, config))
  assert.equal(signer.vkey.name, 'safehand.example.gov.uk/register')
  await store.db.transaction().execute(async (tx) => {
    for (let i = 0; i < 5; i++) await recordEvent(tx, 'token-made', { i })
  })
  orThrow(await keepOnce({ db: store.db, tiles, signer }))

  const beside = await run()
  assert.deepEqual([beside.code, beside.out], [0, 'Sound. 5 events signed, 5 of them published, 0 waiting.'])

  const moved = { ...config, publicUrl: 'http://localhost:8080' }
  assert.equal(orThrow(await openRegister(store.db, moved)).signer.vkey.name, 'safehand.example.gov.uk/register')
  const elsewhere = await openRegister(store.db, { ...config, keysFolder: parent })
  assert.ok(!elsewhere.ok && elsewhere.problem.slug === 'keeper-elsewhere')

  await sql`update register_events set body = '{}' where seq = 2`.execute(store.db)
  await close()
  const alone = await run()
  assert.equal(alone.code, 1)
  assert.match(
    alone.out,
    /^NOT SOUND\..*\nThe first wrong event is 2\.\n {2}database 2: The event is not what its leaf says\.$/,
  )
  const json = JSON.parse((await run(true)).out) as Record<string, unknown>
  assert.deepEqual([json.isSound, json.firstWrong], [false, 2])
})

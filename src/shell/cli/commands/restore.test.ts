import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { ok } from '#core/kit/outcome'
import { readConfig } from '#config'
import { openKeyring } from '#edge/keyring'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction } from '#edge/store/database'
import { runSafehand } from '#shell/cli/safehand'
import { withInstalled } from '#shell/cli/installed'
import { startSafehand } from '#shell/start'

const folder = await mkdtemp(join(tmpdir(), 'safehand-restore-'))
after(() => rm(folder, { recursive: true, force: true }))
const [data, keys] = [join(folder, 'data'), join(folder, 'keys')]
const env = { ...process.env, SAFEHAND_KEYS: keys, DATABASE_URL: '' }
const secret = await generateX25519Identity()
const identity = join(folder, 'backup.identity')
await writeFile(identity, `${secret}\n`)
const recipient = await identityToRecipient(secret)
const file = join(folder, 'backup')

async function cli(...args: string[]) {
  const lines = { out: '', err: '' }
  const io = { out: (text: string) => void (lines.out += text), err: (text: string) => void (lines.err += text), env }
  return { code: await runSafehand(args, io), ...lines }
}

const first = ['--organisation', 'Exampleshire County Council', '--domain', 'exampleshire.example']
const admin = ['--name', 'Ines Duarte', '--email', 'ines.duarte@exampleshire.example']

test('no key of the register or of a day is in a backup', async () => {
  assert.equal((await cli('init', ...first, ...admin, '--data', data)).code, 0)
  const days = openKeyring(join(keys, 'keyring'), true)
  await days.recipientFor('2026-03-02')
  await withInstalled({ values: { data }, io: { out: () => {}, err: () => {}, env } }, ({ db }) =>
    // Enough that a restore takes a moment.
    inTransaction(db, async (tx) => {
      for (let i = 0; i < 3_000; i++) await recordEvent(tx, 'token-made', { i, words: 'x'.repeat(2_000) })
      return ok()
    }),
  )
  const made = await cli('backup', '--to', file, '--recipient', recipient, '--data', data)
  assert.equal(made.code, 0, made.err)
  const opened = execFileSync('age', ['-d', '-i', identity, file], { maxBuffer: 2 ** 28 })
  const pem = (await readFile(join(keys, 'register.pem'), 'utf8')).split('\n')[1]!
  const day = (await readFile(join(keys, 'keyring', '2026-03-02.identity'), 'utf8')).trim()
  for (const key of [pem, day, 'PRIVATE KEY', 'AGE-SECRET-KEY']) assert.ok(!opened.includes(key), key.slice(0, 20))
  await days.destroy('2026-03-02')
  assert.deepEqual(await days.days(), [])
})

test('a restore that is killed leaves a folder that nothing starts in, and is begun again by the same command', async () => {
  const target = join(folder, 'target')
  const args = ['restore', file, '--identity', identity, '--data', target]
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../../../bin/safehand.js'), ...args], {
    env,
    stdio: 'ignore',
  })
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
  while (!existsSync(join(target, 'postgres', 'data', 'postmaster.pid'))) await rest(5)
  child.kill('SIGKILL')
  assert.equal(await ended, 'SIGKILL')
  assert.ok((await readdir(target)).includes('RESTORING'))

  for (const refused of [
    ['fsck'],
    ['migrate'],
    ['keeper', 'adopt'],
    ['backup', '--to', `${file}.2`, '--recipient', recipient],
  ]) {
    const { code, err } = await cli(...refused, '--data', target)
    assert.deepEqual([code, err.split('\n')[0]], [1, 'A restore has not come to its end here.'], refused[0])
  }
  const config = readConfig({ data: target }, env)
  assert.ok(config.ok)
  const started = await startSafehand(config.value)
  assert.ok(!started.ok && started.problem.slug === 'restore-unfinished')

  const again = await cli(...args)
  assert.equal(again.code, 0, again.err)
  assert.match(again.err, /had been cut short\. It begins again\./)
  assert.ok(!(await readdir(target)).includes('RESTORING'))
  assert.equal((await cli('keeper', 'adopt', '--nothing-later', '--data', target)).code, 0)
  const sound = await cli('fsck', '--data', target, '--json')
  assert.equal(sound.code, 0, sound.out)
})

test('a folder in use, a wrong identity and a file that is no backup are refused, and nothing is made', async () => {
  const [wrong, none] = [join(folder, 'wrong.identity'), join(folder, 'none')]
  await writeFile(wrong, `${await generateX25519Identity()}\n`)
  const target = ['--data', none]
  assert.match((await cli('restore', file, '--identity', identity, '--data', data)).err, /is in use/)
  assert.match((await cli('restore', file, '--identity', wrong, ...target)).err, /^This key does not open it/)
  assert.match((await cli('restore', wrong, '--identity', identity, ...target)).err, /^This is not a sealed file/)
  await writeFile(wrong, 'nothing\n')
  assert.match(
    (await cli('restore', file, '--identity', wrong, ...target)).err,
    /^This is not a file with one age identity/,
  )
  assert.equal((await cli('restore', file)).code, 2)
  assert.ok(!existsSync(none))
  await mkdir(none)
  await writeFile(join(none, 'something'), '')
  assert.match((await cli('restore', file, '--identity', identity, ...target)).err, /is in use/)
})

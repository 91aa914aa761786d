import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { newSealing } from '#core/seal/seal'
import { nodeTools } from '#edge/seal/node-tools'
import {
  findSending,
  forgetSending,
  keepSending,
  keptSecrets,
  PartsJournal,
  replaceSealing,
  sealingOf,
  type BegunParcel,
} from '#shell/cli/begun-sendings'
import { forgetOldWork, ownPath } from '#shell/cli/own-files'

const home = await mkdtemp(join(tmpdir(), 'safehand-begun-'))
after(() => rm(home, { recursive: true, force: true }))
const env = { HOME: home }
const [one, other, third] = ['1', '2', '3'].map((digit) => digit.repeat(64)) as [string, string, string]

const transferId = '00000000-0000-4000-8000-000000000001'
const parcelId = '00000000-0000-4000-8000-000000000002'
const aParcel = (id = parcelId) => ({ parcelId: id }) as BegunParcel

test('the first digest of a part holds for ever, also when two commands go on with one parcel at once', async () => {
  const first = await PartsJournal.begin(env, 'p1')
  const second = (await PartsJournal.find(env, 'p1'))!
  assert.equal(await first.keep(0, one), one)
  assert.equal(await second.keep(0, other), one)
  assert.deepEqual(await Promise.all([second.keep(1, other), second.keep(2, third)]), [other, third])
  assert.equal(await first.keep(1, one), other)
  const both = await Promise.all([first.keep(3, one), second.keep(3, other)])
  assert.equal(both[0], both[1])
  await Promise.all([first.close(), second.close()])
  await assert.rejects(PartsJournal.begin(env, 'p1'), /EEXIST/)
})

test('a line that was cut off counts for nothing, and spoils none after it', async () => {
  const journal = await PartsJournal.begin(env, 'p2')
  await journal.keep(0, one)
  await journal.close()
  for (const torn of ['1', '\n1 ', `\n1 ${one.slice(1)}`, '\n\0\0\0\0', `\n1 ${one}1\n`]) {
    await appendFile(ownPath(env, 'send-p2.parts'), torn)
  }
  const again = (await PartsJournal.find(env, 'p2'))!
  assert.deepEqual([...again.parts], [[0, one]])
  assert.equal(await again.keep(1, other), other)
  await again.close()
  const third = (await PartsJournal.find(env, 'p2'))!
  assert.deepEqual(
    [...third.parts],
    [
      [0, one],
      [1, other],
    ],
  )
  await third.close()
})

test('a sending is found by its command and by its transfer, and gone with its keys when it has ended', async () => {
  const sending = { transferId, command: 'a', at: 1 }
  await keepSending(env, sending)
  assert.deepEqual(await findSending(env, { command: 'a', transferId: undefined }), sending)
  assert.deepEqual(await findSending(env, { command: 'b', transferId }), sending)
  assert.equal(await findSending(env, { command: 'b', transferId: undefined }), undefined)

  const secrets = await newSealing(true, nodeTools)
  const kept = { begun: aParcel(), what: 'w', ...keptSecrets(secrets) }
  await (await PartsJournal.begin(env, parcelId)).close()
  await replaceSealing(env, sending, kept)
  const found = (await findSending(env, { command: 'a', transferId: undefined }))!
  assert.deepEqual(sealingOf(found.sealing!, secrets.parts), secrets)
  assert.equal((await stat(ownPath(env, `send-${transferId}.json`))).mode & 0o777, 0o600)
  assert.equal((await stat(ownPath(env, `send-${parcelId}.parts`))).mode & 0o777, 0o600)

  await (await PartsJournal.begin(env, 'anew')).close()
  await replaceSealing(env, found, { ...kept, begun: aParcel('anew') })
  assert.equal(await PartsJournal.find(env, parcelId), undefined, 'the journal of the keys that are gone is gone')
  await forgetSending(env, found)
  const left = (await readdir(join(home, '.config/safehand'))).filter((name) => !/^send-p[12]\./.test(name))
  assert.deepEqual(left, [])
})

test('what nobody came back to is taken away when no server would go on with it, and nothing else is', async () => {
  const now = Date.now()
  const hour = 3_600_000
  const names = {
    'send-old.json': limits.sealingHours * hour + 1_000,
    'send-old.parts': limits.sealingHours * hour + 1_000,
    'send-young.json': limits.sealingHours * hour - 1_000,
    'input-old': limits.sealingHours * hour + 1_000,
    'collecting-old.json': limits.parcelDaysMax * 24 * hour + 1_000,
    'collect-young.json': limits.parcelDaysMax * 24 * hour - 1_000,
    'device.json': 1_000 * 24 * hour,
  }
  for (const [name, age] of Object.entries(names)) {
    await writeFile(ownPath(env, name), '{}', { mode: 0o600 })
    await utimes(ownPath(env, name), (now - age) / 1_000, (now - age) / 1_000)
  }
  await forgetOldWork(env, now)
  const left = (await readdir(join(home, '.config/safehand'))).filter((name) => !/^send-p[12]\./.test(name))
  assert.deepEqual(left.toSorted(), ['collect-young.json', 'device.json', 'send-young.json'])
})

import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fromUtf8, utf8 } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { formatVkey, openNote, signNote } from '#core/register/note'
import { readOrMakeRegisterKey } from '#edge/keeper/key'
import { tileFolder, tileReader } from '#edge/keeper/tiles'

const folder = await mkdtemp(join(tmpdir(), 'safehand-keeper-'))
after(() => rm(folder, { recursive: true }))

test('the key is made once, for its owner only, and signs', async () => {
  const path = join(folder, 'keys/register.pem')
  const signer = await readOrMakeRegisterKey(path, 'register.example.gov.uk')
  assert.equal((await stat(path)).mode % 0o1000, 0o600)
  const again = await readOrMakeRegisterKey(path, 'register.example.gov.uk')
  assert.equal(formatVkey(again.vkey), formatVkey(signer.vkey))
  orThrow(openNote(await signNote('hello\n', signer), [again.vkey]))
})

test('processes that start at once share one key', async () => {
  const path = join(folder, 'shared.pem')
  const made = await Promise.all([1, 2, 3].map(() => readOrMakeRegisterKey(path, 'a.example')))
  assert.equal(new Set(made.map((signer) => formatVkey(signer.vkey))).size, 1)
})

test('a key that others can read, and a file that is no key, are refused', async () => {
  const path = join(folder, 'open.pem')
  await readOrMakeRegisterKey(path, 'a.example')
  await chmod(path, 0o640)
  await assert.rejects(readOrMakeRegisterKey(path, 'a.example'), /can be read by others/)
  await writeFile(join(folder, 'nonsense.pem'), 'nonsense', { mode: 0o600 })
  await assert.rejects(readOrMakeRegisterKey(join(folder, 'nonsense.pem'), 'a.example'))
})

test('a tile is written once and never changed; the checkpoint is', async () => {
  const tiles = tileFolder(join(folder, 'register'))
  await tiles.write('tile/0/x001/234', utf8('one'))
  await tiles.write('tile/0/x001/234', utf8('one'))
  await assert.rejects(tiles.write('tile/0/x001/234', utf8('two')), /other content/)
  await tiles.write('checkpoint', utf8('one'))
  await tiles.write('checkpoint', utf8('two'))
  assert.equal(fromUtf8((await tiles.read('checkpoint'))!), 'two')
  assert.equal(await tiles.read('tile/0/000'), undefined)
  assert.deepEqual(await readdir(join(folder, 'register')), ['checkpoint', 'tile'])
  assert.deepEqual(await readdir(join(folder, 'register/tile/0/x001')), ['234'])
})

test('where a partial tile was tidied away the full one is read', async () => {
  const tiles = tileFolder(join(folder, 'tidied'))
  const read = tileReader(tiles)
  await assert.rejects(read({ level: 0, n: 0, width: 3 }), /not published whole/)
  await tiles.write('tile/0/000', new Uint8Array(256 * 32).fill(5))
  assert.equal((await read({ level: 0, n: 0, width: 3 })).length, 96)
  await tiles.write('tile/0/001', new Uint8Array(64))
  await assert.rejects(read({ level: 0, n: 1, width: 3 }), /not published whole/)
})

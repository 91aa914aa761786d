import assert from 'node:assert/strict'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { saveFlow } from '#shell/cli/file-bytes'

const pieceBytes = 2 ** 20

async function* numbered(count: number) {
  for (let n = 0; n < count; n += 1) yield new Uint8Array(pieceBytes).fill(n)
}

test('a flow that the disk is asked for several times while it comes is saved whole, behind what was there', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-saving-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'saved')
  const file = await open(path, 'w')
  t.after(() => file.close())
  await file.write('before')
  await saveFlow(file, numbered(150), 6)
  const saved = await readFile(path)
  assert.equal(saved.length, 6 + 150 * pieceBytes)
  assert.equal(saved.toString('latin1', 0, 6), 'before')
  for (let n = 0; n < 150; n += 1) assert.equal(saved[6 + n * pieceBytes + 4_711], n)
})

test('a disk that cannot keep what it was given ends the saving, although more comes', async (t) => {
  // Written to, but never kept: asking for that is an error.
  const file = await open('/dev/null', 'w')
  t.after(() => file.close())
  await assert.rejects(saveFlow(file, numbered(Infinity), 0), { code: 'EINVAL' })
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { streamOf } from '#core/seal/flow'
import type { IndexEntry, OpenedEntry } from '#core/seal/tar-index'
import { savingOf, type Opened } from '#shell/islands/shared/opening'

const entry = (path: string, sizeBytes: number, modifiedSeconds = 1_700_000_000): IndexEntry => ({
  path: path.replace(/\/$/, ''),
  type: path.endsWith('/') ? 'folder' : 'file',
  sizeBytes,
  modifiedSeconds,
  digest: null,
  offset: 0,
})

/** What is to be saved of a parcel with these entries, all of whose bytes are zero. */
function zipOf(index: IndexEntry[]) {
  async function* zeros(sizeBytes: number): AsyncGenerator<Uint8Array> {
    const piece = new Uint8Array(1024 * 1024)
    for (let left = sizeBytes; left > 0; left -= piece.length) yield piece.subarray(0, left)
  }
  async function* entries(): AsyncGenerator<OpenedEntry> {
    for (const each of index) yield { ...each, from: 0, bytes: streamOf(zeros(each.sizeBytes)) as never }
  }
  const opened = { parcel: { manifest: { index } }, inside: { details: { reference: 'SH-1' }, entries: index } }
  return savingOf(opened as unknown as Opened, null, () => {}, entries())
}

/** Writes a zip to disk, leaving holes for zeros, and has Python read its list and check its sums. */
async function readByPython(t: TestContext, { stream }: ReturnType<typeof zipOf>) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-zip-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = await open(join(folder, 'all.zip'), 'w')
  const zeros = Buffer.alloc(1024 * 1024)
  let at = 0
  for await (const piece of stream) {
    if (!zeros.subarray(0, piece.length).equals(piece)) await file.write(piece, 0, piece.length, at)
    at += piece.length
  }
  await file.close()
  const script = `import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
for i in z.infolist(): print(i.filename, i.file_size, i.date_time[0])`
  const env = { ...process.env, PYTHONIOENCODING: 'utf8' }
  const said = spawnSync('python3', ['-c', script, join(folder, 'all.zip')], { encoding: 'utf8', env })
  assert.equal(said.stderr, '')
  return { sizeBytes: at, lines: said.stdout.trim().split('\n') }
}

test('a zip has every name and folder in the order of the parcel, and the size that was said beforehand', async (t) => {
  const zip = zipOf([entry('case/ŵ.bin', 3_000_000), entry('case/empty/', 0), entry('case/nothing', 0)])
  const read = await readByPython(t, zip)
  assert.deepEqual(read.lines, ['case/ŵ.bin 3000000 2023', 'case/empty/ 0 2023', 'case/nothing 0 2023'])
  assert.equal(read.sizeBytes, zip.sizeBytes)
})

test('days that a zip cannot say become the nearest that it can', async (t) => {
  const read = await readByPython(t, zipOf([entry('old', 1, 0), entry('late', 1, 8_000_000_000)]))
  assert.deepEqual(read.lines, ['old 1 1980', 'late 1 2107'])
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, mkdtemp, open, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, mock, test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { letGo } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import type { Blobs } from '#edge/blobs/blobs'
import { fileBlobs } from '#edge/blobs/filesystem'
import { memoryBlobs } from '#edge/blobs/memory'

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-blobs-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function* pieces(...parts: (string | Uint8Array | Error)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield typeof part === 'string' ? Buffer.from(part) : part
  }
}

const sizeMax = 1000
const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const bytes = async (blobs: Blobs, key: string, range?: { start?: number; end?: number }): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(await blobs.read(key, range)))
const text = async (...asked: Parameters<typeof bytes>): Promise<string> => String(await bytes(...asked))
const keys = async (blobs: Blobs, folder = ''): Promise<Set<string>> =>
  new Set((await Array.fromAsync(blobs.list(folder))).map(({ key }) => key))

const makers: Record<string, (t: TestContext) => Promise<Blobs>> = {
  'in files': async (t) => fileBlobs(await folderOf(t)),
  'in memory': async () => memoryBlobs(),
}

for (const [name, make] of Object.entries(makers)) {
  describe(`blobs ${name}`, () => {
    test('what was put comes back, with its size and digest', async (t) => {
      const blobs = await make(t)
      assert.deepEqual(
        await blobs.put('parcels/p1/content/0', pieces('safe', '', 'hand'), { sizeMax, sha256: sha256('safehand') }),
        ok({ sizeBytes: 8, sha256: sha256('safehand') }),
      )
      assert.equal(await text(blobs, 'parcels/p1/content/0'), 'safehand')
      assert.equal(await blobs.size('parcels/p1/content/0'), 8)
    })

    test('a piece whose memory is let go of when the next is asked for has been stored by then', async (t) => {
      const blobs = await make(t)
      async function* lettingGo() {
        for await (const piece of pieces(...['one', 'two', 'three'].map((word) => new TextEncoder().encode(word)))) {
          yield piece
          letGo(piece)
          assert.equal(piece.length, 0)
        }
      }
      await blobs.put('k', lettingGo(), { sizeMax, sha256: sha256('onetwothree') })
      assert.equal(await text(blobs, 'k'), 'onetwothree')
    })

    test('an empty blob is a blob', async (t) => {
      const blobs = await make(t)
      assert.deepEqual(await blobs.put('empty', pieces(), { sizeMax: 0 }), ok({ sizeBytes: 0, sha256: sha256('') }))
      assert.equal(await blobs.size('empty'), 0)
      assert.equal(await text(blobs, 'empty'), '')
    })

    test('a range is read from its start up to, not including, its end', async (t) => {
      const blobs = await make(t)
      await blobs.put('k', pieces('0123456789'), { sizeMax })
      assert.equal(await text(blobs, 'k', { start: 2, end: 5 }), '234')
      assert.equal(await text(blobs, 'k', { start: 7 }), '789')
      assert.equal(await text(blobs, 'k', { end: 10 }), '0123456789')
      assert.equal(await text(blobs, 'k', { start: 10 }), '')
      for (const range of [{ end: 11 }, { start: 11 }, { start: 5, end: 4 }, { start: -1 }, { start: 0.5 }]) {
        await assert.rejects(blobs.read('k', range), RangeError)
      }
    })

    test('a blob that is not there has no size and cannot be read', async (t) => {
      const blobs = await make(t)
      assert.equal(await blobs.size('none/at/all'), null)
      await assert.rejects(blobs.read('none/at/all'))
    })

    test('a blob may be as large as said and not one byte larger', async (t) => {
      const blobs = await make(t)
      for (const [size, isOk] of [
        [sizeMax - 1, true],
        [sizeMax, true],
        [sizeMax + 1, false],
      ] as const) {
        const outcome = await blobs.put(`k${size}`, pieces(randomBytes(size - 1), 'x'), { sizeMax })
        assert.equal(outcome.ok, isOk)
        assert.equal(await blobs.size(`k${size}`), isOk ? size : null)
      }
      assert.deepEqual(await blobs.put('k', pieces(randomBytes(sizeMax + 1)), { sizeMax }), fail('too-large'))
    })

    test('bytes with another digest than announced are refused and leave what was there', async (t) => {
      const blobs = await make(t)
      await blobs.put('k', pieces('old'), { sizeMax })
      assert.deepEqual(
        await blobs.put('k', pieces('new'), { sizeMax, sha256: sha256('other') }),
        fail('digest-differs'),
      )
      assert.equal(await text(blobs, 'k'), 'old')
    })

    test('a sender who breaks off leaves what was there', async (t) => {
      const blobs = await make(t)
      await blobs.put('k', pieces('old'), { sizeMax })
      await assert.rejects(blobs.put('k', pieces('ne', new Error('connection lost')), { sizeMax }), /connection lost/)
      assert.equal(await text(blobs, 'k'), 'old')
      await assert.rejects(blobs.put('k2', pieces(new Error('connection lost')), { sizeMax }))
      assert.deepEqual(await keys(blobs), new Set(['k']))
    })

    test('putting again replaces the whole, also at the same time', async (t) => {
      const blobs = await make(t)
      const contents = ['a'.repeat(900), 'b'.repeat(10), 'c']
      await Promise.all(
        contents.map((content) => blobs.put('same', pieces(content.slice(0, 1), content.slice(1)), { sizeMax })),
      )
      assert.ok(contents.includes(await text(blobs, 'same')))
    })

    test('a folder lists what is below it and nothing beside it', async (t) => {
      const blobs = await make(t)
      for (const key of ['p/a/0', 'p/a/1', 'p/ab/0', 'p/a.x', 'q']) await blobs.put(key, pieces(key), { sizeMax })
      const [q] = await Array.fromAsync(blobs.list('q'))
      assert.deepEqual({ ...q, putAt: null }, { key: 'q', sizeBytes: 1, putAt: null })
      assert.ok(Math.abs(q!.putAt.valueOf() - Date.now()) < 60_000)
      assert.deepEqual(await keys(blobs, 'p/a'), new Set(['p/a/0', 'p/a/1']))
      assert.deepEqual(await keys(blobs), new Set(['p/a/0', 'p/a/1', 'p/ab/0', 'p/a.x', 'q']))
      assert.deepEqual(await keys(blobs, 'none'), new Set())
      assert.deepEqual(await keys(blobs, 'q/below/a/blob'), new Set())
    })

    test('removing takes one, or a whole folder, and may be done again', async (t) => {
      const blobs = await make(t)
      for (const key of ['p/a/0', 'p/a/1', 'p/ab/0']) await blobs.put(key, pieces(key), { sizeMax })
      for (const _ of [1, 2]) await blobs.remove('p/a/0')
      assert.deepEqual(await keys(blobs), new Set(['p/a/1', 'p/ab/0']))
      for (const _ of [1, 2]) await blobs.removeAll('p/a')
      assert.deepEqual(await keys(blobs), new Set(['p/ab/0']))
      await blobs.remove('never/was')
      await blobs.removeAll('never/was')
    })

    test('no key leads out of the store', async (t) => {
      const blobs = await make(t)
      const tricks = [
        '',
        '.',
        '..',
        '../x',
        'a/../b',
        '/a',
        'a/',
        'a//b',
        'a\\b',
        'a\0b',
        'A',
        'a b',
        '.a',
        'a/.',
        'é',
        'a\n',
        'con:',
        'a'.repeat(101),
      ]
      for (const key of tricks) {
        await assert.rejects(async () => blobs.put(key, pieces(), { sizeMax }), /This should not happen/, key)
        await assert.rejects(async () => blobs.read(key), /This should not happen/)
        await assert.rejects(async () => blobs.removeAll(key), /This should not happen/)
      }
      await blobs.put('a'.repeat(100), pieces(), { sizeMax })
    })

    test('any bytes in any pieces come back as they were, whole and by range', async (t) => {
      const blobs = await make(t)
      const parts = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(parts, fc.nat(), fc.nat(), async (given, a, b) => {
          const whole = Buffer.concat(given)
          const [start, end] = [a % (whole.length + 1), b % (whole.length + 1)].toSorted((x, y) => x - y)
          await blobs.put('any', pieces(...given), { sizeMax: 2000, sha256: sha256(whole) })
          assert.deepEqual(await bytes(blobs, 'any', { start: start!, end: end! }), whole.subarray(start, end))
        }),
        { numRuns: 40 },
      )
    })
  })
}

test('memory fails when told, before an act or after it took effect', async () => {
  const blobs = memoryBlobs()
  blobs.failNext('put', 'before')
  await assert.rejects(blobs.put('k', pieces('x'), { sizeMax }), /before put/)
  assert.equal(await blobs.size('k'), null)
  blobs.failNext('put', 'after')
  await assert.rejects(blobs.put('k', pieces('x'), { sizeMax }), /after put/)
  assert.equal(await blobs.size('k'), 1)
  blobs.failNext('removeAll', 'after')
  await assert.rejects(blobs.removeAll('k'), /after removeAll/)
  assert.equal(await blobs.size('k'), null)
})

/** The prototype of file handles, to make the disk fail. */
async function fileHandles(t: TestContext): Promise<FileHandle> {
  const file = await open(tmpdir())
  t.after(() => mock.restoreAll())
  const prototype = Object.getPrototypeOf(file) as FileHandle
  await file.close()
  return prototype
}

test('a disk that fails to take the bytes fails the put, and leaves what was there and no litter', async (t) => {
  const folder = await folderOf(t)
  const blobs = await fileBlobs(folder)
  await blobs.put('k', pieces('old'), { sizeMax })
  mock.method(await fileHandles(t), 'datasync', async () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  })
  await assert.rejects(blobs.put('k', pieces('new'), { sizeMax }), { code: 'ENOSPC' })
  mock.restoreAll()
  assert.equal(await text(blobs, 'k'), 'old')
  assert.deepEqual(await readdir(join(folder, 'arriving')), [])
  await rm(join(folder, 'arriving'), { recursive: true })
  await assert.rejects(blobs.put('k', pieces('new'), { sizeMax }), { code: 'ENOENT' })
  assert.equal(await text(blobs, 'k'), 'old')
})

test('a disk that fails after the blob took its place fails the put, and putting again mends it', async (t) => {
  const blobs = await fileBlobs(await folderOf(t))
  mock.method(await fileHandles(t), 'sync', () => Promise.reject(Object.assign(new Error('bad disk'), { code: 'EIO' })))
  await assert.rejects(blobs.put('k', pieces('new'), { sizeMax }), { code: 'EIO' })
  mock.restoreAll()
  assert.equal(await text(blobs, 'k'), 'new')
  assert.ok((await blobs.put('k', pieces('new'), { sizeMax })).ok)
})

test('bytes and the folders above them are on disk before a put answers', async (t) => {
  const blobs = await fileBlobs(await folderOf(t))
  const acts: string[] = []
  const prototype = await fileHandles(t)
  for (const act of ['datasync', 'sync'] as const) mock.method(prototype, act, async () => void acts.push(act))
  await blobs.put('parcels/p1/content/0', pieces('x'), { sizeMax })
  // The file; then content, p1, parcels and the store's own folder.
  assert.deepEqual(acts, ['datasync', 'sync', 'sync', 'sync', 'sync'])
})

test('half-written files are removed at the start once they are old, and not before', async (t) => {
  const folder = await folderOf(t)
  await fileBlobs(folder)
  for (const [name, ageMs] of [
    ['old', limits.blobArrivingMs + 60_000],
    ['young', limits.blobArrivingMs - 60_000],
  ] as const) {
    await writeFile(join(folder, 'arriving', name), 'x')
    const at = new Date(Date.now() - ageMs)
    await utimes(join(folder, 'arriving', name), at, at)
  }
  await fileBlobs(folder)
  assert.deepEqual(await readdir(join(folder, 'arriving')), ['young'])
})

test('a process killed while it puts loses nothing it acknowledged and leaves no blob that is not whole', async (t) => {
  const folder = await folderOf(t)
  const program = `
    import { fileBlobs } from ${JSON.stringify(new URL('filesystem.ts', import.meta.url).href)}
    const blobs = await fileBlobs(${JSON.stringify(folder)})
    for (let i = 0; ; i++) {
      const outcome = await blobs.put('k/' + i, [Buffer.alloc(50_000, i), Buffer.alloc(50_000, i)], { sizeMax: 1e6 })
      console.log(i, outcome.value.sha256)
    }`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.split('\n').length > 50) child.kill('SIGKILL')
  }
  if (child.signalCode === null) await once(child, 'exit')
  const blobs = await fileBlobs(folder)
  const acknowledged = said.split('\n').filter((line) => /^\d+ [0-9a-f]{64}$/.test(line))
  assert.ok(acknowledged.length >= 50)
  for (const line of acknowledged) {
    const [i, digest] = line.split(' ')
    assert.equal(sha256(await bytes(blobs, `k/${i}`)), digest)
  }
  for await (const { sizeBytes } of blobs.list('')) assert.equal(sizeBytes, 100_000)
})

test('memory stays flat however large a blob is', async (t) => {
  const blobs = await fileBlobs(await folderOf(t))
  const chunk = randomBytes(1024 * 1024)
  async function* large() {
    for (let i = 0; i < 256; i++) yield chunk
  }
  const before = process.memoryUsage().rss
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
  await blobs.put('large', large(), { sizeMax: 2 ** 30 })
  let sizeBytes = 0
  for await (const part of await blobs.read('large')) sizeBytes += part.length
  clearInterval(watch)
  assert.equal(sizeBytes, 256 * chunk.length)
  assert.ok(most - before < 100 * 1024 * 1024, `grew by ${most - before} bytes`)
})

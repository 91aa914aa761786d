import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, fromBase64, sameBytes, toHex, utf8, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow, ProblemError, type Outcome } from '#core/kit/outcome'
import { flowOf, streamOf, wholeOf } from '#core/seal/flow'
import { openLock } from '#core/seal/locks'
import { type OpenedParcel } from '#core/seal/open'
import {
  aFile,
  aFolder,
  aHostileParcel,
  aKeyLock,
  contentsOf,
  opens,
  parcelId,
  sealedOk,
  seals,
} from '#core/seal/parcel.fixture'
import { chunkBytes, sealedChunkBytes } from '#core/seal/stream'
import { entryHeader, layout } from '#core/seal/tar-index'
import { fileDigest, webTools } from '#core/seal/tools'

const tools = await webTools()
const partSizeBytes = 300_000
const sources = [
  aFolder('a'),
  aFile(
    'a/one',
    new Uint8Array(800_000).map((_, i) => i),
  ),
  aFile('two', 'Two.'),
]
const sealed = await sealedOk({ sources, partSizeBytes })
const other = await sealedOk({ sources, partSizeBytes })

const slugOf = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.problem.slug)

/** The problem that ends reading a parcel whole. */
async function ending(outcome: Outcome<OpenedParcel>): Promise<string> {
  const parcel = orThrow(outcome)
  return problemOf(contentsOf(parcel).then(() => assert.equal(parcel.isWhole(), true)))
}

async function problemOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    assert(error instanceof ProblemError, String(error))
    return error.problem.slug
  }
}

const flipped = (bytes: Bytes, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))

test('content that ends early is never taken for complete, wherever it is cut', async () => {
  const { content } = sealed
  for (const size of [0, 100, 1_800, 1_800 + sealedChunkBytes, partSizeBytes, 2 * partSizeBytes, content.length - 1]) {
    assert.equal(
      await ending(await opens(sealed, { content: content.subarray(0, size) })),
      'content-truncated',
      String(size),
    )
  }
})

test('content that goes on after its end is refused', async () => {
  const longer = concat(sealed.content, new Uint8Array(1))
  const parcel = orThrow(await opens(sealed, { content: longer, servesAll: true }))
  assert.equal(await problemOf(contentsOf(parcel)), 'content-differs')
})

test('pieces of content in another order are told from altered ones', async () => {
  const [first, second, rest] = [0, 1, 2].map((n) => sealed.content.slice(n * partSizeBytes, (n + 1) * partSizeBytes))
  for (const pieces of [
    [second, first, rest],
    [first, first, rest],
    [second, second, rest],
  ]) {
    const content = concat(...pieces.map((piece) => piece!))
    assert.equal(await ending(await opens(sealed, { content })), 'content-reordered')
  }
})

test('one flipped bit anywhere in the content is found, read whole or by range', async () => {
  for (const at of [0, 1_700, 1_790, 5_000, 400_000, sealed.content.length - 1]) {
    const content = flipped(sealed.content, at)
    assert.equal(await ending(await opens(sealed, { content })), 'content-altered', String(at))
  }
  const parcel = orThrow(await opens(sealed, { content: flipped(sealed.content, 400_000) }))
  assert.equal(await problemOf(wholeOf(orThrow(parcel.openFile('a/one')))), 'content-altered')
  assert.equal(await problemOf(wholeOf(orThrow(parcel.openFile('two')))), 'ok')
  assert.equal(parcel.isWhole(), false)
})

test('chunks swapped within a part are found by range too', async () => {
  const content = sealed.content.slice()
  const prefix = content.length - (16 * Math.ceil(803_584 / chunkBytes) + 803_584)
  const at = (n: number) => prefix + n * sealedChunkBytes
  content.set(sealed.content.subarray(at(2), at(3)), at(3))
  content.set(sealed.content.subarray(at(3), at(4)), at(2))
  const parcel = orThrow(await opens(sealed, { content }))
  assert.equal(await problemOf(wholeOf(orThrow(parcel.openFile('a/one')))), 'content-altered')
})

test('a range that is served short ends in an error', async () => {
  const parcel = orThrow(await opens(sealed, { content: sealed.content.subarray(0, 500_000) }))
  assert.equal(await problemOf(wholeOf(orThrow(parcel.openFile('a/one')))), 'content-altered')
  const onEdge = orThrow(
    await opens(sealed, { content: sealed.content.subarray(0, sealed.content.length - (803_584 % chunkBytes) - 16) }),
  )
  assert.match(await problemOf(wholeOf(orThrow(onEdge.openFile('a/one')))), /content-(truncated|altered)/)
})

test('a browser stream of an altered file ends in an error, never in a quiet close', async () => {
  const parcel = orThrow(await opens(sealed, { content: flipped(sealed.content, 600_000) }))
  const stream = streamOf(orThrow(parcel.openFile('a/one')))
  assert.equal(await problemOf(new Response(stream).arrayBuffer()), 'content-altered')
})

test('content, manifests and locks of another parcel are told apart', async () => {
  assert.equal(await ending(await opens(sealed, { content: other.content })), 'content-other-parcel')
  assert.equal(slugOf(await opens(sealed, { manifestAge: other.parcel.manifestAge })), 'lock-other-manifest')
  assert.equal(
    slugOf(await opens(sealed, { manifestAge: flipped(sealed.parcel.manifestAge, 2_000) })),
    'lock-other-manifest',
  )
  const lock = sealed.parcel.locks[0]!
  const open = async (ids: { parcelId: string; lockId: string }) =>
    openLock(fromBase64(lock.age), sealed.secrets[0]!, ids, tools)
  assert.equal(slugOf(await open({ parcelId: parcelId.replace('0', '1'), lockId: lock.id })), 'lock-other-parcel')
  assert.equal(slugOf(await open({ parcelId, lockId: other.parcel.locks[0]!.id })), 'lock-swapped')
})

test('a wrong phrase, an impossible phrase and an altered lock are told apart', async () => {
  assert.equal(slugOf(await opens(sealed, { secret: other.secrets[0]! })), 'phrase-wrong')
  assert.equal(slugOf(await opens(sealed, { secret: { phrase: 'one two three' } })), 'phrase-length')
  const lock = sealed.parcel.locks[0]!
  const age = fromBase64(lock.age)
  const open = async (bytes: Uint8Array) => openLock(bytes, sealed.secrets[0]!, { parcelId, lockId: lock.id }, tools)
  assert.equal(slugOf(await open(flipped(age, age.length - 1))), 'sealed-altered')
  assert.equal(slugOf(await open(age.subarray(0, -1))), 'sealed-altered')
  assert.equal(slugOf(await open(flipped(age, 3))), 'sealed-malformed')
  assert.equal(slugOf(await open(new Uint8Array(limits.lockBytes + 1))), 'lock-malformed')
})

test('a lock or parcel with keys of two strengths is refused', async () => {
  for (const pq of [true, false]) {
    const key = await aKeyLock('key', pq)
    assert.equal(slugOf(await seals({ pq: !pq, locks: [key.request] })), 'keys-mixed')
  }
  assert.equal(slugOf(await opens(await aHostileParcel({ manifest: { pq: false } }))), 'keys-mixed')
})

test('a tar that differs from its manifest is refused, with links and devices named', async () => {
  const line = { path: 'x', type: 'file' as const, sizeBytes: 3, modifiedSeconds: 0 }
  const body = concat(utf8('abc'), new Uint8Array(509))
  const end = new Uint8Array(1_024)
  const withFlag = (flag: string) => {
    const header = entryHeader(line)
    header[156] = flag.charCodeAt(0)
    return header
  }
  const cases: [string, Uint8Array[]][] = [
    ['ok', [entryHeader(line), body, end]],
    ['content-link', [withFlag('1'), body, end]],
    ['content-link', [withFlag('2'), body, end]],
    ['content-link', [withFlag('3'), body, end]],
    ['content-link', [withFlag('6'), body, end]],
    ['content-differs', [withFlag('5'), body, end]],
    ['content-differs', [withFlag('x'), body, end]],
    ['content-differs', [entryHeader({ ...line, path: 'y' }), body, end]],
    ['content-differs', [entryHeader({ ...line, sizeBytes: 4 }), body, end]],
    ['entry-digest-differs', [entryHeader(line), concat(utf8('abd'), new Uint8Array(509)), end]],
    ['content-differs', [entryHeader(line), concat(utf8('abc!'), new Uint8Array(508)), end]],
    ['content-differs', [entryHeader(line), body, new Uint8Array(1_024).fill(1)]],
    ['content-differs', [entryHeader(line), body, entryHeader(line), end]],
    ['content-differs', [entryHeader(line), body]],
  ]
  const digest = toHex(await tools.sha256(utf8('abc')))
  for (const [slug, tar] of cases) {
    const parcel = orThrow(await opens(await aHostileParcel({ tar: concat(...tar), lines: [{ ...line, digest }] })))
    assert.equal(await problemOf(contentsOf(parcel)), slug)
    if (slug === 'content-link' || slug === 'entry-digest-differs') {
      assert.equal(await problemOf(wholeOf(orThrow(parcel.openFile('x')))), slug)
    }
  }
})

test('hostile names in a manifest are refused before anything is opened', async () => {
  const line = { type: 'file' as const, sizeBytes: 0, modifiedSeconds: 0, digest: '0'.repeat(64) }
  for (const [path, slug] of [
    ['../x', 'file-name-outside'],
    ['/etc/x', 'file-name-absolute'],
    ['a\u202egnp.exe', 'file-name-hidden-characters'],
    ['CON', 'file-name-reserved'],
  ] as const) {
    assert.equal(slugOf(await opens(await aHostileParcel({ lines: [{ ...line, path }] }))), slug)
  }
  assert.equal(
    slugOf(
      await opens(
        await aHostileParcel({
          lines: [
            { ...line, path: 'a' },
            { ...line, path: 'A' },
          ],
        }),
      ),
    ),
    'file-name-case',
  )
})

test('a manifest of a newer version or with unknown fields is refused', async () => {
  assert.equal(slugOf(await opens(await aHostileParcel({ manifest: { version: 3 } }))), 'manifest-version')
  assert.equal(slugOf(await opens(await aHostileParcel({ manifest: { surprise: 1 } }))), 'manifest-malformed')
  assert.equal(
    slugOf(await opens(await aHostileParcel({ manifest: { parcelId: parcelId.replace('0', '1') } }))),
    'manifest-other-parcel',
  )
})

test('a parcel of version 1 opens, whose digests go by larger slices, and a manifest that says another version does not', async () => {
  const bytes = new Uint8Array(limits.digestWholeBytes + 1).map((_, i) => i ^ (i >> 9))
  const line = { path: 'a', type: 'file' as const, sizeBytes: bytes.length, modifiedSeconds: 0 }
  const padded = new Uint8Array(layout([line]).sizeBytes)
  padded.set(entryHeader(line))
  padded.set(bytes, layout([line]).offsets[0]!)
  for (const sealed of [1, 2] as const) {
    const running = fileDigest(bytes.length, tools, sealed)
    await running.update(bytes)
    const lines = [{ ...line, digest: toHex(await running.finish()) }]
    for (const version of [1, 2]) {
      const manifest = { version, partSizeBytes: limits.partSizeBytesMax }
      const parcel = await opens(await aHostileParcel({ tar: padded, lines, manifest }))
      assert.equal(await ending(parcel), version === sealed ? 'ok' : 'entry-digest-differs')
    }
  }
})

test('a sealed manifest may be as large as its limit and no larger', async () => {
  for (const [size, slug] of [
    [-1, 'lock-other-manifest'],
    [0, 'lock-other-manifest'],
    [1, 'manifest-too-large'],
  ] as const) {
    assert.equal(slugOf(await opens(sealed, { manifestAge: new Uint8Array(limits.manifestBytes + size) })), slug)
  }
})

test('a reader who stops early, or skips entries, still has the rest checked or nothing confirmed', async () => {
  const parcel = orThrow(await opens(sealed))
  for await (const entry of parcel.entries()) if (entry.path === 'a/one') break
  assert.equal(parcel.isWhole(), false)
  for await (const entry of parcel.entries()) assert.ok(entry.path)
  assert.equal(parcel.isWhole(), true)
})

const files = sources.filter(({ type }) => type === 'file')
const wholes = new Map(await Promise.all(files.map(async (file) => [file.path, await wholeOf(file.read())] as const)))

test('what is there of a parcel is not fetched again, wherever it stops, and the rest still has to fit it', async () => {
  const fetched: number[] = []
  const onFetch = (start: number, end: number) => void fetched.push(end - start)
  for (const [stop, { sizeBytes }] of files.entries()) {
    for (const bytes of new Set([0, 1, Math.floor(sizeBytes / 2), sizeBytes - 1, sizeBytes])) {
      const had = (path: string) => {
        const place = files.findIndex((file) => file.path === path)
        return place < stop ? wholes.get(path)! : place === stop ? wholes.get(path)!.subarray(0, bytes) : undefined
      }
      fetched.length = 0
      const parcel = orThrow(await opens(sealed, { onFetch }))
      const flows = parcel.entries(async ({ path }) => {
        const there = had(path)
        return there && flowOf(there)
      })
      for await (const { path, type, from, bytes: rest } of flows) {
        if (type === 'folder') continue
        const all = concat((had(path) ?? new Uint8Array()).subarray(0, from), await wholeOf(rest))
        assert.ok(sameBytes(all, wholes.get(path)!), `${path} from ${from}`)
      }
      assert.equal(parcel.isWhole(), true)
      const hadBytes = files.slice(0, stop).reduce((sum, file) => sum + file.sizeBytes, bytes)
      const most = sealed.content.length - hadBytes + 2 * sealedChunkBytes + limits.ageHeaderBytes
      assert.ok(fetched.reduce((sum, size) => sum + size, 0) <= most, `${stop} ${bytes}: ${String(fetched)}`)
    }
  }
})

test('what is there and is not what was sealed is found: altered, too long, or the beginning of something else', async () => {
  for (const change of [
    (bytes: Bytes) => flipped(bytes, 0),
    (bytes: Bytes) => flipped(bytes.slice(0, 100_000), 99_999),
    (bytes: Bytes) => concat(bytes, new Uint8Array(1)),
  ]) {
    const parcel = orThrow(await opens(sealed))
    const flows = parcel.entries(async ({ path }) => (path === 'a/one' ? flowOf(change(wholes.get(path)!)) : undefined))
    const reading = async () => {
      for await (const { bytes: rest } of flows) await wholeOf(rest)
    }
    assert.equal(await problemOf(reading()), 'entry-digest-differs')
    assert.equal(parcel.isWhole(), false)
  }
})

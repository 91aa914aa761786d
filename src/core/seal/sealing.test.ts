import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, sameBytes, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { aFile, aFolder, contentsOf, opens, seals, sealedOk } from '#core/seal/parcel.fixture'
import { wholeOf } from '#core/seal/flow'
import { newSealing, tarSize } from '#core/seal/seal'
import { sealedSize } from '#core/seal/stream'
import { type ReadTogether, type SealSource } from '#core/seal/tar-index'
import { webTools } from '#core/seal/tools'

const slugOf = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.problem.slug)
const bytes = (size: number, step = 1) => new Uint8Array(size).map((_, i) => i * step)

/** Reads files as browsers read many: as one. */
const readTogether: ReadTogether = async (sources) =>
  concat(...(await Promise.all(sources.map(async (source) => wholeOf(source.read())))))

test('small files that are read together come out as they were, between large ones, folders and empty ones', async () => {
  const sources = Array.from({ length: 150 }, (_, n) => {
    if (n % 40 === 7) return aFolder(`folder-${n}`)
    return aFile(`file-${n}`, bytes([0, 10, 3_000, 200_000, 300_000][n % 5]!, n))
  })
  let asked = 0
  const counted: ReadTogether = (some) => {
    asked += 1
    assert.ok(some.every(({ type, sizeBytes }) => type === 'file' && sizeBytes <= 256 * 1024))
    return readTogether(some)
  }
  const together = orThrow(await opens(await sealedOk({ sources, readTogether: counted })))
  assert.deepEqual(await contentsOf(together), await contentsOf(orThrow(await opens(await sealedOk({ sources })))))
  assert.ok(asked > 1 && asked < 60, `asked ${asked} times`)
  assert.deepEqual(
    together.manifest.index.map(({ path }) => path),
    sources.map(({ path }) => path),
  )
})

const changing: Record<string, Partial<SealSource>> = {
  'that shrinks': { sizeBytes: 1_001 },
  'that grows': { sizeBytes: 999 },
  'written again with the same size': { measure: async () => ({ sizeBytes: 1_000, modifiedAtMs: 1 }) },
  'that the browser can no longer read': {
    async *read() {
      yield bytes(10)
      throw new DOMException('It changed', 'NotReadableError')
    },
  },
}
for (const [how, change] of Object.entries(changing)) {
  test(`a file ${how} while it is sealed is a problem of its own`, async () => {
    const source = { ...aFile('secret-name.txt', bytes(1_000)), ...change }
    for (const reading of [{}, { readTogether }]) {
      const outcome = await seals({ sources: [aFile('first'), source, aFile('last')], ...reading })
      assert(!outcome.ok)
      assert.equal(outcome.problem.slug, 'file-changed')
      assert.equal(outcome.problem.detail, 'It is number 2 in the list of files.')
    }
  })
}

test('a disk that fails to read is not called a changed file', async () => {
  const source: SealSource = {
    ...aFile('x'),
    async *read() {
      yield bytes(1)
      throw new Error('EIO')
    },
  }
  await assert.rejects(seals({ sources: [source] }), /EIO/)
})

test('there must be a file, under a name that can be made anywhere', async () => {
  assert.equal(slugOf(await seals({ sources: [] })), 'parcel-empty')
  assert.equal(slugOf(await seals({ sources: [aFolder('only')] })), 'parcel-empty')
  assert.equal(slugOf(await seals({ sources: [aFile('../up')] })), 'file-name-outside')
  assert.equal(slugOf(await seals({ sources: [aFile('a'), aFile('a')] })), 'file-name-twice')
})

test('the size of everything is known before a byte is read', async () => {
  const sources = [aFolder('a'), aFile('a/ü', bytes(70_000)), aFile('b', '')]
  assert.equal(tarSize(sources), 512 + (1_536 + 70_144) + 512 + 1_024)
  const seen: [number, number][] = []
  const { parcel } = await sealedOk({
    sources,
    partSizeBytes: 20_000,
    onProgress: (done, total) => seen.push([done, total]),
  })
  assert.equal(seen.length, 4)
  assert.deepEqual(seen.at(-1), [parcel.contentSizeBytes, parcel.contentSizeBytes])
})

const sources = [aFile('one', bytes(250_000)), aFile('two', bytes(150_000))]

/** Seals until a part fails, as a lost network would make it, and says what has left the machine by then. */
async function interrupted(failsAfterSending: boolean) {
  const sent = new Map<number, Bytes>()
  const kept = new Map<number, string>()
  const begun = { ...(await newSealing(true, await webTools())), parts: kept }
  const work = seals({
    sources,
    partSizeBytes: 100_000,
    begun,
    putPart: async (n, part, sha256) => {
      kept.set(n, sha256)
      if (n < 2 || failsAfterSending) sent.set(n, part.slice())
      if (n >= 2) throw new Error('the network is gone')
    },
  })
  await assert.rejects(work, /the network is gone/)
  return { sent, begun }
}

for (const failsAfterSending of [false, true]) {
  test(`a sealing cut ${failsAfterSending ? 'after' : 'before'} a part arrived goes on with the same bytes`, async () => {
    const { sent, begun } = await interrupted(failsAfterSending)
    const sealed = await sealedOk({ sources, partSizeBytes: 100_000, begun })
    for (const [n, part] of sent) assert.ok(sameBytes(sealed.stored.get(n)!, part), `part ${n}`)
    assert.equal((await contentsOf(orThrow(await opens(sealed)))).size, 2)
  })
}

test('never two plaintexts under one nonce: other files are not sealed under a key that was used', async () => {
  const { begun } = await interrupted(true)
  const put: number[] = []
  const edited = [
    aFile(
      'one',
      bytes(250_000).map((byte, i) => (i === 120_000 ? byte ^ 1 : byte)),
    ),
    sources[1]!,
  ]
  const outcome = await seals({
    sources: edited,
    partSizeBytes: 100_000,
    begun,
    putPart: async (n) => void put.push(n),
  })
  assert.equal(slugOf(outcome), 'seal-resume-differs')
  assert.equal(put.includes(1), false, 'the part that differs has not been sent')
})

test('two sealings of the same files share no key', async () => {
  const [one, two] = [await sealedOk(), await sealedOk()]
  assert.notDeepEqual(one.content.slice(-100), two.content.slice(-100))
})

test('at most three parts are in memory at once, however many there are', async () => {
  let underWay = 0
  let most = 0
  await sealedOk({
    sources: [aFile('x', bytes(500_000))],
    partSizeBytes: 10_000,
    putPart: async () => {
      most = Math.max(most, ++underWay)
      await new Promise((resolve) => setTimeout(resolve, 2))
      underWay--
    },
  })
  assert.equal(most, 3)
})

test('a parcel may have as many entries as its limit and no more', async () => {
  const many = Array.from({ length: limits.parcelEntriesMax + 1 }, (_, i) => aFile(`${i}`, ''))
  const counted = async (count: number) => {
    const putPart = async () => Promise.reject(new Error('it was let through'))
    return seals({ sources: many.slice(0, count), putPart })
  }
  await assert.rejects(counted(limits.parcelEntriesMax - 1), /let through/)
  await assert.rejects(counted(limits.parcelEntriesMax), /let through/)
  assert.equal(slugOf(await counted(limits.parcelEntriesMax + 1)), 'parcel-too-many-files')
})

test('a parcel may have as many parts as its limit and no more', async () => {
  const partSizeBytes = 512
  const prefixBytes = (await sealedOk()).parcel.contentSizeBytes - sealedSize(tarSize([aFile('x')]))
  // Only the beginning is read: what is refused is refused by its measured size.
  const sealsIn = async (parts: number) => {
    const read = async function* () {
      for (;;) yield new Uint8Array(2 ** 20)
    }
    const source = { ...aFile('x'), read, sizeBytes: Math.floor(parts * partSizeBytes * 0.999) }
    const partsNow = () => Math.ceil((prefixBytes + sealedSize(tarSize([source]))) / partSizeBytes)
    while (partsNow() < parts) source.sizeBytes += 512
    assert.equal(partsNow(), parts)
    const putPart = async () => Promise.reject(new Error('it was let through'))
    return seals({ sources: [source], partSizeBytes, putPart })
  }
  await assert.rejects(sealsIn(limits.parcelPartsMax - 1), /let through/)
  await assert.rejects(sealsIn(limits.parcelPartsMax), /let through/)
  assert.equal(slugOf(await sealsIn(limits.parcelPartsMax + 1)), 'parcel-too-large')
})

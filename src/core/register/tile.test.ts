import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concat, toHex } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { proveSubtree, rootOf, verifyConsistency, verifyInclusion } from '#core/register/merkle'
import { leafHashes, tilesInMemory } from '#core/register/small-register'
import {
  bundlePath,
  edgeRoot,
  emptyEdge,
  encodeBundle,
  grow,
  parseBundle,
  partialTiles,
  readEdge,
  rootsFromTiles,
  tilePath,
  tilesOf,
  type ReadTile,
} from '#core/register/tile'

const hashes = leafHashes(70_000)

/** Roots of registers whose entries are `entry 0`, `entry 1` and so on; checked with a program of another language. */
const goldenRoots: Record<number, string> = {
  0: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  1: '773885a613489e24ce2cf76199d6a423f042e4bbf12d7eecee912ef276c65701',
  255: 'cf66793e6329dff242eb3cee0a6f36ad3e3a196dcc573a1ec775e102be863f1c',
  256: 'da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e',
  257: '5c1fdfe835358022f2392de478dbe053fc130cfe1d3a082879a90cf6bf14bf7e',
  65536: '07b1a377960a4e12e3348d6e9329ae6316a95b02fb1c22e909231b3aa44861a7',
  70000: 'a3920fba7f239a071a9bd10721f1341addefbaededb41c7e24437a9d16bdf00a',
}

test('registers of golden sizes have golden roots, however they grew', () => {
  for (const [text, root] of Object.entries(goldenRoots)) {
    const size = Number(text)
    const leaves = hashes.slice(0, size)
    assert.equal(toHex(tilesInMemory(leaves).root), root, `size ${size}`)
    assert.equal(toHex(rootOf(leaves)), root, `size ${size}`)
    const middle = Math.floor(size / 3)
    const half = grow(emptyEdge(), leaves.slice(0, middle)).edge
    assert.equal(toHex(edgeRoot(grow(half, leaves.slice(middle)).edge)), root, `size ${size} in two steps`)
  }
})

test('a register has exactly the tiles that the format names', () => {
  const places = (size: number) => [...tilesOf(size)].map(tilePath)
  assert.deepEqual(places(0), [])
  assert.deepEqual(places(1), ['tile/0/000.p/1'])
  assert.deepEqual(places(255), ['tile/0/000.p/255'])
  assert.deepEqual(places(256), ['tile/0/000', 'tile/1/000.p/1'])
  assert.deepEqual(places(257), ['tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1'])
  assert.equal(places(65_536).length, 256 + 1 + 1)
  assert.equal(places(65_536).at(-1), 'tile/2/000.p/1')
  assert.equal(places(70_000).length, 277)
  assert.deepEqual(places(70_000).slice(273), ['tile/0/273.p/112', 'tile/1/000', 'tile/1/001.p/17', 'tile/2/000.p/1'])
})

test('growing makes exactly the tiles that the format names', () => {
  for (const size of [0, 1, 255, 256, 257, 65_536, 70_000]) {
    const { tiles } = tilesInMemory(hashes.slice(0, size))
    assert.deepEqual([...tiles.keys()].sort(), [...tilesOf(size)].map(tilePath).sort(), `size ${size}`)
    for (const { width, ...place } of tilesOf(size))
      assert.equal(tiles.get(tilePath({ ...place, width }))!.length, width * 32)
  }
})

test('tile numbers are written in groups of three digits', () => {
  assert.equal(tilePath({ level: 0, n: 1_234_067, width: 256 }), 'tile/0/x001/x234/067')
  assert.equal(tilePath({ level: 63, n: 999, width: 1 }), 'tile/63/999.p/1')
  assert.equal(tilePath({ level: 1, n: 1000, width: 256 }), 'tile/1/x001/000')
  assert.equal(bundlePath(0, 256), 'tile/entries/000')
  assert.equal(bundlePath(273, 112), 'tile/entries/273.p/112')
})

test('an edge is read back from the tiles, and grows in any steps to the same edge', async () => {
  const steps = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(steps, async (counts) => {
      let edge = emptyEdge()
      for (const count of counts) edge = grow(edge, hashes.slice(edge.size, edge.size + count)).edge
      const whole = tilesInMemory(hashes.slice(0, edge.size))
      const read = await readEdge(edge.size, whole.read)
      assert.deepEqual(partialTiles(read), partialTiles(edge))
      assert.deepEqual(edgeRoot(read), edgeRoot(edge))
    }),
    { numRuns: 30 },
  )
})

test('proofs are made from tiles for entries and earlier trees, at the edges and in between', async () => {
  for (const size of [1, 255, 256, 257, 600, 65_536, 70_000]) {
    const { root, read } = tilesInMemory(hashes.slice(0, size))
    const roots = rootsFromTiles(size, read)
    for (const at of new Set(
      [0, 1, 254, 255, 256, 511, 599, 65_535, 65_536, 69_887, size - 1].filter((i) => i < size),
    )) {
      const included = await proveSubtree(at, at + 1, size, roots)
      assert.ok(verifyInclusion(at, size, hashes[at]!, root, included), `${at} in ${size}`)
      const consistent = await proveSubtree(0, at + 1, size, roots)
      const earlier = edgeRoot(grow(emptyEdge(), hashes.slice(0, at + 1)).edge)
      assert.ok(verifyConsistency(at + 1, size, earlier, root, consistent), `${at + 1} to ${size}`)
    }
  }
})

test('a proof is made from one reading of each tile', async () => {
  const size = 70_000
  const { read } = tilesInMemory(hashes.slice(0, size))
  const paths: string[] = []
  const noting: ReadTile = (place) => {
    paths.push(tilePath(place))
    return read(place)
  }
  await proveSubtree(1_000, 1_001, size, rootsFromTiles(size, noting))
  assert.deepEqual(paths, [...new Set(paths)])
  assert.ok(paths.length >= 3)
})

test('a bundle gives back its entries', () => {
  const entry = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 256 }), (entries) => {
      assert.deepEqual(orThrow(parseBundle(encodeBundle(entries))), entries)
    }),
    { numRuns: 50 },
  )
})

test('an entry is at most 4 KiB long', () => {
  for (const length of [limits.leafBytes - 1, limits.leafBytes]) {
    assert.equal(orThrow(parseBundle(encodeBundle([new Uint8Array(length)])))[0]!.length, length)
  }
  assert.throws(() => encodeBundle([new Uint8Array(limits.leafBytes + 1)]), RangeError)
})

test('a bundle holds at most 256 entries', () => {
  const bundle = (count: number) => encodeBundle(Array.from({ length: count }, () => Uint8Array.of(1)))
  assert.ok(parseBundle(bundle(255)).ok)
  assert.ok(parseBundle(bundle(256)).ok)
  assert.ok(!parseBundle(bundle(257)).ok)
})

test('a bundle that is cut short is refused', () => {
  const bundle = encodeBundle([Uint8Array.of(1, 2, 3)])
  for (let length = 1; length < bundle.length; length++) assert.ok(!parseBundle(bundle.subarray(0, length)).ok)
  assert.ok(!parseBundle(concat(bundle, Uint8Array.of(0))).ok)
})

test('any bytes at all are a bundle or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const parsed = parseBundle(bytes)
      if (parsed.ok) assert.equal(toHex(encodeBundle(parsed.value)), toHex(bytes))
    }),
  )
})

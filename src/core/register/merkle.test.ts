import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromBase64, toHex } from '#core/kit/bytes'
import {
  emptyRoot,
  leafHash,
  nodeHash,
  proveSubtree,
  rootOf,
  verifyConsistency,
  verifyInclusion,
  verifySubtree,
} from '#core/register/merkle'
import { leafHashes } from '#core/register/small-register'

/** The definition of RFC 6962 §2.1 word for word, to check the quick way against. */
function slowRoot(hashes: Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return emptyRoot()
  if (hashes.length === 1) return hashes[0]!
  let k = 1
  while (k * 2 < hashes.length) k *= 2
  return nodeHash(slowRoot(hashes.slice(0, k)), slowRoot(hashes.slice(k)))
}

const rootsOf = (hashes: Uint8Array[]) => (start: number, end: number) =>
  Promise.resolve(slowRoot(hashes.slice(start, end)))

test('the root of an empty register is the hash of nothing', () => {
  assert.equal(toHex(emptyRoot()), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  assert.equal(toHex(rootOf([])), toHex(emptyRoot()))
})

test('the hash of an empty entry is that of RFC 6962', () => {
  assert.equal(toHex(leafHash(new Uint8Array())), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
})

test('the root is that of the definition for every size to 70', () => {
  for (let size = 0; size <= 70; size++) assert.deepEqual(rootOf(leafHashes(size)), slowRoot(leafHashes(size)))
})

test('every entry and every earlier tree is proved and verified for every size to 40', async () => {
  for (let size = 1; size <= 40; size++) {
    const hashes = leafHashes(size)
    const root = slowRoot(hashes)
    for (let at = 0; at < size; at++) {
      const included = await proveSubtree(at, at + 1, size, rootsOf(hashes))
      assert.ok(verifyInclusion(at, size, hashes[at]!, root, included))
      const consistent = await proveSubtree(0, at + 1, size, rootsOf(hashes))
      assert.ok(verifyConsistency(at + 1, size, slowRoot(hashes.slice(0, at + 1)), root, consistent))
    }
  }
})

const place = fc.integer({ min: 1, max: 300 }).chain((size) => fc.tuple(fc.constant(size), fc.nat({ max: size - 1 })))

test('a proof with any bit changed, a hash more or a hash fewer is refused', async () => {
  const oneChanged = fc.tuple(place, fc.nat(), fc.nat({ max: 255 }), fc.boolean())
  await fc.assert(
    fc.asyncProperty(oneChanged, async ([[size, at], which, bit, asConsistency]) => {
      const hashes = leafHashes(size)
      const start = asConsistency ? 0 : at
      const proof = await proveSubtree(start, at + 1, size, rootsOf(hashes))
      const known = slowRoot(hashes.slice(start, at + 1))
      const accepts = (changed: Uint8Array[]) => verifySubtree(start, at + 1, size, known, slowRoot(hashes), changed)
      assert.ok(accepts(proof))
      assert.ok(!accepts([...proof, hashes[0]!]))
      if (proof.length === 0) return
      assert.ok(!accepts(proof.slice(1)))
      assert.ok(!accepts(proof.slice(0, -1)))
      const changed = proof.map((hash) => Uint8Array.from(hash))
      changed[which % proof.length]![Math.floor(bit / 8)]! ^= 2 ** (bit % 8)
      assert.ok(!accepts(changed))
    }),
    { numRuns: 200 },
  )
})

test('a proof does not fit another place, another size or another root', async () => {
  await fc.assert(
    fc.asyncProperty(place, fc.nat({ max: 310 }), async ([size, at], other) => {
      const hashes = leafHashes(size)
      const proof = await proveSubtree(at, at + 1, size, rootsOf(hashes))
      const root = slowRoot(hashes)
      assert.equal(verifyInclusion(other, size, hashes[at]!, root, proof), other === at)
      assert.ok(!verifyInclusion(at, size, hashes[at]!, emptyRoot(), proof))
      assert.ok(!verifyInclusion(at, size, emptyRoot(), root, proof))
    }),
    { numRuns: 100 },
  )
})

test('places beyond 32 bits are proved and verified', async () => {
  const size = 2 ** 45 + 12_345
  const [sibling, leaf] = [leafHash(new Uint8Array(1)), leafHash(new Uint8Array(2))]
  const asked: [number, number][] = []
  const proof = await proveSubtree(2 ** 45 + 1, 2 ** 45 + 2, size, (start, end) => {
    asked.push([start, end])
    return Promise.resolve(sibling)
  })
  assert.deepEqual(asked[0], [2 ** 45, 2 ** 45 + 1])
  assert.deepEqual(asked.at(-1), [0, 2 ** 45])
  const above = asked.slice(1).reduce(
    (made, [start]) => {
      return start < 2 ** 45 + 1 ? nodeHash(sibling, made) : nodeHash(made, sibling)
    },
    nodeHash(sibling, leaf),
  )
  assert.ok(verifyInclusion(2 ** 45 + 1, size, leaf, above, proof))
})

test('what is not a subtree is not proved', async () => {
  const never = () => Promise.reject(new Error('asked'))
  for (const [start, end, size] of [
    [1, 3, 8],
    [0, 9, 8],
    [2, 2, 8],
    [-1, 1, 8],
    [0, 1.5, 8],
    [0, 1, Number.NaN],
  ] as const) {
    await assert.rejects(proveSubtree(start, end, size, never), RangeError)
  }
})

interface Vector {
  wantErr: boolean
  proof: string[] | null
  [field: string]: unknown
}

const hash = (value: unknown) => fromBase64(value as string)
const number = (value: unknown) => Number(value)

/** How each folder of vectors calls us. */
const verifiers: Record<string, (vector: Vector, proof: Uint8Array[]) => boolean> = {
  inclusion: (v, proof) =>
    verifyInclusion(number(v.leafIdx), number(v.treeSize), hash(v.leafHash), hash(v.root), proof),
  consistency: (v, proof) => verifyConsistency(number(v.size1), number(v.size2), hash(v.root1), hash(v.root2), proof),
  subtreeconsistency: (v, proof) =>
    verifySubtree(number(v.start), number(v.end), number(v.size), hash(v.root1), hash(v.root2), proof),
  // An entry within a subtree: the subtree is a tree of its own, if it is one at all.
  subtreeinclusion: (v, proof) => {
    const [start, end, index] = [number(v.start), number(v.end), number(v.leafIdx)]
    return isAligned(start, end) && verifyInclusion(index - start, end - start, hash(v.leafHash), hash(v.root), proof)
  },
}

function isAligned(start: number, end: number): boolean {
  let width = 1
  while (width < end - start) width *= 2
  return start % width === 0
}

test('the outside vectors for Merkle proofs all agree', (t) => {
  const chosen = process.env.SAFEHAND_VECTORS
  const folder = join(chosen ?? join(import.meta.dirname, '../../../../shared/vectors'), 'merkle')
  if (chosen === undefined && !existsSync(folder)) {
    t.diagnostic('NOT CHECKED: the 518 outside Merkle vectors are not here. Set SAFEHAND_VECTORS to their folder.')
    return
  }
  const files = globSync('**/*.json', { cwd: folder })
  assert.equal(files.length, 518)
  for (const file of files) {
    const vector = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Vector
    const verify = verifiers[file.split('/')[0]!]!
    assert.equal(verify(vector, (vector.proof ?? []).map(hash)), !vector.wantErr, file)
  }
  t.diagnostic(`${files.length} outside Merkle vectors agree.`)
})

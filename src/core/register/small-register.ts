import { ed25519 } from '@noble/curves/ed25519.js'
import { utf8, type Bytes } from '#core/kit/bytes'
import { checkpointText } from '#core/register/checkpoint'
import { encodeEvidence, leafOf, type Evidence } from '#core/register/event'
import { leafHash, proveSubtree, rootOf } from '#core/register/merkle'
import { keyTypes, makeVkey, signNote, type NoteSigner } from '#core/register/note'
import { formatProof } from '#core/register/proof'
import { edgeRoot, emptyEdge, grow, partialTiles, rootsFromTiles, tilePath, type ReadTile } from '#core/register/tile'
import { formatSubmission } from '#core/register/witness'

/** Test support: a signer whose private key is 32 times the same byte. */
export function aSigner(name = 'register.example.gov.uk', type: number = keyTypes.ed25519, byte = 7): NoteSigner {
  const secret = new Uint8Array(32).fill(byte)
  const vkey = makeVkey(name, type, ed25519.getPublicKey(secret) as Bytes)
  return { vkey, sign: (message) => Promise.resolve(ed25519.sign(message, secret)) }
}

/** Test support: evidence that is valid; a test changes what it is about. */
export const someEvidence = (change: Partial<Evidence> = {}): Evidence => ({
  event: 'parcel-sealed',
  handle: '0123456789abcdef0123456789abcdef',
  at: '2026-01-31T09:30:00.000Z',
  salt: new Uint8Array(32).fill(1),
  body: { parcel: 'p1', sizeBytes: 1234 },
  ...change,
})

/** Test support: tiles of a tree with these leaf hashes, kept in memory by their paths. */
export function tilesInMemory(leaves: Uint8Array[]): {
  root: Uint8Array
  tiles: Map<string, Uint8Array>
  read: ReadTile
} {
  const { edge, full } = grow(emptyEdge(), leaves)
  const tiles = new Map([...full, ...partialTiles(edge)].map((tile) => [tilePath(tile), tile.bytes as Uint8Array]))
  const read: ReadTile = (place) => {
    const bytes = tiles.get(tilePath(place))
    return bytes ? Promise.resolve(bytes) : Promise.reject(new Error(`There is no ${tilePath(place)}`))
  }
  return { root: edgeRoot(edge), tiles, read }
}

/** Test support: entries that differ, one after the other. */
export const leafHashes = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => leafHash(utf8(`entry ${i}`)))

/** Test support: a request to cosign the register of these leaves, from `old` entries on. */
export async function aSubmission(leaves: Uint8Array[], old = 0, signer = aSigner()): Promise<string> {
  const { read, root } = tilesInMemory(leaves)
  const size = leaves.length
  const proof = old > 0 && old <= size ? await proveSubtree(0, old, size, rootsFromTiles(size, read)) : []
  return formatSubmission({
    old,
    proof,
    note: await signNote(checkpointText({ origin: signer.vkey.name, size, root }), signer),
  })
}

/** Test support: the receipt for evidence at `index` of a register of `size` entries. */
export async function aReceipt(
  index = 3,
  size = 7,
  evidence = someEvidence(),
  signer = aSigner(),
  origin = signer.vkey.name,
): Promise<string> {
  const leaves = leafHashes(size)
  leaves[index] = leafHash(leafOf(evidence))
  const { read } = tilesInMemory(leaves)
  const hashes = await proveSubtree(index, index + 1, size, rootsFromTiles(size, read))
  const checkpoint = await signNote(checkpointText({ origin, size, root: rootOf(leaves) }), signer)
  return formatProof({ extra: encodeEvidence(evidence), index, hashes, checkpoint })
}

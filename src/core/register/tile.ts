import { concat, type Bytes } from '#core/kit/bytes'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { HASH_BYTES, rootOf, type SubtreeRoot } from '#core/register/merkle'

/** A full tile holds this many hashes, and a full entry bundle this many entries. @source C2SP tlog-tiles 0.1.0 */
export const TILE_WIDTH = 256
const TILE_BYTES = TILE_WIDTH * HASH_BYTES

/** Which tile: `level` 0 holds the entries' own hashes, each level above one hash for 256 below; `width` 1 to 256. */
export interface TilePlace {
  level: number
  n: number
  width: number
}

/** A tile and its hashes, one after the other. */
export interface Tile extends TilePlace {
  bytes: Bytes
}

function pathEnd(n: number, width: number): string {
  const digits = String(n)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g)!
  const name = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/')
  return width === TILE_WIDTH ? name : `${name}.p/${width}`
}

/** Where a tile of hashes is published, below the register's address. @source C2SP tlog-tiles 0.1.0 */
export const tilePath = ({ level, n, width }: TilePlace): string => `tile/${level}/${pathEnd(n, width)}`

/** Where a bundle of entries is published. @source C2SP tlog-tiles 0.1.0 */
export const bundlePath = (n: number, width: number): string => `tile/entries/${pathEnd(n, width)}`

/** The complete nodes at a level of a tree of `size` entries. */
const nodesAt = (level: number, size: number): number => Math.floor(size / TILE_WIDTH ** level)

/** Every tile of hashes that a tree of `size` entries has, level by level. */
export function* tilesOf(size: number): Generator<TilePlace> {
  for (let level = 0; nodesAt(level, size) > 0; level++) {
    const full = nodesAt(level + 1, size)
    for (let n = 0; n < full; n++) yield { level, n, width: TILE_WIDTH }
    const width = nodesAt(level, size) % TILE_WIDTH
    if (width > 0) yield { level, n: full, width }
  }
}

/** The hashes of a tile, one by one. */
function hashesOf(tile: Uint8Array): Uint8Array[] {
  return Array.from({ length: tile.length / HASH_BYTES }, (_, i) => tile.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES))
}

/**
 * The growing side of a tree: at each level the hashes of its partial tile, which is empty when the last tile is full.
 *
 * All that is needed to append and to know the root: at most 8 KiB a level.
 */
export interface Edge {
  size: number
  levels: Bytes[]
}

/** The edge of a tree without entries. */
export const emptyEdge = (): Edge => ({ size: 0, levels: [] })

/** The tree's edge after the leaves with these hashes, and the tiles which they filled. */
export function grow(edge: Edge, leaves: readonly Uint8Array[]): { edge: Edge; full: Tile[] } {
  const levels = [...edge.levels]
  const full: Tile[] = []
  let added = concat(...leaves)
  for (let level = 0; added.length > 0; level++) {
    let row = concat(levels[level] ?? new Uint8Array(), added)
    const roots: Uint8Array[] = []
    for (let n = nodesAt(level + 1, edge.size); row.length >= TILE_BYTES; n++) {
      const bytes = row.slice(0, TILE_BYTES)
      full.push({ level, n, width: TILE_WIDTH, bytes })
      roots.push(rootOf(hashesOf(bytes)))
      row = row.subarray(TILE_BYTES)
    }
    levels[level] = row
    added = concat(...roots)
  }
  return { edge: { size: edge.size + leaves.length, levels }, full }
}

/** The partial tiles of the edge. */
export const partialTiles = ({ size, levels }: Edge): Tile[] =>
  levels
    .map((bytes, level) => ({ level, n: nodesAt(level + 1, size), width: bytes.length / HASH_BYTES, bytes }))
    .filter((tile) => tile.width > 0)

/** The root of the tree. A level's row and the root of all that is to the right of it are again a row of subtrees. */
export function edgeRoot(edge: Edge): Uint8Array {
  const right = edge.levels.reduce<Uint8Array[]>((rest, row) => {
    const nodes = [...hashesOf(row), ...rest]
    return nodes.length > 0 ? [rootOf(nodes)] : []
  }, [])
  return rootOf(right)
}

/** Reads the hashes of a tile; throws when it cannot. */
export type ReadTile = (place: TilePlace) => Promise<Uint8Array>

/** The edge of the tree of `size` entries, read from its tiles. */
export async function readEdge(size: number, read: ReadTile): Promise<Edge> {
  const edge: Edge = { size, levels: [] }
  for (let level = 0; nodesAt(level, size) > 0; level++) {
    const width = nodesAt(level, size) % TILE_WIDTH
    edge.levels[level] =
      width > 0 ? concat(await read({ level, n: nodesAt(level + 1, size), width })) : new Uint8Array()
  }
  return edge
}

/**
 * The roots of subtrees of the tree of `size` entries, made from its tiles: what `proveSubtree` asks for. Holds what it
 * has read, as the subtrees of a proof lie beside each other: for one proof or a few.
 */
export function rootsFromTiles(size: number, read: ReadTile): SubtreeRoot {
  const tiles = new Map<string, Promise<Uint8Array>>()
  const readOnce = (place: TilePlace) => {
    const path = tilePath(place)
    const tile = tiles.get(path) ?? read(place)
    tiles.set(path, tile)
    return tile
  }
  /** The root of the complete subtree of 2^`height` entries that begins at `start`. */
  const complete = async (start: number, height: number): Promise<Uint8Array> => {
    const level = Math.floor(height / 8)
    const first = Math.floor(start / TILE_WIDTH ** level)
    const n = Math.floor(first / TILE_WIDTH)
    const bytes = await readOnce({ level, n, width: Math.min(TILE_WIDTH, nodesAt(level, size) - n * TILE_WIDTH) })
    const at = first - n * TILE_WIDTH
    return rootOf(hashesOf(bytes.subarray(at * HASH_BYTES, (at + 2 ** (height % 8)) * HASH_BYTES)))
  }
  return async function root(start, end) {
    const nodes: Uint8Array[] = []
    let [from, height] = [start, 0]
    while (2 ** (height + 1) <= end - from) height++
    for (; height >= 0; height--) {
      if (end - from < 2 ** height) continue
      nodes.push(await complete(from, height))
      from += 2 ** height
    }
    // Each complete subtree is smaller than the one to its left, so the tree hangs them up from the right.
    return nodes.reduceRight((right, left) => rootOf([left, right]))
  }
}

/** A bundle of up to 256 entries: each with its length before it. @source C2SP tlog-tiles 0.1.0 */
export function encodeBundle(entries: readonly Uint8Array[]): Bytes {
  return concat(
    ...entries.flatMap((entry) => {
      if (entry.length > limits.leafBytes) throw new RangeError(`An entry of ${entry.length} bytes is too long`)
      return [Uint8Array.of(Math.floor(entry.length / 256), entry.length % 256), entry]
    }),
  )
}

/** The entries of a bundle, or the problem `bundle-malformed`. */
export function parseBundle(bytes: Uint8Array): Outcome<Uint8Array[]> {
  const entries: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 2 + bytes[at]! * 256 + (bytes[at + 1] ?? 0)
    if (at + 2 > bytes.length || end > bytes.length) return fail('bundle-malformed')
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  return entries.length <= TILE_WIDTH ? ok(entries) : fail('bundle-malformed')
}

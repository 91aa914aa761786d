import { fromUtf8, sameBytes, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { leafHash } from '#core/register/merkle'
import type { Vkey } from '#core/register/note'
import {
  bundlePath,
  edgeRoot,
  emptyEdge,
  encodeBundle,
  grow,
  partialTiles,
  readEdge,
  TILE_WIDTH,
  tilePath,
  type Edge,
} from '#core/register/tile'
import { openCheckpoint, type Head } from '#edge/keeper/head'
import { CHECKPOINT_PATH, tileReader, type Tiles } from '#edge/keeper/tiles'
import type { Db } from '#edge/store/database'

/**
 * Publishes all that the head has and the tiles have not, from where they stand: after a kill, after several, or from
 * nothing when the folder was lost. Doing it again changes nothing.
 *
 * @returns the edge of the tree, or the problem `keeper-behind` when more was published than the database knows, or
 *   `keeper-differs` when tiles and database do not fit each other; then nothing is signed
 */
export async function publish(db: Db, tiles: Tiles, head: Head, vkey: Vkey): Promise<Outcome<Edge>> {
  const published = await publishedEdge(tiles, vkey)
  if (!published.ok) return published
  const { size } = published.value
  if (size > head.size) {
    return fail('keeper-behind', { detail: `Published are ${size} events, the database has ${head.size}.` })
  }
  const edge = await publishEvents(db, tiles, published.value, head.size)
  if (!edge || !sameBytes(edgeRoot(edge), head.root)) {
    return fail('keeper-differs', { detail: `From event ${size} the database does not lead to what was signed.` })
  }
  for (const tile of partialTiles(edge)) await tiles.write(tilePath(tile), tile.bytes)
  await tiles.write(CHECKPOINT_PATH, utf8(head.checkpoint))
  if (head.published !== head.checkpoint) {
    await db.updateTable('registerHead').set({ published: head.checkpoint }).where('size', '=', head.size).execute()
  }
  return ok(edge)
}

/** The edge of what is published, checked against the signed checkpoint beside it. */
async function publishedEdge(tiles: Tiles, vkey: Vkey): Promise<Outcome<Edge>> {
  const note = await tiles.read(CHECKPOINT_PATH)
  if (!note) return ok(emptyEdge())
  const checkpoint = openCheckpoint(fromUtf8(note), vkey)
  if (!checkpoint.ok) return fail('keeper-differs', { detail: 'The published checkpoint is not ours.' })
  const edge = await readEdge(checkpoint.value.size, tileReader(tiles))
  if (sameBytes(edgeRoot(edge), checkpoint.value.root)) return ok(edge)
  return fail('keeper-differs', { detail: 'The published tiles do not lead to the published checkpoint.' })
}

/** Writes bundles and full tiles from the edge's size to `size`; undefined when an event is missing in between. */
export async function publishEvents(db: Db, tiles: Tiles, from: Edge, size: number): Promise<Edge | undefined> {
  let edge = from
  while (edge.size < size) {
    // From the beginning of the bundle that the edge is in: a bundle is written whole.
    const first = Math.floor(edge.size / TILE_WIDTH) * TILE_WIDTH
    const end = Math.min(size, first + limits.registerRoundEvents)
    const rows = await db
      .selectFrom('registerEvents')
      .select(['seq', 'leaf'])
      .where('seq', '>=', first)
      .where('seq', '<', end)
      .orderBy('seq')
      .execute()
    if (rows.length !== end - first) return undefined
    const leaves = rows.map((row) => row.leaf)
    for (let at = 0; at < leaves.length; at += TILE_WIDTH) {
      const bundle = leaves.slice(at, at + TILE_WIDTH)
      await tiles.write(bundlePath((first + at) / TILE_WIDTH, bundle.length), encodeBundle(bundle))
    }
    const grown = grow(edge, leaves.slice(edge.size - first).map(leafHash))
    for (const tile of grown.full) await tiles.write(tilePath(tile), tile.bytes)
    edge = grown.edge
  }
  return edge
}

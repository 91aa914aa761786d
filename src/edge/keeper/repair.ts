import { sameBytes } from '#core/kit/bytes'
import type { Vkey } from '#core/register/note'
import { edgeRoot, emptyEdge, partialTiles, tilePath } from '#core/register/tile'
import { asOnlyKeeper, openCheckpoint } from '#edge/keeper/head'
import { publish, publishEvents } from '#edge/keeper/publish'
import type { Tiles } from '#edge/keeper/tiles'
import type { Db } from '#edge/store/database'

/**
 * Publishes what is missing of the register: files that were lost, and what a killed keeper had not come to. Only where
 * the events lead to the root that was signed; a file that is there is never changed, whatever it holds.
 *
 * @returns the paths that were written; undefined when nothing can be proved, or another keeper is at work
 */
export function republish(db: Db, tiles: Tiles, vkey: Vkey): Promise<string[] | undefined> {
  return asOnlyKeeper<string[] | undefined>(db, undefined, async (connection) => {
    const head = await connection.selectFrom('registerHead').selectAll().executeTakeFirst()
    const signed = head && openCheckpoint(head.checkpoint, vkey)
    if (!head || !signed?.ok) return undefined
    const { size, root } = signed.value
    const proved = await publishEvents(connection, { read: tiles.read, write: async () => {} }, emptyEdge(), size)
    if (!proved || !sameBytes(edgeRoot(proved), root)) return undefined
    const written: string[] = []
    const missing: Tiles = {
      read: tiles.read,
      async write(path, bytes) {
        if (await tiles.read(path)) return
        await tiles.write(path, bytes)
        written.push(path)
      },
    }
    await publishEvents(connection, missing, emptyEdge(), size)
    for (const tile of partialTiles(proved)) await missing.write(tilePath(tile), tile.bytes)
    // The checkpoint last, and only by the keeper's own way, which refuses what is ahead or does not fit.
    const watched: Tiles = {
      read: tiles.read,
      async write(path, bytes) {
        const before = await tiles.read(path)
        await tiles.write(path, bytes)
        if (!before || !sameBytes(before, bytes)) written.push(path)
      },
    }
    const published = await publish(connection, watched, head, vkey).catch(() => undefined)
    return published?.ok || written.length > 0 ? written : undefined
  })
}

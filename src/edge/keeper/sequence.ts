import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { assert } from '#core/kit/outcome'
import { sameBytes } from '#core/kit/bytes'
import { checkpointText } from '#core/register/checkpoint'
import { leafHash } from '#core/register/merkle'
import { signNote, type NoteSigner } from '#core/register/note'
import { edgeRoot, grow, type Edge } from '#core/register/tile'
import { lockHead } from '#edge/keeper/head'
import type { Db, Tx } from '#edge/store/database'

/**
 * Gives events that have no place their places, and signs the tree with them.
 *
 * Rows without a place are looked for, never rows after the last one: a transaction that began earlier may commit later.
 * The signature is made inside the transaction and stays there until it is committed.
 *
 * @param edge - of the tree as the head has it, so that nothing older need be read
 * @param last - set: records an event that alone gets a place
 * @returns how many events got places; 0 when none was waiting
 */
export async function sequence(
  db: Db,
  signer: NoteSigner,
  edge: Edge,
  last?: (tx: Tx) => Promise<{ eventId: string }>,
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const head = await lockHead(tx)
    const root = edgeRoot(edge)
    assert(head.size === edge.size && sameBytes(head.root, root), 'the head moved although we are the only keeper')
    const only = await last?.(tx)
    const events = await tx
      .selectFrom('registerEvents')
      .select(['id', 'leaf'])
      .where('seq', 'is', null)
      .$if(only !== undefined, (query) => query.where('id', '=', only!.eventId))
      .orderBy('id')
      .limit(limits.registerRoundEvents)
      .execute()
    if (events.length === 0) return 0
    const grown = grow(
      edge,
      events.map((event) => leafHash(event.leaf)),
    ).edge
    const next = { size: grown.size, root: edgeRoot(grown) }
    const checkpoint = await signNote(checkpointText({ origin: signer.vkey.name, ...next }), signer)
    await sql`
      update register_events set seq = ${edge.size}::bigint + place.n - 1
      from unnest(${events.map((event) => event.id)}::uuid[]) with ordinality as place (id, n)
      where register_events.id = place.id and seq is null`.execute(tx)
    const { numUpdatedRows } = await tx
      .updateTable('registerHead')
      .set({ ...next, checkpoint })
      .where('size', '=', edge.size)
      .where('root', '=', root)
      .executeTakeFirst()
    assert(numUpdatedRows === 1n, 'the head moved although it was locked')
    return events.length
  })
}

import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { formatVkey, type NoteSigner } from '#core/register/note'
import { asNextKeeper, isRestored, readHead } from '#edge/keeper/head'
import { publish } from '#edge/keeper/publish'
import { recordEvent } from '#edge/keeper/record'
import { beginNext } from '#edge/keeper/registers'
import { sequence } from '#edge/keeper/sequence'
import type { Tiles } from '#edge/keeper/tiles'
import { inTransaction, type Db } from '#edge/store/database'

/**
 * Closes the present register with a last event that names the next one's key, publishes it whole, and begins the next.
 * Killed anywhere, it is done again by the next call; only a register that is published whole is ever closed.
 *
 * Processes that run go on recording, and sign nothing until they are started again: they have the old key.
 *
 * @param signer - the present register's, `next` the new one's
 * @returns the last size of the register that was closed; or what keeps it from being signed
 */
export const rotate = (parts: {
  db: Db
  tiles: Tiles
  signer: NoteSigner
  next: NoteSigner
}): Promise<Outcome<{ size: number }>> =>
  asNextKeeper(parts.db, async (connection) => {
    const { tiles, signer, next } = parts
    if (await isRestored(connection)) return fail('keeper-restored')
    let isSwept = false
    for (;;) {
      const head = await readHead(connection, signer)
      if (!head.ok) return head
      const edge = await publish(connection, tiles, head.value, signer.vkey)
      if (!edge.ok) return edge
      if (await isClosed(connection, head.value.size)) {
        return inTransaction(connection, async (tx) => {
          await beginNext(tx, head.value, next)
          return ok({ size: head.value.size })
        })
      }
      // What is recorded now belongs before the end; what others record meanwhile does not hold it up.
      if (!isSwept) {
        isSwept = (await sequence(connection, signer, edge.value)) < limits.registerRoundEvents
        continue
      }
      await sequence(connection, signer, edge.value, (tx) =>
        recordEvent(tx, 'register-closed', { next: formatVkey(next.vkey) }),
      )
    }
  })

async function isClosed(db: Db, size: number): Promise<boolean> {
  const last = await db
    .selectFrom('registerEvents')
    .select('name')
    .where('seq', '=', size - 1)
    .executeTakeFirst()
  return last?.name === 'register-closed'
}

import { fail, ok, type Outcome } from '#core/kit/outcome'
import { isId } from '#edge/web/fields'
import type { Visit } from '#edge/web/route'
import { transferById, type TransferRow } from '#features/transfers/queries'

/** Roles that read every transfer's record, never its content. */
const readers = ['information-governance', 'data-protection-officer', 'auditor'] as const

/** The transfer of this address, for its sender; `not-found` for everyone else, so that ids tell nothing. */
export async function transferOf(visit: Visit): Promise<Outcome<TransferRow>> {
  const id = visit.params.transfer ?? ''
  const transfer = isId(id) ? await transferById(visit.house.db, id) : undefined
  return transfer && transfer.senderId === visit.actor.id ? ok(transfer) : fail('not-found')
}

/** The transfer of this address, for its sender and for those whose role is to read records. */
export async function readableTransfer(visit: Visit): Promise<Outcome<TransferRow>> {
  const own = await transferOf(visit)
  if (own.ok || !readers.some((role) => visit.actor.roles.includes(role))) return own
  const id = visit.params.transfer ?? ''
  const transfer = isId(id) ? await transferById(visit.house.db, id) : undefined
  return transfer ? ok(transfer) : fail('not-found')
}

import { fail, ok, type Outcome } from '#core/kit/outcome'
import { inTransaction, type Tx } from '#edge/store/database'
import { screen, type Visit } from '#edge/web/route'
import { keepDecision } from '#features/transfers/decision'
import { nextConfirmation, onward } from '#features/transfers/gates'
import { nextPath } from '#features/transfers/questions'
import { lockTransfer, transferById, type TransferRow } from '#features/transfers/queries'
import { transferOf } from '#features/transfers/transfer'

/** The address of something about a transfer. */
export const at = (path: string) => `/transfers/:transfer${path}`

/** A page of the sender's own transfer. */
export const page = (
  path: string,
  summary: string,
  view: string,
  load: (visit: Visit, transfer: TransferRow) => Promise<Outcome<{ title: string }>>,
) =>
  screen({
    path: at(path),
    who: 'signed-in',
    summary,
    view: `transfers/views/${view}`,
    load: async (visit) => {
      const transfer = await transferOf(visit)
      if (!transfer.ok) return transfer
      const model = await load(visit, transfer.value)
      return model.ok ? ok({ transfer: transfer.value, ...model.value }) : model
    },
  })

/** A changed fact undoes the choice of a method: she sees the new decision first. */
export const unchosen = { method: null, state: 'draft' }

/** Before it is sent, everything about a transfer can change; while it can be collected, only who else may have it. */
const open = ['draft', 'ready', 'asking']
export const isSent = ({ state }: TransferRow) => state === 'sent' || state === 'collected'

/**
 * Changes the sender's own open transfer, in one transaction; then takes the decision again if no question is left, and
 * answers where she goes next.
 *
 * @param also - 'sent': the change may be made to a transfer that is sent; its facts and method stay as they are
 */
export function change(
  visit: Visit,
  work: (tx: Tx, transfer: TransferRow) => Promise<Outcome<unknown>>,
  also?: 'sent',
): Promise<Outcome<{ next: string }>> {
  const { house, actor, params } = visit
  return inTransaction(house.db, async (tx) => {
    const known = await transferOf(visit)
    if (!known.ok) return known
    const transfer = (await lockTransfer(tx, params.transfer!))!
    const mayChange = open.includes(transfer.state) || (also === 'sent' && isSent(transfer))
    if (transfer.senderId !== actor.id || !mayChange) return fail('transfer-closed')
    const done = await work(tx, transfer)
    if (!done.ok) return done
    const fresh = (await transferById(tx, transfer.id))!
    if (fresh.state === 'withdrawn') return ok({ next: `/transfers/${fresh.id}/stopped` })
    if (isSent(fresh)) return ok({ next: await nextConfirmation(tx, fresh) })
    const next = await nextPath({ ...house, db: tx }, fresh)
    if (!next.ok || !next.value.endsWith('/decision')) return next.ok ? ok({ next: next.value }) : next
    const kept = await keepDecision(tx, house, fresh)
    if (!kept.ok) return kept
    const on = await onward({ ...house, db: tx }, fresh)
    return on.ok ? ok({ next: on.value }) : on
  })
}

export const toNext = (result: { next: string }) => result.next

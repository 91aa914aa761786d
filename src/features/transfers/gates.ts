import { ok, type Outcome } from '#core/kit/outcome'
import type { House } from '#edge/house'
import type { Db, Tx } from '#edge/store/database'
import { liveMailboxCheck } from '#features/organisations/directory'
import { decideNow, unmet } from '#features/transfers/decision'
import { confirmationsOf, recipientsOf, type TransferRow } from '#features/transfers/queries'

/** Something to be done before a transfer may leave: what, and where to do it. */
export interface Gate {
  id: string
  says: string
  url: string
  clauses: string[]
}

/** Where each obligation is met. An obligation without a place of its own is met by asking someone. */
const places: Record<string, (transfer: TransferRow) => string> = {
  isa: (transfer) => `/transfers/${transfer.id}/agreement`,
  certified: (transfer) => `/transfers/${transfer.id}/emergency`,
}

/**
 * What is still to be done before the chosen method may be used, in the order of doing it.
 *
 * A recipient must be named and confirmed, and the purpose and kind of information said, whatever the method.
 */
export async function openGates(house: House, transfer: TransferRow): Promise<Outcome<Gate[]>> {
  const decided = await decideNow(house.db, house, transfer)
  if (!decided.ok) return decided
  const method = decided.value.decision.methods[transfer.method ?? 'managed_transfer']
  const dues = method ? unmet(method) : []
  const recipients = await recipientsOf(house.db, transfer.id)
  const gates: Gate[] = []
  if (recipients.length === 0)
    gates.push({
      id: 'recipient',
      says: 'Say who it is for.',
      url: `/transfers/${transfer.id}/${transfer.recipientKind === 'individual' ? 'someone?kind=individual' : 'who'}`,
      clauses: [],
    })
  if (!transfer.purposeWords || !transfer.informationWords) {
    gates.push({
      id: 'details',
      says: 'Say what it is and why, for the record.',
      url: `/transfers/${transfer.id}/details`,
      clauses: ['W78'],
    })
  }
  for (const due of dues) {
    if (due.id === 'auth') {
      const confirmed = new Set(
        (await confirmationsOf(house.db, transfer.id)).filter((row) => row.authorised).map((row) => row.recipientId),
      )
      for (const recipient of recipients.filter((each) => !confirmed.has(each.id))) {
        gates.push({
          id: 'auth',
          says: `Confirm that this is the right person: ${recipient.fullName}.`,
          url: `/transfers/${transfer.id}/recipients/${recipient.id}/confirm`,
          clauses: due.clauses,
        })
      }
    } else if (due.id === 'members') {
      for (const { mailboxId, organisationId, fullName } of recipients.filter((each) => each.mailboxId)) {
        if (await liveMailboxCheck(house.db, mailboxId!, house.now())) continue
        gates.push({
          id: 'members',
          says: `Check who can open the mailbox ${fullName}.`,
          url: `/organisations/${organisationId}/mailboxes/${mailboxId}`,
          clauses: due.clauses,
        })
      }
    } else {
      gates.push({
        id: due.id,
        says: due.says,
        url: places[due.id]?.(transfer) ?? `/transfers/${transfer.id}/advice?about=${due.id}`,
        clauses: due.clauses,
      })
    }
  }
  if (needsLook(transfer))
    gates.push({
      id: 'look-through',
      says: 'Leave out what they do not need.',
      url: `/transfers/${transfer.id}/look-through`,
      clauses: ['D3'],
    })
  return ok(gates)
}

/** Nobody is asked about what is public, what is said, or when someone is at risk now and a call tells the minimum. */
const needsLook = ({ lookedThroughAt, facts, method }: TransferRow) =>
  lookedThroughAt === null &&
  facts.published !== true &&
  facts.urgency !== 'at-risk-now' &&
  facts.artefact !== 'conversation' &&
  method !== 'telephone'

/** Methods Safehand carries itself; every other is carried out by a person, who records it. */
const carried = ['managed_transfer', 'encrypted_email']

/**
 * Where a sender goes on: the next thing to be done before sending, then the sending itself; the decision when no way
 * has been chosen yet. What a form of its own asks for is not asked before.
 */
export async function onward(house: House, transfer: TransferRow): Promise<Outcome<string>> {
  const at = `/transfers/${transfer.id}`
  if (!transfer.method || transfer.state !== 'ready') return ok(`${at}/decision`)
  const isCarried = carried.includes(transfer.method)
  const gates = await openGates(house, transfer)
  if (!gates.ok) return gates
  const first = gates.value.find((gate) => isCarried || (gate.id !== 'details' && gate.id !== 'recipient'))
  return ok(first?.url ?? (isCarried ? `${at}/seal` : `${at}/sent/${transfer.method}`))
}

/** Where a sender goes after adding somebody to a transfer that is sent: to confirm them, or back to its page. */
export async function nextConfirmation(db: Db | Tx, transfer: TransferRow): Promise<string> {
  const confirmed = new Set((await confirmationsOf(db, transfer.id)).map((row) => row.recipientId))
  const [next] = (await recipientsOf(db, transfer.id)).filter((each) => !confirmed.has(each.id))
  return next ? `/transfers/${transfer.id}/recipients/${next.id}/confirm` : `/transfers/${transfer.id}`
}

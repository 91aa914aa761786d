import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { enqueue } from '#edge/jobs/runner'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction, type Tx } from '#edge/store/database'
import type { Actor, Visit } from '#edge/web/route'
import { staffById } from '#features/people/queries'
import { mayAlsoHave } from '#features/transfers/decision'
import { lockRecipient, lockTransfer, recipientsOf, updateRecipient, updateTransfer } from '#features/transfers/queries'
import { notCollectedLetter, recalledLetter, remindRecipientLetter, remindSenderLetter } from '#features/parcels/mails'
import {
  daysKept,
  destroyLocks,
  expiredParcels,
  hasLiveParcels,
  insertLock,
  insertTelling,
  lockParcel,
  noteChased,
  noteDayDestroyed,
  parcelById,
  parcelOf,
  parcelsToDestroy,
  recipientsToChase,
  staleParcels,
  updateParcel,
} from '#features/parcels/queries'
import { writeToRecipient, writeToSender } from '#features/parcels/posting'
import { invite, lockRow, type LockGiven } from '#features/parcels/sealing'

const dayMs = 86_400_000

/** The sender's own live parcel, with its transfer, both locked for a change. */
async function ownLive(tx: Tx, actor: Actor, transferId: string) {
  const transfer = await lockTransfer(tx, transferId)
  if (!transfer || transfer.senderId !== actor.id) return fail('not-found')
  const found = await parcelOf(tx, transferId)
  const parcel = found && (await lockParcel(tx, found.id))
  if (parcel?.state !== 'sealed') return fail('transfer-closed')
  return ok({ transfer, parcel })
}

async function ownRecipient(tx: Tx, transferId: string, recipientId: string) {
  const recipient = await lockRecipient(tx, recipientId)
  return recipient && recipient.transferId === transferId && !recipient.withdrawnAt ? recipient : undefined
}

/** Records that the phrase was told, how and to which number, or that the person was not reached. (W47, W14) */
export async function tellPhrase(
  visit: Visit,
  told: {
    how: 'telephone' | 'in-person' | 'text' | 'letter' | 'not-reached'
    number?: string
    note?: string
    remindInHours?: number
  },
): Promise<Outcome<unknown>> {
  const { house, actor, now, params } = visit
  return inTransaction(house.db, async (tx) => {
    const live = await ownLive(tx, actor, params.transfer!)
    if (!live.ok) return live
    const recipient = await ownRecipient(tx, params.transfer!, params.who!)
    if (!recipient) return fail('not-found')
    await insertTelling(tx, {
      recipientId: recipient.id,
      how: told.how,
      number: told.number ?? null,
      note: told.note ?? null,
      byId: actor.id,
      at: now,
    })
    const missed = told.how === 'not-reached'
    const remindAt = missed ? new Date(now.valueOf() + (told.remindInHours ?? limits.remindHours) * 3_600_000) : null
    await updateRecipient(tx, recipient.id, { remindAt })
    await recordEvent(
      tx,
      missed ? 'phrase-not-reached' : 'phrase-told',
      { transfer: live.value.transfer.id, recipient: recipient.id, how: told.how },
      { transferId: live.value.transfer.id, at: now },
    )
    return ok({ transferId: live.value.transfer.id })
  })
}

/**
 * Gives a recipient a fresh lock: a new phrase, or a first lock for someone added later. The old lock is destroyed, and
 * a new link is mailed; nothing is uploaded again.
 */
export async function addLock(visit: Visit, parcelId: string, lock: LockGiven): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  return inTransaction(house.db, async (tx) => {
    const known = await parcelById(tx, parcelId)
    const live = known ? await ownLive(tx, actor, known.transferId) : fail('not-found')
    if (!live.ok) return live
    const { transfer, parcel } = live.value
    const recipient = lock.recipientId ? await ownRecipient(tx, transfer.id, lock.recipientId) : undefined
    if (!recipient || lock.kind === 'sender') return fail('not-found')
    if (recipient.notForMeAt) return fail('parcel-not-for-you')
    const may = await mayAlsoHave(tx, house, transfer, recipient.id, parcel.declaredBytes)
    if (!may.ok) return may
    if ((await destroyLocks(tx, parcel.id, now, recipient.id)) > 0) {
      await recordEvent(
        tx,
        'lock-destroyed',
        { transfer: transfer.id, recipient: recipient.id },
        { transferId: transfer.id, at: now },
      )
    }
    await insertLock(tx, lockRow(parcel.id, lock, now))
    await updateRecipient(tx, recipient.id, { failures: 0 })
    await invite({ house, tx, transfer, actor, root: parcel.parcelRoot!, now }, recipient, lock)
    return ok({ transferId: transfer.id })
  })
}

/** Takes one recipient off: their lock is destroyed; what they had already stays on the record. */
export async function withdrawRecipient(visit: Visit): Promise<Outcome<unknown>> {
  const { house, actor, now, params } = visit
  return inTransaction(house.db, async (tx) => {
    const live = await ownLive(tx, actor, params.transfer!)
    if (!live.ok) return live
    const recipient = await ownRecipient(tx, params.transfer!, params.who!)
    if (!recipient) return fail('not-found')
    await destroyLocks(tx, live.value.parcel.id, now, recipient.id)
    await updateRecipient(tx, recipient.id, { withdrawnAt: now, linkHash: null, remindAt: null })
    await recordEvent(
      tx,
      'lock-destroyed',
      { transfer: live.value.transfer.id, recipient: recipient.id, withdrawn: true },
      { transferId: live.value.transfer.id, at: now },
    )
    return ok({ transferId: live.value.transfer.id })
  })
}

/** Recalls a parcel: every lock is destroyed at once, the bytes after. The past stays on the record. */
export async function recall(visit: Visit): Promise<Outcome<unknown>> {
  const { house, actor, now, params } = visit
  return inTransaction(house.db, async (tx) => {
    const live = await ownLive(tx, actor, params.transfer!)
    if (!live.ok) return live
    const { transfer, parcel } = live.value
    await destroyLocks(tx, parcel.id, now)
    await updateParcel(tx, parcel.id, { state: 'recalled', locksDestroyedAt: now })
    await updateTransfer(tx, transfer.id, { state: 'recalled', closedAt: now })
    const body = { transfer: transfer.id, parcel: parcel.id }
    await recordEvent(tx, 'parcel-recalled', body, { transferId: transfer.id, at: now })
    for (const recipient of await recipientsOf(tx, transfer.id)) {
      await writeToRecipient(tx, house, recipient, recalledLetter(transfer.reference, actor.organisation))
    }
    await enqueue(tx, 'destroy-parcel', { parcelId: parcel.id })
    return ok({ transferId: transfer.id })
  })
}

/** Lets a parcel be collected for longer, within 28 days of when it was sent. (D39) */
export async function extend(visit: Visit, days: number): Promise<Outcome<unknown>> {
  const { house, actor, now, params } = visit
  return inTransaction(house.db, async (tx) => {
    const live = await ownLive(tx, actor, params.transfer!)
    if (!live.ok) return live
    const { transfer } = live.value
    const expiresAt = new Date(transfer.sentAt!.valueOf() + days * dayMs)
    if (days > limits.parcelDaysMax)
      return fail('parcel-days', {
        fields: { days: `Parcels may be kept for ${limits.parcelDaysMax} days at most` },
        clause: 'D39',
      })
    if (expiresAt <= transfer.expiresAt!)
      return fail('parcel-days', { fields: { days: 'Choose a day later than the one it has now' } })
    await updateTransfer(tx, transfer.id, { expiresAt })
    await recordEvent(
      tx,
      'parcel-extended',
      { transfer: transfer.id, until: expiresAt.toISOString() },
      { transferId: transfer.id, at: now },
    )
    return ok({ transferId: transfer.id })
  })
}

/** What the clock brings: parcels expire, chasers go, abandoned uploads end. Doing it twice changes nothing. */
export async function tidy(house: House): Promise<void> {
  const now = house.now()
  for (const { id, transferId } of await expiredParcels(house.db, now)) await expire(house, id, transferId, now)
  for (const { id } of await staleParcels(house.db, new Date(now.valueOf() - limits.sealingHours * 3_600_000))) {
    await inTransaction(house.db, async (tx) => {
      if ((await lockParcel(tx, id))?.state === 'sealing') await updateParcel(tx, id, { state: 'abandoned' })
      return ok()
    })
  }
  for (const { id } of await parcelsToDestroy(house.db)) await destroyParcel(house, id)
  for (const due of await recipientsToChase(house.db, now)) await chase(house, due.id, now)
  // A parcel that was begun just before midnight may not be in the database yet: a day's identity outlives it by a day.
  const yesterday = new Date(now.valueOf() - dayMs).toISOString().slice(0, 10)
  // Also days whose identity was destroyed by a process that was killed before it noted so.
  for (const day of new Set([...(await house.keyring.days()), ...(await daysKept(house.db))])) {
    // Nobody can open that day's automatic locks any more, wherever copies of them may be.
    if (day >= yesterday || (await hasLiveParcels(house.db, day))) continue
    await house.keyring.destroy(day)
    await noteDayDestroyed(house.db, day, now)
  }
}

async function expire(house: House, parcelId: string, transferId: string, now: Date): Promise<void> {
  await inTransaction(house.db, async (tx) => {
    const transfer = (await lockTransfer(tx, transferId))!
    const parcel = await lockParcel(tx, parcelId)
    if (parcel?.state !== 'sealed' || transfer.expiresAt! > now) return ok()
    await destroyLocks(tx, parcelId, now)
    await updateParcel(tx, parcelId, { state: 'expired', locksDestroyedAt: now })
    await updateTransfer(tx, transferId, {
      state: transfer.state === 'collected' ? 'closed' : 'expired',
      closedAt: now,
    })
    await recordEvent(tx, 'parcel-expired', { transfer: transferId, parcel: parcelId }, { transferId, at: now })
    const waiting = (await recipientsOf(tx, transferId)).filter((recipient) => !recipient.openedAt)
    for (const recipient of waiting)
      await recordEvent(tx, 'not-collected', { transfer: transferId, recipient: recipient.id }, { transferId, at: now })
    if (waiting.length > 0) await writeToSender(tx, house, transfer, notCollectedLetter(transfer.reference))
    await enqueue(tx, 'destroy-parcel', { parcelId })
    return ok()
  })
}

/** Removes a parcel's bytes after its locks, looks that they are gone, and says so. May be killed anywhere and run again. */
export async function destroyParcel(house: House, parcelId: string): Promise<void> {
  const parcel = await parcelById(house.db, parcelId)
  if (!parcel || parcel.destroyedAt || !['recalled', 'expired', 'abandoned'].includes(parcel.state)) return
  const folder = `parcels/${parcelId}`
  await house.blobs.removeAll(folder)
  for await (const { key } of house.blobs.list(folder)) throw new Error(`A destroyed parcel still has bytes: ${key}`)
  await inTransaction(house.db, async (tx) => {
    const again = await lockParcel(tx, parcelId)
    if (!again || again.destroyedAt) return ok()
    const now = house.now()
    await updateParcel(tx, parcelId, {
      destroyedAt: now,
      ...(again.state === 'abandoned' ? {} : { state: 'destroyed' }),
    })
    if (again.state !== 'abandoned')
      await recordEvent(
        tx,
        'parcel-destroyed',
        { transfer: again.transferId, parcel: parcelId },
        { transferId: again.transferId, at: now },
      )
    return ok()
  })
}

/** Reminds a recipient after two days and three days before the end, and a sender who asked to be. */
async function chase(house: House, recipientId: string, now: Date): Promise<void> {
  await inTransaction(house.db, async (tx) => {
    const recipient = await lockRecipient(tx, recipientId)
    const transfer = recipient && (await lockTransfer(tx, recipient.transferId))
    if (!recipient || !transfer?.sentAt || !transfer.expiresAt) return ok()
    const sinceSent = now.valueOf() - transfer.sentAt.valueOf()
    const kinds = [
      ...(sinceSent >= limits.firstReminderDays * dayMs ? ['first'] : []),
      ...(transfer.expiresAt.valueOf() - now.valueOf() <= limits.lastReminderDays * dayMs && sinceSent >= dayMs
        ? ['last']
        : []),
    ]
    let isChased = false
    for (const kind of kinds) isChased = (await noteChased(tx, recipientId, kind)) || isChased
    const isAsked = recipient.remindAt !== null && recipient.remindAt <= now
    if (isAsked) await updateRecipient(tx, recipientId, { remindAt: null })
    if (isChased) {
      const sender = await staffById(tx, transfer.senderId)
      const letter = remindRecipientLetter(transfer.reference, sender?.organisation ?? '', transfer.expiresAt)
      await writeToRecipient(tx, house, recipient, letter)
      const body = { transfer: transfer.id, recipient: recipientId }
      await recordEvent(tx, 'recipient-chased', body, { transferId: transfer.id, at: now })
    }
    if (isChased || isAsked) {
      await writeToSender(tx, house, transfer, remindSenderLetter(transfer.reference, transfer.expiresAt))
    }
    return ok()
  })
}

/** How each recipient stands, for the sender's waiting page. */
export async function standing(house: House, transferId: string) {
  const recipients = await recipientsOf(house.db, transferId)
  return recipients.map((recipient) => ({
    id: recipient.id,
    name: recipient.fullName,
    telephone: recipient.telephone,
    mailboxProved: recipient.mailboxProvedAt !== null,
    opened: recipient.openedAt !== null,
    downloaded: recipient.downloadedAt !== null,
    notForMe: recipient.notForMeAt !== null,
  }))
}

import { timingSafeEqual } from 'node:crypto'
import { fromBase64, toBase64 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { statementBytes, verifyEd25519 } from '#core/seal/receipt-key'
import { recordEvent } from '#edge/keeper/record'
import { latestCheckpoint } from '#edge/keeper/head'
import { asSystem } from '#edge/store/context'
import { inTransaction, type Db, type Tx } from '#edge/store/database'
import { isId } from '#edge/web/fields'
import { countUse } from '#edge/web/rates'
import type { Visit } from '#edge/web/route'
import { askCode, checkCode } from '#features/people/codes'
import { staffById } from '#features/people/queries'
import { hashSecret } from '#features/people/sessions'
import {
  lockRecipient,
  lockTransfer,
  recipientById,
  recipientsOf,
  transferById,
  updateRecipient,
  updateTransfer,
} from '#features/transfers/queries'
import { codeLetter, notForMeLetter, openedLetter, ringNowLetter } from '#features/parcels/mails'
import {
  destroyLocks,
  giveBackFailure,
  lockOfRecipient,
  parcelOf,
  partsOf,
  sealedLockIds,
  signingKeyOf,
  takeFailure,
} from '#features/parcels/queries'
import { writeToRecipient, writeToSender } from '#features/parcels/posting'
import { partKey, manifestKey } from '#features/parcels/sealing'

/** The recipient's row with the live parcel, or why there is nothing to collect. */
export async function collectable(db: Db | Tx, recipientId: string) {
  const recipient = isId(recipientId) ? await recipientById(db, recipientId) : undefined
  const transfer = recipient && (await transferById(db, recipient.transferId))
  const parcel = transfer && (await parcelOf(db, transfer.id))
  if (!recipient || !transfer || !parcel || parcel.state === 'sealing' || parcel.state === 'abandoned')
    return fail('not-found')
  if (recipient.withdrawnAt) return fail('parcel-withdrawn')
  if (recipient.notForMeAt) return fail('parcel-not-for-you')
  if (parcel.state === 'recalled') return fail('parcel-recalled')
  if (parcel.state !== 'sealed') return fail('parcel-expired')
  const lock = await lockOfRecipient(db, parcel.id, recipient.id)
  if (!lock?.age) return fail('parcel-withdrawn')
  return ok({ recipient, transfer, parcel, lock })
}

/**
 * Mails a code to the recipient, if this link is theirs. A press does this, never a page load: mail scanners open links.
 *
 * @returns nothing; or `link-wrong`, `link-locked`, `too-many-codes`, or why there is nothing to collect
 */
export async function mailCode(visit: Visit, token: string): Promise<Outcome<unknown>> {
  // As the system: nobody has proved yet that the parcel is theirs.
  const [house, now] = [{ ...visit.house, db: visit.house.system }, visit.now]
  const recipientId = visit.params.recipient!
  const recipient = isId(recipientId) ? await recipientById(house.db, recipientId) : undefined
  // The failure is taken before the comparison and given back after it, so that parallel guesses cannot share one.
  if (!recipient?.linkHash) return fail('link-wrong')
  if (!(await takeFailure(house.db, recipient.id))) return fail('link-locked')
  if (!timingSafeEqual(hashSecret(token), recipient.linkHash)) return fail('link-wrong')
  await giveBackFailure(house.db, recipient.id)
  const room = await countUse(house, 'codes-to-one', recipient.id)
  if (!room.ok) return { ...room, problem: { ...room.problem, slug: 'too-many-codes' as const } }
  return inTransaction(house.db, async (tx) => {
    const live = await collectable(tx, recipient.id)
    if (!live.ok) return live
    const code = await askCode(tx, { purpose: 'collect', subjectId: recipient.id, browser: visit.browser, now })
    await writeToRecipient(tx, house, recipient, codeLetter(code, live.value.transfer.reference))
    return ok({})
  })
}

/** Admits the browser whose person can read the recipient's mailbox, and tells the sender: ring now. */
export async function proveMailbox(visit: Visit, typed: string): Promise<Outcome<unknown>> {
  // As the system: nobody has proved yet that the parcel is theirs.
  const [house, now] = [{ ...visit.house, db: visit.house.system }, visit.now]
  const recipientId = visit.params.recipient!
  if (!isId(recipientId)) return fail('not-found')
  if (!(await takeFailure(house.db, recipientId))) return fail('link-locked')
  const proved = await checkCode(house.db, {
    purpose: 'collect',
    browser: visit.browser,
    code: typed,
    now,
    subjectId: recipientId,
  })
  if (!proved.ok) return proved
  await giveBackFailure(house.db, recipientId)
  const told = await inTransaction(house.db, async (tx) => {
    await lockRecipient(tx, recipientId)
    const live = await collectable(tx, recipientId)
    if (!live.ok) return live
    const { recipient, transfer, lock } = live.value
    if (!recipient.mailboxProvedAt) {
      await updateRecipient(tx, recipient.id, { mailboxProvedAt: now })
      await recordEvent(
        tx,
        'mailbox-proved',
        { transfer: transfer.id, recipient: recipient.id },
        { transferId: transfer.id, at: now },
      )
    }
    if (lock.kind === 'passphrase' && !recipient.openedAt) {
      await writeToSender(tx, house, transfer, ringNowLetter(transfer.reference))
    }
    return ok({})
  })
  if (told.ok) await visit.admitRecipient(recipientId)
  return told
}

/**
 * Notes that the recipient has read purpose, limits and handling, and keeps the public key of their browser. Only then
 * is the lock released. (W10, W11, W12)
 */
export async function acknowledge(visit: Visit, key: string): Promise<Outcome<unknown>> {
  const { house, now, recipient } = visit
  return inTransaction(house.db, async (tx) => {
    await lockRecipient(tx, recipient.recipientId)
    const live = await collectable(tx, recipient.recipientId)
    if (!live.ok) return live
    const bytes = Buffer.from(fromBase64(key))
    if (bytes.length !== limits.publicKeyBytes)
      return fail('form-incomplete', { fields: { key: 'Send an Ed25519 public key of 32 bytes' } })
    const { recipient: row, transfer } = live.value
    await updateRecipient(tx, row.id, { acknowledgedAt: row.acknowledgedAt ?? now, collectingKey: bytes })
    await recordEvent(
      tx,
      'parcel-acknowledged',
      { transfer: transfer.id, recipient: row.id, key, read: ['purpose', 'limits', 'handling'] },
      { transferId: transfer.id, at: now },
    )
    return ok({})
  })
}

/** The live parcel of an admitted recipient who has acknowledged; every release of content goes through here. */
async function released(visit: Visit) {
  const live = await collectable(visit.house.db, visit.recipient.recipientId)
  if (live.ok && !live.value.recipient.acknowledgedAt) return fail('acknowledge-first')
  return live
}

/**
 * The recipient's lock as it was sealed. An automatic one is opened here by the day's identity and sealed again to an
 * identity made for this one release, which goes with it: that is why pages say that the organisation could open it.
 */
export async function releaseLock(visit: Visit): Promise<Outcome<{ age: Uint8Array; identity?: string }>> {
  const live = await released(visit)
  if (!live.ok) return live
  const { lock, parcel, recipient, transfer } = live.value
  const { now } = visit
  const age = new Uint8Array(lock.age!)
  const release =
    lock.kind === 'automatic'
      ? await visit.house.keyring.release(age, parcel.createdAt.toISOString().slice(0, 10))
      : ok({ age })
  if (!release.ok) return release
  await inTransaction(visit.house.db, async (tx) => {
    await recordEvent(
      tx,
      'lock-released',
      { transfer: transfer.id, recipient: recipient.id, lock: lock.id },
      { transferId: transfer.id, at: now },
    )
    return ok()
  })
  return release
}

/** The sealed manifest as a stream. */
export async function readManifest(visit: Visit) {
  const live = await released(visit)
  if (!live.ok) return live
  const { parcel } = live.value
  return ok({
    sizeBytes: parcel.manifestSizeBytes!,
    stream: await visit.house.blobs.read(manifestKey(parcel.id, parcel.manifestSha256!)),
  })
}

/** A range of bytes, `end` not included; null when the header is malformed or outside the content. */
export function rangeOf(header: string | undefined, sizeBytes: number): { start: number; end: number } | null {
  if (header === undefined) return { start: 0, end: sizeBytes }
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return null
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  return start < end && Number.isSafeInteger(start) ? { start, end } : null
}

/** The sealed content, or a range of it, read part by part. */
export async function readContent(visit: Visit, rangeHeader: string | undefined) {
  const live = await released(visit)
  if (!live.ok) return live
  const { parcel, recipient, transfer } = live.value
  const range = rangeOf(rangeHeader, parcel.contentSizeBytes!)
  if (!range) return fail('range-wrong')
  const parts = await partsOf(visit.house.db, parcel.id)
  const { blobs, db } = visit.house
  async function* bytes() {
    for (let n = Math.floor(range!.start / parcel.partSizeBytes); n < parts.length; n += 1) {
      const offset = n * parcel.partSizeBytes
      if (offset >= range!.end) return
      const start = Math.max(0, range!.start - offset)
      const end = Math.min(parts[n]!.sizeBytes, range!.end - offset)
      yield* await blobs.read(partKey(parcel.id, n, parts[n]!.sha256), { start, end })
    }
    if (range!.end === parcel.contentSizeBytes && !recipient.downloadedAt)
      await noteDownloaded(db, recipient.id, transfer.id, visit.now)
  }
  return ok({ range, sizeBytes: parcel.contentSizeBytes!, stream: bytes() })
}

/** Bytes served are 'downloaded, opening not confirmed': only the opener's own statement says more. */
const noteDownloaded = (db: Db, recipientId: string, transferId: string, now: Date) =>
  inTransaction(db, async (tx) => {
    const recipient = await lockRecipient(tx, recipientId)
    if (recipient?.downloadedAt) return ok()
    await updateRecipient(tx, recipientId, { downloadedAt: now })
    await recordEvent(
      tx,
      'parcel-downloaded',
      { transfer: transferId, recipient: recipientId },
      { transferId, at: now },
    )
    return ok()
  })

export interface Opened {
  statement: string
  receiptSignature: string
  collectingSignature: string
}

/**
 * Takes the recipient's statement that they opened the parcel, signed with the key found inside the lock and with their
 * browser's own. The first one counts; another answers the same.
 *
 * @returns nothing; or `statement-wrong` when it is about something else or a signature does not hold
 */
export async function confirmOpened(visit: Visit, opened: Opened): Promise<Outcome<unknown>> {
  const { house, now } = visit
  return inTransaction(house.db, async (tx) => {
    const opener = await lockRecipient(tx, visit.recipient.recipientId)
    // One after the other: of two who open at once the second sees the first, and nothing is opened that is being recalled.
    // The transfer is not the recipient's to change, and so not theirs to lock.
    if (opener) await asSystem(tx, () => lockTransfer(tx, opener.transferId))
    const live = await collectable(tx, visit.recipient.recipientId)
    if (!live.ok) return live
    const { recipient, transfer, parcel, lock } = live.value
    if (!recipient.acknowledgedAt || !recipient.collectingKey) return fail('acknowledge-first')
    if (recipient.receiptEventId) return ok({ receipt: recipient.receiptEventId })
    const said = statementBytes(opened.statement)
    if (!said.ok) return said
    const { parcelRoot, lockId } = said.value.statement
    const holds =
      parcelRoot === parcel.parcelRoot &&
      lockId === lock.id &&
      verifyEd25519(fromBase64(opened.receiptSignature), said.value.bytes, new Uint8Array(lock.receiptPublicKey)) &&
      verifyEd25519(fromBase64(opened.collectingSignature), said.value.bytes, new Uint8Array(recipient.collectingKey))
    if (!holds) return fail('statement-wrong')
    const service = lock.kind === 'automatic'
    const body = {
      transfer: transfer.id,
      recipient: recipient.id,
      ...opened,
      level: service ? 'service-attested' : 'opened',
    }
    const { eventId } = await recordEvent(tx, 'parcel-opened', body, { transferId: transfer.id, at: now })
    await updateRecipient(tx, recipient.id, {
      openedAt: now,
      receiptEventId: eventId,
      statement: opened.statement,
      remindAt: null,
    })
    // Whether the others have opened theirs, a recipient may not see.
    await asSystem(tx, async () => {
      const others = await recipientsOf(tx, transfer.id)
      if (others.every((other) => other.id === recipient.id || other.openedAt))
        await updateTransfer(tx, transfer.id, { state: 'collected' })
    })
    await writeToSender(tx, house, transfer, openedLetter(transfer.reference))
    return ok({ receipt: eventId })
  })
}

/** The recipient says that this is not for them: their lock is destroyed and the sender is told. */
export async function notForMe(visit: Visit): Promise<Outcome<unknown>> {
  const { house, now } = visit
  return inTransaction(house.db, async (tx) => {
    await lockRecipient(tx, visit.recipient.recipientId)
    const live = await collectable(tx, visit.recipient.recipientId)
    if (!live.ok) return live
    const { recipient, parcel } = live.value
    const transfer = (await asSystem(tx, () => lockTransfer(tx, live.value.transfer.id)))!
    await destroyLocks(tx, parcel.id, now, recipient.id)
    await updateRecipient(tx, recipient.id, { notForMeAt: now, remindAt: null })
    await recordEvent(
      tx,
      'not-for-me',
      { transfer: transfer.id, recipient: recipient.id },
      { transferId: transfer.id, at: now },
    )
    await writeToSender(tx, house, transfer, notForMeLetter(transfer.reference))
    return ok({})
  })
}

/** The register's newest checkpoint, which the statement names, so that recipients witness the register. */
export const checkpointNow = (db: Db) => latestCheckpoint(db)

/** What an admitted recipient is shown about their parcel. */
export async function describeParcel(visit: Visit): Promise<Outcome<Record<string, unknown>>> {
  const live = await collectable(visit.house.db, visit.recipient.recipientId)
  if (!live.ok) return live
  const { recipient, transfer, parcel, lock } = live.value
  const sender = await staffById(visit.house.db, transfer.senderId)
  const device = await signingKeyOf(visit.house.db, parcel)
  return ok({
    reference: transfer.reference,
    sender: sender ? { name: sender.name, organisation: sender.organisation } : null,
    purpose: transfer.purposeWords ?? '',
    limits: transfer.limitsWords ?? '',
    handling: parcel.handling,
    keepUntil: transfer.expiresAt,
    contentSizeBytes: parcel.contentSizeBytes,
    parcelId: parcel.id,
    parcelRoot: parcel.parcelRoot,
    lockId: lock.id,
    lockKind: lock.kind,
    // The root names the locks of all, and their ids tell nothing of whose they are.
    sealedLockIds: await sealedLockIds(visit.house.system, parcel),
    signature: parcel.signature ? toBase64(parcel.signature) : null,
    signingKey: device ? toBase64(device.signingKey) : null,
    acknowledged: recipient.acknowledgedAt !== null,
    collectingKey: recipient.collectingKey ? toBase64(recipient.collectingKey) : null,
    opened: recipient.openedAt !== null,
    checkpoint: (await checkpointNow(visit.house.db)) ?? '',
  })
}

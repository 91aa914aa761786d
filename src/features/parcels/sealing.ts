import { createHash, randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { fromBase64, fromHex, letGo, sameBytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { parcelRoot, rootSignedBytes } from '#core/seal/parcel'
import { verifyEd25519 } from '#core/seal/receipt-key'
import type { House } from '#edge/house'
import { recordEvent } from '#edge/keeper/record'
import { enqueue } from '#edge/jobs/runner'
import { inTransaction, type Tx } from '#edge/store/database'
import type { Actor } from '#edge/web/route'
import { deviceByKey, devicesOf, staffById } from '#features/people/queries'
import { hashSecret } from '#features/people/sessions'
import { decideAgain } from '#features/transfers/decision'
import {
  lockTransfer,
  personDetails,
  recipientsOf,
  updateRecipient,
  updateTransfer,
  type RecipientRow,
  type TransferRow,
} from '#features/transfers/queries'
import { invitation } from '#features/parcels/mails'
import { writeToRecipient } from '#features/parcels/posting'
import {
  abandonParcels,
  insertLock,
  insertParcel,
  keepPart,
  lockParcel,
  parcelById,
  partsOf,
  saveDayKey,
  sealingParcel,
  shareParcel,
  updateParcel,
} from '#features/parcels/queries'

export interface LockGiven {
  id: string
  recipientId: string | null
  kind: 'passphrase' | 'sender' | 'key' | 'automatic'
  receiptPublicKey: string
  age: string
}

const day = (at: Date) => at.toISOString().slice(0, 10)

/**
 * The kind of lock each recipient gets: a registered key where there is one, the method's own otherwise. What opens by
 * itself once the mailbox is proved is made only where no rulebook wants the password told another way.
 */
async function lockOf(tx: Tx, recipient: RecipientRow, mayBeAutomatic: boolean, postQuantum: boolean) {
  const person = recipient.personId ? await personDetails(tx, recipient.personId) : undefined
  const isPostQuantum = person?.ageRecipient?.startsWith('age1pq1') ?? false
  if (person?.ageRecipient && isPostQuantum === postQuantum)
    return { kind: 'key' as const, keyRecipient: person.ageRecipient }
  return { kind: mayBeAutomatic ? ('automatic' as const) : ('passphrase' as const) }
}

/** What is to be sent, as its sender's client says. `parcelId`: the parcel that was begun with it before, to go on with. */
interface Measured {
  sizeBytes: number
  fileCount: number
  availableDays: number
  parcelId?: string
}

/**
 * Begins a parcel: the decision is taken again with what was measured, and every gate before sending must be met. So it
 * is for one that is gone on with, whose recipients, words and days may have changed: all of them are in the manifest and
 * the locks, which are sealed afresh when everything has arrived. What can no longer be gone on with begins anew.
 *
 * @returns what the sender's client needs to seal it; or `gates-open`, `method-not-allowed`, `parcel-days`,
 * `recipient-missing`, `transfer-closed`
 */
export async function beginParcel(
  house: House,
  actor: Actor,
  transferId: string,
  measured: Measured,
): Promise<Outcome<Record<string, unknown>>> {
  const now = house.now()
  return inTransaction(house.db, async (tx) => {
    const transfer = await lockTransfer(tx, transferId)
    if (!transfer || transfer.senderId !== actor.id) return fail('not-found')
    if (transfer.state !== 'draft' && transfer.state !== 'ready') return fail('transfer-closed')
    const recipients = await recipientsOf(tx, transferId)
    if (recipients.length === 0) return fail('recipient-missing')
    if (!transfer.purposeWords || !transfer.informationWords) {
      return fail('gates-open', { detail: 'Say what it is and why, for the record.', clause: 'W78' })
    }
    const method = transfer.method ?? 'managed_transfer'
    const decided = await decideAgain(tx, house, { ...transfer, method }, measured.sizeBytes)
    if (!decided.ok) return decided
    const { parcelDays, handling, marking, sameMailbox } = decided.value
    if (measured.availableDays > parcelDays) {
      return fail('parcel-days', {
        fields: { availableDays: `Parcels may be kept for ${parcelDays} days at most` },
        clause: 'D39',
      })
    }
    const parcel = await openParcel(tx, house, transferId, measured, handling)
    const mayBeAutomatic = transfer.method === 'encrypted_email' && sameMailbox
    const locks = await Promise.all(recipients.map((recipient) => lockOf(tx, recipient, mayBeAutomatic, parcel.pq)))
    const begunOn = day(parcel.createdAt)
    const automatic = locks.some((lock) => lock.kind === 'automatic')
      ? await house.keyring.recipientFor(begunOn)
      : undefined
    if (automatic) await saveDayKey(tx, begunOn, automatic)
    await updateTransfer(tx, transferId, { availableDays: measured.availableDays, method })
    const keepUntil = new Date(now.valueOf() + measured.availableDays * 86_400_000)
    const senderRecipients = (await devicesOf(tx, actor.id))
      .map((device) => device.senderRecipient)
      .filter((recipient): recipient is string => recipient?.startsWith('age1pq1') === parcel.pq)
    return ok({
      parcelId: parcel.id,
      partSizeBytes: parcel.partSizeBytes,
      pq: parcel.pq,
      reference: transfer.reference,
      marking,
      purpose: transfer.purposeWords ?? '',
      limits: transfer.limitsWords ?? '',
      handling,
      keepUntil: keepUntil.toISOString(),
      recipients: recipients.map((recipient, place) => ({
        id: recipient.id,
        name: recipient.fullName,
        lockKinds: [locks[place]!.kind],
        ...(locks[place]!.keyRecipient ? { keyRecipient: locks[place]!.keyRecipient } : {}),
      })),
      ...(automatic ? { automaticRecipient: automatic } : {}),
      senderRecipients: [...new Set(senderRecipients)].slice(0, limits.senderLocks),
    })
  })
}

/** The parcel that is gone on with, if it is this transfer's, open still and as strong as one would be now; or a new one. */
async function openParcel(tx: Tx, house: House, transferId: string, measured: Measured, handling: string) {
  const asked = measured.parcelId === undefined ? undefined : await lockParcel(tx, measured.parcelId)
  const { postQuantum: pq } = house.config
  const isOpen = asked?.transferId === transferId && asked.state === 'sealing' && asked.pq === pq
  const going = isOpen ? asked : undefined
  for (const id of await abandonParcels(tx, transferId, going?.id))
    await enqueue(tx, 'destroy-parcel', { parcelId: id })
  const declared = { declaredBytes: measured.sizeBytes, handling }
  if (going) {
    await updateParcel(tx, going.id, declared)
    return going
  }
  const { partSizeBytes } = limits
  const begun = { transferId, state: 'sealing' as const, partSizeBytes, pq, createdAt: house.now(), ...declared }
  return { ...begun, ...(await insertParcel(tx, begun)) }
}

/** The RFC 9530 digest of a body: `sha-256=:…:`, as hexadecimal; null when it is missing or malformed. */
export function digestOf(header: unknown): string | null {
  const given = typeof header === 'string' ? /^sha-256=:([A-Za-z0-9+/]{43}=):$/.exec(header.trim())?.[1] : undefined
  return given ? Buffer.from(given, 'base64').toString('hex') : null
}

async function ownedParcel(house: House, actor: Actor, parcelId: string) {
  const parcel = await sealingParcel(house.db, parcelId)
  return parcel && parcel.senderId === actor.id ? parcel : undefined
}

/**
 * Keeps one part, durably, before it answers. The same part again is no change; another under its number is refused.
 *
 * @returns nothing; or `digest-missing`, `digest-wrong`, `part-number`, `part-differs`, `parcel-complete`, `too-large`
 */
export async function putPart(
  house: House,
  actor: Actor,
  at: { parcelId: string; n: number; digest: string | null },
  body: Readable,
): Promise<Outcome<undefined>> {
  const { parcelId, n, digest } = at
  const parcel = await ownedParcel(house, actor, parcelId)
  if (!parcel) return fail('not-found')
  if (!digest) return fail('digest-missing')
  if (!Number.isSafeInteger(n) || n < 0 || n >= limits.parcelPartsMax) return fail('part-number')
  if (parcel.state !== 'sealing') return fail('parcel-complete')
  // The key names the digest, so that a part arriving twice with different bytes can never overwrite itself.
  const stored = await keepBytes(house, partKey(parcelId, n, digest), body, {
    sizeMax: parcel.partSizeBytes,
    sha256: digest,
  })
  if (!stored.ok) return stored
  const kept = await inTransaction(house.db, async (tx) => {
    // Locked: nothing is added to a parcel that is completed, or abandoned, while its bytes were on their way.
    if ((await shareParcel(tx, parcelId))?.state !== 'sealing') return fail('parcel-complete')
    const standing = await keepPart(tx, { parcelId, n, sha256: digest, sizeBytes: stored.value.sizeBytes })
    return standing === digest ? ok() : fail('part-differs')
  })
  if (!kept.ok) await removeUnkept(house, parcelId, partKey(parcelId, n, digest))
  return kept
}

/**
 * Stores a body. Where storing fails, the rest of the body is read and thrown away: were it broken off, the client would
 * see a lost connection instead of the answer, and try again for ever. Whoever goes on for longer than a body may be is
 * broken off; whoever goes on slowly is, after `limits.requestMs`.
 */
async function keepBytes(house: House, key: string, body: Readable, expected: { sizeMax: number; sha256: string }) {
  try {
    return await house.blobs.put(key, lettingGo(body), expected)
  } finally {
    let left = expected.sizeMax
    body.on('data', ({ length }: Buffer) => {
      left -= length
      if (left < 0) body.destroy()
    })
  }
}

/** What a connection brings, each piece gone when the next is asked for. */
async function* lettingGo(body: Readable): AsyncGenerator<Uint8Array> {
  for await (const piece of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    yield piece
    letGo(piece)
  }
}

/** Takes away bytes that were refused after they had come, unless a parcel that can be collected has them already. */
async function removeUnkept(house: House, parcelId: string, key: string): Promise<void> {
  const parcel = await parcelById(house.db, parcelId)
  const isLive = parcel?.state === 'sealing' || parcel?.state === 'sealed'
  const parts = isLive ? await partsOf(house.db, parcelId) : []
  const keys = parts.map((part) => partKey(parcelId, part.n, part.sha256))
  if (isLive && parcel.manifestSha256) keys.push(manifestKey(parcelId, parcel.manifestSha256))
  if (!keys.includes(key)) await house.blobs.remove(key)
}

export const partKey = (parcelId: string, n: number, sha256: string) => `parcels/${parcelId}/content/${n}-${sha256}`
export const manifestKey = (parcelId: string, sha256: string) => `parcels/${parcelId}/manifest-${sha256}`

/** The parts a parcel has, so that a client sends only what is missing. */
export async function listParts(house: House, actor: Actor, parcelId: string): Promise<Outcome<unknown>> {
  const parcel = await ownedParcel(house, actor, parcelId)
  return parcel ? ok({ state: parcel.state, parts: await partsOf(house.db, parcelId) }) : fail('not-found')
}

/** Keeps the sealed manifest. A parcel that is not complete may get a new one. */
export async function putManifest(
  house: House,
  actor: Actor,
  parcelId: string,
  digest: string | null,
  body: Readable,
): Promise<Outcome<undefined>> {
  const parcel = await ownedParcel(house, actor, parcelId)
  if (!parcel) return fail('not-found')
  if (!digest) return fail('digest-missing')
  if (parcel.state !== 'sealing') return fail('parcel-complete')
  const stored = await keepBytes(house, manifestKey(parcelId, digest), body, {
    sizeMax: limits.manifestBytes,
    sha256: digest,
  })
  if (!stored.ok) return stored
  const kept = await inTransaction(house.db, async (tx) => {
    const standing = await lockParcel(tx, parcelId)
    if (standing?.state !== 'sealing') return fail('parcel-complete')
    await updateParcel(tx, parcelId, { manifestSha256: digest, manifestSizeBytes: stored.value.sizeBytes })
    return ok(standing.manifestSha256)
  })
  const unkept = kept.ok ? kept.value : digest
  if (unkept !== null) await removeUnkept(house, parcelId, manifestKey(parcelId, unkept))
  return kept.ok ? ok() : kept
}

export interface Completion {
  contentSizeBytes: number
  parts: string[]
  manifestSha256: string
  parcelRoot: string
  locks: LockGiven[]
  signingKey?: string
  signature?: string
}

/**
 * Completes a parcel in one transaction: what arrived is what was sealed, each recipient has a lock, the mails are
 * held, the events recorded. Said twice with the same root it answers the same and does nothing.
 */
export async function completeParcel(
  house: House,
  actor: Actor,
  parcelId: string,
  given: Completion,
): Promise<Outcome<Record<string, unknown>>> {
  const now = house.now()
  return inTransaction(house.db, async (tx) => {
    const parcel = await lockParcel(tx, parcelId)
    const transfer = parcel && (await lockTransfer(tx, parcel.transferId))
    if (!parcel || !transfer || transfer.senderId !== actor.id) return fail('not-found')
    if (parcel.state === 'sealed' && parcel.parcelRoot === given.parcelRoot) return ok({ transferId: transfer.id })
    if (parcel.state !== 'sealing') return fail('parcel-complete')
    const recipients = await recipientsOf(tx, transfer.id)
    const wrong =
      (await contentFault(tx, parcelId, parcel.manifestSha256, given)) ?? locksFault(given.locks, recipients)
    if (wrong) return fail('parcel-incomplete', { detail: wrong })
    const device = await signedBy(tx, actor, given)
    if (!device.ok) return device
    const expiresAt = new Date(now.valueOf() + (transfer.availableDays ?? limits.parcelDays) * 86_400_000)
    await updateParcel(tx, parcelId, {
      state: 'sealed',
      contentSizeBytes: given.contentSizeBytes,
      parcelRoot: given.parcelRoot,
      deviceId: device.value,
      signature: given.signature ? Buffer.from(fromBase64(given.signature)) : null,
      sealedAt: now,
    })
    for (const lock of given.locks) await insertLock(tx, lockRow(parcelId, lock, now))
    await updateTransfer(tx, transfer.id, { state: 'sent', sentAt: now, expiresAt })
    await recordEvent(
      tx,
      'parcel-sealed',
      {
        transfer: transfer.id,
        parcel: parcelId,
        root: given.parcelRoot,
        sizeBytes: given.contentSizeBytes,
        partSizeBytes: parcel.partSizeBytes,
        pq: parcel.pq,
        method: transfer.method,
        begunAt: parcel.createdAt.toISOString(),
        until: expiresAt.toISOString(),
        signed: device.value !== null,
      },
      { transferId: transfer.id, at: now },
    )
    const sent = { house, tx, transfer: { ...transfer, expiresAt }, actor, root: given.parcelRoot, now }
    for (const recipient of recipients)
      await invite(
        sent,
        recipient,
        given.locks.find((lock) => lock.recipientId === recipient.id)!,
      )
    return ok({ transferId: transfer.id })
  })
}

export const lockRow = (parcelId: string, lock: LockGiven, now: Date) => ({
  id: lock.id,
  parcelId,
  recipientId: lock.recipientId,
  kind: lock.kind,
  receiptPublicKey: Buffer.from(fromBase64(lock.receiptPublicKey)),
  age: Buffer.from(fromBase64(lock.age)),
  createdAt: now,
})

/** What is wrong between what was sealed and what arrived, in a sentence; undefined when nothing is. */
async function contentFault(
  tx: Tx,
  parcelId: string,
  manifestSha256: string | null,
  given: Completion,
): Promise<string | undefined> {
  const parts = await partsOf(tx, parcelId)
  const missing = given.parts.findIndex((sha256, n) => parts[n]?.n !== n || parts[n].sha256 !== sha256)
  if (missing >= 0) return `Part ${missing} has not arrived as it was sealed.`
  if (parts.length !== given.parts.length) return 'More parts arrived than were sealed.'
  if (parts.reduce((total, part) => total + part.sizeBytes, 0) !== given.contentSizeBytes)
    return 'The size of the parts is not the size of the parcel.'
  if (manifestSha256 !== given.manifestSha256) return 'The manifest has not arrived as it was sealed.'
  const root = parcelRoot({
    manifestSha256: given.manifestSha256,
    parts: given.parts,
    lockIds: given.locks.map((lock) => lock.id),
  })
  return root === given.parcelRoot ? undefined : 'The parcel’s root does not match its parts and locks.'
}

/** What is wrong with the locks: each recipient has exactly one, and there is nobody else's. */
export function locksFault(locks: LockGiven[], recipients: Pick<RecipientRow, 'id'>[]): string | undefined {
  const wanted = new Set(recipients.map((recipient) => recipient.id))
  const seen = new Set<string>()
  for (const lock of locks) {
    if ((lock.kind === 'sender') !== (lock.recipientId === null))
      return 'A sender’s lock has no recipient, and every other lock has one.'
    if (lock.recipientId === null) continue
    if (!wanted.has(lock.recipientId)) return 'A lock is for somebody who is not a recipient.'
    if (seen.has(lock.recipientId)) return 'A recipient has two locks.'
    seen.add(lock.recipientId)
  }
  if (new Set(locks.map((lock) => lock.id)).size !== locks.length) return 'Two locks have the same id.'
  return seen.size === wanted.size ? undefined : 'A recipient has no lock.'
}

/** The enrolled device that signed the root; null when nobody signed; a problem when the signature is wrong. */
async function signedBy(tx: Tx, actor: Actor, given: Completion): Promise<Outcome<string | null>> {
  if (!given.signature || !given.signingKey) return ok(null)
  const key = fromBase64(given.signingKey)
  const device = await deviceByKey(tx, actor.id, Buffer.from(key))
  if (!device || !sameBytes(device.signingKey, key)) return fail('device-unknown')
  const valid = verifyEd25519(fromBase64(given.signature), rootSignedBytes(fromHex(given.parcelRoot)), key)
  return valid ? ok(device.id) : fail('signature-wrong')
}

/** Gives a recipient a link, records the lock's receipt key, and holds the mail. */
export async function invite(
  sent: { house: House; tx: Tx; transfer: TransferRow; actor: Actor; root: string; now: Date },
  recipient: RecipientRow,
  lock: LockGiven,
): Promise<void> {
  const { house, tx, transfer, actor, now } = sent
  const token = randomBytes(16).toString('base64url')
  await recordEvent(
    tx,
    'lock-made',
    {
      transfer: transfer.id,
      recipient: recipient.id,
      lock: lock.id,
      kind: lock.kind,
      receiptKey: lock.receiptPublicKey,
      sha256: createHash('sha256').update(fromBase64(lock.age)).digest('hex'),
      root: sent.root,
    },
    { transferId: transfer.id, at: now },
  )
  await updateRecipient(tx, recipient.id, { linkHash: hashSecret(token) })
  const sender = await staffById(tx, actor.id)
  const letter = invitation({
    organisation: sender?.organisation ?? actor.organisation,
    reference: transfer.reference,
    url: `${house.config.publicUrl}/collect/${recipient.id}#${token}`,
    until: transfer.expiresAt!,
    needsPhrase: lock.kind === 'passphrase',
  })
  await writeToRecipient(tx, house, recipient, letter)
}

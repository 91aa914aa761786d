import { createHash } from 'node:crypto'
import { fromHex, toBase64 } from '#core/kit/bytes'
import { parcelRoot, rootSignedBytes } from '#core/seal/parcel'
import { verifyEd25519 } from '#core/seal/receipt-key'
import type { Held, HeldParcel, Told } from '#features/parcels/queries'

/** A sentence, and the place of the event that it is about. */
export interface Fault {
  what: string
  seq?: number | undefined
}

/** A state in the database, and the event that must have brought it about. */
interface Claim {
  what: string
  /** Events of any of these names. */
  names: string[]
  /** Which thing it is about. */
  key: Record<string, unknown>
  /** What else the event must say of it. */
  also?: Record<string, unknown>
  at: Date | null
}

/** Events that each bring about one state, which must then be there. */
const heldEvents = new Set([
  'transfer-started',
  'decided-not-to-share',
  'recipient-added',
  'recipient-removed',
  'mailbox-proved',
  'parcel-downloaded',
  'parcel-opened',
  'not-for-me',
  'parcel-sealed',
  'parcel-recalled',
  'parcel-expired',
  'parcel-destroyed',
  'lock-made',
  'lock-destroyed',
])

/**
 * Compares what the database holds of one transfer with the events about it, both ways: each state has its event, and
 * each event its state. An erased event counts by its name and instant, which its leaf still shows.
 */
export function faultsOf(held: Held): Fault[] {
  if (held.transfer.state === 'erased') return erasedFaults(held)
  const claims = [
    ...transferClaims(held),
    ...held.recipients.flatMap(recipientClaims),
    ...held.parcels.flatMap((parcel) => parcelClaims(parcel, held)),
    ...held.locks.flatMap((lock) => lockClaims(lock, held)),
  ]
  return [
    ...settle(claims, held.events),
    ...transferFaults(held),
    ...held.recipients.flatMap((recipient) => recipientFaults(recipient, held)),
    ...held.parcels.flatMap((parcel) => parcelFaults(parcel, held)),
    ...held.locks.flatMap((lock) => lockFaults(lock, held)),
  ]
}

/** Of a transfer that was erased nothing may be left but what its events' leaves show. */
function erasedFaults({ transfer, recipients, locks, events }: Held): Fault[] {
  const what = `Transfer ${transfer.id} is erased`
  const telling = events.filter(({ name, body }) => body !== null && heldEvents.has(name))
  return [
    ...telling.map(({ name, seq }) => ({ what: `${what}, but its event ${name} is not.`, seq: seq ?? undefined })),
    ...(recipients.length + locks.length > 0 ? [{ what: `${what}, but its recipients or locks are not.` }] : []),
  ]
}

const says = ({ body }: Told, wanted: Record<string, unknown>): boolean =>
  body !== null && Object.entries(wanted).every(([name, value]) => body[name] === value)

const isAt = (a: Date | null, b: Date | null): boolean => a?.valueOf() === b?.valueOf()

/** Gives each claim its event. What is left over on either side is a fault. */
function settle(claims: Claim[], events: Told[]): Fault[] {
  const left = new Set(events)
  const faults: Fault[] = []
  const take = (fits: (event: Told) => boolean): Told | undefined => {
    const event = [...left].find(fits)
    if (event) left.delete(event)
    return event
  }
  const unmet = claims.filter(
    ({ names, key, also, at }) =>
      !take((event) => names.includes(event.name) && isAt(event.at, at) && says(event, { ...key, ...also })) &&
      !take((event) => names.includes(event.name) && isAt(event.at, at) && event.body === null),
  )
  for (const { what, names, key } of unmet) {
    const near = take((event) => names.includes(event.name) && says(event, key))
    faults.push(
      near
        ? { what: `${what}, but the event says otherwise.`, seq: near.seq ?? undefined }
        : { what: `${what}, but no event says so.` },
    )
  }
  for (const { name, seq, body } of left)
    if (body !== null && heldEvents.has(name))
      faults.push({ what: `The event ${name} says what the database does not.`, seq: seq ?? undefined })
  return faults
}

/** The newest event of a name, or of several, about this. */
const last = ({ events }: Held, names: string[], key: Record<string, unknown> = {}): Told | undefined =>
  events.findLast((event) => names.includes(event.name) && (event.body === null || says(event, key)))

function transferClaims({ transfer, events }: Held): Claim[] {
  const { id, reference, senderId, createdAt, closedAt, sentAt, method, state } = transfer
  const key = { transfer: id }
  const what = `Transfer ${reference} is`
  const stopped = state === 'withdrawn' || events.some(({ name }) => name === 'decided-not-to-share')
  return [
    { what: `${what} begun`, names: ['transfer-started'], key, also: { reference, by: senderId }, at: createdAt },
    ...(stopped ? [{ what: `${what} not shared`, names: ['decided-not-to-share'], key, at: closedAt }] : []),
    ...(state === 'recorded'
      ? [
          {
            what: `${what} recorded`,
            names: ['sharing-recorded'],
            key,
            also: { method, happenedAt: sentAt?.toISOString() },
            at: closedAt,
          },
        ]
      : []),
  ]
}

/** What its events make of a transfer's state, and of what goes with it. */
function transferFaults(held: Held): Fault[] {
  const { transfer } = held
  const faults: Fault[] = []
  const check = (isRight: boolean, what: string, event?: Told) => {
    if (!isRight) faults.push({ what: `Transfer ${transfer.reference} ${what}.`, seq: event?.seq ?? undefined })
  }
  const sealed = last(held, ['parcel-sealed'])
  const closing = last(held, ['decided-not-to-share', 'parcel-recalled', 'parcel-expired'])
  const states = statesOf(held)
  check(
    states.includes(transfer.state),
    `is in state ${transfer.state}, after its events it is ${states[0]}`,
    closing ?? sealed,
  )
  if (closing) check(isAt(transfer.closedAt, closing.at), 'was closed at another time than its event says', closing)
  else if (transfer.state !== 'recorded') check(transfer.closedAt === null, 'is closed, but no event closed it')
  if (sealed) check(isAt(transfer.sentAt, sealed.at), 'was sent at another time than its event says', sealed)
  else if (transfer.state !== 'recorded') check(transfer.sentAt === null, 'is sent, but no event says so')
  const looked = last(held, ['looked-through'])
  check(
    isAt(transfer.lookedThroughAt, looked?.at ?? null),
    'was looked through at another time than its event says',
    looked,
  )
  // What stops a transfer at once takes its words out.
  const leftOut = closing?.body?.rule === undefined ? (looked?.body?.leftOut ?? '') : ''
  if (looked?.body !== null)
    check((transfer.leftOutWords ?? '') === leftOut, 'left out something else than its event says', looked)
  const until = last(held, ['parcel-sealed', 'parcel-extended'])
  if (!until) check(transfer.expiresAt === null, 'ends, but nothing was sent')
  else if (until.body)
    check(transfer.expiresAt?.toISOString() === until.body.until, 'ends at another time than its event says', until)
  const chosen = sealed ?? (transfer.state === 'ready' ? last(held, ['method-chosen']) : undefined)
  if (transfer.state === 'withdrawn' && transfer.method !== null)
    check(!!last(held, ['method-chosen'], { method: transfer.method }), 'has a method that nobody chose', closing)
  if (chosen?.body) check(transfer.method === chosen.body.method, 'goes another way than its event says', chosen)
  const decided = last(held, ['decided'])
  if (decided?.body || !decided)
    check(
      transfer.decisionId === (decided?.body?.decision ?? null),
      'has another decision than its event says',
      decided,
    )
  return faults
}

/** The states that a transfer may be in after its events, the likeliest first. */
function statesOf(held: Held): string[] {
  const has = (name: string) => held.events.some((event) => event.name === name)
  const collected = wasCollected(held.events)
  const either = (yes: string, no: string) => (collected === undefined ? [yes, no] : [collected ? yes : no])
  if (has('decided-not-to-share')) return ['withdrawn']
  if (has('parcel-recalled')) return ['recalled']
  if (has('parcel-expired')) return either('closed', 'expired')
  if (has('parcel-sealed')) return either('collected', 'sent')
  return held.transfer.closedAt ? ['recorded'] : ['draft', 'ready', 'asking']
}

/** Whether everybody who was a recipient had opened it when somebody opened it; undefined where erasure hides that. */
function wasCollected(events: Told[]): boolean | undefined {
  const present = new Set<unknown>()
  const opened = new Set<unknown>()
  let isCollected = false
  for (const { name, body } of events) {
    if (!['recipient-added', 'recipient-removed', 'lock-destroyed', 'parcel-opened'].includes(name)) continue
    if (!body) return undefined
    if (name === 'recipient-added') present.add(body.recipient)
    if (name === 'recipient-removed' || body.withdrawn === true) present.delete(body.recipient)
    if (name === 'parcel-opened') {
      opened.add(body.recipient)
      isCollected ||= [...present].every((recipient) => opened.has(recipient))
    }
  }
  return isCollected
}

function recipientClaims(recipient: Held['recipients'][number]): Claim[] {
  const { id, createdAt, withdrawnAt, mailboxProvedAt, downloadedAt, openedAt, notForMeAt, statement } = recipient
  const key = { recipient: id }
  const claim = (what: string, at: Date | null, names: string[], also?: Record<string, unknown>): Claim[] =>
    at ? [{ what: `Recipient ${id} ${what}`, names, key, at, ...(also && { also }) }] : []
  return [
    ...claim('was added', createdAt, ['recipient-added'], { name: recipient.fullName, email: recipient.email }),
    ...claim('was taken off', withdrawnAt, ['recipient-removed', 'lock-destroyed']),
    ...claim('proved their mailbox', mailboxProvedAt, ['mailbox-proved']),
    ...claim('downloaded the parcel', downloadedAt, ['parcel-downloaded']),
    ...claim('opened the parcel', openedAt, ['parcel-opened'], { statement }),
    ...claim('said that it was not for them', notForMeAt, ['not-for-me']),
  ]
}

/** What of a recipient may have been said several times, and what goes with an event. */
function recipientFaults(recipient: Held['recipients'][number], held: Held): Fault[] {
  const { id, acknowledgedAt, collectingKey, receiptEventId, openedAt, statement, linkHash, withdrawnAt } = recipient
  const faults: Fault[] = []
  const check = (isRight: boolean, what: string, event?: Told) => {
    if (!isRight) faults.push({ what: `Recipient ${id} ${what}.`, seq: event?.seq ?? undefined })
  }
  const key = { recipient: id }
  const first = held.events.find((event) => event.name === 'parcel-acknowledged' && says(event, key))
  const newest = held.events.findLast((event) => event.name === 'parcel-acknowledged' && says(event, key))
  const erased = held.events.some((event) => event.name === 'parcel-acknowledged' && event.body === null)
  if (!erased) {
    check(isAt(acknowledgedAt, first?.at ?? null), 'acknowledged at another time than the event says', first)
    const said = collectingKey === null ? undefined : toBase64(new Uint8Array(collectingKey))
    check(said === newest?.body?.key, 'collects with another key than the event says', newest)
  }
  const opened = held.events.find(({ id: event }) => event === receiptEventId)
  const fits = opened?.name === 'parcel-opened' && isAt(opened.at, openedAt)
  check(
    receiptEventId === null ? openedAt === null && statement === null : fits,
    'has another receipt than the event',
    opened,
  )
  const isInvited = last(held, ['lock-made'], key)?.body != null && withdrawnAt === null
  if (isInvited) check(linkHash !== null, 'was given a lock, but has no link')
  if (withdrawnAt !== null) check(linkHash === null, 'was taken off, but has a link')
  return faults
}

const sealedStates = ['sealed', 'recalled', 'expired', 'destroyed']

function parcelClaims(parcel: HeldParcel, { transfer }: Held): Claim[] {
  const { id, state, sealedAt, locksDestroyedAt, destroyedAt, deviceId } = parcel
  const key = { parcel: id }
  const also = {
    transfer: transfer.id,
    root: parcel.parcelRoot,
    sizeBytes: parcel.contentSizeBytes,
    partSizeBytes: parcel.partSizeBytes,
    pq: parcel.pq,
    begunAt: parcel.createdAt.toISOString(),
    signed: deviceId !== null,
  }
  const ended = { recalled: ['parcel-recalled'], expired: ['parcel-expired'] }[state as string]
  const isDestroyed = state === 'destroyed' || (destroyedAt !== null && state !== 'abandoned')
  return [
    ...(sealedAt || sealedStates.includes(state)
      ? [{ what: `Parcel ${id} is sealed`, names: ['parcel-sealed'], key, also, at: sealedAt }]
      : []),
    ...(locksDestroyedAt || ended || isDestroyed
      ? [
          {
            what: `Parcel ${id} is ${state}`,
            names: ended ?? ['parcel-recalled', 'parcel-expired'],
            key,
            at: locksDestroyedAt,
          },
        ]
      : []),
    ...(isDestroyed ? [{ what: `Parcel ${id} is destroyed`, names: ['parcel-destroyed'], key, at: destroyedAt }] : []),
  ]
}

/** Whether a parcel's columns fit each other, its parts, its locks, its root and its signature. */
function parcelFaults(parcel: HeldParcel, held: Held): Fault[] {
  const { id, state, sealedAt, locksDestroyedAt, destroyedAt, parts, signature, deviceId, signingKey } = parcel
  const faults: Fault[] = []
  const sealed = last(held, ['parcel-sealed'], { parcel: id })
  const check = (isRight: boolean, what: string) => {
    if (!isRight) faults.push({ what: `Parcel ${id} ${what}.`, seq: sealed?.seq ?? undefined })
  }
  const isSealed = sealedStates.includes(state)
  check(isSealed === (sealedAt !== null), `is ${state}, which does not fit when it was sealed`)
  check(
    ['recalled', 'expired', 'destroyed'].includes(state) === (locksDestroyedAt !== null),
    `is ${state}, which does not fit its locks`,
  )
  check(
    state === 'abandoned' || (state === 'destroyed') === (destroyedAt !== null),
    `is ${state}, which does not fit when it was destroyed`,
  )
  check(
    parts.every(({ sizeBytes }) => sizeBytes <= parcel.partSizeBytes),
    'has a part that is too large',
  )
  if (!isSealed) {
    const rest = [sealedAt, parcel.parcelRoot, parcel.contentSizeBytes, deviceId, signature]
    check(
      rest.every((value) => value === null),
      'is not sealed, but was',
    )
    return faults
  }
  check(
    parts.every((part, n) => part.n === n && (n === parts.length - 1 || part.sizeBytes === parcel.partSizeBytes)),
    'lacks a part',
  )
  check(
    parts.reduce((total, { sizeBytes }) => total + sizeBytes, 0) === parcel.contentSizeBytes,
    'is not as large as its parts',
  )
  check(rootOf(parcel, held) === parcel.parcelRoot, 'has parts, a manifest or locks that do not lead to its root')
  check((signature === null) === (deviceId === null), 'is signed by no device')
  if (signature && signingKey)
    check(
      verifyEd25519(
        new Uint8Array(signature),
        rootSignedBytes(fromHex(parcel.parcelRoot ?? '')),
        new Uint8Array(signingKey),
      ),
      'has a false signature',
    )
  return faults
}

/** The root over what the database has; undefined when that cannot be one. */
function rootOf({ id, parts, manifestSha256, sealedAt }: HeldParcel, { locks }: Held): string | undefined {
  const atSealing = locks.filter((lock) => lock.parcelId === id && isAt(lock.createdAt, sealedAt))
  try {
    return parcelRoot({
      manifestSha256: manifestSha256 ?? '',
      parts: parts.map(({ sha256 }) => sha256),
      lockIds: atSealing.map((lock) => lock.id),
    })
  } catch {
    return undefined
  }
}

function lockClaims(lock: Held['locks'][number], { parcels, recipients }: Held): Claim[] {
  const { id, recipientId, kind, createdAt, destroyedAt, age, parcelId } = lock
  if (recipientId === null) return []
  const parcel = parcels.find((each) => each.id === parcelId)
  const recipient = recipients.find((each) => each.id === recipientId)
  const also = {
    recipient: recipientId,
    kind,
    receiptKey: toBase64(new Uint8Array(lock.receiptPublicKey)),
    root: parcel?.parcelRoot,
    ...(age ? { sha256: createHash('sha256').update(age).digest('hex') } : {}),
  }
  // What ends a lock together with something else is claimed by that.
  const others = [parcel?.locksDestroyedAt, recipient?.notForMeAt, recipient?.withdrawnAt]
  const isAlone = destroyedAt !== null && !others.some((at) => at && isAt(at, destroyedAt))
  return [
    { what: `Lock ${id} is made`, names: ['lock-made'], key: { lock: id }, also, at: createdAt },
    ...(isAlone
      ? [
          {
            what: `Lock ${id} is destroyed`,
            names: ['lock-destroyed'],
            key: { recipient: recipientId },
            at: destroyedAt,
          },
        ]
      : []),
  ]
}

function lockFaults(lock: Held['locks'][number], { parcels }: Held): Fault[] {
  const { id, recipientId, kind, age, destroyedAt, parcelId } = lock
  const parcel = parcels.find((each) => each.id === parcelId)
  const isEnded = parcel?.locksDestroyedAt != null
  const wrong = [
    (age === null) !== (destroyedAt !== null) && 'is destroyed and still there, or gone and not destroyed',
    (kind === 'sender') !== (recipientId === null) && 'is a sender’s and a recipient’s',
    isEnded && destroyedAt === null && 'outlived its parcel',
    recipientId === null && !isAt(destroyedAt, parcel?.locksDestroyedAt ?? null) && 'did not end with its parcel',
  ]
  return wrong.flatMap((what) => (what ? [{ what: `Lock ${id} ${what}.` }] : []))
}

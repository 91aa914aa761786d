import { createHash } from 'node:crypto'
import { limits } from '#core/kit/limits'
import type { Blobs, Listed } from '#edge/blobs/blobs'
import type { Note } from '#edge/keeper/fsck'
import type { Keyring } from '#edge/keyring'
import type { Db } from '#edge/store/database'
import { faultsOf } from '#features/parcels/claims'
import {
  dayEnded,
  eventsOfNothing,
  hasAutomaticLocks,
  heldOf,
  keyringDays,
  parcelById,
  parcelsOfIds,
  partOf,
  transferIdsAfter,
  type HeldParcel,
} from '#features/parcels/queries'
import { manifestKey, partKey } from '#features/parcels/sealing'

/** What is compared: database, bytes and keys. */
export interface Kept {
  db: Db
  blobs: Blobs
  keyring: Keyring
  now: Date
}

/** How much was looked at. */
export interface WorkCheck {
  transfers: number
  parcels: number
  blobs: number
  sizeBytes: number
}

const dayMs = 86_400_000

/**
 * Checks the organisation's work against the register, the bytes and the keys, both ways: each state has its event and
 * each event its state; what can be collected is there byte by byte, what was destroyed is gone, and nothing lies there
 * that nobody knows. Changes nothing; memory does not grow with the number of transfers.
 *
 * @param quick - look at the sizes of the bytes only, not at the bytes
 * @param note - told of each finding
 */
export async function checkWork(kept: Kept, quick: boolean, note: Note): Promise<WorkCheck> {
  const check: WorkCheck = { transfers: 0, parcels: 0, blobs: 0, sizeBytes: 0 }
  for (let ids = await transferIdsAfter(kept.db, '00000000-0000-0000-0000-000000000000'); ids.length > 0;) {
    for (const id of ids) await checkTransfer(kept, id, quick, note, check)
    ids = await transferIdsAfter(kept.db, ids.at(-1)!)
  }
  for (const { seq, name } of await eventsOfNothing(kept.db))
    note('database', `The event ${name} is about a transfer that is not there.`, seq ?? undefined)
  for await (const { key, why } of unknownBlobs(kept)) note('blobs', `${key}: ${why}`)
  await checkKeys(kept, note)
  return check
}

async function checkTransfer(kept: Kept, id: string, quick: boolean, note: Note, check: WorkCheck): Promise<void> {
  const held = await heldOf(kept.db, id)
  if (!held) return
  check.transfers += 1
  check.parcels += held.parcels.length
  for (const { what, seq } of faultsOf(held)) note('database', what, seq)
  for (const parcel of held.parcels) {
    const what = lateness(parcel, held.transfer.expiresAt, kept.now)
    if (what) note('database', `Parcel ${parcel.id} ${what}: does Safehand run?`)
    const sealed = held.events.find(({ name, body }) => name === 'parcel-sealed' && body?.parcel === parcel.id)
    if (isLive(parcel))
      await checkBytes(kept, parcel, quick, check, (what) => note('blobs', what, sealed?.seq ?? undefined))
  }
}

const isLive = ({ state }: Pick<HeldParcel, 'state'>): boolean => state === 'sealing' || state === 'sealed'

/** What the clock should have brought about a day ago, as Safehand does every minute. */
function lateness(parcel: HeldParcel, expiresAt: Date | null, now: Date): string | undefined {
  const isPast = (at: Date) => now.valueOf() - at.valueOf() > limits.disposalLateMs
  const { state, createdAt, locksDestroyedAt, destroyedAt } = parcel
  const stale = new Date(createdAt.valueOf() + limits.sealingHours * 3_600_000)
  if (state === 'sealed' && expiresAt && isPast(expiresAt)) return 'should have ended'
  if (state === 'sealing' && isPast(stale)) return 'should have been abandoned'
  if (destroyedAt === null && !isLive(parcel) && isPast(locksDestroyedAt ?? stale)) return 'should have been destroyed'
  return undefined
}

/** Whether the bytes of a parcel that can be collected, or is being sent, are there as they were acknowledged. */
async function checkBytes(
  { db, blobs }: Kept,
  parcel: HeldParcel,
  quick: boolean,
  check: WorkCheck,
  note: (what: string) => void,
): Promise<void> {
  const { id, parts, manifestSha256, manifestSizeBytes } = parcel
  const wanted = parts.map(({ n, sha256, sizeBytes }) => ({ key: partKey(id, n, sha256), sha256, sizeBytes }))
  if (manifestSha256 !== null)
    wanted.push({ key: manifestKey(id, manifestSha256), sha256: manifestSha256, sizeBytes: manifestSizeBytes ?? -1 })
  for (const { key, sha256, sizeBytes } of wanted) {
    const fault = await blobFault(blobs, key, sizeBytes, quick ? null : sha256)
    check.blobs += 1
    check.sizeBytes += sizeBytes
    // It may have been destroyed, or its manifest replaced, while we looked.
    if (!fault) continue
    const again = await parcelById(db, id)
    if (again?.state === parcel.state && again.manifestSha256 === manifestSha256) note(`${key} ${fault}.`)
    else return
  }
}

async function blobFault(blobs: Blobs, key: string, sizeBytes: number, sha256: string | null): Promise<string | null> {
  const isKey = /^[a-z0-9/-]+$/.test(key)
  const found = isKey ? await blobs.size(key) : null
  if (found === null) return 'is missing'
  if (found !== sizeBytes) return `has ${found} bytes, not ${sizeBytes}`
  if (sha256 === null) return null
  const hash = createHash('sha256')
  try {
    for await (const chunk of await blobs.read(key)) hash.update(chunk as Uint8Array)
  } catch {
    return 'cannot be read'
  }
  return hash.digest('hex') === sha256 ? null : 'holds other bytes than were sent'
}

/**
 * Bytes that are no part of anything: of a parcel that was destroyed or never was, or of no part that was acknowledged.
 * What came less than `blobArrivingMs` ago may be on its way, and is left out.
 */
export async function* unknownBlobs({ db, blobs, now }: Kept): AsyncGenerator<{ key: string; why: string }> {
  let batch: Listed[] = []
  for await (const listed of blobs.list('')) {
    batch.push(listed)
    if (batch.length < limits.blobsCheckedAtOnce) continue
    yield* unknownOf({ db, blobs, now }, batch)
    batch = []
  }
  yield* unknownOf({ db, blobs, now }, batch)
}

const idPattern = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const keyPattern = new RegExp(`^parcels/(${idPattern})/(?:content/(\\d{1,9})|manifest)-([0-9a-f]{64})$`)

async function* unknownOf(
  { db, blobs, now }: Omit<Kept, 'keyring'>,
  batch: Listed[],
): AsyncGenerator<{ key: string; why: string }> {
  const parsed = batch.map((listed) => ({ ...listed, names: keyPattern.exec(listed.key) }))
  const ids = [...new Set(parsed.flatMap(({ names }) => (names ? [names[1]!] : [])))]
  const rows = ids.length > 0 ? await parcelsOfIds(db, ids) : []
  const known = new Map(rows.map((row) => [row.id, row]))
  for (const { key, names, putAt } of parsed) {
    const isYoung = now.valueOf() - putAt.valueOf() <= limits.blobArrivingMs
    const [, id, n, sha256] = names ?? []
    const parcel = known.get(id ?? '')
    if (parcel?.destroyedAt) {
      // It may have been destroyed since it was listed.
      if ((await blobs.size(key)) !== null) yield { key, why: 'its parcel was destroyed.' }
    } else if (isYoung || (parcel && !isLive(parcel))) continue
    else if (!parcel) yield { key, why: 'no parcel has it.' }
    else if (n === undefined ? parcel.manifestSha256 !== sha256 : (await partOf(db, id!, Number(n)))?.sha256 !== sha256)
      yield { key, why: 'its parcel does not have it.' }
  }
}

/** The keyring both ways: identities that open live locks are there, those whose parcels are gone are destroyed. */
async function checkKeys({ db, keyring, now }: Kept, note: Note): Promise<void> {
  const rows = new Map((await keyringDays(db)).map((row) => [row.day, row]))
  const files = await keyring.days()
  for (const day of new Set([...rows.keys(), ...files])) {
    const row = rows.get(day)
    const found = files.includes(day) ? await keyring.find(day).catch(() => 'unreadable') : undefined
    const ended = await dayEnded(db, day)
    const due = Math.max(Date.parse(`${day}T00:00:00Z`) + 2 * dayMs, ended?.valueOf() ?? 0)
    const isLate = ended !== null && now.valueOf() - due > limits.disposalLateMs
    const opens = await hasAutomaticLocks(db, day)
    if (found && row?.destroyedAt) note('keys', `The identity of ${day} is there, and was destroyed.`)
    else if (found && isLate) note('keys', `The identity of ${day} should have been destroyed: does Safehand run?`)
    if (found && row && found !== row.recipient)
      note('keys', `The identity of ${day} is not the one that locks were made for.`)
    if (!found && opens) note('keys', `The identity of ${day} is missing: its automatic locks do not open.`)
    if (opens && !row) note('keys', `Nothing says which identity ${day} has.`)
    if (!found && !opens && row && !row.destroyedAt && isLate)
      note('keys', `The identity of ${day} is gone, and nothing says that it was destroyed.`)
  }
}

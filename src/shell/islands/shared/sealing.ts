import { fromBase64, fromHex, toBase64, type Bytes } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { piecesOfBlob } from '#core/seal/flow'
import { openLock, makeLock, recipientOf, type LockRequest } from '#core/seal/locks'
import type { ParcelDetails } from '#core/seal/parcel'
import { newPhrase } from '#core/seal/passphrase'
import { sealParcel, tarSize, type SealedParcel } from '#core/seal/seal'
import { sealedSize } from '#core/seal/stream'
import type { SealSource } from '#core/seal/tar-index'
import { webTools, type SealTools } from '#core/seal/tools'
import type { Chosen } from '#shell/islands/shared/chosen'
import { knownKey, ownKey, type DeviceKey } from '#shell/islands/shared/device-key'
import { senderKeyName, type Holder } from '#shell/islands/shared/sender-key'
import {
  formTokenHeader,
  jsonTo,
  Refused,
  saidBy,
  saidOf,
  untilAnswered,
  type OnWaiting,
} from '#shell/islands/shared/server'

/** What the page asks to have sealed and sent. */
export interface SealOrder extends Holder {
  transferId: string
  files: Chosen[]
  message: string
  availableDays: number
  deviceLabel: string
}

/** A recipient and what is to be told to them: null when no words are needed. */
export interface Addressee {
  id: string
  phrase: string | null
}

export interface Watch {
  onProgress: (doneBytes: number, totalBytes: number) => void
  onWaiting: OnWaiting
}

/** What the server answers when a parcel begins. */
interface Begun extends Omit<ParcelDetails, 'message'> {
  parcelId: string
  partSizeBytes: number
  pq: boolean
  recipients: { id: string; name: string; lockKinds: ('passphrase' | 'key' | 'automatic')[]; keyRecipient?: string }[]
  automaticRecipient?: string
  senderRecipients?: string[]
}

/**
 * Enrols this device, so that it signs the parcel. What it may open of later parcels, sealed elsewhere, the person says
 * on the account's page and confirms; to this one it gives itself a lock.
 *
 * @returns the key, or undefined where the browser keeps nothing: then only sending again will be possible
 */
async function enrol(order: SealOrder, onWaiting: OnWaiting): Promise<DeviceKey | undefined> {
  const key = await ownKey(senderKeyName(order)).catch(() => undefined)
  if (!key) return undefined
  const signingKey = toBase64(key.publicKey)
  await untilAnswered(jsonTo('/api/devices', { signingKey, label: order.deviceLabel }), onWaiting)
  return key
}

/**
 * Seals what was chosen and sends it: part by part, three at once, waiting for the network whenever it is gone.
 *
 * @returns what is to be told to whom. The phrases exist here and nowhere else.
 * @throws Refused when the server or the files say no; nothing has been sent then that anybody could open
 */
export async function sealAndSend(
  order: SealOrder,
  watch: Watch,
): Promise<{ addressees: Addressee[]; keepsKey: boolean }> {
  const key = await enrol(order, watch.onWaiting)
  const sources = order.files.map(sourceOf)
  const measured = {
    sizeBytes: sources.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
    fileCount: sources.filter(({ type }) => type === 'file').length,
    availableDays: order.availableDays,
  }
  const asked = await untilAnswered(jsonTo(`/api/transfers/${order.transferId}/parcel`, measured), watch.onWaiting)
  const begun = (await asked.json()) as Begun
  const tools = await webTools()
  const addressees = begun.recipients.map(({ id, lockKinds }) => ({
    id,
    phrase: lockKinds.includes('passphrase') ? newPhrase(tools.randomBytes) : null,
  }))
  const sealed = await sealParcel({
    parcelId: begun.parcelId,
    partSizeBytes: begun.partSizeBytes,
    pq: begun.pq,
    details: detailsOf(begun, order.message),
    sources,
    locks: locksOf(begun, addressees, key && (await recipientOf(await key.identity(begun.pq)))),
    tools,
    putPart: partSender(begun.parcelId, sealedSize(tarSize(sources)), watch),
    ...(key ? { sign: key.sign } : {}),
  })
  if (!sealed.ok) throw new Refused(saidOf(sealed.problem))
  await finish(begun.parcelId, sealed.value, key, watch.onWaiting)
  return { addressees, keepsKey: key !== undefined }
}

/** The message is sealed with the files and never shown to the server. */
const detailsOf = (
  { reference, marking, purpose, limits, handling, keepUntil }: Begun,
  message: string,
): ParcelDetails => ({
  reference,
  marking,
  message,
  purpose,
  limits,
  handling,
  keepUntil,
})

function locksOf(begun: Begun, addressees: Addressee[], own: string | undefined): LockRequest[] {
  const forRecipients = begun.recipients.map(({ id, lockKinds, keyRecipient }, place): LockRequest => {
    const { phrase } = addressees[place]!
    if (phrase !== null) return { kind: 'passphrase', recipientId: id, to: { phrase } }
    if (keyRecipient !== undefined) return { kind: 'key', recipientId: id, to: { recipient: keyRecipient } }
    return { kind: lockKinds[0]!, recipientId: id, to: { recipient: begun.automaticRecipient! } }
  })
  const senders = new Set([...(own ? [own] : []), ...(begun.senderRecipients ?? [])])
  const forSender = [...senders].map((recipient): LockRequest => ({
    kind: 'sender',
    recipientId: null,
    to: { recipient },
  }))
  return [...forRecipients, ...forSender]
}

const sourceOf = ({ path, file }: Chosen): SealSource => ({
  path,
  type: file ? 'file' : 'folder',
  sizeBytes: file?.size ?? 0,
  modifiedAtMs: file?.lastModified ?? 0,
  read: () => readOf(file!),
})

const readBytes = 8 * 1024 * 1024

/**
 * A file's stream fails for one reason, under a different name in each browser: it is no longer what was chosen, or no
 * longer there. The sealing knows that by the name it has in the standard.
 */
async function* readOf(file: File): AsyncGenerator<Uint8Array> {
  try {
    yield* piecesOfBlob(file, readBytes)
  } catch (error) {
    throw new DOMException(String(error), 'NotReadableError')
  }
}

/** Sends parts, each until it is acknowledged and always with the same bytes, and adds up how far they are. */
function partSender(parcelId: string, totalBytes: number, { onProgress, onWaiting }: Watch) {
  const sentBytes = new Map<number, number>()
  const note = (n: number, bytes: number) => {
    sentBytes.set(n, bytes)
    const doneBytes = sentBytes.values().reduce((total, each) => total + each, 0)
    onProgress(Math.min(doneBytes, totalBytes), totalBytes)
  }
  return async (n: number, bytes: Bytes, sha256: string): Promise<void> => {
    const url = `/api/parcels/${parcelId}/parts/${n}`
    await untilAnswered(() => putBytes(url, bytes, sha256, (count) => note(n, count)), onWaiting)
    note(n, bytes.length)
  }
}

/** A line that moves nothing for so long is dead. */
const stallMs = 60_000

/** PUTs bytes, telling how many have left. Only XMLHttpRequest can tell; it answers like `fetch`. */
async function putBytes(
  url: string,
  bytes: Bytes,
  sha256: string,
  onSent: (count: number) => void = () => {},
): Promise<Response> {
  const token = await formTokenHeader()
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    let stall: ReturnType<typeof setTimeout>
    const moving = () => {
      clearTimeout(stall)
      stall = setTimeout(() => request.abort(), stallMs)
    }
    request.open('PUT', url)
    for (const [name, value] of Object.entries(token)) request.setRequestHeader(name, value)
    request.setRequestHeader('content-type', 'application/octet-stream')
    request.setRequestHeader('content-digest', `sha-256=:${toBase64(fromHex(sha256))}:`)
    request.upload.onprogress = ({ loaded }) => {
      moving()
      onSent(loaded)
    }
    request.onload = () =>
      resolve(new Response(request.status === 204 ? null : request.responseText, { status: request.status }))
    request.onerror = request.onabort = () => reject(new TypeError('The server was not reached'))
    request.onloadend = () => clearTimeout(stall)
    moving()
    request.send(bytes)
  })
}

/** Sends the manifest, then completes the parcel. Saying either twice changes nothing. */
async function finish(
  parcelId: string,
  sealed: SealedParcel,
  key: DeviceKey | undefined,
  onWaiting: OnWaiting,
): Promise<void> {
  const { manifestAge, manifestSha256, locks, signature, contentSizeBytes, parts, parcelRoot } = sealed
  await untilAnswered(() => putBytes(`/api/parcels/${parcelId}/manifest`, manifestAge, manifestSha256), onWaiting)
  const completion = {
    contentSizeBytes,
    parts,
    manifestSha256,
    parcelRoot,
    locks: locks.map(({ recipientId, ...lock }) => (recipientId === null ? lock : { ...lock, recipientId })),
    ...(key && signature ? { signingKey: toBase64(key.publicKey), signature } : {}),
  }
  await untilAnswered(jsonTo(`/api/parcels/${parcelId}/complete`, completion), onWaiting)
}

/** The sender's own view of a sealed parcel. */
interface OwnParcel {
  parcelId: string
  senderLocks: { id: string; age: string }[]
}

/**
 * Makes a recipient a new lock with new words, from this device's own lock; the old one is destroyed.
 *
 * @returns the new phrase, or undefined when this browser holds no key that opens the parcel
 */
export async function newWords(
  order: Holder & { transferId: string; recipientId: string },
): Promise<string | undefined> {
  const key = await knownKey(senderKeyName(order)).catch(() => undefined)
  if (!key) return undefined
  const tools = await webTools()
  const answer = await untilAnswered((signal) => fetch(`/api/transfers/${order.transferId}/parcel`, { signal }))
  const { parcelId, senderLocks } = (await answer.json()) as OwnParcel
  const identity = await key.identity(order.pq)
  const lock = await firstThatOpens(parcelId, senderLocks, identity, tools)
  if (!lock) return undefined
  const phrase = newPhrase(tools.randomBytes)
  const made = orThrow(
    await makeLock({ kind: 'passphrase', recipientId: order.recipientId, to: { phrase } }, lock, tools),
  )
  // Asked once: a second lock under the same id could not be told from the first, so a lost answer means new words.
  const locked = await jsonTo(`/api/parcels/${parcelId}/locks`, made)(AbortSignal.timeout(60_000))
  if (!locked.ok) throw new Refused(await saidBy(locked))
  return phrase
}

async function firstThatOpens(parcelId: string, locks: OwnParcel['senderLocks'], identity: string, tools: SealTools) {
  for (const { id, age } of locks) {
    const opened = await openLock(fromBase64(age), { identity }, { parcelId, lockId: id }, tools)
    if (opened.ok) return opened.value
  }
  return undefined
}

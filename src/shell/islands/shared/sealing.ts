import { fromHex, toBase64, type Bytes } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import { piecesOfBlob } from '#core/seal/flow'
import { recipientOf, type LockRequest } from '#core/seal/locks'
import { newPace } from '#core/seal/pace'
import type { ParcelDetails } from '#core/seal/parcel'
import { newPhrase } from '#core/seal/passphrase'
import { newSealing, sealParcel, tarSize, type BegunSealing, type SealedParcel } from '#core/seal/seal'
import { sealedSize } from '#core/seal/stream'
import type { ReadTogether, SealSource } from '#core/seal/tar-index'
import type { SealTools } from '#core/seal/tools'
import {
  arrivedOf,
  inOrder,
  listDigest,
  NotKept,
  withSealings,
  type BegunSealings,
  type KeptSealing,
} from '#shell/islands/shared/begun-sealing'
import type { Chosen } from '#shell/islands/shared/chosen'
import { ownKey, type DeviceKey } from '#shell/islands/shared/device-key'
import { workerTools } from '#shell/islands/shared/helpers'
import { senderKeyName, type Holder } from '#shell/islands/shared/sender-key'
import {
  formTokenHeader,
  jsonAnswered,
  jsonTo,
  Refused,
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

/** Why what was begun before is not gone on with. */
export type Anew = 'other-files' | 'changed' | 'gone'

export interface Watch {
  /** Sealing has begun; `isKept`: it goes on after the page was closed. */
  onBegun: (isKept: boolean) => void
  onProgress: (doneBytes: number, totalBytes: number) => void
  /** What has arrived before is sealed again, to see that it is the same. */
  onChecking: (checkedBytes: number, arrivedBytes: number) => void
  onWaiting: OnWaiting
  onAnew: (why: Anew) => void
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

/** What is sealed, whatever becomes of one try at it. */
interface Work {
  order: SealOrder
  watch: Watch
  key: DeviceKey | undefined
  sources: SealSource[]
  /** See `listDigest`. */
  files: string
  totalBytes: number
  tools: SealTools
}

/** A sealing that was begun before, and the bytes of each of its parts that the server has. */
interface Going {
  kept: KeptSealing
  secrets: BegunSealing
  arrived: ReadonlyMap<number, number>
}

/** A parcel that is being sealed. */
interface Sealing extends Going {
  begun: Begun
  /** Where its parts are kept before they leave; undefined where the browser keeps nothing. */
  store: BegunSealings | undefined
}

/**
 * Seals what was chosen and sends it: part by part, three at once, waiting for the network whenever it is gone. What was
 * begun before with the same files is gone on with, and only what is missing is sent.
 *
 * @returns what is to be told to whom. The phrases exist here and nowhere else.
 * @throws Refused when the server or the files say no; nothing has been sent then that anybody could open
 */
export async function sealAndSend(
  order: SealOrder,
  watch: Watch,
): Promise<{ addressees: Addressee[]; keepsKey: boolean }> {
  return alone(order.transferId, () =>
    withSealings(async (store) => {
      const key = await enrol(order, watch.onWaiting)
      const sources = inOrder(order.files).map(sourceOf)
      const totalBytes = sealedSize(tarSize(sources))
      const [files, tools] = await Promise.all([listDigest(order.files), workerTools()])
      const work = { order, watch, key, sources, files, totalBytes, tools }
      const addressees = await seal(work, store, store && (await begunBefore(work, store)))
      return { addressees, keepsKey: key !== undefined }
    }),
  )
}

const tabPatienceMs = 3_000

/** Does what only one tab of this browser may do for a transfer at a time. A page that was just closed lets go soon. */
async function alone<T>(transferId: string, work: () => Promise<T>): Promise<T> {
  if (!('locks' in navigator)) return work()
  let isAlone = false
  const signal = AbortSignal.timeout(tabPatienceMs)
  const locked = navigator.locks.request(`safehand/sealing/${transferId}`, { signal }, () => {
    isAlone = true
    return work()
  })
  return locked.catch((error: unknown) => {
    throw isAlone ? error : new Refused(saidOf({ slug: 'sealing-elsewhere' }))
  }) as Promise<T>
}

/** What was begun before, if it can be gone on with: the same files, and the server has it open. */
async function begunBefore({ order, watch, files }: Work, store: BegunSealings): Promise<Going | undefined> {
  const kept = await store.find(order.transferId).catch(() => undefined)
  if (!kept) return undefined
  if (kept.files !== files) {
    watch.onAnew('other-files')
    return undefined
  }
  const secrets = await store.secretsOf(kept).catch(() => undefined)
  const { state, parts } = await arrivedOf(kept.parcelId, watch.onWaiting)
  // A part that we do not know of: what is kept is older than what was sent, as after a backup was put back.
  if (state !== 'sealing' || !secrets || parts.some(({ n, sha256 }) => secrets.parts.get(n) !== sha256)) {
    watch.onAnew('gone')
    return undefined
  }
  return { kept, secrets, arrived: new Map(parts.map(({ n, sizeBytes }) => [n, sizeBytes])) }
}

/** Begins a parcel, or goes on with one: the server takes the decision again either way. Its keys are kept first. */
async function begin(work: Work, store: BegunSealings | undefined, going: Going | undefined): Promise<Sealing> {
  const { order, watch, sources, files, totalBytes, tools } = work
  const { transferId, availableDays } = order
  const measured = {
    sizeBytes: sources.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
    fileCount: sources.filter(({ type }) => type === 'file').length,
    availableDays,
    ...(going ? { parcelId: going.kept.parcelId } : {}),
  }
  const begun = await jsonAnswered<Begun>(jsonTo(`/api/transfers/${transferId}/parcel`, measured), watch.onWaiting)
  const { parcelId } = begun
  if (going && going.kept.parcelId === parcelId) {
    watch.onBegun(true)
    return { ...going, begun, store }
  }
  if (going) watch.onAnew('gone')
  const secrets = await newSealing(begun.pq, tools)
  const kept = { transferId, parcelId, files, totalBytes, begunAt: Date.now() }
  const isKept = (await store?.begin(kept, secrets)) ?? false
  watch.onBegun(isKept)
  return { kept, secrets, arrived: new Map(), begun, store: isKept ? store : undefined }
}

/** One try at a parcel, and another under fresh keys when what was begun before turns out to be something else. */
async function seal(work: Work, store: BegunSealings | undefined, going?: Going): Promise<Addressee[]> {
  const { order, watch, key, sources, tools } = work
  const sealing = await begin(work, store, going)
  const { begun, secrets } = sealing
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
    readTogether,
    begun: secrets,
    putPart: partSender(work, sealing),
    ...(key ? { sign: key.sign } : {}),
  }).catch((error: unknown) => {
    if (error instanceof NotKept) return undefined
    throw error
  })
  if (!sealed) {
    watch.onAnew('gone')
    return seal(work, undefined)
  }
  if (!sealed.ok && going && sealed.problem.slug === 'seal-resume-differs') {
    watch.onAnew('changed')
    return seal(work, store)
  }
  if (!sealed.ok) throw new Refused(saidOf(sealed.problem))
  await finish(begun.parcelId, sealed.value, key, watch.onWaiting)
  await store?.forget(order.transferId).catch(() => undefined)
  return addressees
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

interface ChosenSource extends SealSource {
  file: File | null
}

const sourceOf = ({ path, file }: Chosen): ChosenSource => ({
  path,
  file,
  type: file ? 'file' : 'folder',
  sizeBytes: file?.size ?? 0,
  modifiedAtMs: file?.lastModified ?? 0,
  read: () => readOf(file!),
})

/** As one blob they are asked of the browser's other processes once. */
const readTogether: ReadTogether = async (sources) => {
  const files = (sources as readonly ChosenSource[]).map(({ file }) => file!)
  return new Uint8Array(await new Blob(files).arrayBuffer())
}

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

/**
 * Sends parts, each until it is acknowledged and always with the same bytes, and adds up how far they are. A part is
 * kept before it first leaves; one that has arrived before is not sent again.
 */
function partSender({ watch, totalBytes }: Work, { kept, secrets, arrived, store }: Sealing) {
  const pace = newPace(() => performance.now())
  const sentBytes = new Map(arrived)
  const arrivedBytes = sum(arrived.values())
  let checkedBytes = 0
  const note = (n: number, bytes: number) => {
    sentBytes.set(n, bytes)
    watch.onProgress(Math.min(sum(sentBytes.values()), totalBytes), totalBytes)
  }
  if (arrivedBytes > 0) watch.onProgress(Math.min(arrivedBytes, totalBytes), totalBytes)
  return async (n: number, bytes: Bytes, sha256: string): Promise<void> => {
    if (arrived.has(n)) return watch.onChecking((checkedBytes += bytes.length), arrivedBytes)
    if (store && !secrets.parts.has(n) && (await store.keep(kept, n, sha256)) !== sha256)
      throw new ProblemError({ slug: 'seal-resume-differs' })
    const url = `/api/parcels/${kept.parcelId}/parts/${n}`
    const putNow = async () => {
      let hasArrived = false
      try {
        const answer = await putBytes(url, bytes, sha256, (count) => note(n, count))
        hasArrived = answer.ok
        return answer
      } finally {
        // What left and was not taken has not arrived.
        note(n, hasArrived ? bytes.length : 0)
      }
    }
    await untilAnswered(() => pace(putNow, ({ ok }) => ok), watch.onWaiting)
  }
}

const sum = (numbers: Iterable<number>): number => {
  let total = 0
  for (const each of numbers) total += each
  return total
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
    // As a blob it leaves by the browser's own threads; as bytes it would be copied twice more here first.
    request.send(new Blob([bytes]))
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

import { makeZip, predictLength } from 'client-zip'
import { fromBase64, fromHex, type Bytes } from '#core/kit/bytes'
import { fail, ok, orThrow, ProblemError, type Outcome } from '#core/kit/outcome'
import type { Secret } from '#core/seal/age-file'
import { openLock } from '#core/seal/locks'
import { openParcel, type OpenedParcel } from '#core/seal/open'
import { parcelRoot, rootSignedBytes, type ParcelDetails } from '#core/seal/parcel'
import { verifyEd25519 } from '#core/seal/receipt-key'
import { blocksOf, streamOf } from '#core/seal/flow'
import type { IndexEntry, OpenedEntry } from '#core/seal/tar-index'
import { workerTools } from '#shell/islands/shared/helpers'
import type { OnBytes } from '#shell/islands/shared/progress'
import { recipientKey } from '#shell/islands/shared/recipient-key'
import { jsonTo, Refused, saidOf, untilAnswered, type OnWaiting } from '#shell/islands/shared/server'

/** What the recipient's page was told of the parcel before it was opened. */
export interface Described {
  reference: string
  purpose: string
  limits: string
  handling: string
  contentSizeBytes: number
  parcelId: string
  lockId: string
  lockKind: 'passphrase' | 'key' | 'automatic'
  /** Ids of the locks made at sealing, which the parcel's root names. */
  sealedLockIds: string[]
  /** The sender's device's signature of the root, and its public key; null when no device signed. */
  signature: string | null
  signingKey: string | null
  checkpoint: string
}

/** Everything that opening needs; the same for the page's worker and the service worker. */
export interface OpenOrder {
  recipientId: string
  parcel: Described
  lockAge: Bytes
  manifestAge: Bytes
  secret: { phrase: string } | { identity: string }
}

/** What the page shows of an opened parcel. */
export interface Inside {
  details: ParcelDetails
  entries: Pick<IndexEntry, 'path' | 'type' | 'sizeBytes'>[]
  isSigned: boolean
}

export interface Opened {
  inside: Inside
  parcel: OpenedParcel
  order: OpenOrder
}

/** Opens lock and manifest and checks that they, the parcel and the sender's signature belong together. */
export async function open(order: OpenOrder, onWaiting: OnWaiting): Promise<Outcome<Opened>> {
  const { parcel: described, recipientId } = order
  const tools = await workerTools()
  const lock = await openLock(order.lockAge, order.secret satisfies Secret, described, tools)
  if (!lock.ok) return lock
  const fetchContent = (start: number, end: number) => contentOf(recipientId, { start, end }, onWaiting)
  const parcel = await openParcel({ lock: lock.value, manifestAge: order.manifestAge, fetchContent, tools })
  if (!parcel.ok) return parcel
  const { manifest } = parcel.value
  if (manifest.purpose !== described.purpose || manifest.limits !== described.limits) return fail('terms-differ')
  const { manifestSha256 } = lock.value
  const root = parcelRoot({ manifestSha256, parts: manifest.parts, lockIds: described.sealedLockIds })
  const { signature, signingKey } = described
  const isSigned = signature !== null && signingKey !== null
  if (isSigned && !verifyEd25519(fromBase64(signature), rootSignedBytes(fromHex(root)), fromBase64(signingKey))) {
    return fail('sender-signature-wrong')
  }
  const { reference, marking, message, purpose, limits, handling, keepUntil } = manifest
  const details = { reference, marking, message, purpose, limits, handling, keepUntil }
  const entries = manifest.index.map(({ path, type, sizeBytes }) => ({ path, type, sizeBytes }))
  return ok({ inside: { details, entries, isSigned }, parcel: parcel.value, order })
}

/** A connection that brings nothing for so long is dead. */
const stallMs = 60_000

/** A range of the sealed content. A connection that breaks, or brings nothing, is taken up again where it broke. */
async function* contentOf(
  recipientId: string,
  { start, end }: { start: number; end: number },
  onWaiting: OnWaiting,
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end;) {
    let broken: AbortController
    const unlessStalled = <T>(work: Promise<T>) => {
      const stall = setTimeout(() => broken.abort(), stallMs)
      return work.finally(() => clearTimeout(stall))
    }
    const headers = { range: `bytes=${at}-${end - 1}` }
    const answer = await untilAnswered(() => {
      broken = new AbortController()
      return unlessStalled(fetch(`/api/collect/${recipientId}/content`, { headers, signal: broken.signal }))
    }, onWaiting)
    const reader = answer.body!.getReader()
    try {
      for (;;) {
        const { done, value } = await unlessStalled(reader.read()).catch(() => ({ done: true, value: undefined }))
        if (done || !value) break
        at += value.length
        yield value
      }
    } finally {
      await reader.cancel().catch(() => undefined)
    }
    if (at < end) await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

/** What can be saved: a name, a size and a flow that ends in an error unless every byte was as sealed. */
export interface Saving {
  name: string
  sizeBytes: number
  stream: ReadableStream<Bytes>
}

/**
 * One file of an opened parcel, or with `path` null all of them as a zip.
 *
 * @param entries - where the zip takes its files from, when they have been fetched already
 */
export function savingOf(
  { parcel, inside }: Opened,
  path: string | null,
  onBytes: OnBytes,
  entries = parcel.entries(),
): Saving {
  const totalBytes = inside.entries.reduce(
    (total, entry) => total + (path === null || entry.path === path ? entry.sizeBytes : 0),
    0,
  )
  let doneBytes = 0
  const counted = async function* (bytes: AsyncIterable<Uint8Array>) {
    for await (const piece of bytes) {
      doneBytes += piece.length
      onBytes(doneBytes, totalBytes)
      yield piece
    }
  }
  if (path === null) {
    return {
      name: `${inside.details.reference}.zip`,
      sizeBytes: Number(predictLength(parcel.manifest.index.map(zipEntry))),
      stream: streamOf(inBlocks(makeZip(zipped(entries, counted)) as ReadableStream<Bytes>)),
    }
  }
  return {
    name: path.split('/').pop()!,
    sizeBytes: totalBytes,
    stream: streamOf(counted(orThrow(parcel.openFile(path)))),
  }
}

const zipBlockBytes = 1024 * 1024

/** A zip comes in three small pieces for each file; whoever saves them asks another process for each piece. */
async function* inBlocks(zip: ReadableStream<Bytes>): AsyncGenerator<Bytes> {
  for await (const { bytes } of blocksOf(zip, zipBlockBytes)) yield bytes
}

/** The first and last days that a zip can say, where its reader is. Beyond them the year would wrap around. */
const zipDaysMs = [+new Date(1980, 0, 1), +new Date(2107, 11, 31)] as const

const zipEntry = ({ path, type, sizeBytes, modifiedSeconds }: IndexEntry) => {
  const [first, last] = zipDaysMs
  const lastModified = new Date(Math.min(last, Math.max(first, modifiedSeconds * 1000)))
  return { lastModified, ...(type === 'folder' ? { name: `${path}/` } : { name: path, size: sizeBytes }) }
}

async function* zipped(
  entries: AsyncGenerator<OpenedEntry>,
  counted: (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
) {
  for await (const entry of entries) {
    if (entry.type === 'folder') yield zipEntry(entry)
    else yield { ...zipEntry(entry), input: counted(entry.bytes) as AsyncIterable<Bytes> }
  }
}

/**
 * Signs that the parcel was opened, with the key found in its lock and with this browser's own, and says so to the
 * server. Said twice it counts once.
 *
 * @throws ProblemError `parcel-not-opened` while a file has not come out whole
 */
export async function confirm({ parcel, order }: Opened, onWaiting: OnWaiting): Promise<void> {
  const { recipientId, parcel: described } = order
  const key = await recipientKey(recipientId)
  const { purpose, limits, handling, checkpoint, sealedLockIds: lockIds } = described
  const receipt = await parcel.receipt({
    acknowledged: { purpose, limits, handling },
    checkpoint,
    lockIds,
    sign: key.sign,
  })
  const { statement, receiptSignature, recipientSignature: collectingSignature } = orThrow(receipt)
  await untilAnswered(
    jsonTo(`/api/collect/${recipientId}/opened`, { statement, receiptSignature, collectingSignature }),
    onWaiting,
  )
}

/** Any failure as the page shows it; undefined for what is no problem of ours but a mistake. */
export function saidOfError(error: unknown) {
  if (error instanceof Refused) return error.said
  if (error instanceof DOMException && error.name === 'QuotaExceededError') return saidOf({ slug: 'device-full' })
  return error instanceof ProblemError ? saidOf(error.problem) : undefined
}

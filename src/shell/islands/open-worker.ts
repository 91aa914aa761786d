/** Opens a parcel beside the recipient's page. Keys and opened files live here and end with the page. */
import { limits } from '#core/kit/limits'
import { ByteReader, piecesOfBlob } from '#core/seal/flow'
import type { OpenedEntry } from '#core/seal/tar-index'
import { wholeBlob } from '#shell/islands/shared/blobs'
import {
  confirm,
  open,
  saidOfError,
  savingOf,
  type Inside,
  type Opened,
  type OpenOrder,
  type Saving,
} from '#shell/islands/shared/opening'
import { nowAndThen } from '#shell/islands/shared/progress'
import { saidOf, type OnWaiting, type Said } from '#shell/islands/shared/server'
import { newStage, stage, tidyStages } from '#shell/islands/shared/staging'

export type OpenAsk =
  | { kind: 'open'; order: OpenOrder }
  /** `to` is where the person chose to save it; without one the answer brings the bytes. */
  | { kind: 'save'; path: string | null; to?: FileSystemFileHandle }

export type OpenNews =
  | { kind: 'opened'; inside: Inside; isHeld: boolean }
  | { kind: 'progress'; doneBytes: number; totalBytes: number }
  | { kind: 'waiting'; isWaiting: boolean }
  | { kind: 'ready' }
  | { kind: 'bytes'; name: string; blob: Blob }
  | { kind: 'saved' }
  | { kind: 'confirmed' }
  | { kind: 'refused'; said: Said }

const tell = (news: OpenNews) => postMessage(news)
const onWaiting: OnWaiting = (waiting) => tell({ kind: 'waiting', isWaiting: waiting !== undefined })
const onBytes = nowAndThen((doneBytes, totalBytes) => tell({ kind: 'progress', doneBytes, totalBytes }))

let opened: Opened | undefined
interface Held {
  /** Every file, one after the other: a blob for each of thousands would take longer than what is in it. */
  all: Blob
  startOf: ReadonlyMap<string, number>
}

/** Of small parcels: all of it, whole and checked, before any of it is offered. */
let held: Held | undefined
let isConfirmed = false

async function begin(order: OpenOrder): Promise<void> {
  await tidyStages().catch(() => undefined)
  const outcome = await open(order, onWaiting)
  if (!outcome.ok) return tell({ kind: 'refused', said: saidOf(outcome.problem) })
  opened = outcome.value
  const isHeld = order.parcel.contentSizeBytes <= limits.openInMemoryBytes
  tell({ kind: 'opened', inside: opened.inside, isHeld })
  if (isHeld) await hold(opened)
  tell({ kind: 'ready' })
}

async function hold({ parcel, inside }: Opened): Promise<void> {
  const totalBytes = inside.entries.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
  const startOf = new Map<string, number>()
  async function* all() {
    let doneBytes = 0
    for await (const { path, type, sizeBytes, bytes } of parcel.entries()) {
      if (type === 'folder') continue
      startOf.set(path, doneBytes)
      yield* bytes
      doneBytes += sizeBytes
      onBytes(doneBytes, totalBytes)
    }
  }
  held = { all: await wholeBlob(all()), startOf }
}

/** The held files as if they were opened again: read through once, in order. */
async function* heldEntries({ parcel }: Opened, { all }: Held): AsyncGenerator<OpenedEntry> {
  const reader = new ByteReader(piecesOfBlob(all, heldPieceBytes))
  for (const entry of parcel.manifest.index) yield { ...entry, from: 0, bytes: bytesOf(reader, entry.sizeBytes) }
}

const heldPieceBytes = 8 * 1024 * 1024

async function* bytesOf(reader: ByteReader, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let leftBytes = sizeBytes; leftBytes > 0;) {
    const piece = await reader.takeSome(leftBytes)
    leftBytes -= piece.length
    yield piece
  }
}

/** What is to be saved, as it is fetched, or as it is held already. */
function savingNow(from: Opened, path: string | null): Saving {
  if (!held) return savingOf(from, path, onBytes)
  if (path === null) return savingOf(from, path, () => {}, heldEntries(from, held))
  const { sizeBytes } = from.parcel.manifest.index.find((entry) => entry.path === path)!
  const start = held.startOf.get(path)!
  return { name: path.split('/').pop()!, sizeBytes, stream: held.all.slice(start, start + sizeBytes).stream() }
}

/** What is to be saved, verified to its last byte; what is large waits on disk, not in memory, where there is a way. */
async function blobOf(saving: Saving): Promise<Blob> {
  const place = held ? undefined : await newStage()
  return place ? stage(saving, place) : wholeBlob(saving.stream)
}

async function save(from: Opened, path: string | null, to?: FileSystemFileHandle): Promise<void> {
  const saving = savingNow(from, path)
  // An error on the way aborts the writing: what is there then is never put in the file's place.
  if (to) await saving.stream.pipeTo(await to.createWritable())
  else tell({ kind: 'bytes', name: saving.name, blob: await blobOf(saving) })
  tell({ kind: 'saved' })
  if (isConfirmed || !from.parcel.isWhole()) return
  await confirm(from, onWaiting)
  isConfirmed = true
  tell({ kind: 'confirmed' })
}

addEventListener('message', ({ data }: MessageEvent<OpenAsk>) => {
  const work = data.kind === 'open' ? begin(data.order) : save(opened!, data.path, data.to)
  work.catch((error: unknown) => {
    const said = saidOfError(error)
    tell({ kind: 'refused', said: said ?? saidOf({ slug: 'unavailable' }) })
    if (!said) throw error
  })
})

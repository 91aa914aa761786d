import { concat, sameBytes, toHex, utf8, type Bytes } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import { ByteReader, flowOf, mapInOrder, piecesOf, type ByteFlow } from '#core/seal/flow'
import { fileDigest, type ManifestVersion, type SealTools } from '#core/seal/tools'

/**
 * One file or folder of a parcel, as its manifest lists it.
 *
 * `offset` is where its bytes begin in the tar (for a folder: where they would). `digest` is the file digest of
 * `tools.ts` in hexadecimal, null for a folder. `modifiedSeconds` counts from 1970 in UTC.
 */
export interface IndexEntry {
  path: string
  type: 'file' | 'folder'
  sizeBytes: number
  modifiedSeconds: number
  digest: string | null
  offset: number
}

type Measured = Pick<IndexEntry, 'path' | 'type' | 'sizeBytes' | 'modifiedSeconds'>

const blockBytes = 512
const endBytes = 2 * blockBytes

/** The largest size, and the latest time, that eleven octal digits can say. */
const octalMax = 8 ** 11 - 1
export const modifiedSecondsMax = octalMax

const padding = (sizeBytes: number): number => -sizeBytes & 511 || 0

/**
 * The header blocks of an entry. They follow from its line in the index alone, so that the opener compares bytes
 * instead of interpreting them: nothing can be in the tar that the manifest does not say.
 *
 * @source POSIX.1-2024 pax interchange format; pax records `path` and `size` only where ustar cannot say them
 */
export function entryHeader(entry: Measured): Bytes {
  const { type, sizeBytes, modifiedSeconds } = entry
  const name = tarName(entry)
  const pax = utf8(paxRecords(entry))
  const short = isPlain(name) ? name : name.replace(/[^\x20-\x7e]/gu, '_').slice(0, 100)
  const header = block(short, type === 'folder' ? '5' : '0', sizeBytes > octalMax ? 0 : sizeBytes, modifiedSeconds)
  if (pax.length === 0) return header
  return concat(block('PaxHeader', 'x', pax.length, modifiedSeconds), pax, new Uint8Array(padding(pax.length)), header)
}

const tarName = ({ path, type }: Measured): string => (type === 'folder' ? `${path}/` : path)
const isPlain = (name: string): boolean => /^[\x20-\x7e]{1,100}$/.test(name)

/** What the old header has no room for. */
function paxRecords(entry: Measured): string {
  const name = tarName(entry)
  const path = isPlain(name) ? '' : paxRecord('path', name)
  return entry.sizeBytes > octalMax ? path + paxRecord('size', String(entry.sizeBytes)) : path
}

/** The size of an entry's header blocks. */
export function headerSize(entry: Measured): number {
  const paxBytes = utf8(paxRecords(entry)).length
  return paxBytes === 0 ? blockBytes : 2 * blockBytes + paxBytes + padding(paxBytes)
}

function block(name: string, flag: string, sizeBytes: number, modifiedSeconds: number): Bytes {
  const bytes = new Uint8Array(blockBytes)
  const put = (at: number, text: string) => bytes.set(utf8(text), at)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  put(0, name)
  put(100, flag === '5' ? '0000755' : '0000644')
  put(108, '0000000')
  put(116, '0000000')
  put(124, octal(sizeBytes, 11))
  put(136, octal(modifiedSeconds, 11))
  put(148, ' '.repeat(8))
  put(156, flag)
  put(257, 'ustar\u000000')
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  put(148, `${octal(sum, 6)}\u0000 `)
  return bytes
}

/** A pax record begins with its own length in bytes, its digits included. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const restBytes = utf8(rest).length
  const guess = restBytes + String(restBytes).length
  return `${restBytes + String(guess).length}${rest}`
}

/** Where each entry's bytes begin, and the size of the whole tar. */
export function layout(entries: readonly Measured[]): { offsets: number[]; sizeBytes: number } {
  let at = 0
  const offsets = entries.map((entry) => {
    const offset = at + headerSize(entry)
    at = offset + entry.sizeBytes + padding(entry.sizeBytes)
    return offset
  })
  return { offsets, sizeBytes: at + endBytes }
}

/** A file or folder to be sealed. `path` is its name in the parcel; sizes and times as measured when chosen. */
export interface SealSource {
  path: string
  type: 'file' | 'folder'
  sizeBytes: number
  modifiedAtMs: number
  /** The bytes, from the beginning. Not called for folders. */
  read(): ByteFlow
  /** What the file is now, asked when it has been read. Where this cannot be asked (browsers), reading fails instead. */
  measure?(): Promise<{ sizeBytes: number; modifiedAtMs: number }>
}

/** The lines of the index that are known before a byte is read. */
export const measured = (source: SealSource): Measured => ({
  path: source.path,
  type: source.type,
  sizeBytes: source.type === 'folder' ? 0 : source.sizeBytes,
  modifiedSeconds: Math.min(modifiedSecondsMax, Math.max(0, Math.floor(source.modifiedAtMs / 1_000))),
})

/** Reads small files whole, one after the other into one array. Fails when one of them cannot be read. */
export type ReadTogether = (sources: readonly SealSource[]) => Promise<Uint8Array>

/**
 * The tar of all sources as a flow, and each finished file's digest.
 *
 * @param onDigest - called once a file has been read whole
 * @param readTogether - where many files are read more quickly by asking once
 * @throws ProblemError `file-changed` when a file is not what was measured
 */
export async function* writeTar(
  sources: readonly SealSource[],
  tools: SealTools,
  onDigest: (place: number, digest: Bytes) => void,
  readTogether?: ReadTogether,
): AsyncGenerator<Uint8Array> {
  const readGroup = async ({ first, sources }: Group) => {
    const bytesOf = (source: SealSource, n: number) =>
      fileBytes(source, first + n, tools, (digest) => onDigest(first + n, digest))
    if (!sources.every(isSmall)) return sources.map((source, n) => ({ source, bytes: bytesOf(source, n) }))
    // When one of them cannot be read, each is read by itself: so it is known which.
    const whole = await readTogether?.(sources.filter(({ type }) => type === 'file')).catch(() => undefined)
    const isWhole = whole?.length === sources.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
    let at = 0
    const reading = sources.map(async (source, n) => {
      if (source.type === 'folder') return { source, bytes: [] }
      const own = whole?.subarray(at, (at += source.sizeBytes))
      if (!own || !isWhole) return { source, bytes: [await wholeFile(bytesOf(source, n), source.sizeBytes)] }
      for await (const _ of bytesOf({ ...source, read: () => flowOf(own) }, n));
      return { source, bytes: [own] }
    })
    return Promise.all(reading)
  }
  for await (const group of mapInOrder(groupsOf(sources), groupsAtOnce, readGroup))
    for (const { source, bytes } of group) {
      const entry = measured(source)
      yield entryHeader(entry)
      if (entry.type === 'folder') continue
      yield* bytes
      yield new Uint8Array(padding(entry.sizeBytes))
    }
  yield new Uint8Array(endBytes)
}

/** Small files are read whole, several at once and ahead of the tar: waiting for each takes longer than its bytes. */
const smallFileBytes = 256 * 1024
const groupFiles = 32
const groupBytes = 2 * 1024 * 1024
const groupsAtOnce = 4

const isSmall = ({ type, sizeBytes }: SealSource): boolean => type === 'folder' || sizeBytes <= smallFileBytes

/** Sources that follow each other, the first of them at this place: small ones, or one that is not. */
interface Group {
  first: number
  sources: SealSource[]
}

function* groupsOf(sources: readonly SealSource[]): Generator<Group> {
  let group: Group = { first: 0, sources: [] }
  let sizeBytes = 0
  for (const [place, source] of sources.entries()) {
    const fits = group.sources.length < groupFiles && sizeBytes + source.sizeBytes <= groupBytes
    if (group.sources.length > 0 && !(fits && isSmall(source) && group.sources.every(isSmall))) {
      yield group
      group = { first: place, sources: [] }
      sizeBytes = 0
    }
    group.sources.push(source)
    sizeBytes += source.sizeBytes
  }
  if (group.sources.length > 0) yield group
}

async function wholeFile(pieces: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Bytes> {
  const whole = new Uint8Array(sizeBytes)
  let at = 0
  for await (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** One file's bytes, found to be what was measured, and then its digest. */
async function* fileBytes(
  source: SealSource,
  place: number,
  tools: SealTools,
  onDigest: (digest: Bytes) => void,
): AsyncGenerator<Uint8Array> {
  const digest = fileDigest(source.sizeBytes, tools)
  let readBytes = 0
  for await (const piece of readUnchanged(source, place)) {
    readBytes += piece.length
    if (readBytes > source.sizeBytes) throw changed(place)
    await digest.update(piece)
    yield piece
  }
  const now = await source.measure?.()
  const isSame = now === undefined || (now.sizeBytes === source.sizeBytes && now.modifiedAtMs === source.modifiedAtMs)
  if (readBytes !== source.sizeBytes || !isSame) throw changed(place)
  onDigest(await digest.finish())
}

/** Browsers say that a file has changed since it was chosen by failing to read it. */
async function* readUnchanged(source: SealSource, place: number): AsyncGenerator<Uint8Array> {
  try {
    yield* piecesOf(source.read())
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotReadableError') throw changed(place)
    throw error
  }
}

const changed = (place: number): ProblemError =>
  new ProblemError({ slug: 'file-changed', detail: `It is number ${place + 1} in the list of files.` })

/** One entry of an opened parcel. A file's bytes end with an error unless they are exactly those that were sealed. */
export interface OpenedEntry extends IndexEntry {
  /** Where in the file `bytes` begin: 0, or behind what the caller had of it. */
  from: number
  bytes: AsyncIterable<Uint8Array>
}

/** The beginning of a file that the caller has already, as far as it has gone into the file's digest. */
export interface Beginning {
  sizeBytes: number
  digest: ReturnType<typeof fileDigest>
}

/** The beginning of a file of which the caller has nothing. */
export const nothingOf = ({ sizeBytes }: IndexEntry, tools: SealTools, version: ManifestVersion): Beginning => ({
  sizeBytes: 0,
  digest: fileDigest(sizeBytes, tools, version),
})

/** A place in a tar: an entry, and how much of its bytes lies before it. Nothing: before its header. */
export interface TarPlace {
  place: number
  beginning?: Beginning | undefined
}

/**
 * Takes a tar apart by its index, in order. What the caller leaves of an entry is read and checked before the next.
 *
 * @param tar - from `start` to the tar's end
 * @param version - of the manifest whose index it is
 * @param onVerified - called with the place of each entry that was as listed, to its last byte
 * @throws ProblemError `content-differs`, `content-link`, `entry-digest-differs`
 */
export async function* readTar(
  tar: ByteFlow,
  { index, version }: { index: readonly IndexEntry[]; version: ManifestVersion },
  tools: SealTools,
  onVerified: (place: number) => void,
  start: TarPlace = { place: 0 },
): AsyncGenerator<OpenedEntry> {
  const reader = new ByteReader(tar)
  try {
    for (const [place, entry] of index.entries()) {
      if (place < start.place) continue
      const beginning = place === start.place ? start.beginning : undefined
      if (!beginning) await expectHeader(reader, entry)
      const had = beginning ?? nothingOf(entry, tools, version)
      const bytes = entryBytes(reader, entry, () => onVerified(place), had)
      yield { ...entry, from: had.sizeBytes, bytes }
      const rest = bytes[Symbol.asyncIterator]()
      while (!(await rest.next()).done);
      await expect(reader, new Uint8Array(padding(entry.sizeBytes)))
    }
    await expect(reader, new Uint8Array(endBytes))
    if ((await reader.peek(1)).length > 0) throw new ProblemError({ slug: 'content-differs' })
  } finally {
    await reader.close()
  }
}

/** Reads one entry's header and compares it with its line in the index. */
export async function expectHeader(reader: ByteReader, entry: IndexEntry): Promise<void> {
  const expected = entryHeader(entry)
  const actual = await reader.take(expected.length)
  if (sameBytes(actual, expected)) return
  const flag = String.fromCharCode(actual[actual.length - blockBytes + 156] ?? 0)
  throw new ProblemError({ slug: '123467'.includes(flag) ? 'content-link' : 'content-differs' })
}

async function expect(reader: ByteReader, bytes: Bytes): Promise<void> {
  if (!sameBytes(await reader.take(bytes.length), bytes)) throw new ProblemError({ slug: 'content-differs' })
}

/** The bytes of one entry as they come; they close only when the digest has been found right. Iterated once. */
export function entryBytes(
  reader: ByteReader,
  entry: IndexEntry,
  onVerified: () => void,
  { sizeBytes, digest }: Beginning,
): AsyncIterable<Uint8Array> {
  let leftBytes = entry.sizeBytes - sizeBytes
  let isVerified = false
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    if (leftBytes > 0) {
      const piece = await reader.takeSome(leftBytes)
      if (piece.length === 0) throw new ProblemError({ slug: 'content-truncated' })
      leftBytes -= piece.length
      await digest.update(piece)
      return { done: false, value: piece }
    }
    if (!isVerified) {
      if (entry.type === 'file' && toHex(await digest.finish()) !== entry.digest) {
        throw new ProblemError({ slug: 'entry-digest-differs' })
      }
      isVerified = true
      onVerified()
    }
    return { done: true, value: undefined }
  }
  // Not a generator: leaving the loop early must not end it, because the rest still has to be read.
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

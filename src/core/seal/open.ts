import { toBase64, toHex } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { assert, fail, ok, orThrow, ProblemError, type Outcome } from '#core/kit/outcome'
import { nonceBytes, openAge } from '#core/seal/age-file'
import { asContent, contentPrefix, isOnly, workPlace, type OpenJob } from '#core/seal/content'
import { blocksOf, ByteReader, flowOf, piecesOf, wholeOf, type ByteFlow } from '#core/seal/flow'
import { asOutcome, type OpenedLock } from '#core/seal/locks'
import { parcelRoot, parseManifest, type Manifest } from '#core/seal/parcel'
import { statementBytes, statementText, type ReceiptStatement, type Sign } from '#core/seal/receipt-key'
import { chunkBytes, openPayload, sealedChunkBytes } from '#core/seal/stream'
import {
  entryBytes,
  expectHeader,
  headerSize,
  layout,
  nothingOf,
  readTar,
  type Beginning,
  type IndexEntry,
  type OpenedEntry,
  type TarPlace,
} from '#core/seal/tar-index'
import { type SealTools } from '#core/seal/tools'

export interface OpenRequest {
  lock: OpenedLock
  manifestAge: Uint8Array
  /** Bytes `start` up to, not including, `end` of `content.age`. */
  fetchContent: (start: number, end: number) => ByteFlow | Promise<ByteFlow>
  tools: SealTools
}

/** What a recipient's client posts when everything has been opened. Signatures are base64. */
export interface Receipt {
  statement: string
  receiptSignature: string
  recipientSignature: string
}

export interface OpenedParcel {
  manifest: Manifest
  /**
   * Every entry in order, read through once. Throws ProblemError when anything is not as sealed.
   *
   * @param had - what is there of a file from an earlier time, from its first byte; nothing where there is none. It is
   *   asked of each file in order up to the first that is not there whole: what is there goes into the file's digest, and
   *   only what follows is fetched. Where it is not as sealed, that is `entry-digest-differs`.
   */
  entries(had?: (entry: IndexEntry, place: number) => Promise<ByteFlow | undefined>): AsyncGenerator<OpenedEntry>
  /** One file by range. Its bytes end in a ProblemError unless they are exactly those sealed; `not-found` for no such file. */
  openFile(path: string): Outcome<AsyncIterable<Uint8Array>>
  /** Whether every file has come out whole and been found right. Only this counts as collected. */
  isWhole(): boolean
  /**
   * Signs for the parcel, with its lock's receipt key and with the recipient's own.
   *
   * @param said - `lockIds` are those made at sealing, as the server lists them
   * @returns the receipt, or `parcel-not-opened` while `isWhole` is false
   */
  receipt(
    said: Pick<ReceiptStatement, 'acknowledged' | 'checkpoint'> & { lockIds: string[]; sign: Sign },
  ): Promise<Outcome<Receipt>>
}

/**
 * Opens a parcel whose lock is open: checks that lock, manifest and parcel belong together, and reads the manifest.
 *
 * @returns the parcel; or `lock-other-manifest`, `manifest-other-parcel`, `keys-mixed`, `manifest-too-large`, or a problem of `parseManifest`
 */
export async function openParcel({
  lock,
  manifestAge,
  fetchContent,
  tools,
}: OpenRequest): Promise<Outcome<OpenedParcel>> {
  if (manifestAge.length > limits.manifestBytes) return fail('manifest-too-large')
  if (toHex(await tools.sha256(manifestAge)) !== lock.manifestSha256) return fail('lock-other-manifest')
  const opened = await openAge(flowOf(manifestAge), { identity: lock.parcelIdentity }, tools)
  if (!opened.ok) return opened.problem.slug === 'sealed-for-another' ? fail('manifest-other-parcel') : opened
  const plain = await asOutcome(wholeOf(opened.value.plain))
  if (!plain.ok) return plain
  const parsed = parseManifest(plain.value)
  if (!parsed.ok) return parsed
  const manifest = parsed.value
  if (manifest.parcelId !== lock.parcelId) return fail('manifest-other-parcel')
  if (manifest.pq !== lock.pq || !isOnly(opened.value.stanzas, lock.pq)) return fail('keys-mixed')

  const verified = new Set<number>()
  const files = manifest.index.flatMap(({ type }, place) => (type === 'file' ? [place] : []))
  const isWhole = () => files.every((place) => verified.has(place))
  const { parts, partSizeBytes, contentSizeBytes, pq } = manifest
  const { parcelIdentity } = lock
  const job = { parts, partSizeBytes, contentSizeBytes, pq, parcelIdentity, tarBytes: layout(manifest.index).sizeBytes }
  const content: Content = { manifest, job, tools, fetch: fetchContent, onVerified: (place) => verified.add(place) }
  return ok({
    manifest,
    isWhole,
    entries: (had) => (had ? furtherEntries(content, had) : allEntries(content)),
    openFile(path) {
      const place = manifest.index.findIndex((entry) => entry.path === path && entry.type === 'file')
      return place < 0 ? fail('not-found') : ok(oneEntry(content, place))
    },
    async receipt(said) {
      return isWhole() ? ok(await signReceipt(lock, manifest, said)) : fail('parcel-not-opened')
    },
  })
}

interface Content {
  manifest: Manifest
  job: OpenJob
  tools: SealTools
  fetch: OpenRequest['fetchContent']
  onVerified: (place: number) => void
}

async function* allEntries(content: Content): AsyncGenerator<OpenedEntry> {
  const { manifest, job, tools } = content
  const sealed = await content.fetch(0, manifest.contentSizeBytes)
  const { openTar } = workPlace(manifest.contentSizeBytes, tools)
  const tar = openTar(job, blocksOf(sealed, manifest.partSizeBytes), tools)
  yield* readTar(tar, manifest, tools, content.onVerified)
}

/** Every entry, of which those at the beginning are there already. */
async function* furtherEntries(
  content: Content,
  had: NonNullable<Parameters<OpenedParcel['entries']>[0]>,
): AsyncGenerator<OpenedEntry> {
  const { manifest, tools, onVerified } = content
  for (const [place, entry] of manifest.index.entries()) {
    const isFolder = entry.type === 'folder'
    const flow = isFolder ? undefined : await had(entry, place)
    const beginning = flow && (await beginningOf(flow, entry, nothingOf(entry, tools, manifest.version)))
    if (!isFolder && beginning?.sizeBytes !== entry.sizeBytes) {
      return yield* entriesFrom(content, { place, beginning: beginning?.sizeBytes ? beginning : undefined })
    }
    if (beginning && toHex(await beginning.digest.finish()) !== entry.digest) throw differs()
    onVerified(place)
    yield { ...entry, from: entry.sizeBytes, bytes: flowOf(new Uint8Array()) }
  }
}

const differs = () => new ProblemError({ slug: 'entry-digest-differs' })

/** Takes what is there of a file into its digest. */
async function beginningOf(flow: ByteFlow, { sizeBytes }: IndexEntry, beginning: Beginning): Promise<Beginning> {
  for await (const piece of piecesOf(flow)) {
    beginning.sizeBytes += piece.length
    if (beginning.sizeBytes > sizeBytes) throw differs()
    await beginning.digest.update(piece)
  }
  return beginning
}

/** The entries from somewhere in the tar to its end. Nothing before the chunk that this lies in is fetched again. */
async function* entriesFrom(content: Content, start: TarPlace): AsyncGenerator<OpenedEntry> {
  const { place, beginning } = start
  if (place === 0 && !beginning) return yield* allEntries(content)
  const { manifest, tools, onVerified } = content
  const entry = manifest.index[place]!
  const at = beginning ? entry.offset + beginning.sizeBytes : entry.offset - headerSize(entry)
  const reader = await tarFrom(content, at, layout(manifest.index).sizeBytes)
  yield* readTar(reader.rest(), manifest, tools, onVerified, start)
}

/** One file's bytes by range: the chunks its header and bytes lie in, and nothing else, are fetched and opened. */
async function* oneEntry(content: Content, place: number): AsyncGenerator<Uint8Array> {
  const { manifest, tools } = content
  const entry = manifest.index[place] as IndexEntry
  const reader = await tarFrom(content, entry.offset - headerSize(entry), entry.offset + entry.sizeBytes)
  try {
    await expectHeader(reader, entry)
    yield* entryBytes(reader, entry, () => content.onVerified(place), nothingOf(entry, tools, manifest.version))
  } finally {
    await reader.close()
  }
}

/** The tar from one of its bytes to at least another, opened: the chunks that these lie in are fetched, and the prefix. */
async function tarFrom(content: Content, startBytes: number, endBytes: number): Promise<ByteReader> {
  const { manifest, job, tools } = content
  const prefixReader = new ByteReader(
    await content.fetch(0, Math.min(limits.ageHeaderBytes + nonceBytes, manifest.contentSizeBytes)),
  )
  const { prefixBytes, streamKey } = await contentPrefix(job, prefixReader)
  await prefixReader.close()
  const first = Math.floor(startBytes / chunkBytes)
  const beyond = Math.ceil(endBytes / chunkBytes)
  const end = Math.min(prefixBytes + beyond * sealedChunkBytes, manifest.contentSizeBytes)
  const sealed = await content.fetch(prefixBytes + first * sealedChunkBytes, end)
  const range = { first, reachesEnd: end === manifest.contentSizeBytes }
  const reader = new ByteReader(asContent(openPayload(await tools.cipher(streamKey), sealed, range)))
  await reader.take(startBytes - first * chunkBytes)
  return reader
}

async function signReceipt(
  lock: OpenedLock,
  manifest: Manifest,
  said: Parameters<OpenedParcel['receipt']>[0],
): Promise<Receipt> {
  const { manifestSha256, lockId } = lock
  const root = parcelRoot({ manifestSha256, parts: manifest.parts, lockIds: said.lockIds })
  const { acknowledged, checkpoint } = said
  const statement = statementText({ version: 1, parcelRoot: root, lockId, acknowledged, checkpoint })
  const { bytes } = orThrow(statementBytes(statement))
  const [receiptSignature, recipientSignature] = await Promise.all([lock.receipt.sign(bytes), said.sign(bytes)])
  assert(receiptSignature.length === 64 && recipientSignature.length === 64, 'Ed25519 signatures have 64 bytes')
  return { statement, receiptSignature: toBase64(receiptSignature), recipientSignature: toBase64(recipientSignature) }
}

import { toHex, type Bytes } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import { type ProblemSlug } from '#core/kit/problems'
import { openPrefix, type OpenedAge } from '#core/seal/age-file'
import { blocksOf, ByteReader, flowOf, mapInOrder, type Block } from '#core/seal/flow'
import { stanzaFor } from '#core/seal/locks'
import { type Manifest } from '#core/seal/parcel'
import { openPayload, sealedSize, sealRuns } from '#core/seal/stream'
import { type SealTools } from '#core/seal/tools'

// What lies between a tar and its stored parts, apart from reading and storing them: ciphers and digests. It takes plain
// values and flows only, so that another thread can do it.

export interface SealJob {
  /** Header and nonce of `content.age`. */
  prefix: Bytes
  streamKey: Bytes
  partSizeBytes: number
}

/** A part of `content.age`. `sha256` is hexadecimal. */
export interface SealedPart {
  bytes: Bytes
  sha256: string
  /** Gives the part's memory back, when it is stored. */
  free: (bytes: Bytes) => void
}

/** The content's parts, from the tar in blocks of `runBytes`. */
async function* sealParts(job: SealJob, runs: AsyncIterable<Block>, tools: SealTools): AsyncGenerator<SealedPart> {
  const cipher = await tools.cipher(job.streamKey)
  async function* sealed() {
    yield job.prefix
    for await (const { bytes, free } of sealRuns(cipher, runs)) {
      yield bytes
      free(bytes)
    }
  }
  yield* mapInOrder(blocksOf(sealed(), job.partSizeBytes), tools.digestsAtOnce, async ({ bytes, free }) => ({
    bytes,
    sha256: toHex(await tools.sha256(bytes)),
    free,
  }))
}

export interface OpenJob extends Pick<Manifest, 'parts' | 'partSizeBytes' | 'contentSizeBytes'> {
  parcelIdentity: string
  pq: boolean
  /** Size of the tar that the index describes. */
  tarBytes: number
}

/**
 * The tar, from the content in blocks of a part's size. Each part is let through only when its digest is the manifest's.
 *
 * @throws ProblemError `content-…` when the content is not what was sealed
 */
async function* openTar(job: OpenJob, parts: AsyncIterable<Block>, tools: SealTools): AsyncGenerator<Bytes> {
  const reader = new ByteReader(checkedParts(job, parts, tools))
  const { streamKey } = await contentPrefix(job, reader)
  yield* asContent(openPayload(await tools.cipher(streamKey), reader.rest()))
}

async function* checkedParts(job: OpenJob, parts: AsyncIterable<Block>, tools: SealTools): AsyncGenerator<Bytes> {
  const checked = mapInOrder(parts, tools.digestsAtOnce, async (block, n) => {
    const { bytes, isLast } = block
    const place = n * job.partSizeBytes + bytes.length
    if (place > job.contentSizeBytes) throw new ProblemError({ slug: 'content-differs' })
    if (isLast && place < job.contentSizeBytes) throw new ProblemError({ slug: 'content-truncated' })
    const sha256 = toHex(await tools.sha256(bytes))
    if (sha256 === job.parts[n]) return block
    if (job.parts.includes(sha256)) throw new ProblemError({ slug: 'content-reordered' })
    if (n === 0) await contentPrefix(job, new ByteReader(flowOf(bytes)))
    throw new ProblemError({ slug: 'content-altered' })
  })
  for await (const { bytes, free } of checked) {
    yield bytes
    free(bytes)
  }
}

/** The work itself. `SealTools.elsewhere` does the same in another thread. */
export const contentWork = { sealParts, openTar }
export type ContentWork = typeof contentWork

/** Less than this is done before another thread has begun. */
const elsewhereBytes = 16 * 2 ** 20

/** Where content of this size is worked on. */
export const workPlace = (sizeBytes: number, { elsewhere = contentWork }: SealTools): ContentWork =>
  sizeBytes < elsewhereBytes ? contentWork : elsewhere

/** Reads what precedes the content's payload and finds its key, naming problems by what is being opened. */
export async function contentPrefix(job: OpenJob, reader: ByteReader): Promise<OpenedAge> {
  const opened = await openPrefix(reader, { identity: job.parcelIdentity })
  if (!opened.ok) throw new ProblemError({ slug: contentSlugs[opened.problem.slug] ?? opened.problem.slug })
  if (!isOnly(opened.value.header.stanzas, job.pq)) throw new ProblemError({ slug: 'keys-mixed' })
  const sizeBytes = opened.value.prefixBytes + sealedSize(job.tarBytes)
  if (sizeBytes !== job.contentSizeBytes) throw new ProblemError({ slug: 'content-differs' })
  return opened.value
}

/** Exactly one recipient, of the parcel's strength: a second one could be somebody else, or weaker. */
export const isOnly = (stanzas: string[], pq: boolean): boolean => stanzas.length === 1 && stanzas[0] === stanzaFor(pq)

const contentSlugs: Partial<Record<ProblemSlug, ProblemSlug>> = {
  'sealed-for-another': 'content-other-parcel',
  'sealed-header-altered': 'content-altered',
  'sealed-malformed': 'content-altered',
  'sealed-altered': 'content-altered',
  'sealed-truncated': 'content-truncated',
}

/** The same flow, whose problems are named by what is being opened. */
export async function* asContent(flow: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  try {
    yield* flow
  } catch (error) {
    const slug = error instanceof ProblemError ? contentSlugs[error.problem.slug] : undefined
    throw slug ? new ProblemError({ slug }) : error
  }
}

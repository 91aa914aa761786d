import { fromHex, toBase64, toHex, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { assert, fail, ok, orThrow, ProblemError, type Outcome } from '#core/kit/outcome'
import { newPrefix, sealWhole } from '#core/seal/age-file'
import { checkPaths } from '#core/seal/entry-names'
import { workPlace } from '#core/seal/content'
import { blocksOf, mapInOrder } from '#core/seal/flow'
import { identityFrom, makeLock, recipientOf, type LockRequest, type SealedLock } from '#core/seal/locks'
import {
  areDetails,
  manifestBytes,
  parcelRoot,
  rootSignedBytes,
  type Manifest,
  type ParcelDetails,
} from '#core/seal/parcel'
import { type Sign } from '#core/seal/receipt-key'
import { runBytes, sealedSize } from '#core/seal/stream'
import { layout, measured, writeTar, type ReadTogether, type SealSource } from '#core/seal/tar-index'
import { manifestVersion, type SealTools } from '#core/seal/tools'

/**
 * A sealing that has begun, to be kept (it is secret) if it is to go on after a reload. `parts` holds the SHA-256 of
 * every part that may have been sent.
 */
export interface BegunSealing {
  parcelIdentity: string
  /** Header and nonce of `content.age`. */
  prefix: Bytes
  /** 32 bytes: the key of the content's payload. */
  streamKey: Bytes
  parts: ReadonlyMap<number, string>
}

export interface SealRequest {
  parcelId: string
  details: ParcelDetails
  pq: boolean
  partSizeBytes: number
  sources: readonly SealSource[]
  locks: readonly LockRequest[]
  tools: SealTools
  /** Where the sources can be read so: see `writeTar`. */
  readTogether?: ReadTogether
  /**
   * Stores one part of `content.age`. It keeps the digest before it first sends the part, retries with the same bytes,
   * and comes back when the part is safe: then the memory of `bytes` is used again. Called for several parts at once.
   */
  putPart: (n: number, bytes: Bytes, sha256: string) => Promise<void>
  /** Bytes of `content.age` stored so far, and in all. */
  onProgress?: (doneBytes: number, totalBytes: number) => void
  /** Signs the parcel root with this device's key, where it has one. */
  sign?: Sign
  /** A sealing that was kept, to go on with if it has parts. The sources must be the same files in the same order. */
  begun?: BegunSealing
}

/** Everything about a sealed parcel but its content, as `complete` wants it. */
export interface SealedParcel {
  contentSizeBytes: number
  parts: string[]
  manifestAge: Bytes
  manifestSha256: string
  parcelRoot: string
  locks: SealedLock[]
  /** Ed25519 over the root, base64; null without `sign`. */
  signature: string | null
}

/** Size in bytes of the tar of these sources, known before any of them is read. */
export const tarSize = (sources: readonly SealSource[]): number => layout(sources.map(measured)).sizeBytes

/**
 * Seals files and folders into a parcel: content part by part as it is read, then the manifest, then the locks.
 *
 * Never two plaintexts under one nonce: a part that may have been sent before is sent again only when its sealed bytes
 * are identical, and sealing is deterministic under one key, so identical sealed bytes mean identical plaintext.
 *
 * @returns the parcel; or `parcel-empty`, `parcel-too-many-files`, `parcel-too-large`, `manifest-too-large`, a
 *   `file-name-…` problem, `file-changed`, `seal-resume-differs`, or the problem of a lock (see `makeLock`)
 * @throws whatever reading a source or `putPart` throws
 */
export async function sealParcel(request: SealRequest): Promise<Outcome<SealedParcel>> {
  const { sources, tools, pq } = request
  assert(areDetails(request.details), 'the details of a parcel are within their limits')
  if (!sources.some((source) => source.type === 'file')) return fail('parcel-empty')
  if (sources.length > limits.parcelEntriesMax) return fail('parcel-too-many-files')
  const named = checkPaths(sources)
  if (!named.ok) return named

  const begun = request.begun ?? (await newSealing(pq, tools))
  const contentSizeBytes = begun.prefix.length + sealedSize(tarSize(sources))
  if (Math.ceil(contentSizeBytes / request.partSizeBytes) > limits.parcelPartsMax) return fail('parcel-too-large')
  try {
    const content = await sealContent(request, begun, contentSizeBytes)
    return ok(await closeParcel(request, begun.parcelIdentity, { ...content, contentSizeBytes }))
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  }
}

/** Fresh keys for one parcel. */
export async function newSealing(pq: boolean, tools: SealTools): Promise<BegunSealing> {
  const parcelIdentity = identityFrom(tools.randomBytes(32), pq)
  const { prefix, streamKey } = await newPrefix(await recipientOf(parcelIdentity), tools)
  return { parcelIdentity, prefix, streamKey, parts: new Map() }
}

type Content = Pick<Manifest, 'parts' | 'index' | 'contentSizeBytes'>

/** Reads, seals and stores the content. */
async function sealContent(request: SealRequest, begun: BegunSealing, totalBytes: number) {
  const { sources, tools, partSizeBytes } = request
  const { prefix, streamKey } = begun
  const digests: (string | null)[] = sources.map(() => null)
  const onDigest = (place: number, digest: Bytes) => void (digests[place] = toHex(digest))
  const tar = writeTar(sources, tools, onDigest, request.readTogether)
  const { sealParts } = workPlace(totalBytes, tools)
  const sealed = sealParts({ prefix, streamKey, partSizeBytes }, blocksOf(tar, runBytes), tools)
  const stored = mapInOrder(sealed, limits.partsAtOnce, async ({ bytes, sha256, free }, n) => {
    const before = begun.parts.get(n)
    if (before !== undefined && before !== sha256) throw new ProblemError({ slug: 'seal-resume-differs' })
    await request.putPart(n, bytes, sha256)
    const sizeBytes = bytes.length
    free(bytes)
    return { sha256, sizeBytes }
  })
  const parts: string[] = []
  let doneBytes = 0
  for await (const { sha256, sizeBytes } of stored) {
    parts.push(sha256)
    doneBytes += sizeBytes
    request.onProgress?.(doneBytes, totalBytes)
  }
  assert(doneBytes === totalBytes, 'the content has the size that was foretold')
  const lines = sources.map(measured)
  const { offsets } = layout(lines)
  const index = lines.map((line, place) => ({ ...line, digest: digests[place]!, offset: offsets[place]! }))
  return { parts, index }
}

/** Seals the manifest and makes the locks: lock binds manifest binds content. */
async function closeParcel(request: SealRequest, parcelIdentity: string, content: Content): Promise<SealedParcel> {
  const { parcelId, pq, partSizeBytes, details, tools } = request
  const plain = manifestBytes({ version: manifestVersion, parcelId, pq, partSizeBytes, ...details, ...content })
  const manifestAge = await sealWhole(plain, { recipient: await recipientOf(parcelIdentity) })
  if (manifestAge.length > limits.manifestBytes) throw new ProblemError({ slug: 'manifest-too-large' })
  const manifestSha256 = toHex(await tools.sha256(manifestAge))
  const locks: SealedLock[] = []
  for (const lock of request.locks) {
    locks.push(orThrow(await makeLock(lock, { parcelIdentity, parcelId, manifestSha256 }, tools)))
  }
  const { parts, contentSizeBytes } = content
  const root = parcelRoot({ manifestSha256, parts, lockIds: locks.map(({ id }) => id) })
  const signature = request.sign ? toBase64(await request.sign(rootSignedBytes(fromHex(root)))) : null
  return { contentSizeBytes, parts, manifestAge, manifestSha256, parcelRoot: root, locks, signature }
}

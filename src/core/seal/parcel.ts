import { sha256 } from '@noble/hashes/sha2.js'
import { concat, fromHex, fromUtf8, toHex, uint64be, utf8, type Bytes } from '#core/kit/bytes'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { checkPaths } from '#core/seal/entry-names'
import { hasExactly, isCount, isHex256, isTextUpTo, isUuid } from '#core/seal/shapes'
import { layout, modifiedSecondsMax, type IndexEntry } from '#core/seal/tar-index'
import { manifestVersion, type ManifestVersion } from '#core/seal/tools'

/** What the sender's client is told about a parcel and seals into its manifest, for the recipient alone. */
export interface ParcelDetails {
  reference: string
  marking: string
  message: string
  purpose: string
  limits: string
  handling: string
  /** An instant in UTC, `2026-12-21T00:00:00.000Z`; null when nobody set one. */
  keepUntil: string | null
}

/**
 * The plain text of `manifest.age` as canonical JSON (RFC 8785). Version 2 is what is sealed. Version 1 differs in how its
 * files' digests are taken, and in nothing else: see `digestForms`.
 */
export interface Manifest extends ParcelDetails {
  version: ManifestVersion
  parcelId: string
  /** Whether the parcel's keys, and those of all its locks, are post-quantum hybrids. */
  pq: boolean
  /** Size of `content.age`. It is cut into parts of `partSizeBytes`, the last one shorter. */
  contentSizeBytes: number
  partSizeBytes: number
  /** SHA-256 of each part, in hexadecimal. */
  parts: string[]
  index: IndexEntry[]
}

const manifestFields = [
  ...(['version', 'parcelId', 'pq', 'contentSizeBytes', 'partSizeBytes', 'parts', 'index'] as const),
  ...(['reference', 'marking', 'message', 'purpose', 'limits', 'handling', 'keepUntil'] as const),
]
const entryFields = ['path', 'type', 'sizeBytes', 'modifiedSeconds', 'digest', 'offset'] as const

/** The one text of a manifest. */
export const manifestBytes = (manifest: Manifest): Bytes => utf8(canonicalJson(manifest as unknown as Json))

/**
 * Reads a manifest, refusing whatever it does not know or what contradicts itself.
 *
 * @returns the manifest, or `manifest-version`, `manifest-malformed`, `parcel-too-many-files`, a `file-name-…`
 *   problem, or `content-differs` when the offsets are not those of the tar
 */
export function parseManifest(bytes: Uint8Array): Outcome<Manifest> {
  let value: unknown
  try {
    const text = fromUtf8(bytes)
    value = JSON.parse(text)
    if (canonicalJson(value as Json) !== text) return fail('manifest-malformed')
  } catch {
    return fail('manifest-malformed')
  }
  const version = (value as { version?: unknown } | null)?.version
  if (isCount(version, manifestVersion + 1, Number.MAX_SAFE_INTEGER)) return fail('manifest-version')
  if (!isManifest(value)) return fail('manifest-malformed')
  if (value.index.length > limits.parcelEntriesMax) return fail('parcel-too-many-files')
  if (!value.index.every(isEntry)) return fail('manifest-malformed')
  const named = checkPaths(value.index)
  if (!named.ok) return named
  const { offsets } = layout(value.index)
  if (value.index.some((entry, place) => entry.offset !== offsets[place])) return fail('content-differs')
  return ok(value)
}

function isManifest(value: unknown): value is Manifest {
  if (!hasExactly(value, manifestFields)) return false
  const { contentSizeBytes, partSizeBytes, parts } = value
  return (
    isCount(value.version, 1, manifestVersion) &&
    isUuid(value.parcelId) &&
    typeof value.pq === 'boolean' &&
    areDetails(value) &&
    isCount(partSizeBytes, 1, limits.partSizeBytesMax) &&
    isCount(contentSizeBytes, 1, Number.MAX_SAFE_INTEGER) &&
    Array.isArray(parts) &&
    parts.length <= limits.parcelPartsMax &&
    parts.length === Math.ceil(contentSizeBytes / partSizeBytes) &&
    parts.every(isHex256) &&
    Array.isArray(value.index)
  )
}

/** Whether each of a parcel's details is within its limit. */
export function areDetails(details: Record<keyof ParcelDetails, unknown>): boolean {
  const { textCharacters, lineCharacters, referenceCharacters } = limits
  return (
    isTextUpTo(details.reference, referenceCharacters) &&
    isTextUpTo(details.marking, lineCharacters) &&
    [details.message, details.purpose, details.limits, details.handling].every((text) =>
      isTextUpTo(text, textCharacters),
    ) &&
    (details.keepUntil === null || isInstant(details.keepUntil))
  )
}

const isInstant = (value: unknown): boolean =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value)

function isEntry(value: unknown): value is IndexEntry {
  if (!hasExactly(value, entryFields) || typeof value.path !== 'string') return false
  const isFile = value.type === 'file' && isHex256(value.digest)
  const isFolder = value.type === 'folder' && value.digest === null && value.sizeBytes === 0
  return (
    (isFile || isFolder) &&
    isCount(value.sizeBytes, 0, Number.MAX_SAFE_INTEGER) &&
    isCount(value.modifiedSeconds, 0, modifiedSecondsMax) &&
    isCount(value.offset, 0, Number.MAX_SAFE_INTEGER)
  )
}

/**
 * The parcel root: what the sender's device signs and every receipt names. In hexadecimal, the SHA-256 of
 *
 * ```
 * "safehand/parcel-root/v1" 00
 * SHA-256 of manifest.age                                  (32 bytes)
 * number of parts                                          (8 bytes, big-endian)
 * SHA-256 of each part of content.age, in order            (32 bytes each)
 * number of locks                                          (8 bytes, big-endian)
 * id of each lock made at sealing, in ascending order      (16 bytes each)
 * ```
 *
 * A lock added later is not in it: the root says what was sealed, the register says who was given a lock since.
 */
export function parcelRoot(sealed: {
  manifestSha256: string
  parts: readonly string[]
  lockIds: readonly string[]
}): string {
  const hash = sha256.create()
  hash.update(utf8('safehand/parcel-root/v1\u0000')).update(fromHex(sealed.manifestSha256))
  hash.update(uint64be(sealed.parts.length))
  for (const part of sealed.parts) hash.update(fromHex(part))
  hash.update(uint64be(sealed.lockIds.length))
  for (const id of [...sealed.lockIds].sort()) hash.update(fromHex(id.replaceAll('-', '')))
  return toHex(hash.digest())
}

/** What a device's Ed25519 signature of a parcel covers: `safehand/parcel-signature/v1`, a zero byte, the root. */
export const rootSignedBytes = (root: Uint8Array): Bytes => concat(utf8('safehand/parcel-signature/v1\u0000'), root)

/** A fresh random (version 4) UUID. */
export function newUuid(randomBytes: (count: number) => Bytes): string {
  const bytes = randomBytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

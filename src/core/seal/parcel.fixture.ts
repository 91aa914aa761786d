import { concat, fromBase64, toHex, utf8, type Bytes } from '#core/kit/bytes'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { newPrefix, sealWhole, type Secret } from '#core/seal/age-file'
import { flowOf, wholeOf, type ByteFlow } from '#core/seal/flow'
import { identityFrom, makeLock, openLock, recipientOf, type LockRequest } from '#core/seal/locks'
import { openParcel, type OpenedParcel } from '#core/seal/open'
import { manifestBytes, type Manifest, type ParcelDetails } from '#core/seal/parcel'
import { newPhrase } from '#core/seal/passphrase'
import { sealParcel, type SealedParcel, type SealRequest } from '#core/seal/seal'
import { sealPayload } from '#core/seal/stream'
import { layout, type IndexEntry, type SealSource } from '#core/seal/tar-index'
import { randomBytes, webTools, type SealTools } from '#core/seal/tools'

const ownTools = await webTools()

export const details: ParcelDetails = {
  reference: 'EX-2026-0042',
  marking: 'OFFICIAL-SENSITIVE',
  message: 'The file you asked for.',
  purpose: 'Safeguarding enquiry',
  limits: 'For the named officer only',
  handling: 'Destroy after 28 days',
  keepUntil: '2026-12-21T00:00:00.000Z',
}

export const parcelId = '0192f0c1-2222-7333-8444-555566667777'

/** A file of given bytes, or of a text. */
export function aFile(path: string, content: string | Uint8Array = 'Some text.'): SealSource {
  const bytes = typeof content === 'string' ? utf8(content) : content
  return {
    path,
    type: 'file',
    sizeBytes: bytes.length,
    modifiedAtMs: 1_790_000_000_000,
    read: () => inPieces(bytes, 60_000),
  }
}

export const aFolder = (path: string): SealSource => ({ ...aFile(path, ''), type: 'folder' })

export async function* inPieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** A parcel that has been sealed, with everything a server would keep, and the secrets of its locks. */
export interface Sealed {
  parcel: SealedParcel
  content: Bytes
  stored: Map<number, Bytes>
  secrets: Secret[]
}

/** Seals a parcel that is fine unless the request says otherwise: one small file, one passphrase lock. */
export async function seals(change: Partial<SealRequest> = {}): Promise<Outcome<Sealed>> {
  const stored = new Map<number, Bytes>()
  const phrase = newPhrase(randomBytes)
  const outcome = await sealParcel({
    parcelId,
    details,
    pq: true,
    partSizeBytes: 1_000_000,
    sources: [aFile('letter.txt')],
    locks: [{ kind: 'passphrase', recipientId: 'one', to: { phrase } }],
    tools: ownTools,
    putPart: async (n, bytes) => void stored.set(n, bytes.slice()),
    ...change,
  })
  if (!outcome.ok) return outcome
  const parts = outcome.value.parts.map((_, n) => stored.get(n) ?? new Uint8Array())
  return { ok: true, value: { parcel: outcome.value, content: concat(...parts), stored, secrets: [{ phrase }] } }
}

/** Opens what was sealed, as its recipient would; `change` is what a server might do to it on the way. */
export async function opens(
  { parcel, content, secrets }: Sealed,
  change: {
    lock?: number
    secret?: Secret
    content?: Uint8Array
    manifestAge?: Uint8Array
    tools?: SealTools
    servesAll?: boolean
    onFetch?: (start: number, end: number) => void
  } = {},
): Promise<Outcome<OpenedParcel>> {
  const tools = change.tools ?? ownTools
  const lock = parcel.locks[change.lock ?? 0]!
  const opened = await openLock(
    fromBase64(lock.age),
    change.secret ?? secrets[0]!,
    { parcelId, lockId: lock.id },
    tools,
  )
  if (!opened.ok) return opened
  const served = change.content ?? content
  return openParcel({
    lock: opened.value,
    manifestAge: change.manifestAge ?? parcel.manifestAge,
    fetchContent: (start, end) => {
      change.onFetch?.(start, end)
      return inPieces(served.subarray(start, change.servesAll ? undefined : end), 50_000)
    },
    tools,
  })
}

/** Everything that comes out, by path: the SHA-256 of each file. */
export async function contentsOf(parcel: OpenedParcel): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const entry of parcel.entries()) {
    found.set(entry.path, entry.type === 'folder' ? 'folder' : await sha256Of(entry.bytes))
  }
  return found
}

/** The SHA-256 of all bytes of a flow. */
export async function sha256Of(flow: ByteFlow): Promise<string> {
  return toHex(await ownTools.sha256(await wholeOf(flow)))
}

/** A lock for a fresh age key, and the key. */
export async function aKeyLock(
  kind: 'sender' | 'key' | 'automatic',
  pq: boolean,
): Promise<{ request: LockRequest; identity: string }> {
  const identity = identityFrom(randomBytes(32), pq)
  return {
    identity,
    request: { kind, recipientId: kind === 'sender' ? null : kind, to: { recipient: await recipientOf(identity) } },
  }
}

export const sealedOk = async (change: Partial<SealRequest> = {}): Promise<Sealed> => orThrow(await seals(change))

/** A parcel by someone who writes the tar, the index and the manifest to their own liking, all properly sealed. */
export async function aHostileParcel(own: {
  tar?: Uint8Array
  lines?: Omit<IndexEntry, 'offset'>[]
  manifest?: Record<string, unknown>
}): Promise<Sealed> {
  const lines = own.lines ?? []
  const key = await aKeyLock('key', true)
  const parcelIdentity = identityFrom(randomBytes(32), true)
  const recipient = await recipientOf(parcelIdentity)
  const { prefix, streamKey } = await newPrefix(recipient, ownTools)
  const tar = own.tar ?? new Uint8Array(layout(lines).sizeBytes)
  const content = concat(prefix, await wholeOf(sealPayload(await ownTools.cipher(streamKey), flowOf(tar))))
  const { offsets } = layout(lines)
  const index = lines.map((line, place) => ({ ...line, offset: offsets[place]! }))
  const parts = [toHex(await ownTools.sha256(content))]
  const sizes = { contentSizeBytes: content.length, partSizeBytes: 2 ** 20, parts }
  const manifest = { version: 2, parcelId, pq: true, ...details, ...sizes, index, ...own.manifest }
  const manifestAge = await sealWhole(utf8(canonicalJson(manifest as Json)), { recipient })
  const manifestSha256 = toHex(await ownTools.sha256(manifestAge))
  const lock = orThrow(await makeLock(key.request, { parcelIdentity, parcelId, manifestSha256 }, ownTools))
  const parcel = { ...sizes, manifestAge, manifestSha256, parcelRoot: '', locks: [lock], signature: null }
  return { parcel, content, stored: new Map(), secrets: [{ identity: key.identity }] }
}

/** The bytes of a manifest that reads well unless `change` spoils it. */
export function aManifest(change: Partial<Record<keyof Manifest, unknown>> = {}): Uint8Array {
  const lines = [{ path: 'a', type: 'file' as const, sizeBytes: 1, modifiedSeconds: 1, digest: '0'.repeat(64) }]
  const index = lines.map((line, i) => ({ ...line, offset: layout(lines).offsets[i]! }))
  const manifest = {
    version: 2,
    parcelId,
    pq: true,
    ...details,
    contentSizeBytes: 10,
    partSizeBytes: 5,
    parts: ['0', '1'].map((hex) => hex.repeat(64)),
    index,
  }
  return manifestBytes({ ...manifest, ...change } as Manifest)
}

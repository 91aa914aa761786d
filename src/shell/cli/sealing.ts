import { toHex } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import type { LockRequest } from '#core/seal/locks'
import type { ParcelDetails } from '#core/seal/parcel'
import { newPhrase } from '#core/seal/passphrase'
import { sealParcel } from '#core/seal/seal'
import { nodeTools } from '#edge/seal/node-tools'
import type { Api } from '#shell/cli/api'
import type { Io } from '#shell/cli/command'
import type { Device } from '#shell/cli/device'
import { progressBar } from '#shell/cli/progress'
import { withName, type LocalSource } from '#shell/cli/sources'

/** What the server answers when a parcel begins. */
interface Begun extends Omit<ParcelDetails, 'message'> {
  parcelId: string
  partSizeBytes: number
  pq: boolean
  recipients: { id: string; name: string; lockKinds: LockRequest['kind'][]; keyRecipient?: string }[]
  automaticRecipient?: string
  senderRecipients: string[]
}

/** Seven words and whom they are for. They exist here and in the recipient's head, and nowhere else. */
export interface TellPhrase {
  recipientId: string
  name: string
  phrase: string
}

/** A key that was found for somebody, and its fingerprint to be compared: a server could hand out another. */
export interface UsedKey {
  name: string
  fingerprint: string
}

/** The first 16 bytes of a recipient's SHA-256, in groups of four. */
export const fingerprintOf = async (recipient: string): Promise<string> =>
  toHex(await nodeTools.sha256(new TextEncoder().encode(recipient)))
    .slice(0, 32)
    .replace(/(.{4})(?=.)/g, '$1 ')

export interface SendRequest {
  transferId: string
  sources: readonly LocalSource[]
  sizeBytes: number
  availableDays: number
  /** Sealed with the files; the server never sees it. */
  message?: string | undefined
}

/**
 * Seals files into a parcel and hands it over part by part; a server that goes away and comes back does not matter.
 *
 * @returns the words to tell, and the keys that were used
 * @throws ProblemError when the parcel is refused, a file changes, or the server stays away
 */
export async function sealAndSend(
  api: Api,
  io: Io,
  device: Device,
  request: SendRequest,
): Promise<{ phrases: TellPhrase[]; keys: UsedKey[] }> {
  const { transferId, sources, sizeBytes, availableDays, message } = request
  const begun = await api.post<Begun>(`/api/transfers/${transferId}/parcel`, {
    sizeBytes,
    fileCount: sources.filter(({ type }) => type === 'file').length,
    availableDays,
  })
  const { parcelId, pq, partSizeBytes, reference, marking, purpose, limits, handling, keepUntil } = begun
  const at = `/api/parcels/${parcelId}`
  const { locks, phrases, keys } = await locksOf(begun, device)
  const sealed = await sealParcel({
    parcelId,
    details: { reference, marking, message: message ?? '', purpose, limits, handling, keepUntil },
    pq,
    partSizeBytes,
    sources,
    locks,
    tools: nodeTools,
    putPart: (n, bytes, sha256) => api.put(`${at}/parts/${n}`, bytes, sha256),
    onProgress: progressBar(io, 'Sealing and sending'),
    sign: device.sign,
  })
  if (!sealed.ok) throw new ProblemError(withName(sealed.problem, sources))
  const { manifestAge, manifestSha256, contentSizeBytes, parts, parcelRoot, signature } = sealed.value
  await api.put(`${at}/manifest`, manifestAge, manifestSha256)
  await api.post(
    `${at}/complete`,
    {
      contentSizeBytes,
      parts,
      manifestSha256,
      parcelRoot,
      locks: sealed.value.locks.map(({ recipientId, ...lock }) =>
        recipientId === null ? lock : { ...lock, recipientId },
      ),
      signingKey: device.signingKey,
      signature,
    },
    { again: true },
  )
  return { phrases, keys }
}

/** A lock for each recipient, and one for each of the sender's own devices. */
async function locksOf({ recipients, automaticRecipient, senderRecipients, pq }: Begun, device: Device) {
  const locks: LockRequest[] = []
  const phrases: TellPhrase[] = []
  const keys: UsedKey[] = []
  for (const { id: recipientId, name, lockKinds, keyRecipient } of recipients) {
    const [kind] = lockKinds
    if (kind === 'passphrase') {
      const phrase = newPhrase(nodeTools.randomBytes)
      locks.push({ kind, recipientId, to: { phrase } })
      phrases.push({ recipientId, name, phrase })
      continue
    }
    const recipient = kind === 'key' ? keyRecipient : automaticRecipient
    if (!kind || !recipient)
      throw new ProblemError({ slug: 'recipient-key-malformed', detail: `It is that of ${name}.` })
    locks.push({ kind, recipientId, to: { recipient } })
    keys.push({
      name: kind === 'key' ? name : `${name} (by the server’s key of the day)`,
      fingerprint: await fingerprintOf(recipient),
    })
  }
  const own = await device.senderRecipient(pq)
  for (const recipient of new Set([own, ...senderRecipients])) {
    locks.push({ kind: 'sender', recipientId: null, to: { recipient } })
    if (recipient !== own) keys.push({ name: 'Another device of yours', fingerprint: await fingerprintOf(recipient) })
  }
  return { locks, phrases, keys }
}

import { fromBase64, toHex } from '#core/kit/bytes'
import { fail, orThrow, ProblemError, type Outcome, type Problem } from '#core/kit/outcome'
import { makeLock, openLock, type LockRequest } from '#core/seal/locks'
import { newPace } from '#core/seal/pace'
import { newPhrase } from '#core/seal/passphrase'
import { newSealing, sealParcel, type SealedParcel } from '#core/seal/seal'
import { nodeTools } from '#edge/seal/node-tools'
import type { Api } from '#shell/cli/api'
import {
  jsonDigest,
  keptSecrets,
  PartsJournal,
  replaceSealing,
  sealingOf,
  type BegunParcel,
  type BegunSending,
  type KeptSealing,
} from '#shell/cli/begun-sendings'
import type { Io } from '#shell/cli/command'
import type { Device } from '#shell/cli/device'
import { progressBar } from '#shell/cli/progress'
import { withName, type LocalSource } from '#shell/cli/sources'

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
  sources: readonly LocalSource[]
  sizeBytes: number
  availableDays: number
  /** Sealed with the files; the server never sees it. */
  message?: string | undefined
}

/** A parcel that is being sealed: what is kept of it, and which of its parts may have left. */
interface Sealing {
  kept: KeptSealing
  journal: PartsJournal
  /** SHA-256 of each part that the server has. */
  arrived: ReadonlyMap<number, string>
}

/** What must be as it was for a parcel's keys to be used again. What the sources hold is compared part by part. */
const whatOf = ({ sources, availableDays, message }: SendRequest) =>
  jsonDigest([
    availableDays,
    message,
    sources.map(({ path, type, sizeBytes, modifiedAtMs }) => [path, type, sizeBytes, modifiedAtMs]),
  ])

/**
 * The parcel of a sending that was begun, if it can be gone on with: the server has it open, and nothing that we know
 * before reading has changed.
 */
export async function begunSealing(
  api: Api,
  env: NodeJS.ProcessEnv,
  { sealing: kept }: BegunSending,
  request: SendRequest,
  recipientIds: readonly string[],
): Promise<Sealing | undefined> {
  if (kept?.what !== whatOf(request)) return undefined
  const { parcelId, recipients } = kept.begun
  if (
    recipients
      .map(({ id }) => id)
      .toSorted()
      .join() !== recipientIds.toSorted().join()
  )
    return undefined
  const { state, parts } = await partsAt(api, parcelId)
  if (state !== 'sealing') return undefined
  const journal = await PartsJournal.find(env, parcelId)
  // A part that we do not know of: the journal is older than what was sent, as after a backup was put back.
  if (!journal || parts.some(({ n, sha256 }) => journal.parts.get(n) !== sha256)) return undefined
  return { kept, journal, arrived: new Map(parts.map(({ n, sha256 }) => [n, sha256])) }
}

/** What the server has of a parcel. One that it no longer knows is in no state to go on with. */
async function partsAt(api: Api, parcelId: string): Promise<{ state: string; parts: { n: number; sha256: string }[] }> {
  try {
    return await api.get(`/api/parcels/${parcelId}/parts`)
  } catch (error) {
    if (error instanceof ProblemError && error.problem.slug === 'not-found') return { state: 'destroyed', parts: [] }
    throw error
  }
}

/** Whether the parcel of a sending was completed by a command that was ended before it could say so. */
export const isComplete = async (api: Api, { sealing }: BegunSending): Promise<boolean> =>
  sealing !== undefined && (await partsAt(api, sealing.begun.parcelId)).state === 'sealed'

/** Begins a parcel. Its keys and its journal are kept before anything of it leaves. */
async function beginParcel(api: Api, env: NodeJS.ProcessEnv, sending: BegunSending, request: SendRequest) {
  const { sources, sizeBytes, availableDays } = request
  const begun = await api.post<BegunParcel>(`/api/transfers/${sending.transferId}/parcel`, {
    sizeBytes,
    fileCount: sources.filter(({ type }) => type === 'file').length,
    availableDays,
  })
  const secrets = keptSecrets(await newSealing(begun.pq, nodeTools))
  const kept = { begun, what: whatOf(request), ...secrets }
  const journal = await PartsJournal.begin(env, begun.parcelId)
  await replaceSealing(env, sending, kept)
  return { kept, journal, arrived: new Map<number, string>() }
}

/** These say that the keys that are kept were used for something else. */
const isOther = ({ slug }: Problem) => slug === 'seal-resume-differs' || slug === 'part-differs'

/**
 * Seals files into a parcel and hands it over part by part; a server that goes away and comes back does not matter, nor
 * does it when this process is killed and `going` is what `begunSealing` finds the next time.
 *
 * @returns the words to tell, and the keys that were used
 * @throws ProblemError when the parcel is refused, a file changes, or the server stays away
 */
export async function sealAndSend(
  api: Api,
  io: Io,
  device: Device,
  { sending, request, going }: { sending: BegunSending; request: SendRequest; going: Sealing | undefined },
): Promise<{ phrases: TellPhrase[]; keys: UsedKey[] }> {
  const sealing = going ?? (await beginParcel(api, io.env, sending, request))
  const { begun } = sealing.kept
  const { locks, phrases, keys } = await locksOf(begun, device)
  const sealed = await sealOnce(api, io, device, { sealing, request, locks })
  if (!sealed.ok && going && isOther(sealed.problem)) {
    io.err('What is sent has changed since it was begun. It begins anew, under other keys.')
    return sealAndSend(api, io, device, { sending, request, going: undefined })
  }
  if (!sealed.ok) throw new ProblemError(withName(sealed.problem, request.sources))
  const { manifestAge, manifestSha256, contentSizeBytes, parts, parcelRoot, signature } = sealed.value
  const at = `/api/parcels/${begun.parcelId}`
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

/** Seals, and sends the parts that the server has not. */
async function sealOnce(
  api: Api,
  io: Io,
  { sign }: Device,
  { sealing, request, locks }: { sealing: Sealing; request: SendRequest; locks: LockRequest[] },
): Promise<Outcome<SealedParcel>> {
  const { kept, journal, arrived } = sealing
  const pace = newPace(() => performance.now())
  const { parcelId, pq, partSizeBytes, reference, marking, purpose, limits, handling, keepUntil } = kept.begun
  try {
    return await sealParcel({
      parcelId,
      details: { reference, marking, message: request.message ?? '', purpose, limits, handling, keepUntil },
      pq,
      partSizeBytes,
      sources: request.sources,
      locks,
      tools: nodeTools,
      begun: sealingOf(kept, journal.parts),
      putPart: async (n, bytes, sha256) => {
        if ((await journal.keep(n, sha256)) !== sha256) throw new ProblemError({ slug: 'seal-resume-differs' })
        if (arrived.get(n) !== sha256) await api.put(`/api/parcels/${parcelId}/parts/${n}`, bytes, sha256, pace)
      },
      onProgress: progressBar(io, 'Sealing and sending'),
      sign,
    })
  } finally {
    await journal.close()
  }
}

/**
 * New words for everybody who has none that anybody knows: those of a parcel that was completed by a command that was
 * ended before it showed them. Each recipient's lock is made anew, and a new link mailed.
 */
export async function wordsAnew(
  api: Api,
  device: Device,
  { transferId, sealing }: BegunSending,
): Promise<TellPhrase[]> {
  type Standing = { id: string; opened: boolean; notForMe: boolean }
  type Parcel = { parcelId: string; pq: boolean; recipients: Standing[]; senderLocks: { id: string; age: string }[] }
  const parcel = await api.get<Parcel>(`/api/transfers/${transferId}/parcel`)
  const { parcelId, senderLocks } = parcel
  const identity = device.identity(parcel.pq)
  const opened = []
  for (const { id: lockId, age } of senderLocks)
    opened.push(await openLock(fromBase64(age), { identity }, { parcelId, lockId }, nodeTools))
  const own = opened.find((each) => each.ok)
  const phrases: TellPhrase[] = []
  for (const { id: recipientId, name, lockKinds } of sealing!.begun.recipients) {
    const standing = parcel.recipients.find(({ id }) => id === recipientId)
    if (lockKinds[0] !== 'passphrase' || !standing || standing.opened || standing.notForMe) continue
    const phrase = newPhrase(nodeTools.randomBytes)
    const lock = { kind: 'passphrase', recipientId, to: { phrase } } as const
    const made = orThrow(await makeLock(lock, orThrow(own ?? fail('sealed-for-another')), nodeTools))
    await api.post(`/api/parcels/${parcelId}/locks`, made)
    phrases.push({ recipientId, name, phrase })
  }
  return phrases
}

/** A lock for each recipient, and one for each of the sender's own devices. */
async function locksOf({ recipients, automaticRecipient, senderRecipients, pq }: BegunParcel, device: Device) {
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

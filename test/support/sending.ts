import { utf8 } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import type { LockRequest } from '#core/seal/locks'
import type { ParcelDetails } from '#core/seal/parcel'
import { newPhrase } from '#core/seal/passphrase'
import { sealParcel, type SealedParcel } from '#core/seal/seal'
import type { SealSource } from '#core/seal/tar-index'
import { nodeTools } from '#edge/seal/node-tools'
import type { Browser } from '#test/house'

/** A file with this content, as the sealing reads it. */
export const aFile = (path: string, content = 'Some text.'): SealSource => ({
  path,
  type: 'file',
  sizeBytes: utf8(content).length,
  modifiedAtMs: 1_700_000_000_000,
  async *read() {
    yield utf8(content)
  },
})

export const digestHeader = (sha256Hex: string) => `sha-256=:${Buffer.from(sha256Hex, 'hex').toString('base64')}:`

/** Who a test sends to: the sergeant of the demonstration's directory, with whose force there is an agreement. */
export const sergeant = { search: 'Amir', email: 'amir.khan@northbrook-police.example' }

/** A transfer that has been asked about, decided, confirmed, and is ready for its files. */
export async function aReadyTransfer(
  sender: Pick<Browser, 'get' | 'post'>,
  to = sergeant,
  method = 'managed_transfer',
): Promise<string> {
  const { id } = await sender.post<{ id: string }>('/api/transfers')
  const at = `/api/transfers/${id}`
  const { found } = await sender.post<{ found: { kind: string; id: string; email: string }[] }>(`${at}/who/search`, {
    q: to.search,
  })
  const who = found.find((row) => row.email === to.email)!
  await sender.post(`${at}/who`, { to: `${who.kind}:${who.id}` })
  await sender.post(`${at}/ask/sensitivity`, { 'council-class': 'restricted', personal: 'yes' })
  await sender.post(`${at}/ask/what`, {
    artefact: 'file',
    size: 'at-most-12000000',
    informationWords: 'Child protection report',
    caseReference: 'CP-1',
  })
  await sender.post(`${at}/ask/why`, {
    purpose: 'protect-someone',
    purposeWords: 'To protect a child',
    limitsWords: 'Not to be passed on',
    urgency: 'no-rush',
  })
  for (const { id: recipient } of (await sender.get<{ recipients: { id: string }[] }>(`${at}/decision`)).recipients) {
    await sender.post(`${at}/recipients/${recipient}/confirm`, {
      authorised: 'yes',
      how: 'switchboard',
      detail: 'Rang the station',
    })
  }
  await sender.post(`${at}/method`, { method })
  await sender.post(`${at}/look-through`, { looked: 'left-out', leftOutWords: 'Reports about the brother' })
  return id
}

interface Begun extends Omit<ParcelDetails, 'message'> {
  parcelId: string
  partSizeBytes: number
  pq: boolean
  recipients: { id: string; name: string; lockKinds: LockRequest['kind'][] }[]
  automaticRecipient?: string
}

/** A parcel sealed and handed over part by part, but not completed yet. */
export interface SealedForTest {
  transferId: string
  parcelId: string
  recipients: string[]
  phrases: Map<string, string>
  sealed: SealedParcel
  /** What `complete` is to be told. */
  completion: Record<string, unknown>
}

/** A parcel sealed here, of which nothing was handed over yet. */
export interface SealedHere extends SealedForTest {
  reference: string
  content: { bytes: Buffer; sha256: string }[]
}

/** Begins a parcel and seals files into it, with a phrase for each recipient. */
export async function sealForTest(
  sender: Browser,
  transferId: string,
  sources = [aFile('report.txt')],
  availableDays = 14,
): Promise<SealedHere> {
  const begun = await sender.post<Begun>(`/api/transfers/${transferId}/parcel`, {
    sizeBytes: 1000,
    fileCount: sources.length,
    availableDays,
  })
  const {
    parcelId,
    partSizeBytes,
    pq,
    recipients,
    automaticRecipient,
    reference,
    marking,
    purpose,
    limits,
    handling,
    keepUntil,
  } = begun
  const phrases = new Map<string, string>()
  const locks = recipients.map(({ id, lockKinds }): LockRequest => {
    const [kind] = lockKinds
    if (kind === 'automatic') return { kind, recipientId: id, to: { recipient: automaticRecipient! } }
    const phrase = newPhrase(nodeTools.randomBytes)
    phrases.set(id, phrase)
    return { kind: 'passphrase', recipientId: id, to: { phrase } }
  })
  const content: SealedHere['content'] = []
  const sealed = orThrow(
    await sealParcel({
      parcelId,
      details: { reference, marking, message: 'Please ring me.', purpose, limits, handling, keepUntil },
      pq,
      partSizeBytes,
      sources,
      locks,
      tools: nodeTools,
      putPart: async (n, bytes, sha256) => void (content[n] = { bytes: Buffer.from(bytes), sha256 }),
    }),
  )
  const { contentSizeBytes, parts, manifestSha256, parcelRoot } = sealed
  const completion = {
    contentSizeBytes,
    parts,
    manifestSha256,
    parcelRoot,
    locks: sealed.locks.map(({ recipientId, ...lock }) => (recipientId ? { ...lock, recipientId } : lock)),
  }
  return {
    transferId,
    parcelId,
    recipients: recipients.map(({ id }) => id),
    phrases,
    sealed,
    completion,
    content,
    reference,
  }
}

/** Seals files for a transfer's recipients, with a phrase for each, and sends parts and manifest. */
export async function sealAndUpload(
  sender: Browser,
  transferId: string,
  sources = [aFile('report.txt')],
  availableDays = 14,
): Promise<SealedForTest> {
  const parcel = await sealForTest(sender, transferId, sources, availableDays)
  const { parcelId, sealed, content } = parcel
  for (const [n, { bytes, sha256 }] of content.entries()) {
    const answer = await putPart(sender, parcelId, n, bytes, sha256)
    if (answer.statusCode !== 204) throw new Error(`part ${n}: ${answer.statusCode} ${answer.body}`)
  }
  await sender.call(
    'PUT',
    `/api/parcels/${parcelId}/manifest`,
    Buffer.from(sealed.manifestAge),
    bytesHeaders(sealed.manifestSha256),
  )
  return parcel
}

export const bytesHeaders = (sha256: string) => ({
  'content-type': 'application/octet-stream',
  'content-digest': digestHeader(sha256),
})

/** Sends one part. */
export const putPart = (sender: Browser, parcelId: string, n: number, bytes: Buffer, sha256: string) =>
  sender.call('PUT', `/api/parcels/${parcelId}/parts/${n}`, bytes, bytesHeaders(sha256))

/** A parcel sent to the sergeant, from the first question on. */
export async function aSentParcel(
  sender: Browser,
  sources?: SealSource[],
  availableDays?: number,
): Promise<SealedForTest> {
  const parcel = await sealAndUpload(sender, await aReadyTransfer(sender), sources, availableDays)
  await sender.post(`/api/parcels/${parcel.parcelId}/complete`, parcel.completion)
  return parcel
}

interface Mail {
  to: string
  text: string
  subject: string
  links: { url: string }[]
}

/** The newest mail to somebody, as the demonstration's outbox shows it. */
export async function newestMail(anyone: Browser, to: string): Promise<Mail> {
  const { mails } = await anyone.get<{ mails: Mail[] }>(`/api/demonstration/outbox`)
  const mail = mails.find((each) => each.to === to)
  if (!mail) throw new Error(`There is no mail to ${to}`)
  return mail
}

/** The code in the newest mail to somebody. */
export const newestCode = async (anyone: Browser, to: string) =>
  /^ *([0-9A-Z]{4}[ -]?[0-9A-Z]{4})$/m.exec((await newestMail(anyone, to)).text)![1]!

/** The token of the newest link to somebody. */
export const newestToken = async (anyone: Browser, to: string) => {
  const { mails } = await anyone.get<{ mails: Mail[] }>('/api/demonstration/outbox')
  const url = mails
    .filter((mail) => mail.to === to)
    .flatMap((mail) => mail.links)
    .find((link) => link.url.includes('/collect/'))!.url
  return new URL(url).hash.slice(1)
}

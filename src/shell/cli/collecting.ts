import { randomUUID } from 'node:crypto'
import { fromBase64, fromHex, toBase64 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, orThrow, type Outcome } from '#core/kit/outcome'
import type { ByteFlow } from '#core/seal/flow'
import { openLock, type OpenedLock } from '#core/seal/locks'
import { openParcel, type OpenedParcel } from '#core/seal/open'
import { parcelRoot, rootSignedBytes } from '#core/seal/parcel'
import { receiptKey, verifyEd25519 } from '#core/seal/receipt-key'
import { randomBytes } from '#core/seal/tools'
import { nodeTools } from '#edge/seal/node-tools'
import { Api, serverAddress } from '#shell/cli/api'
import { progressBar, waitingWords } from '#shell/cli/progress'
import type { Io } from '#shell/cli/command'
import { forgetOwn, readOwn, writeOwn } from '#shell/cli/own-files'

/** What the server shows an admitted recipient. */
export interface Offered {
  reference: string
  sender: { name: string; organisation: string } | null
  purpose: string
  limits: string
  handling: string
  keepUntil: string
  contentSizeBytes: number
  parcelId: string
  lockId: string
  sealedLockIds: string[]
  lockKind: 'passphrase' | 'key' | 'automatic'
  /** The sender's device's signature of the root, and its public key; null when no device signed. */
  signature: string | null
  signingKey: string | null
  checkpoint: string
  /** The public key that was acknowledged with, base64. */
  collectingKey: string | null
}

export interface Link {
  server: string
  recipientId: string
  token: string
}

/** A mailed link. @throws ProblemError `link-wrong`, or `setting-wrong` when it is not https */
export function readLink(text: string): Link {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const [, recipientId] = /^\/collect\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(url?.pathname ?? '') ?? []
  if (!url || !recipientId)
    return orThrow(fail('link-wrong', { detail: 'Copy the whole link, with all that follows the # sign.' }))
  return { server: serverAddress(text), recipientId, token: url.hash.slice(1) }
}

/** The recipient's API, as the browser that this machine is to the server: its cookie is kept for the next call. */
export async function openCollection({ server, recipientId }: Link, { env, status }: Io): Promise<Api> {
  const file = `collect-${recipientId}.json`
  const kept = await readOwn<{ server: string; cookie: string }>(env, file)
  return new Api({
    server,
    cookie: kept?.server === server ? kept.cookie : undefined,
    onCookie: (cookie) => writeOwn(env, file, { server, cookie }),
    onWaiting: () => status?.(waitingWords),
  })
}

/** Proves the mailbox, if that has not been done from here. @throws ProblemError `collect-code-mailed` without a code */
export async function admit(
  api: Api,
  { recipientId, token }: Link,
  code: string | undefined,
  { ask, err }: Io,
): Promise<Offered> {
  const at = `/api/collect/${recipientId}`
  const page = () => api.get<{ parcel?: Offered }>(at)
  const before = await page()
  if (before.parcel) return before.parcel
  if (code === undefined) {
    await api.post(`${at}/code`, { token })
    if (!ask) return orThrow(fail('collect-code-mailed'))
    err('A code has been mailed to you.')
  }
  await api.post(`${at}/prove`, { code: code ?? (await ask!('Code:')) })
  return (await page()).parcel!
}

/** A collection that has begun, kept until it has ended so that the same command goes on with it. No words are in it. */
export interface Collecting {
  parcelId: string
  /** The seed of the key whose signature the receipt will bear, base64. */
  seed: string
  /** A random name, for what is not whole yet. */
  name: string
  /** Where files have begun to be saved. Nothing of theirs was there before. */
  folder?: string
}

const collectingFile = (recipientId: string) => `collecting-${recipientId}.json`

/** The collection of this parcel that was begun here, or a new one. */
export async function collectingOf(env: NodeJS.ProcessEnv, link: Link, { parcelId }: Offered): Promise<Collecting> {
  const kept = await readOwn<Collecting>(env, collectingFile(link.recipientId))
  if (kept?.parcelId === parcelId) return kept
  const made = { parcelId, seed: toBase64(randomBytes(32)), name: randomUUID() }
  await keepCollecting(env, link, made)
  return made
}

export const keepCollecting = (env: NodeJS.ProcessEnv, { recipientId }: Link, collecting: Collecting): Promise<void> =>
  writeOwn(env, collectingFile(recipientId), collecting)

export const forgetCollecting = (env: NodeJS.ProcessEnv, { recipientId }: Link): Promise<void> =>
  forgetOwn(env, collectingFile(recipientId))

/** Acknowledges with the public half of the key that will sign the receipt, unless that was done. */
export async function acknowledge(api: Api, recipientId: string, { collectingKey }: Offered, { seed }: Collecting) {
  const key = receiptKey(fromBase64(seed))
  const publicKey = toBase64(key.publicKey)
  const confirmed = { purpose: 'yes', limits: 'yes', handling: 'yes', key: publicKey }
  if (collectingKey !== publicKey) await api.post(`/api/collect/${recipientId}/acknowledge`, confirmed, { again: true })
  return key
}

/** The lock as it was sealed, and for an automatic one the identity that opens it. */
export async function fetchLock(api: Api, recipientId: string) {
  const response = await api.fetch('GET', `/api/collect/${recipientId}/lock`, { again: true })
  const age = await limited(response, limits.lockBytes, 'lock-malformed')
  return { age, identity: response.headers.get('safehand-identity') ?? undefined }
}

export async function fetchManifest(api: Api, recipientId: string): Promise<Uint8Array> {
  return limited(
    await api.fetch('GET', `/api/collect/${recipientId}/manifest`, { again: true }),
    limits.manifestBytes,
    'manifest-too-large',
  )
}

/** A body of limited size; a server that sends more is not listened to. */
async function limited(
  response: Response,
  limitBytes: number,
  slug: 'lock-malformed' | 'manifest-too-large',
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  for await (const piece of response.body!) {
    sizeBytes += piece.length
    if (sizeBytes > limitBytes) orThrow(fail(slug))
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** A range of the sealed content. Where the connection breaks, it goes on from the byte it had come to. */
export async function* fetchContent(
  api: Api,
  recipientId: string,
  start: number,
  end: number,
  onBytes: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  let at = start
  while (at < end) {
    const headers = { range: `bytes=${at}-${end - 1}` }
    const response = await api.fetch('GET', `/api/collect/${recipientId}/content`, { headers, again: true })
    const before = at
    try {
      for await (const piece of response.body!) {
        at += piece.length
        onBytes(piece.length)
        yield piece
      }
    } catch (error) {
      // What undici throws when a body breaks off. Without a byte of progress it is not tried again.
      if (!(error instanceof TypeError) || at === before) throw error
    }
    if (at === before) return
  }
}

/** What opens the lock: asked again, a few times, when the words are wrong and there is somebody to ask. */
export async function unlock(
  offered: Offered,
  lock: { age: Uint8Array; identity: string | undefined },
  given: { words: string | undefined; identity: string | undefined },
  { ask, err }: Io,
): Promise<OpenedLock> {
  const asked = { parcelId: offered.parcelId, lockId: offered.lockId }
  if (offered.lockKind !== 'passphrase') {
    const identity = lock.identity ?? given.identity
    return orThrow(
      identity
        ? await openLock(lock.age, { identity }, asked, nodeTools)
        : fail('sealed-for-another', { detail: 'Name the file of your key with --identity.' }),
    )
  }
  for (let tries = 1; ; tries += 1) {
    const phrase = given.words ?? (ask ? await ask('The seven words (they will be seen as you type):') : '')
    const opened = await openLock(lock.age, { phrase }, asked, nodeTools)
    const mayTryAgain =
      !opened.ok &&
      given.words === undefined &&
      ask &&
      opened.problem.slug.startsWith('phrase-') &&
      tries < limits.phraseTries
    if (!mayTryAgain) return orThrow(opened)
    err('These words do not open it. Check them and try again.')
  }
}

/**
 * The opened parcel. What the server showed must be what the sender sealed: nobody acknowledges one thing and gets another.
 *
 * @returns `terms-differ`, `sender-signature-wrong`, or a problem of `openParcel`
 */
export async function openOffered(
  api: Api,
  io: Io,
  recipientId: string,
  offered: Offered,
  lock: OpenedLock,
): Promise<Outcome<OpenedParcel>> {
  const progress = progressBar(io, 'Collecting and opening')
  const fetch = (start: number, end: number): ByteFlow => {
    let doneBytes = start
    const onBytes = (count: number) => progress((doneBytes += count), offered.contentSizeBytes)
    return fetchContent(api, recipientId, start, end, onBytes)
  }
  const manifestAge = await fetchManifest(api, recipientId)
  const opened = await openParcel({ lock, manifestAge, fetchContent: fetch, tools: nodeTools })
  if (!opened.ok) return opened
  const { manifest } = opened.value
  if (manifest.purpose !== offered.purpose || manifest.limits !== offered.limits) return fail('terms-differ')
  const root = parcelRoot({
    manifestSha256: lock.manifestSha256,
    parts: manifest.parts,
    lockIds: offered.sealedLockIds,
  })
  return isSignedAs(offered, root) ? opened : fail('sender-signature-wrong')
}

/** Whether the sender's device signed this root. Where none signed, only the service vouches, and the command says so. */
function isSignedAs({ signature, signingKey }: Offered, root: string): boolean {
  if (signature === null || signingKey === null) return true
  return verifyEd25519(fromBase64(signature), rootSignedBytes(fromHex(root)), fromBase64(signingKey))
}

/** Signs for the parcel and fetches the receipt. */
export async function signFor(
  api: Api,
  recipientId: string,
  offered: Offered,
  parcel: OpenedParcel,
  key: ReturnType<typeof receiptKey>,
): Promise<string> {
  const { purpose, limits: limitsOfUse, handling, sealedLockIds: lockIds, checkpoint } = offered
  const acknowledged = { purpose, limits: limitsOfUse, handling }
  const { statement, receiptSignature, recipientSignature } = orThrow(
    await parcel.receipt({ acknowledged, checkpoint, lockIds, sign: key.sign }),
  )
  const at = `/api/collect/${recipientId}`
  await api.post(
    `${at}/opened`,
    { statement, receiptSignature, collectingSignature: recipientSignature },
    { again: true },
  )
  return (await api.fetch('GET', `${at}/receipt`, { again: true })).text()
}

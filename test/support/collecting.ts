import { concat, toBase64 } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { flowOf } from '#core/seal/flow'
import { openLock, type OpenedLock } from '#core/seal/locks'
import { openParcel } from '#core/seal/open'
import { receiptKey } from '#core/seal/receipt-key'
import { nodeTools } from '#edge/seal/node-tools'
import type { Browser } from '#test/house'
import { newestCode, newestToken, sergeant, type SealedForTest } from '#test/sending'

type Parcel = Pick<SealedForTest, 'recipients' | 'phrases'>

const atOf = ({ recipients: [recipient] }: Parcel) => `/api/collect/${recipient}`

/** Lets a browser prove the mailbox of a parcel's first recipient. `sender` reads the outbox. */
export async function admit(recipient: Browser, sender: Browser, parcel: Parcel, email = sergeant.email) {
  await recipient.post(`${atOf(parcel)}/code`, { token: await newestToken(sender, email) })
  await recipient.post(`${atOf(parcel)}/prove`, { code: await newestCode(sender, email) })
  return recipient
}

/** The key that every recipient of the tests signs with. */
export const collectingKey = receiptKey(nodeTools.randomBytes(32))

export const acknowledge = (recipient: Browser, parcel: Parcel) =>
  recipient.post(`${atOf(parcel)}/acknowledge`, {
    purpose: 'yes',
    limits: 'yes',
    handling: 'yes',
    key: toBase64(collectingKey.publicKey),
  })

/** A GET that must succeed, as bytes. */
export async function bytesOf(recipient: Browser, url: string, headers = {}): Promise<Uint8Array> {
  const response = await recipient.call('GET', url, undefined, headers)
  if (response.statusCode >= 400) throw new Error(`GET ${url}: ${response.statusCode} ${response.body}`)
  return new Uint8Array(response.rawPayload)
}

export interface Shown {
  parcel: {
    parcelId: string
    lockId: string
    sealedLockIds: string[]
    purpose: string
    limits: string
    handling: string
    checkpoint: string
  }
}

/** Opens a parcel as the recipient's client does: the bytes of each file, and the statement for `/opened`. */
export async function openAll(recipient: Browser, parcel: Parcel, phrase = parcel.phrases.get(parcel.recipients[0]!)) {
  const at = atOf(parcel)
  const { parcel: shown } = await recipient.get<Shown>(at)
  const release = await recipient.call('GET', `${at}/lock`)
  if (release.statusCode !== 200) throw new Error(`lock: ${release.statusCode} ${release.body}`)
  const secret = phrase === undefined ? { identity: String(release.headers['safehand-identity']) } : { phrase }
  const lock: OpenedLock = orThrow(await openLock(new Uint8Array(release.rawPayload), secret, shown, nodeTools))
  const opened = orThrow(
    await openParcel({
      lock,
      manifestAge: await bytesOf(recipient, `${at}/manifest`),
      fetchContent: async (start, end) =>
        flowOf(await bytesOf(recipient, `${at}/content`, { range: `bytes=${start}-${end - 1}` })),
      tools: nodeTools,
    }),
  )
  const files = new Map<string, Uint8Array>()
  for await (const entry of opened.entries())
    files.set(entry.path, concat(...(await Array.fromAsync(entry.bytes as AsyncIterable<Uint8Array>))))
  const { purpose, limits, handling } = shown
  const receipt = orThrow(
    await opened.receipt({
      acknowledged: { purpose, limits, handling },
      checkpoint: shown.checkpoint,
      lockIds: shown.sealedLockIds,
      sign: collectingKey.sign,
    }),
  )
  const said = {
    statement: receipt.statement,
    receiptSignature: receipt.receiptSignature,
    collectingSignature: receipt.recipientSignature,
  }
  return { files, said }
}

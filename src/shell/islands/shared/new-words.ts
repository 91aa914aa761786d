import { fromBase64 } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { makeLock, openLock } from '#core/seal/locks'
import { newPhrase } from '#core/seal/passphrase'
import { webTools, type SealTools } from '#core/seal/tools'
import { knownKey } from '#shell/islands/shared/device-key'
import { senderKeyName, type Holder } from '#shell/islands/shared/sender-key'
import { jsonAnswered, jsonTo, Refused, saidBy } from '#shell/islands/shared/server'

/** The sender's own view of a sealed parcel. */
interface OwnParcel {
  parcelId: string
  senderLocks: { id: string; age: string }[]
}

/**
 * Makes a recipient a new lock with new words, from this device's own lock; the old one is destroyed.
 *
 * @returns the new phrase, or undefined when this browser holds no key that opens the parcel
 */
export async function newWords(
  order: Holder & { transferId: string; recipientId: string },
): Promise<string | undefined> {
  const key = await knownKey(senderKeyName(order)).catch(() => undefined)
  if (!key) return undefined
  const tools = await webTools()
  const { parcelId, senderLocks } = await jsonAnswered<OwnParcel>((signal) =>
    fetch(`/api/transfers/${order.transferId}/parcel`, { signal }),
  )
  const identity = await key.identity(order.pq)
  const lock = await firstThatOpens(parcelId, senderLocks, identity, tools)
  if (!lock) return undefined
  const phrase = newPhrase(tools.randomBytes)
  const made = orThrow(
    await makeLock({ kind: 'passphrase', recipientId: order.recipientId, to: { phrase } }, lock, tools),
  )
  // Asked once: a second lock under the same id could not be told from the first, so a lost answer means new words.
  const locked = await jsonTo(`/api/parcels/${parcelId}/locks`, made)(AbortSignal.timeout(60_000))
  if (!locked.ok) throw new Refused(await saidBy(locked))
  return phrase
}

async function firstThatOpens(parcelId: string, locks: OwnParcel['senderLocks'], identity: string, tools: SealTools) {
  for (const { id, age } of locks) {
    const opened = await openLock(fromBase64(age), { identity }, { parcelId, lockId: id }, tools)
    if (opened.ok) return opened.value
  }
  return undefined
}

/**
 * What this browser keeps of a sealing that has begun, so that it goes on after the page was closed: the parcel's keys,
 * which cannot be read out of the database alone, and what each part was before it first left. No name of a file and
 * nothing of the message is kept.
 */
import { fromBase64, fromUtf8, toBase64, toHex, utf8, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import type { BegunSealing } from '#core/seal/seal'
import type { Chosen } from '#shell/islands/shared/chosen'
import { settled } from '#shell/islands/shared/device-key'
import { jsonAnswered, Refused, saidOf, type OnWaiting } from '#shell/islands/shared/server'

/** A sealing that has begun, as far as its page may know it. */
export interface KeptSealing {
  transferId: string
  parcelId: string
  /** Digest of the list of files, see `listDigest`. */
  files: string
  /** Size of the sealed content. */
  totalBytes: number
  /** In milliseconds, by this browser's clock. */
  begunAt: number
}

/** As kept in IndexedDB. `wrapping` cannot be read out, so that a copy of the database alone opens nothing. */
interface Row extends KeptSealing {
  wrapping: CryptoKey
  iv: Bytes
  wrapped: Bytes
}

/** The browser keeps nothing any more, as when its disk is full. */
export class NotKept extends Error {}

const sealings = 'sealings'
const parts = 'parts'

/** The sealings that this browser keeps, each under its transfer, and the journal of their parts. */
export class BegunSealings {
  readonly #db: IDBDatabase
  #last: Promise<unknown> = Promise.resolve()

  private constructor(db: IDBDatabase) {
    this.#db = db
  }

  /** Opens what is kept and takes away what is too old to go on with. @throws where the browser keeps nothing */
  static async open(): Promise<BegunSealings> {
    // A database of its own: another shape of it never touches the device's keys.
    const opening = indexedDB.open('safehand-sealings', 1)
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(sealings, { keyPath: 'transferId' })
      opening.result.createObjectStore(parts)
    }
    const store = new BegunSealings(await settled(opening))
    const oldest = Date.now() - limits.sealingHours * 3_600_000
    await store.#inTransaction(async (tx) => {
      for (const row of await settled<Row[]>(tx.objectStore(sealings).getAll()))
        if (row.begunAt < oldest) remove(tx, row)
    })
    return store
  }

  close(): void {
    this.#db.close()
  }

  find(transferId: string): Promise<Row | undefined> {
    return settled(this.#db.transaction(sealings).objectStore(sealings).get(transferId))
  }

  /** The keys of a sealing that was found, and which of its parts may have left. */
  async secretsOf({ parcelId, wrapping, iv, wrapped }: Row): Promise<BegunSealing> {
    const store = this.#db.transaction(parts).objectStore(parts)
    const [keys, digests] = await Promise.all([
      settled(store.getAllKeys(rangeOf(parcelId))) as Promise<[string, number][]>,
      settled<string[]>(store.getAll(rangeOf(parcelId))),
    ])
    const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, wrapping, wrapped)
    const { parcelIdentity, prefix, streamKey } = JSON.parse(fromUtf8(new Uint8Array(plain))) as Record<string, string>
    return {
      parcelIdentity: parcelIdentity!,
      prefix: fromBase64(prefix!),
      streamKey: fromBase64(streamKey!),
      parts: new Map(keys.map(([, n], place) => [n, digests[place]!])),
    }
  }

  /**
   * Keeps a sealing of which nothing has left, durably, in the place of any other of its transfer.
   *
   * @returns whether it is kept
   */
  async begin(kept: KeptSealing, { parcelIdentity, prefix, streamKey }: BegunSealing): Promise<boolean> {
    const { subtle } = crypto
    const wrapping = await subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
    const iv = crypto.getRandomValues(new Uint8Array(12))
    const plain = JSON.stringify({ parcelIdentity, prefix: toBase64(prefix), streamKey: toBase64(streamKey) })
    const wrapped = new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv }, wrapping, utf8(plain)))
    const keeping = this.#inTransaction(async (tx) => {
      await removeOf(tx, kept.transferId)
      tx.objectStore(sealings).add({ ...kept, wrapping, iv, wrapped } satisfies Row)
      return true
    })
    return keeping.catch(() => false)
  }

  /**
   * The digest that holds for a part: this one, durably, unless another was there first. Two plaintexts under one nonce
   * would be readable, so a part is sent only as it was first kept, by whichever tab that was.
   *
   * @throws Refused when another tab has begun anew; NotKept
   */
  keep({ transferId, parcelId }: KeptSealing, n: number, sha256: string): Promise<string> {
    const kept = this.#last.then(() =>
      this.#inTransaction(async (tx) => {
        const row = await settled<Row | undefined>(tx.objectStore(sealings).get(transferId))
        if (row?.parcelId !== parcelId) throw new Refused(saidOf({ slug: 'sealing-elsewhere' }))
        const store = tx.objectStore(parts)
        const first = await settled<string | undefined>(store.get([parcelId, n]))
        if (first === undefined) store.add(sha256, [parcelId, n])
        return first ?? sha256
      }).catch((cause: unknown) => {
        throw cause instanceof Refused ? cause : new NotKept('A part could not be kept', { cause })
      }),
    )
    this.#last = kept.catch(() => undefined)
    return kept
  }

  /** Takes away what is kept of a transfer. */
  forget(transferId: string): Promise<void> {
    return this.#inTransaction((tx) => removeOf(tx, transferId))
  }

  /** Does something in one transaction, which is on disk when this comes back. */
  async #inTransaction<T>(work: (tx: IDBTransaction) => Promise<T>): Promise<T> {
    const tx = this.#db.transaction([sealings, parts], 'readwrite', { durability: 'strict' })
    const done = new Promise<void>((resolve, reject) => {
      tx.oncomplete = () => resolve()
      tx.onabort = () => reject(tx.error ?? new Error('IndexedDB failed'))
    })
    const [result] = await Promise.all([work(tx), done])
    return result
  }
}

const rangeOf = (parcelId: string) => IDBKeyRange.bound([parcelId], [parcelId, []])

/** A sealing goes with its journal: whoever still seals under its keys finds that it is gone, and stops. */
function remove(tx: IDBTransaction, { transferId, parcelId }: KeptSealing): void {
  tx.objectStore(sealings).delete(transferId)
  tx.objectStore(parts).delete(rangeOf(parcelId))
}

async function removeOf(tx: IDBTransaction, transferId: string): Promise<void> {
  const row = await settled<Row | undefined>(tx.objectStore(sealings).get(transferId))
  if (row) remove(tx, row)
}

/** Does something with what this browser keeps, which is handed over as undefined where it keeps nothing. */
export async function withSealings<T>(work: (store: BegunSealings | undefined) => Promise<T>): Promise<T> {
  const store = await BegunSealings.open().catch(() => undefined)
  try {
    return await work(store)
  } finally {
    store?.close()
  }
}

/** The order of sealing. It is the same in whatever order the same files are chosen again. */
export const inOrder = (files: readonly Chosen[]): Chosen[] => files.toSorted((a, b) => (a.path < b.path ? -1 : 1))

/** Digest of what was chosen, as far as it is known before it is read. */
export async function listDigest(files: readonly Chosen[]): Promise<string> {
  const list = inOrder(files).map(({ path, file }) => [path, file && [file.size, file.lastModified]])
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(JSON.stringify(list)))))
}

/** What the server has of a parcel. One that it no longer knows is in no state to go on with. */
export async function arrivedOf(
  parcelId: string,
  onWaiting?: OnWaiting,
): Promise<{ state: string; parts: { n: number; sha256: string; sizeBytes: number }[] }> {
  try {
    return await jsonAnswered((signal) => fetch(`/api/parcels/${parcelId}/parts`, { signal }), onWaiting)
  } catch (error) {
    if (error instanceof Refused && error.said.slug === 'not-found') return { state: 'destroyed', parts: [] }
    throw error
  }
}

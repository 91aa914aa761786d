import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { fromBase64, toBase64 } from '#core/kit/bytes'
import type { LockKind } from '#core/seal/locks'
import type { ParcelDetails } from '#core/seal/parcel'
import type { BegunSealing } from '#core/seal/seal'
import { forgetOwn, ownFolder, ownNames, ownPath, readOwn, settleOwn, writeOwn } from '#shell/cli/own-files'

/**
 * A sending that has begun, kept until it has ended so that the same command goes on with it. It has no words in it: they
 * are made when everything has arrived, and a sending that is gone on with makes its own.
 */
export interface BegunSending {
  transferId: string
  /** Digest of the command it was begun with. */
  command: string
  /** When it was begun: what comes from standard input has this as its time. */
  at: number
  /** The parcel under way: its secret keys, what the server answered, and what was to be sealed. */
  sealing?: KeptSealing
}

/** What the server answers when a parcel begins. */
export interface BegunParcel extends Omit<ParcelDetails, 'message'> {
  parcelId: string
  partSizeBytes: number
  pq: boolean
  recipients: { id: string; name: string; lockKinds: LockKind[]; keyRecipient?: string }[]
  automaticRecipient?: string
  senderRecipients: string[]
}

/** The keys of a parcel, and everything that must be the same for them to be used again. */
export interface KeptSealing {
  begun: BegunParcel
  /** Digest of what is sealed, as far as it is known before it is read. */
  what: string
  parcelIdentity: string
  prefix: string
  streamKey: string
}

const fileOf = (transferId: string) => `send-${transferId}.json`
const partsOf = (parcelId: string) => `send-${parcelId}.parts`

/** SHA-256 of a value's JSON, in hexadecimal. */
export const jsonDigest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex')

/** The sending that was begun with this command, or the one of this transfer. */
export async function findSending(
  env: NodeJS.ProcessEnv,
  asked: { command: string; transferId: string | undefined },
): Promise<BegunSending | undefined> {
  if (asked.transferId !== undefined) return readOwn(env, fileOf(asked.transferId))
  for (const name of (await ownNames(env, 'send-')).filter((each) => each.endsWith('.json'))) {
    const sending = await readOwn<BegunSending>(env, name)
    if (sending?.command === asked.command) return sending
  }
  return undefined
}

/** Keeps a sending, durably. */
export async function keepSending(env: NodeJS.ProcessEnv, sending: BegunSending): Promise<void> {
  await writeOwn(env, fileOf(sending.transferId), sending)
  await settleOwn(env)
}

/** Takes away a sending: its keys, then what they were used for. */
export async function forgetSending(env: NodeJS.ProcessEnv, { transferId, sealing }: BegunSending): Promise<void> {
  await forgetOwn(env, fileOf(transferId))
  if (sealing) await forgetOwn(env, partsOf(sealing.begun.parcelId))
}

/** Puts a parcel, whose journal is begun, into the place of another that cannot be gone on with. */
export async function replaceSealing(env: NodeJS.ProcessEnv, sending: BegunSending, sealing: KeptSealing) {
  const before = sending.sealing
  sending.sealing = sealing
  await keepSending(env, sending)
  if (before) await forgetOwn(env, partsOf(before.begun.parcelId))
}

/** The secrets of a sealing in a form that can be kept, and back. */
export const keptSecrets = ({ parcelIdentity, prefix, streamKey }: BegunSealing) => ({
  parcelIdentity,
  prefix: toBase64(prefix),
  streamKey: toBase64(streamKey),
})
export const sealingOf = (kept: KeptSealing, parts: ReadonlyMap<number, string>): BegunSealing => ({
  parcelIdentity: kept.parcelIdentity,
  prefix: fromBase64(kept.prefix),
  streamKey: fromBase64(kept.streamKey),
  parts,
})

/**
 * What each part of a parcel was when it may first have left this machine: lines `n sha256`, of which the first with a
 * number holds for ever. Two plaintexts under one nonce would be readable, so a part is sent only as its line says. That
 * stays true when two commands go on with one parcel at once, as both read what both have written before they send.
 */
export class PartsJournal {
  /** SHA-256 of each part's sealed bytes, in hexadecimal. */
  readonly parts = new Map<number, string>()
  readonly #file: FileHandle
  #readBytes = 0
  #last: Promise<unknown> = Promise.resolve()

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Begins a parcel's, durably. */
  static async begin(env: NodeJS.ProcessEnv, parcelId: string): Promise<PartsJournal> {
    const journal = new PartsJournal(await open(join(await ownFolder(env), partsOf(parcelId)), 'ax+', 0o600))
    await settleOwn(env)
    return journal
  }

  /** That of a parcel which was begun; undefined when it is gone, and with it what the parcel's keys were used for. */
  static async find(env: NodeJS.ProcessEnv, parcelId: string): Promise<PartsJournal | undefined> {
    try {
      // Not 'a+', which would make it.
      const file = await open(ownPath(env, partsOf(parcelId)), constants.O_RDWR | constants.O_APPEND)
      const journal = new PartsJournal(file)
      await journal.#readOn()
      return journal
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** The digest that holds for a part: this one, durably, unless another was there first. */
  keep(n: number, sha256: string): Promise<string> {
    const kept = this.#last.then(async () => {
      if (!this.parts.has(n)) {
        // A line that was cut off by the end of a process or of the power ends here, and counts for nothing: nothing was sent.
        await this.#file.appendFile(`\n${n} ${sha256}\n`)
        await this.#file.datasync()
        await this.#readOn()
      }
      return this.parts.get(n)!
    })
    this.#last = kept.catch(() => undefined)
    return kept
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #readOn(): Promise<void> {
    const { size } = await this.#file.stat()
    const bytes = Buffer.alloc(size - this.#readBytes)
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, this.#readBytes)
    const text = bytes.toString('latin1', 0, bytesRead)
    const whole = text.lastIndexOf('\n') + 1
    this.#readBytes += whole
    for (const [, n, sha256] of text.slice(0, whole).matchAll(/^(\d+) ([0-9a-f]{64})$/gm)) {
      if (!this.parts.has(Number(n))) this.parts.set(Number(n), sha256!)
    }
  }
}

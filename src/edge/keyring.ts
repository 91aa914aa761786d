import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { namesIn } from '#edge/folder'
import { flowOf, wholeOf } from '#core/seal/flow'
import { openAge, sealWhole } from '#core/seal/age-file'
import { nodeTools } from '#edge/seal/node-tools'

/**
 * The server's own identities, one a day, for automatic locks. They lie outside the data folder and its backups, and a
 * day's identity is destroyed after its last parcel: then nobody can open that day's automatic locks any more.
 */
export interface Keyring {
  /** The recipient of a day, `yyyy-mm-dd`; its identity is made, durably, when it is first asked for. */
  recipientFor(day: string): Promise<string>
  /**
   * Opens an automatic lock and seals what it holds to a fresh identity, for one recipient to open at once.
   *
   * @returns `lock-key-destroyed` when that day's identity is gone
   */
  release(lock: Uint8Array, day: string): Promise<Outcome<{ age: Uint8Array; identity: string }>>
  /** The recipient of a day as its identity has it; undefined when there is none. Makes nothing. */
  find(day: string): Promise<string | undefined>
  /** Destroys a day's identity. Nothing happens when it is gone. */
  destroy(day: string): Promise<void>
  days(): Promise<string[]>
}

/** The keyring in a folder of files that only this account can read. */
export function openKeyring(folder: string, postQuantum: boolean): Keyring {
  const path = (day: string) => join(folder, `${day}.identity`)
  const make = () => (postQuantum ? generateHybridIdentity() : generateX25519Identity())
  const read = (day: string) =>
    readFile(path(day), 'utf8').then(
      (text) => text.trim(),
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      },
    )
  async function readOrMake(day: string): Promise<string> {
    const known = await read(day)
    if (known) return known
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const fresh = `${path(day)}.${randomUUID()}.new`
    try {
      const file = await open(fresh, 'wx', 0o600)
      await file.writeFile(`${await make()}\n`)
      await file.sync()
      await file.close()
      // A link, not a rename: of two processes on a new day one identity wins, and both use it.
      await link(fresh, path(day)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
    } finally {
      await rm(fresh, { force: true })
    }
    await syncFolder()
    return (await read(day))!
  }
  async function syncFolder(): Promise<void> {
    const kept = await open(folder, 'r')
    await kept.sync()
    await kept.close()
  }
  // One at a time: two parcels begun together on a new day must not make two identities.
  let making: Promise<unknown> = Promise.resolve()
  return {
    recipientFor(day) {
      const made = making.then(() => readOrMake(day))
      making = made.catch(() => {})
      return made.then((identity) => identityToRecipient(identity))
    },
    async find(day) {
      const identity = await read(day)
      return identity === undefined ? undefined : identityToRecipient(identity)
    },
    async release(lock, day) {
      const identity = await read(day)
      if (!identity) return fail('lock-key-destroyed')
      const opened = await openAge(flowOf(lock), { identity }, nodeTools)
      if (!opened.ok) return opened
      const plain = await wholeOf(opened.value.plain)
      const once = await (identity.startsWith('AGE-SECRET-KEY-PQ-')
        ? generateHybridIdentity()
        : generateX25519Identity())
      return ok({ age: await sealWhole(plain, { recipient: await identityToRecipient(once) }), identity: once })
    },
    async destroy(day) {
      if ((await read(day)) === undefined) return
      await rm(path(day), { force: true })
      // Or a loss of power would bring it back.
      await syncFolder()
    },
    days: async () =>
      (await namesIn(folder)).flatMap((name) => (/^\d{4}-\d\d-\d\d\.identity$/.test(name) ? [name.slice(0, 10)] : [])),
  }
}

import { piecesOf } from '#core/seal/flow'
import type { Saving } from '#shell/islands/shared/opening'

/** What a worker's own file handle can do more; TypeScript's DOM knows it of workers only. */
interface WritableHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<{
    truncate(sizeBytes: number): void
    write(bytes: Uint8Array, options: { at: number }): number
    flush(): void
    close(): void
  }>
}

const lockOf = (name: string) => `safehand-staged/${name}`
const folder = async () =>
  (await navigator.storage.getDirectory()).getDirectoryHandle('safehand-staged', { create: true })

/**
 * A place on the browser's own disk, which only pages of this site reach, for a file that is to be saved from there once
 * every byte is right. It is kept until this worker's page closes; the next one that opens a parcel takes it away.
 *
 * @returns undefined where the browser has no such disk: inside some programs, and in some private windows
 */
export async function newStage(): Promise<WritableHandle | undefined> {
  try {
    const name = crypto.randomUUID()
    const isOurs = new Promise<void>((resolve, reject) => {
      const untilTheEnd = () => new Promise<never>(() => resolve())
      navigator.locks.request(lockOf(name), untilTheEnd).catch(reject)
    })
    await isOurs
    const handle = (await (await folder()).getFileHandle(name, { create: true })) as WritableHandle
    return 'createSyncAccessHandle' in handle ? handle : undefined
  } catch {
    return undefined
  }
}

/** Takes away what pages have left that are closed by now. Fails where there is no such disk. */
export async function tidyStages(): Promise<void> {
  const staged = await folder()
  for await (const name of (staged as unknown as { keys(): AsyncIterable<string> }).keys())
    await navigator.locks.request(lockOf(name), { ifAvailable: true }, (lock) => lock && staged.removeEntry(name))
}

/**
 * Writes what is to be saved onto the stage. Memory does not grow with it.
 *
 * @throws QuotaExceededError where there is not enough room; mostly before anything is fetched
 */
export async function stage({ sizeBytes, stream }: Pick<Saving, 'sizeBytes' | 'stream'>, on: WritableHandle) {
  const writer = await on.createSyncAccessHandle()
  try {
    writer.truncate(sizeBytes)
    let at = 0
    for await (const piece of piecesOf(stream)) {
      if (writer.write(piece, { at }) < piece.length) throw new DOMException('No room', 'QuotaExceededError')
      at += piece.length
    }
    writer.flush()
  } catch (error) {
    writer.truncate(0)
    throw error
  } finally {
    writer.close()
  }
  return on.getFile()
}

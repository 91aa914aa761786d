import { Readable } from 'node:stream'
import { concat } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import { checkKey, checkRange, type Blobs } from '#edge/blobs/blobs'
import { measure } from '#edge/blobs/measure'

type Act = 'put' | 'read' | 'size' | 'remove' | 'removeAll'

/** Blobs that can be told to fail. */
export interface FaultyBlobs extends Blobs {
  /** The next act of this name throws: `before` it does anything, or `after` it took effect. */
  failNext(act: Act, when: 'before' | 'after'): void
}

/** Blobs in memory, for tests. */
export function memoryBlobs(now: () => Date = () => new Date()): FaultyBlobs {
  const kept = new Map<string, { bytes: Uint8Array; putAt: Date }>()
  const faults = new Map<Act, 'before' | 'after'>()

  async function attempt<T>(act: Act, key: string, effect: () => Promise<T> | T): Promise<T> {
    checkKey(key)
    const when = faults.get(act)
    faults.delete(act)
    if (when === 'before') throw new Error(`The store of blobs failed before ${act}`)
    const result = await effect()
    if (when === 'after') throw new Error(`The store of blobs failed after ${act}`)
    return result
  }
  const isUnder = (key: string, folder: string): boolean => key === folder || key.startsWith(`${folder}/`)

  return {
    failNext: (act, when) => void faults.set(act, when),
    put: (key, source, expected) =>
      attempt('put', key, async () => {
        const measured = measure(source, expected)
        try {
          const bytes = concat(...(await Array.fromAsync(measured.bytes(), (piece) => new Uint8Array(piece))))
          const outcome = measured.result()
          if (outcome.ok) kept.set(key, { bytes, putAt: now() })
          return outcome
        } catch (error) {
          if (error instanceof ProblemError) return { ok: false, problem: error.problem }
          throw error
        }
      }),
    read: (key, range = {}) =>
      attempt('read', key, () => {
        const bytes = kept.get(key)?.bytes
        if (!bytes) throw new Error(`There is no blob ${key}`)
        const { start, end } = checkRange(range, bytes.length)
        return Readable.from(start < end ? [Buffer.from(bytes.subarray(start, end))] : [])
      }),
    size: (key) => attempt('size', key, () => kept.get(key)?.bytes.length ?? null),
    async *list(folder) {
      if (folder !== '') checkKey(folder)
      for (const [key, { bytes, putAt }] of kept)
        if (folder === '' || isUnder(key, folder)) yield { key, sizeBytes: bytes.length, putAt }
    },
    remove: (key) => attempt('remove', key, () => void kept.delete(key)),
    removeAll: (folder) =>
      attempt('removeAll', folder, () => {
        for (const key of kept.keys()) if (isUnder(key, folder)) kept.delete(key)
      }),
  }
}

import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  createReadStream,
  fsync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
  type Stats,
} from 'node:fs'
import { mkdir, open, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ProblemError } from '#core/kit/outcome'
import { problems } from '#core/kit/problems'
import { wholeOf } from '#core/seal/flow'
import type { OpenedParcel } from '#core/seal/open'
import type { IndexEntry, OpenedEntry } from '#core/seal/tar-index'
import { saveFlow } from '#shell/cli/file-bytes'

/** Where an entry goes. The opener has refused every path that could lead out of the folder. */
const targetOf = (folder: string, path: string): string => join(folder, ...path.split('/'))

/** @throws ProblemError `file-there` when a file is there already, or something that is no folder is on the way to one */
export function checkFree(folder: string, { manifest }: OpenedParcel): void {
  const folders = new Set<string>()
  for (const { path, type } of manifest.index) {
    const names = path.split('/')
    for (let depth = 1; depth < names.length + (type === 'folder' ? 1 : 0); depth += 1)
      folders.add(names.slice(0, depth).join('/'))
    if (type === 'file' && look(targetOf(folder, path))) throw there(targetOf(folder, path))
  }
  for (const path of folders) {
    const found = look(targetOf(folder, path))
    // A link is no folder either: what is behind it is not what the person named with --out.
    if (found && !found.isDirectory()) throw there(targetOf(folder, path))
  }
}

const there = (path: string) => new ProblemError({ slug: 'file-there', detail: `It is ${path}` })

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** Where one collection is saved. `name` is for what is not whole yet, and unknown to anybody else. */
export interface Place {
  folder: string
  name: string
}

/** A file's own name, and its name until it is whole. */
function namesOf({ folder, name }: Place, path: string): { target: string; partial: string } {
  const target = targetOf(folder, path)
  const digest = createHash('sha256').update(`${name}/${path}`).digest('hex')
  return { target, partial: join(dirname(target), `.safehand-${digest.slice(0, 32)}.part`) }
}

/**
 * Saves all of a parcel into a folder, which is made when missing, and goes on where an earlier time with the same place
 * stopped. A file gets its name only when its last byte has been found right; nothing is ever overwritten.
 *
 * @returns how many files are there
 * @throws ProblemError `file-there` for a file that is another, or whatever is wrong with the parcel's content
 */
export async function saveAll(parcel: OpenedParcel, place: Place): Promise<number> {
  await mkdir(place.folder, { recursive: true })
  for (;;) {
    // Of which file something was there, until that is known to be right.
    let found: { target: string; partial: string; isWhole: boolean } | undefined
    const had = async ({ path, sizeBytes }: IndexEntry) => {
      const { target, partial } = namesOf(place, path)
      const [whole, begun] = [look(target), look(partial)]
      if (whole && (!whole.isFile() || whole.size !== sizeBytes)) throw there(target)
      if (!whole && !begun) return undefined
      found = { target, partial, isWhole: whole !== undefined }
      return createReadStream(whole ? target : partial)
    }
    try {
      const small = new SmallFiles(place)
      for await (const entry of parcel.entries(had)) {
        if (entry.type === 'folder') await mkdir(targetOf(place.folder, entry.path), { recursive: true })
        else if (found?.isWhole) await rm(found.partial, { force: true })
        else if (entry.from === 0 && entry.sizeBytes <= smallFileBytes) await small.add(entry)
        else {
          await small.save()
          await saveFile(namesOf(place, entry.path), entry)
        }
        found = undefined
      }
      await small.save()
      return parcel.manifest.index.filter(({ type }) => type === 'file').length
    } catch (error) {
      if (!found || !(error instanceof ProblemError) || error.problem.slug !== 'entry-digest-differs') throw error
      if (found.isWhole) throw there(found.target)
      // A beginning that the disk did not keep, as when the power was lost: this file comes again from its first byte.
      await rm(found.partial, { force: true })
    }
  }
}

/** Whether a problem is for good: then nothing is kept to go on with. */
export const isFinal = (error: unknown): boolean =>
  error instanceof ProblemError && [410, 422].includes(problems[error.problem.slug].status)

const smallFileBytes = 256 * 1024
const smallFilesAtOnce = 64

/** Small files wait for the disk together, or waiting would take longer than all else. They get their names in order. */
class SmallFiles {
  readonly #place: Place
  #waiting: { entry: OpenedEntry; bytes: Uint8Array }[] = []

  constructor(place: Place) {
    this.#place = place
  }

  async add(entry: OpenedEntry): Promise<void> {
    this.#waiting.push({ entry, bytes: await wholeOf(entry.bytes) })
    if (this.#waiting.length === smallFilesAtOnce) await this.save()
  }

  async save(): Promise<void> {
    // Up to its first waiting each runs at once, so all are written before the disk is waited for.
    const saved = await Promise.allSettled(this.#waiting.map((each) => this.#write(each)))
    this.#waiting = []
    for (const each of saved) {
      if (each.status === 'rejected') throw each.reason
      const { partial, target } = each.value
      if (!takeName(partial, target)) throw there(target)
    }
  }

  async #write({ entry, bytes }: { entry: OpenedEntry; bytes: Uint8Array }): Promise<ReturnType<typeof namesOf>> {
    const names = namesOf(this.#place, entry.path)
    mkdirSync(dirname(names.target), { recursive: true })
    const file = openSync(names.partial, partialFlags, 0o600)
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      futimesSync(file, entry.modifiedSeconds, entry.modifiedSeconds)
      await synchronise(file)
    } finally {
      closeSync(file)
    }
    return names
  }
}

const synchronise = promisify(fsync)

const partialFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW

async function saveFile(names: ReturnType<typeof namesOf>, { from, bytes, modifiedSeconds }: OpenedEntry) {
  const { target, partial } = names
  await mkdir(dirname(target), { recursive: true })
  const file = await open(partial, partialFlags, 0o600)
  try {
    await saveFlow(file, bytes, from)
    await utimes(partial, modifiedSeconds, modifiedSeconds)
    if (!takeName(partial, target)) throw there(target)
  } catch (error) {
    if (isFinal(error)) await rm(partial, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** A file system that has no links. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** Gives a finished file its name, at once and whole. Answers false when something has that name. */
function takeName(partial: string, target: string): boolean {
  try {
    // Not `rename`, which would overwrite.
    linkSync(partial, target)
    rmSync(partial)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return false
    if (!noLinks.has(code)) throw error
    if (look(target)) return false
    renameSync(partial, target)
  }
  return true
}

/** Saves bytes under a name, or under that name with a number when it is taken; answers which. */
export async function saveBeside({ folder, name: own }: Place, name: string, bytes: string): Promise<string> {
  const [, stem, ending] = /^(.*?)(\.[^.]*)?$/.exec(name)!
  const partial = join(folder, `.safehand-${own}.part`)
  await writeFile(partial, bytes, { flush: true })
  for (let n = 1; ; n += 1) {
    const path = join(folder, n === 1 ? name : `${stem}-${n}${ending ?? ''}`)
    if (takeName(partial, path)) return path
  }
}

/** @throws ProblemError `file-there` when the folder has one of these names */
export function checkNames(folder: string, names: readonly string[]): void {
  for (const name of names) if (look(join(folder, name))) throw there(join(folder, name))
}

/** Saves a small file, in the place of what an earlier time saved of it. */
export async function saveAgain({ folder, name: own }: Place, name: string, bytes: Uint8Array | string): Promise<void> {
  const partial = join(folder, `.safehand-${own}.part`)
  await writeFile(partial, bytes, { mode: 0o600, flush: true })
  await rename(partial, join(folder, name))
}

/** Saves a large file, going on behind what an earlier time saved of it. @param flow - its bytes from somewhere */
export async function saveOn(
  { folder, name: own }: Place,
  name: string,
  flow: (start: number) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const target = join(folder, name)
  if (look(target)) return
  const partial = join(folder, `.safehand-${own}-${name}.part`)
  const start = look(partial)?.size ?? 0
  const file = await open(partial, partialFlags, 0o600)
  try {
    await saveFlow(file, flow(start), start)
  } finally {
    await file.close()
  }
  if (!takeName(partial, target)) throw there(target)
}

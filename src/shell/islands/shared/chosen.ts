import { checkPath, checkPaths } from '#core/seal/entry-names'
import { fail, ok, type Outcome } from '#core/kit/outcome'

/** Something to be sent: a file, or an empty folder (`file` is null). `path` is its name in the parcel. */
export interface Chosen {
  path: string
  file: File | null
}

/** One line of the list: a single file, or a folder with all that is in it. */
export interface Row {
  name: string
  isFolder: boolean
  fileCount: number
  sizeBytes: number
}

const topOf = (path: string) => path.split('/', 1)[0]!
const isSame = (a: File | null, b: File | null) =>
  a === b || (a !== null && b !== null && a.size === b.size && a.lastModified === b.lastModified)

/** A name with what hides in it made visible: control characters, and marks that make it read as another name. */
export const visibleName = (name: string): string =>
  name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (hidden) => `\\u${hidden.codePointAt(0)!.toString(16).padStart(4, '0')}`)

/** What has been chosen so far, in order. */
export class Selection {
  readonly #chosen = new Map<string, Chosen>()

  /** Adds what is new. Answers the names that another file has already; the first one stays. */
  add(more: readonly Chosen[]): string[] {
    const twice: string[] = []
    for (const one of more) {
      const known = this.#chosen.get(one.path)
      if (!known) this.#chosen.set(one.path, one)
      else if (!isSame(known.file, one.file)) twice.push(one.path)
    }
    return twice
  }

  /** Takes away a file or a whole folder, by the name its row shows. */
  remove(name: string): void {
    for (const path of this.#chosen.keys()) if (topOf(path) === name) this.#chosen.delete(path)
  }

  get all(): Chosen[] {
    return [...this.#chosen.values()]
  }

  get rows(): Row[] {
    const rows = new Map<string, Row>()
    for (const { path, file } of this.#chosen.values()) {
      const name = topOf(path)
      const row = rows.get(name) ?? { name, isFolder: path !== name || !file, fileCount: 0, sizeBytes: 0 }
      row.fileCount += file ? 1 : 0
      row.sizeBytes += file?.size ?? 0
      rows.set(name, row)
    }
    return [...rows.values()]
  }

  get fileCount(): number {
    return this.all.filter(({ file }) => file).length
  }

  get sizeBytes(): number {
    return this.all.reduce((total, { file }) => total + (file?.size ?? 0), 0)
  }
}

/**
 * Whether the chosen files can lie beside each other on any computer.
 *
 * @returns nothing, or the problem of the first name that cannot, whose detail is that name: the reader chose it
 */
export function checkNames(chosen: readonly Chosen[]): Outcome<undefined> {
  const entries = chosen.map(({ path, file }) => ({ path, type: file ? ('file' as const) : ('folder' as const) }))
  const bad = entries.find(({ path }) => !checkPath(path, 0).ok)
  const all = checkPaths(entries)
  if (all.ok) return ok()
  const path = bad?.path ?? firstThatClashes(entries)
  return fail(all.problem.slug, { detail: visibleName(path) })
}

/** Of names that are each fine, the first that clashes with one before it. */
function firstThatClashes(entries: Parameters<typeof checkPaths>[0]): string {
  let fine = 0
  let bad = entries.length
  while (bad - fine > 1) {
    const middle = Math.floor((fine + bad) / 2)
    if (checkPaths(entries.slice(0, middle)).ok) fine = middle
    else bad = middle
  }
  return entries[bad - 1]!.path
}

/** What an input gave: the files, or a folder's files with their paths. */
export const filesOfInput = (files: Iterable<File>): Chosen[] =>
  Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }))

/** What was dropped, folders walked to their ends. Must be called while the drop is being handled. */
export async function filesOfDrop(items: DataTransferItemList): Promise<Chosen[]> {
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  return (await Promise.all(entries.map(walk))).flat()
}

async function walk(entry: FileSystemEntry): Promise<Chosen[]> {
  const path = entry.fullPath.replace(/^\//, '')
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    return [{ path, file }]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const inside: FileSystemEntry[] = []
  // A folder is handed over in portions, the last of them empty.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) break
    inside.push(...some)
  }
  if (inside.length === 0) return [{ path, file: null }]
  const found: Chosen[] = []
  for (const each of inside) found.push(...(await walk(each)))
  return found
}

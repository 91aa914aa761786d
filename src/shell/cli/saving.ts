import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, rename, rm, utimes } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { fail, orThrow, ProblemError } from '#core/kit/outcome'
import type { OpenedParcel } from '#core/seal/open'

/** Where an entry goes. The opener has refused every path that could lead out of the folder. */
const targetOf = (folder: string, path: string): string => join(folder, ...path.split('/'))

/** @throws ProblemError `file-there` when a file is there already, or something that is no folder is on the way to one */
async function checkFree(folder: string, { manifest }: OpenedParcel): Promise<void> {
  const folders = new Set<string>()
  for (const { path, type } of manifest.index) {
    const names = path.split('/')
    for (let depth = 1; depth < names.length + (type === 'folder' ? 1 : 0); depth += 1)
      folders.add(names.slice(0, depth).join('/'))
    if (type === 'file' && (await look(targetOf(folder, path))))
      orThrow(fail('file-there', { detail: `It is ${targetOf(folder, path)}` }))
  }
  for (const path of folders) {
    const found = await look(targetOf(folder, path))
    // A link is no folder either: what is behind it is not what the person named with --out.
    if (found && !found.isDirectory()) orThrow(fail('file-there', { detail: `It is ${targetOf(folder, path)}` }))
  }
}

const look = (path: string) =>
  lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })

/**
 * Saves all of a parcel into a folder, which is made when missing. A file gets its name only when its last byte has
 * been found right; nothing is ever overwritten.
 *
 * @returns how many files were saved
 * @throws ProblemError `file-there` before anything is written, or whatever is wrong with the content
 */
export async function saveAll(parcel: OpenedParcel, folder: string): Promise<number> {
  await checkFree(folder, parcel)
  await mkdir(folder, { recursive: true })
  let files = 0
  for await (const { path, type, bytes, modifiedSeconds } of parcel.entries()) {
    const target = targetOf(folder, path)
    await mkdir(type === 'folder' ? target : dirname(target), { recursive: true })
    if (type === 'folder') continue
    await saveFile(target, bytes, modifiedSeconds)
    files += 1
  }
  return files
}

async function saveFile(target: string, bytes: AsyncIterable<Uint8Array>, modifiedSeconds: number): Promise<void> {
  const partial = join(dirname(target), `.safehand-${randomUUID()}.partial`)
  const file = await open(partial, 'wx', 0o600)
  try {
    for await (const piece of bytes) await file.writeFile(piece)
    await file.sync()
    await file.close()
    await utimes(partial, modifiedSeconds, modifiedSeconds)
    await takeName(partial, target)
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(partial, { force: true })
    throw error
  }
}

/** Gives a finished file its name, unless somebody took it meanwhile: `rename` alone would overwrite. */
async function takeName(partial: string, target: string): Promise<void> {
  const placeholder = await open(target, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
    throw new ProblemError({ slug: 'file-there', detail: `It is ${target}` })
  })
  await placeholder.close()
  await rename(partial, target)
}

/** Saves bytes under a name, or under that name with a number when it is taken; answers which. */
export async function saveBeside(folder: string, name: string, bytes: string | Uint8Array): Promise<string> {
  const [, stem, ending] = /^(.*?)(\.[^.]*)?$/.exec(name)!
  for (let n = 1; ; n += 1) {
    const path = `${folder}${sep}${n === 1 ? name : `${stem}-${n}${ending ?? ''}`}`
    try {
      const file = await open(path, 'wx')
      await file.writeFile(bytes)
      await file.close()
      return path
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

import { randomUUID } from 'node:crypto'
import { closeSync, constants, lstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { limits } from '#core/kit/limits'
import { fail, orThrow, ProblemError, type Problem } from '#core/kit/outcome'
import { checkPaths } from '#core/seal/entry-names'
import { openPayload, sealPayload } from '#core/seal/stream'
import type { SealSource } from '#core/seal/tar-index'
import { nodeTools } from '#edge/seal/node-tools'
import { readFlow, writeFlow } from '#shell/cli/file-bytes'
import { ownFolder } from '#shell/cli/own-files'

/** A file or folder to be sealed, and where it is on this machine. */
export interface LocalSource extends SealSource {
  localPath: string
}

const readBytes = 1024 * 1024

/**
 * The files and folders of some paths, each under its own last name, with all that is in them, in order of name.
 *
 * @throws ProblemError for what cannot be read (`file-unreadable`), is neither file nor folder (`source-refused`), or
 *   has a name that a parcel cannot hold; nothing has been sent then
 */
export async function sourcesOf(paths: readonly string[]): Promise<LocalSource[]> {
  const sources: LocalSource[] = []
  for (const path of paths) {
    for (const source of walk(resolve(path), basename(resolve(path)))) {
      sources.push(source)
      if (sources.length > limits.parcelEntriesMax) orThrow(fail('parcel-too-many-files'))
    }
  }
  const named = checkPaths(sources)
  if (!named.ok) throw new ProblemError(withName(named.problem, sources))
  if (!sources.some(({ type }) => type === 'file')) orThrow(fail('parcel-empty'))
  return sources
}

/**
 * What comes from standard input, as a file: its size decides how it may be sent, so all of it is read first. Until it is
 * closed it lies sealed, under a key that is nowhere else, in a file without a name: however this process ends, nothing
 * that can be read is left of it.
 *
 * @throws ProblemError `file-name-…` for a name that a parcel cannot hold
 */
export async function readInput(
  env: NodeJS.ProcessEnv,
  path: string,
  input: AsyncIterable<Uint8Array>,
): Promise<{ source: LocalSource; close: () => Promise<void> }> {
  orThrow(checkPaths([{ path, type: 'file' }]))
  const localPath = join(await ownFolder(env), `input-${randomUUID()}`)
  const file = await open(localPath, 'wx+', 0o600)
  await rm(localPath)
  const cipher = await nodeTools.cipher(nodeTools.randomBytes(32))
  let sizeBytes = 0
  async function* counted() {
    for await (const piece of input) {
      sizeBytes += piece.length
      yield piece
    }
  }
  await writeFlow(file, sealPayload(cipher, counted()), 0)
  const read = () => openPayload(cipher, readFlow(file, readBytes))
  return {
    source: { localPath: path, path, type: 'file', sizeBytes, modifiedAtMs: 0, read },
    close: () => file.close(),
  }
}

/** The same problem, which names a file by its place in the list, with its name: here it is the reader's own. */
export function withName(problem: Problem, sources: readonly LocalSource[]): Problem {
  const place = /^It is number (\d+) in the list of files\.$/.exec(problem.detail ?? '')?.[1]
  return place === undefined ? problem : { ...problem, detail: `It is ${sources[Number(place) - 1]!.localPath}` }
}

// Without waiting in turn: for a small file, handing each call to another thread costs ten times what the call does.

function* walk(localPath: string, path: string): Generator<LocalSource> {
  const found = reading(localPath, () => lstatSync(localPath))
  if (path.includes('\uFFFD')) orThrow(fail('file-name-malformed', { detail: `It is ${localPath}` }))
  const measured = { localPath, path, modifiedAtMs: found.mtimeMs }
  if (found.isFile())
    yield {
      ...measured,
      type: 'file',
      sizeBytes: found.size,
      read: () => read(localPath, found.size),
      measure: async () => measure(localPath),
    }
  else if (found.isDirectory()) {
    yield { ...measured, type: 'folder', sizeBytes: 0, read: () => read(localPath, 0) }
    for (const name of reading(localPath, () => readdirSync(localPath)).toSorted())
      yield* walk(join(localPath, name), `${path}/${name}`)
  } else {
    const what = found.isSymbolicLink()
      ? 'a link, and what it points to might not be meant'
      : 'neither a file nor a folder'
    orThrow(fail('source-refused', { detail: `${localPath} is ${what}.` }))
  }
}

/** A file that has gone, or a link put in its place since it was looked at, is a file that changed. */
async function* read(localPath: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW
  let file: FileHandle | undefined
  try {
    if (sizeBytes < readBytes) return yield readWhole(localPath, flags, sizeBytes)
    file = await open(localPath, flags)
    yield* readFlow(file, readBytes)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw code === 'ENOENT' || code === 'ELOOP' ? new DOMException(message, 'NotReadableError') : error
  } finally {
    await file?.close()
  }
}

/** A file's bytes; one more than there should be where it has grown. */
function readWhole(localPath: string, flags: number, sizeBytes: number): Uint8Array {
  const file = openSync(localPath, flags)
  try {
    const bytes = Buffer.allocUnsafeSlow(sizeBytes + 1)
    let used = 0
    for (let count = -1; count !== 0; used += count) count = readSync(file, bytes, used, bytes.length - used, null)
    return bytes.subarray(0, used)
  } finally {
    closeSync(file)
  }
}

function measure(localPath: string) {
  const { size, mtimeMs } = statSync(localPath)
  return { sizeBytes: size, modifiedAtMs: mtimeMs }
}

function reading<T>(localPath: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    const why = code === 'ENOENT' ? 'There is no such file or folder' : code === 'EACCES' ? 'You may not read it' : code
    throw new ProblemError({ slug: 'file-unreadable', detail: `${localPath}: ${why}.` })
  }
}

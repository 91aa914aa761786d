import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { limits } from '#core/kit/limits'
import { fail, orThrow } from '#core/kit/outcome'
import { namesIn } from '#edge/folder'

/** Where the command line keeps what is its person's own: keys, and what is needed to go on with work under way. */
export const ownPath = (env: NodeJS.ProcessEnv, name: string): string =>
  join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'safehand', name)

/** An own file's JSON; undefined when there is none. @throws ProblemError `setting-wrong` when others can read it */
export async function readOwn<T>(env: NodeJS.ProcessEnv, name: string): Promise<T | undefined> {
  const path = ownPath(env, name)
  try {
    if ((await stat(path)).mode % 0o100 !== 0) {
      orThrow(fail('setting-wrong', { detail: `${path} can be read by others: chmod 600 it.` }))
    }
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The folder of own files, which nobody else can enter. */
export async function ownFolder(env: NodeJS.ProcessEnv): Promise<string> {
  const folder = dirname(ownPath(env, '-'))
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/** Writes an own file that nobody else can read, whole or not at all. */
export async function writeOwn(env: NodeJS.ProcessEnv, name: string, value: unknown): Promise<void> {
  const unfinished = join(await ownFolder(env), `${name}.${randomUUID()}`)
  await writeFile(unfinished, JSON.stringify(value), { mode: 0o600, flush: true })
  await rename(unfinished, ownPath(env, name))
}

export const forgetOwn = (env: NodeJS.ProcessEnv, name: string): Promise<void> =>
  rm(ownPath(env, name), { force: true })

/** The names of own files that begin so. */
export const ownNames = async (env: NodeJS.ProcessEnv, start: string): Promise<string[]> =>
  (await namesIn(await ownFolder(env))).filter((name) => name.startsWith(start))

/** Makes the names in the folder of own files as durable as the files. */
export async function settleOwn(env: NodeJS.ProcessEnv): Promise<void> {
  const folder = await open(await ownFolder(env))
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** For how long what belongs to work under way may lie: a server keeps unfinished uploads and parcels no longer. */
const keptHours = { send: limits.sealingHours, input: limits.sealingHours, collect: limits.parcelDaysMax * 24 }

/** Takes away what a killed command left and nobody came back to. */
export async function forgetOldWork(env: NodeJS.ProcessEnv, now = Date.now()): Promise<void> {
  for (const [start, hours] of Object.entries(keptHours)) {
    for (const name of await ownNames(env, start)) {
      const found = await stat(ownPath(env, name)).catch(() => undefined)
      if (found && now - found.mtimeMs > hours * 3_600_000) await forgetOwn(env, name)
    }
  }
}

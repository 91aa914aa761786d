import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fail, orThrow } from '#core/kit/outcome'

/** Where the command line keeps what is its person's own: keys, and the cookies of collections under way. */
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

/** Writes an own file that nobody else can read, whole or not at all. */
export async function writeOwn(env: NodeJS.ProcessEnv, name: string, value: unknown): Promise<void> {
  const path = ownPath(env, name)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${randomUUID()}`
  await writeFile(unfinished, JSON.stringify(value), { mode: 0o600, flush: true })
  await rename(unfinished, path)
}

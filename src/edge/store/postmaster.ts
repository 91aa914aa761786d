import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { link, readFile, readlink, realpath, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * What `postmaster.pid` in a data folder says, held against the processes that there are.
 *
 * - `absent`: there is no such file
 * - `stale`: its process is gone, is a zombie, or is something else that was given the same number
 * - `supervised`: a live server whose Safehand process lives too, or that somebody started by hand; its socket folder is
 *   empty while it starts, and it may fail to
 * - `orphaned`: a live server whose Safehand process was killed
 */
export type Postmaster =
  | { state: 'absent' }
  | { state: 'stale'; text: string; socketFolder: string }
  | { state: 'supervised' | 'orphaned'; pid: number; text: string; socketFolder: string }

const pidFile = (dataFolder: string): string => join(dataFolder, 'postmaster.pid')

/**
 * A name for one run of the server. It stands on the server's command line, where a later start reads whose child the
 * server is, and the server says it when asked, so that nobody takes another's server for the one they started.
 */
export const runName = (): string => `safehand-${process.pid}-${randomUUID()}`

/** Looks at the server, if any, that owns a data folder. Changes nothing. */
export async function findPostmaster(dataFolder: string): Promise<Postmaster> {
  const text = await readFile(pidFile(dataFolder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return { state: 'absent' }
  // Lines of the file: process number, data folder, start time, port, socket folder.
  const [pidLine, , , , socketFolder = ''] = text.split('\n')
  const pid = Number(pidLine)
  const process = pid > 0 ? await look(pid, await realpath(dataFolder)) : null
  if (!process) return { state: 'stale', text, socketFolder }
  const supervisor = /cluster_name=safehand-(\d+)/.exec(process.command)?.[1]
  const orphaned = supervisor !== undefined && Number(supervisor) !== process.parentPid
  return { state: orphaned ? 'orphaned' : 'supervised', pid, text, socketFolder }
}

/**
 * Whether the Safehand process that last started a server here still lives: it brings back a server that was killed.
 * Postgres notes the command it was started with and keeps the note.
 */
export async function isBroughtBack(dataFolder: string): Promise<boolean> {
  const started = await readFile(join(dataFolder, 'postmaster.opts'), 'utf8').catch(() => '')
  const pid = Number(/cluster_name=safehand-(\d+)/.exec(started)?.[1])
  if (!pid || pid === process.pid) return false
  if (process.platform !== 'linux') return isAlive(pid)
  // Nothing for a zombie. Another program may have been given the number.
  return /node|safehand/.test(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
}

/** Whether there is a process of this number, whoever's. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The parent and command line of a process, or null when it is not a living server of this data folder. */
async function look(pid: number, dataFolder: string): Promise<{ parentPid: number; command: string } | null> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'ppid=,command=', '-p', String(pid)]).catch(
      () => ({ stdout: '' }),
    )
    const [, parentPid, command] = /^\s*(\d+)\s+(.*)/.exec(stdout) ?? []
    return command?.includes(`-D ${dataFolder} `) ? { parentPid: Number(parentPid), command } : null
  }
  try {
    // A server's working folder is its data folder. A zombie has none, and another user's process hides it from us:
    // then it is no server of ours either, since nobody else may enter the data folder.
    if ((await readlink(`/proc/${pid}/cwd`)) !== dataFolder) return null
    const [command, status] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ])
    // The second field is the program's name in brackets and may itself hold brackets and spaces.
    const parentPid = Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1])
    return command.includes('postgres') ? { parentPid, command } : null
  } catch {
    return null
  }
}

/**
 * Takes a stale `postmaster.pid` away, and only that one: if another server wrote its own in the meantime, it is put
 * back. Postgres' own check of shared memory stands behind this.
 */
export async function removeStale(dataFolder: string, stale: { text: string }): Promise<void> {
  const aside = `${pidFile(dataFolder)}.stale-${process.pid}`
  try {
    await rename(pidFile(dataFolder), aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await readFile(aside, 'utf8')) !== stale.text) await link(aside, pidFile(dataFolder)).catch(() => {})
  await rm(aside)
}

import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { namesIn } from '#edge/folder'
import type { Db } from '#edge/store/database'
import { startEmbedded } from '#edge/store/embedded'

/** Stands in a data folder while it is restored: whoever finds it must not take the folder for an installation. */
const marker = 'RESTORING'

/** Lives in the database while it is restored, and holds what is only needed until then. */
export const restoringSchema = 'restoring'

/** The problem `restore-unfinished` for a data folder whose restore did not come to its end. */
export async function checkRestored(dataFolder: string): Promise<Outcome<undefined>> {
  return (await namesIn(dataFolder)).includes(marker) ? fail('restore-unfinished', { detail: `${dataFolder}.` }) : ok()
}

/** The problem `restore-unfinished` for such a database. */
export async function checkDatabaseRestored(db: Db): Promise<Outcome<undefined>> {
  const { rows } = await sql`select from pg_namespace where nspname = ${restoringSchema}`.execute(db)
  return rows.length > 0 ? fail('restore-unfinished') : ok()
}

/**
 * Makes a data folder ready to be restored into, and marks it. One whose restore was cut short is emptied first.
 *
 * @returns whether there was such a one; `setting-wrong` when the folder holds anything else, `data-folder-in-use` when
 *   a restore is at work in it
 */
export async function beginRestore(dataFolder: string): Promise<Outcome<{ again: boolean }>> {
  const names = await namesIn(dataFolder)
  const again = names.includes(marker)
  if (names.length > 0 && !again)
    return fail('setting-wrong', { detail: `${dataFolder} is in use. Choose another with --data.` })
  if (names.includes('postgres')) {
    // A server that the killed restore left behind is ended; one that is at work refuses.
    const server = await startEmbedded({ folder: join(dataFolder, 'postgres') })
    if (!server.ok) return server
    await server.value.stop()
  }
  await mkdir(dataFolder, { recursive: true, mode: 0o700 })
  const file = await open(join(dataFolder, marker), 'w', 0o600)
  await file.writeFile('A restore into this folder has not come to its end. Run safehand restore again.\n')
  await file.sync()
  await file.close()
  await syncFolder(dataFolder)
  for (const name of await readdir(dataFolder))
    if (name !== marker) await rm(join(dataFolder, name), { recursive: true, force: true })
  return ok({ again })
}

/** Takes the mark away: from now on the folder is an installation. */
export async function endRestore(dataFolder: string): Promise<void> {
  await syncFolder(dataFolder)
  await rm(join(dataFolder, marker))
  await syncFolder(dataFolder)
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  await folder.sync()
  await folder.close()
}

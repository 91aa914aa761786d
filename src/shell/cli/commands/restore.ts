import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { orThrow } from '#core/kit/outcome'
import { demonstrationMarker, readConfig } from '#config'
import { finishRestore, loadBackup, openBackup } from '#edge/backup/restore'
import { beginRestore, endRestore } from '#edge/backup/unfinished'
import { fileBlobs } from '#edge/blobs/filesystem'
import { replayErasures } from '#features/copies/erase'
import { CalledWrongly, type Command } from '#shell/cli/command'
import { openInstalled } from '#shell/cli/installed'
import { progressBar } from '#shell/cli/progress'

/** `safehand restore`: all of a backup, or a folder that says that it is none. */
export const restore: Command = {
  summary: 'Restore a backup into an empty folder',
  usage: `safehand restore FILE --identity FILE [--data FOLDER]

  FILE             the backup
  --identity FILE  the age identity that opens it, as age-keygen made it
  --data FOLDER    where to; it must be empty, and so must the database when DATABASE_URL is set

Everything is checked on the way. Nothing can be started in the folder before all is there; a restore that was cut short
is begun again by the same command. Nothing is signed before safehand keeper adopt: what was published after the backup
must be taken in first.
Exit code 0: restored. 1: not, and nothing there can be used. 2: called wrongly.`,
  options: { identity: { type: 'string' }, data: { type: 'string' } },
  async run({ positionals, values, io, json }) {
    const [file, ...more] = positionals
    const identity = values.identity as string | undefined
    if (!file || more.length > 0 || !identity) throw new CalledWrongly('Name one backup, and --identity.')
    const backup = orThrow(await openBackup(file, identity, progressBar(io, 'Restoring')))
    const { at, demonstration } = backup.contents
    const config = orThrow(readConfig({ data: values.data as string | undefined, demonstration }, io.env))
    const { dataFolder } = config
    if (orThrow(await beginRestore(dataFolder)).again)
      io.err(`A restore into ${dataFolder} had been cut short. It begins again.`)
    const { store, close } = orThrow(await openInstalled(config, 'owner'))
    const ending = await (async () => {
      try {
        const blobs = await fileBlobs(join(dataFolder, 'blobs'))
        const loaded = orThrow(await loadBackup(store, blobs, backup))
        const replayed = orThrow(await replayErasures(store.db, config.erasuresFile))
        orThrow(await finishRestore(store.db))
        return { ...loaded, replayed }
      } finally {
        await close()
      }
    })()
    if (demonstration) await writeFile(join(dataFolder, demonstrationMarker.name), demonstrationMarker.words)
    await endRestore(dataFolder)
    io.out(
      json
        ? JSON.stringify({ dataFolder, at, ...ending })
        : `Restored into ${dataFolder}: everything as of ${at}.\n${erasedWords(config.erasuresFile, ending.replayed)}\n\nNext: safehand keeper adopt --from ADDRESS_OR_FOLDER, with where the register was published.\nNothing is signed before that.`,
    )
    return 0
  },
}

const erasedWords = (list: string, replayed: number): string =>
  existsSync(list)
    ? `${replayed} erasures made after the backup were done again.`
    : `There is no list of erasures at ${list}: what was erased after the backup, if anything, is back.`

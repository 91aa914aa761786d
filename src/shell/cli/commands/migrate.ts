import { orThrow } from '#core/kit/outcome'
import { migrate } from '#edge/store/migrate'
import { replayErasures } from '#features/copies/erase'
import type { Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand migrate`: may be run beside a running server of the same version, and twice. */
export const migrateCommand: Command = {
  summary: 'Bring the database forward to this version',
  usage: `safehand migrate [--data FOLDER]

  --data FOLDER  the data folder, when it is not the usual one

Run it after a new version is installed and before it is started. Make a backup first.
Exit code 0: the database fits this version. 1: it was made by a newer one, or could not be changed.`,
  options: { data: { type: 'string' } },
  run: (call) =>
    withInstalled(
      call,
      async (store, { erasuresFile }) => {
        const ran = orThrow(await migrate(store.db))
        // What a server that is not the owner may not do itself.
        orThrow(await replayErasures(store.db, erasuresFile))
        const words = ran.length === 0 ? 'The database is as this version needs it.' : `Done: ${ran.join(', ')}.`
        call.io.out(call.json ? JSON.stringify({ ran }) : words)
        return 0
      },
      'owner',
    ),
}

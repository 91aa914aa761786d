import { join, resolve } from 'node:path'
import { fail, orThrow } from '#core/kit/outcome'
import { makeBackup, type Backup } from '#edge/backup/backup'
import { blobsIn } from '#edge/blobs/filesystem'
import { CalledWrongly, printProblem, type Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'
import { progressBar, sizeWords } from '#shell/cli/progress'

/** `safehand backup`: beside a running server or without one. */
export const backup: Command = {
  summary: 'Make an encrypted backup, while the server runs',
  usage: `safehand backup --to FILE --recipient RECIPIENT [--data FOLDER]

  --to FILE              the backup to make; nothing is ever overwritten
  --recipient RECIPIENT  an age recipient: who can open the backup, and nobody else
  --data FOLDER          the data folder, when it is not the usual one

Everything but the keys is in it, as of one moment: database, jobs that wait, parcels. It is one age file over one tar,
and the server cannot open it. The keys folder is kept elsewhere, once: see docs/operate.md.
Exit code 0: made. 1: not made, or made with bytes of parcels missing. 2: called wrongly.`,
  options: { to: { type: 'string' }, recipient: { type: 'string' }, data: { type: 'string' } },
  run(call) {
    const { to, recipient } = call.values as Record<string, string | undefined>
    if (!to || !recipient)
      throw new CalledWrongly('Say where the backup goes and who can open it: --to and --recipient.')
    const { io, json } = call
    return withInstalled(
      call,
      async (store, { dataFolder, demonstration }) => {
        const file = resolve(to)
        const made = orThrow(
          await makeBackup({
            store,
            blobs: blobsIn(join(dataFolder, 'blobs')),
            demonstration,
            file,
            recipient,
            at: new Date(),
            progress: progressBar(io, 'Backing up'),
          }),
        )
        if (made.missing.length > 0) {
          const { problem } = fail('backup-incomplete', {
            detail: `In ${file} are missing: ${made.missing.join(', ')}.`,
          })
          return printProblem(problem, call)
        }
        io.out(json ? JSON.stringify({ file, ...made }) : inWords(file, made))
        return 0
      },
      'owner',
    )
  },
}

const inWords = (file: string, { rows, jobs, blobs, blobBytes, sizeBytes }: Backup): string => {
  const count = Object.values(rows).reduce((total, each) => total + each, 0)
  return [
    `Made: ${file}, ${sizeWords(sizeBytes)}`,
    `  ${count} rows of ${Object.keys(rows).length} tables, ${jobs} jobs that wait, ${blobs} parts of parcels (${sizeWords(blobBytes)})`,
    'The keys are not in it.',
  ].join('\n')
}

import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import type { Config } from '#edge/house'
import type { Store } from '#edge/store/database'
import { migrate } from '#edge/store/migrate'
import { eraseNow, planErasure, replayErasures, type Plan, type Wanted } from '#features/copies/erase'
import { CalledWrongly, type Call, type Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand erase`: by whoever runs the server, on the word of whoever answers for the information. */
export const erase: Command = {
  summary: 'Erase a transfer, or a person, and keep the register whole',
  usage: `safehand erase --transfer REFERENCE --reason WORDS [--yes] [--data FOLDER]
safehand erase --person EMAIL --reason WORDS [--yes] [--data FOLDER]

  --transfer REFERENCE  a whole transfer that has ended
  --person EMAIL        somebody of the directory or among the recipients; a colleague only once they cannot sign in
  --reason WORDS        why, without naming them: it stays
  --yes                 do it; without, only what would be erased and what stays is said
  --data FOLDER         the data folder, when it is not the usual one

It cannot be undone. It is written down first in a list outside the data folder, from which it is done again when an
older backup is restored: keep that list with the keys.
Exit code 0: done, or said. 1: refused, and nothing was changed. 2: called wrongly.`,
  options: {
    transfer: { type: 'string' },
    person: { type: 'string' },
    reason: { type: 'string' },
    yes: { type: 'boolean' },
    data: { type: 'string' },
  },
  run(call) {
    const { wanted, reason } = asked(call)
    const { values, json, io } = call
    const erase = async ({ db }: Store, { erasuresFile }: Config) => {
      orThrow(await replayErasures(db, erasuresFile))
      const now = new Date()
      const done = values.yes === true
      const plan = orThrow(
        done ? await eraseNow(db, erasuresFile, wanted, { reason, now }) : await planErasure(db, wanted, now),
      )
      const { erasure, recipients, mails, records, kept } = plan
      const counts = { transfers: erasure.transfers.length, recipients, mails, records, events: erasure.events.length }
      io.out(json ? JSON.stringify({ done, erasure: erasure.id, ...counts, kept }) : inWords(plan, done))
      return 0
    }
    return withInstalled(
      call,
      async ({ db: owned }) => {
        orThrow(await migrate(owned))
        return withInstalled(call, erase, 'erasure')
      },
      'owner',
    )
  },
}

function asked({ positionals, values }: Call): { wanted: Wanted; reason: string } {
  const { transfer, person, reason } = values as Record<string, string | undefined>
  if (positionals.length > 0 || (transfer === undefined) === (person === undefined))
    throw new CalledWrongly('Name one transfer or one person.')
  if (!reason || reason.length > limits.lineCharacters)
    throw new CalledWrongly(`Say why with --reason, in ${limits.lineCharacters} characters at most.`)
  return { wanted: transfer === undefined ? { person: person! } : { transfer }, reason }
}

const inWords = ({ erasure, recipients, mails, records, kept }: Plan, done: boolean): string =>
  [
    done ? 'Erased:' : 'This would be erased:',
    ...(erasure.transfers.length > 0 ? ['  the transfer: its words, answers, decisions and records'] : []),
    `  ${recipients} recipients: who they were, and how they were reached`,
    ...(erasure.people.length > 0 ? ['  the person in the directory, with their keys and sessions'] : []),
    `  ${mails} mails, ${records} records of sharing, and what ${erasure.events.length} events of the register say`,
    '',
    done ? 'Kept:' : 'This would stay:',
    ...kept.map((sentence) => `  ${sentence}`),
    ...(done ? [] : ['', 'Add --yes to erase. It cannot be undone.']),
  ].join('\n')

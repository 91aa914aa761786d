import { fail, orThrow } from '#core/kit/outcome'
import { listMail } from '#edge/mail/outbox'
import type { Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand outbox`: mails hold links and codes, so they are shown for a demonstration only. */
export const outbox: Command = {
  summary: 'Show the mails of a demonstration',
  usage: `safehand outbox [--data FOLDER] [--to EMAIL]

  --data FOLDER  the demonstration's data folder (default: .safehand)
  --to EMAIL     only the mails to this address

Newest first. With --json, each with its links.`,
  options: { data: { type: 'string' }, to: { type: 'string' } },
  run: ({ values, json, io }) =>
    withInstalled(
      { values: { data: values.data ?? io.env.SAFEHAND_DATA ?? '.safehand' }, io },
      async ({ db }, { demonstration }) => {
        if (!demonstration)
          return orThrow(fail('setting-wrong', { detail: 'Only a demonstration’s mails can be shown.' }))
        const mails = await listMail(db, { to: values.to as string | undefined })
        if (json) io.out(JSON.stringify(mails))
        else if (mails.length === 0) io.out('There is no mail.')
        else
          io.out(
            mails
              .map((mail) => `To: ${mail.to}\nSubject: ${mail.subject}\n\n${mail.text}`)
              .join(`\n${'─'.repeat(60)}\n`),
          )
        return 0
      },
    ),
}

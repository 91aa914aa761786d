import { limits } from '#core/kit/limits'
import { fail, ok, orThrow } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { makeSignInKey } from '#features/people/codes'
import { staffByEmail } from '#features/people/queries'
import { makeApiToken } from '#features/people/tokens'
import { CalledWrongly, type Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand token`, on the server's machine: who may read the data folder may act for anyone anyway. */
export const token: Command = {
  summary: 'Make a token with which a person uses the command line',
  usage: `safehand token --person EMAIL [--label NAME] [--data FOLDER]
safehand token --person EMAIL --sign-in [--data FOLDER]

  --person EMAIL  a member of staff
  --label NAME    what it is for, shown on the person's account (default: Command line)
  --sign-in       print a link instead, with which they sign in once, within ${limits.codeMinutes} minutes: for the time before mail goes out
  --data FOLDER   the data folder, when it is not the usual one

For the machine the server runs on. Everyone else makes a token on their account's page.
The token is printed once and works for ${limits.apiTokenDays} days.`,
  options: {
    person: { type: 'string' },
    label: { type: 'string' },
    'sign-in': { type: 'boolean' },
    data: { type: 'string' },
  },
  run(call) {
    const { person, label = 'Command line' } = call.values as Record<string, string | undefined>
    if (!person) throw new CalledWrongly('Say whose token it is: --person EMAIL.')
    if (label.length > limits.nameCharacters)
      throw new CalledWrongly(`--label takes ${limits.nameCharacters} characters at most.`)
    return withInstalled(call, async ({ db }, { publicUrl }) => {
      const found = await staffByEmail(db, person)
      if (!found) return orThrow(fail('recipient-unknown', { detail: `No member of staff has the address ${person}.` }))
      if (call.values['sign-in'] === true) {
        const key = orThrow(
          await inTransaction(db, async (tx) => ok(await makeSignInKey(tx, { personId: found.id, now: new Date() }))),
        )
        const link = `${publicUrl}/sign-in/code#${key}`
        call.io.out(call.json ? JSON.stringify({ link, person }) : link)
        if (!call.json) call.io.err(`Shown once. It signs in once, within ${limits.codeMinutes} minutes.`)
        return 0
      }
      const made = orThrow(
        await inTransaction(db, async (tx) => ok(await makeApiToken(tx, { person: found, label, now: new Date() }))),
      )
      call.io.out(call.json ? JSON.stringify({ ...made, person }) : made.token)
      if (!call.json)
        call.io.err(
          `Shown once. It works until ${made.expiresAt.toISOString().slice(0, 10)}; end it on the account’s page.`,
        )
      return 0
    })
  },
}

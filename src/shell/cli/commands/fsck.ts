import { orThrow } from '#core/kit/outcome'
import { fsckRegister, type RegisterCheck } from '#edge/keeper/fsck'
import { openRegister } from '#edge/keeper/installation'
import type { Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand fsck`: beside a running server or without one; changes nothing. */
export const fsck: Command = {
  summary: 'Check the whole register, in the database and as published',
  usage: [
    'safehand fsck [--data FOLDER] [--json]',
    '',
    '  --data   the data folder, when it is not the usual one',
    '',
    'Names the first event that is wrong. Exit code 0: sound. 1: not, or it could not be checked.',
  ].join('\n'),
  options: { data: { type: 'string' } },
  run: (call) =>
    withInstalled(call, async ({ db }, config) => {
      const { tiles, signer } = orThrow(await openRegister(db, config))
      const check = await fsckRegister(db, tiles, signer.vkey)
      const isSound = check.findings.length === 0
      call.io.out(call.json ? JSON.stringify({ isSound, ...check }) : inWords(check))
      return isSound ? 0 : 1
    }),
}

function inWords({ size, published, waiting, firstWrong, findings }: RegisterCheck): string {
  const counts = `${size} events signed, ${published} of them published, ${waiting} waiting.`
  if (findings.length === 0) return `Sound. ${counts}`
  return [
    `NOT SOUND. ${counts}`,
    ...(firstWrong === undefined ? [] : [`The first wrong event is ${firstWrong}.`]),
    ...findings.map(({ where, seq, what }) => `  ${where}${seq === undefined ? '' : ` ${seq}`}: ${what}`),
  ].join('\n')
}

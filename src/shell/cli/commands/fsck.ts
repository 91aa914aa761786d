import { orThrow } from '#core/kit/outcome'
import { fsckRegister, type RegisterCheck } from '#edge/keeper/fsck'
import { openRegister } from '#edge/keeper/installation'
import { readConfig } from '#config'
import type { Command } from '#shell/cli/command'
import { openInstalled } from '#shell/cli/installed'

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
  options: { data: { type: 'string' }, demonstration: { type: 'boolean' } },
  async run({ values, json, io }) {
    const flags = { data: values.data as string | undefined, demonstration: values.demonstration === true }
    const config = orThrow(readConfig(flags, io.env))
    const installed = orThrow(await openInstalled(config))
    try {
      const { tiles, signer } = orThrow(await openRegister(installed.store.db, config))
      const check = await fsckRegister(installed.store.db, tiles, signer.vkey)
      const isSound = check.findings.length === 0
      io.out(json ? JSON.stringify({ isSound, ...check }) : inWords(check))
      return isSound ? 0 : 1
    } finally {
      await installed.close()
    }
  },
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

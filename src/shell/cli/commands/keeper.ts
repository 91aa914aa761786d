import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { orThrow } from '#core/kit/outcome'
import { formatVkey } from '#core/register/note'
import type { Config } from '#edge/house'
import { adopt, type Adopted } from '#edge/keeper/adopt'
import { openRegister, readOrMakeSigner, readSigner } from '#edge/keeper/installation'
import { publishedAt } from '#edge/keeper/published'
import { keyPath, presentNumber, trustOf } from '#edge/keeper/registers'
import { rotate } from '#edge/keeper/rotate'
import type { Db } from '#edge/store/database'
import { migrate } from '#edge/store/migrate'
import { replayErasures } from '#features/copies/erase'
import { CalledWrongly, type Call, type Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand keeper`: what is seldom done with the register, and by the operator only. */
export const keeper: Command = {
  summary: 'Continue a restored register, close one and begin the next, or name the keys to trust',
  usage: `safehand keeper adopt [--from FOLDER_OR_ADDRESS] [--newest FILE] [--nothing-later] [--data FOLDER]
safehand keeper rotate [--yes] [--data FOLDER]
safehand keeper trust [--data FOLDER]

adopt: take in what was published after a backup, so that the register goes on and never forks
  --from           where it was published: a copy of the folder, a mirror, or the register's address
                   (default: the folder register in the data folder)
  --newest FILE    a checkpoint that somebody holds: at least that much must be there
  --nothing-later  your word that nothing was signed after the backup; only where nothing is published

rotate: close the register with a last event, and begin a new one with a new name and key
  --yes            do it; without, only what would be done is said

trust: print the keys of this register and of those closed before it, as safehand verify --trust takes them

Exit code 0: done. 1: refused, and nothing was changed. 2: called wrongly.`,
  options: {
    from: { type: 'string' },
    newest: { type: 'string' },
    'nothing-later': { type: 'boolean' },
    yes: { type: 'boolean' },
    data: { type: 'string' },
  },
  run(call) {
    const [name, ...more] = call.positionals
    const act = Object.hasOwn(acts, name ?? '') && more.length === 0 ? acts[name!] : undefined
    if (!act) throw new CalledWrongly('Say adopt, rotate or trust.')
    return withInstalled(
      call,
      async ({ db }, config) => {
        orThrow(await migrate(db))
        await act(call, db, config)
        return 0
      },
      'owner',
    )
  },
}

const acts: Record<string, (call: Call, db: Db, config: Config) => Promise<void>> = {
  async adopt({ values, json, io }, db, config) {
    const { from, newest } = values as Record<string, string | undefined>
    const adopted = orThrow(
      await adopt({
        db,
        published: publishedAt(from ?? join(config.dataFolder, 'register')),
        signerOf: (number) => readSigner(db, config, number),
        nothingLater: values['nothing-later'] === true,
        ...(newest !== undefined && { newest: await readFile(newest, 'utf8') }),
      }),
    )
    const replayed = orThrow(await replayErasures(db, config.erasuresFile))
    io.out(json ? JSON.stringify({ ...adopted, replayed }) : adoptedWords(adopted, replayed))
  },
  async rotate({ values, json, io }, db, config) {
    const { tiles, signer } = orThrow(await openRegister(db, config))
    const number = await presentNumber(db)
    if (values.yes !== true) {
      const path = keyPath(config.keysFolder, number + 1)
      io.out(
        json
          ? JSON.stringify({ done: false, closes: formatVkey(signer.vkey), key: path })
          : `This would close ${signer.vkey.name} for ever and begin register ${number + 1}, with a new key in\n${path}. Receipts of the old one go on verifying with the old key.\nAdd --yes to do it.`,
      )
      return
    }
    const next = await readOrMakeSigner(db, config, number + 1)
    const { size } = orThrow(await rotate({ db, tiles, signer, next }))
    const trust = await trustOf(db)
    io.out(
      json
        ? JSON.stringify({ done: true, size, vkey: formatVkey(next.vkey), trust })
        : `Closed with ${size} events. Restart Safehand: until then nothing is signed.\n\nPublish these keys, both, and give them to your witnesses:\n\n${trust}`,
    )
  },
  async trust({ json, io }, db, config) {
    orThrow(await openRegister(db, config))
    const trust = await trustOf(db)
    io.out(json ? JSON.stringify({ trust }) : trust)
  },
}

function adoptedWords({ size, placed, lost, closed }: Adopted, replayed: number): string {
  return [
    `The register goes on from ${size} events.`,
    ...(placed > 0 ? [`${placed} events of the backup had been published since, and have got their places.`] : []),
    ...(lost > 0
      ? [
          `${lost} events were published after the backup. That they happened stays on the record; what they said is lost here.`,
        ]
      : []),
    ...(replayed > 0 ? [`${replayed} erasures made after the backup were done again.`] : []),
    ...(closed > 0 ? [`${closed} registers had been closed since.`] : []),
  ].join('\n')
}

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { blobsIn } from '#edge/blobs/filesystem'
import type { Config } from '#edge/house'
import { fsckClosed, fsckRegister, noteIn, type RegisterCheck } from '#edge/keeper/fsck'
import { openRegister, tilesOf } from '#edge/keeper/installation'
import { closedRegisters } from '#edge/keeper/registers'
import { republish } from '#edge/keeper/repair'
import { openKeyring } from '#edge/keyring'
import { leftovers } from '#edge/leftovers'
import type { Db } from '#edge/store/database'
import { checkWork, unknownBlobs, type WorkCheck } from '#features/parcels/checking'
import type { Call, Command } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'

/** `safehand fsck`: beside a running server or without one; changes nothing unless told to repair. */
export const fsck: Command = {
  summary: 'Check database, register, bytes and keys against each other',
  usage: [
    'safehand fsck [--quick] [--repair] [--data FOLDER] [--json]',
    '',
    '  --quick   look at the sizes of parcels, not at every byte',
    '  --repair  mend what can be proved, say what was done, and check again',
    '  --data    the data folder, when it is not the usual one',
    '',
    'Names the first event that is wrong. Exit code 0: sound. 1: not, or it could not be checked.',
    'Repair publishes files of the register that are missing, and removes bytes that no parcel has and files that a',
    `killed process left, ${limits.blobArrivingMs / 3_600_000} hours after. Everything else stays as it is and is named.`,
  ].join('\n'),
  options: { data: { type: 'string' }, quick: { type: 'boolean' }, repair: { type: 'boolean' } },
  run: (call) =>
    withInstalled(call, async ({ db }, config) => {
      const isQuick = call.values.quick === true
      const repaired = call.values.repair === true ? await repair(call, db, config) : []
      const check = await checkAll(db, config, isQuick)
      const isSound = check.findings.length === 0
      call.io.out(call.json ? JSON.stringify({ isSound, ...check, repaired }) : inWords(check, repaired))
      return isSound ? 0 : 1
    }),
}

type WholeCheck = RegisterCheck & WorkCheck

const keptOf = (db: Db, config: Config) => ({
  db,
  blobs: blobsIn(join(config.dataFolder, 'blobs')),
  keyring: openKeyring(join(config.keysFolder, 'keyring'), config.postQuantum),
  now: new Date(),
})

/** Everything that an installation keeps, against everything else. */
async function checkAll(db: Db, config: Config, quick: boolean): Promise<WholeCheck> {
  const { tiles, signer } = orThrow(await openRegister(db, config))
  const register = await fsckRegister(db, tiles, signer.vkey)
  for (const closed of await closedRegisters(db))
    register.findings.push(...(await fsckClosed(db, tilesOf(config, closed.number), closed)))
  const note = noteIn(register)
  const work = await checkWork(keptOf(db, config), quick, note)
  for await (const path of leftovers(config, new Date()))
    note('files', `${path} was left by a process that was killed.`)
  return { ...register, ...work }
}

/** Mends what can be proved. @returns a sentence for each thing that was done */
async function repair(call: Call, db: Db, config: Config): Promise<string[]> {
  const done: string[] = []
  const { tiles, signer } = orThrow(await openRegister(db, config))
  // Only the keeper may say what is published.
  const published = await withInstalled(call, (store) => republish(store.db, tiles, signer.vkey), 'keeper')
  for (const path of published ?? []) done.push(`Published ${path}.`)
  const kept = keptOf(db, config)
  for await (const { key, why } of unknownBlobs(kept)) {
    await kept.blobs.remove(key)
    done.push(`Removed ${key}: ${why}`)
  }
  for await (const path of leftovers(config, kept.now)) {
    await rm(path, { force: true })
    done.push(`Removed ${path}, which a killed process left.`)
  }
  return done
}

function inWords(check: WholeCheck, repaired: string[]): string {
  const { size, published, waiting, transfers, parcels, blobs, sizeBytes, firstWrong, findings } = check
  const counts = [
    `${size} events signed, ${published} of them published, ${waiting} waiting.`,
    `${transfers} transfers, ${parcels} parcels, ${blobs} blobs of ${sizeBytes} bytes that can be collected.`,
  ].join(' ')
  if (findings.length === 0) return [...repaired, `Sound. ${counts}`].join('\n')
  return [
    ...repaired,
    `NOT SOUND. ${counts}`,
    ...(firstWrong === undefined ? [] : [`The first wrong event is ${firstWrong}.`]),
    ...findings.map(({ where, seq, what }) => `  ${where}${seq === undefined ? '' : ` ${seq}`}: ${what}`),
  ].join('\n')
}

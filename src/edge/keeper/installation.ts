import { join } from 'node:path'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { parseVkey, type NoteSigner } from '#core/register/note'
import type { TrustPolicy } from '#core/register/policy'
import type { Config } from '#edge/house'
import { readOrMakeRegisterKey, readRegisterKey } from '#edge/keeper/key'
import { closedRegisters, keyPath, originOf, presentNumber, publishedUnder } from '#edge/keeper/registers'
import { tileFolder, type Tiles } from '#edge/keeper/tiles'
import { readWitnesses } from '#edge/keeper/witness'
import type { Db } from '#edge/store/database'

/**
 * The register of an installation: its tiles in the data folder, its key among the keys.
 *
 * A register keeps for ever the name it began with, whatever the address is now; a new one is named after the address.
 *
 * @returns tiles, signer and the witnesses if there are any; or the problem `keeper-elsewhere` when there is a register
 *   but not its key file, or `setting-wrong` when the file of witnesses is
 */
export async function openRegister(
  db: Db,
  config: Pick<Config, 'dataFolder' | 'keysFolder' | 'publicUrl' | 'witnessesFile'>,
): Promise<Outcome<{ tiles: Tiles; closedTiles: (number: number) => Tiles; signer: NoteSigner; trust?: TrustPolicy }>> {
  const signer = await openSigner(db, config)
  if (!signer.ok) return signer
  const tiles = tilesOf(config, await presentNumber(db))
  const closedTiles = (number: number) => tilesOf(config, number)
  if (config.witnessesFile === undefined) return ok({ tiles, closedTiles, signer: signer.value })
  const trust = await readWitnesses(config.witnessesFile, signer.value.vkey)
  return trust.ok ? ok({ tiles, closedTiles, signer: signer.value, trust: trust.value }) : trust
}

async function openSigner(db: Db, config: Pick<Config, 'keysFolder' | 'publicUrl'>): Promise<Outcome<NoteSigner>> {
  const number = await presentNumber(db)
  const path = keyPath(config.keysFolder, number)
  const head = await db.selectFrom('registerHead').select('vkey').executeTakeFirst()
  if (!head) return ok(await readOrMakeSigner(db, config, number))
  const signer = await readSigner(db, config, number)
  return signer ? ok(signer) : fail('keeper-elsewhere', { detail: `There is no key file ${path}.` })
}

/** The published files of one of the registers. */
export const tilesOf = (config: Pick<Config, 'dataFolder'>, number: number): Tiles =>
  tileFolder(join(config.dataFolder, 'register', publishedUnder(number)))

/** The signer of one of the registers, also of one that is to be begun; undefined when its key is not there. */
export const readSigner = async (
  db: Db,
  config: Pick<Config, 'keysFolder' | 'publicUrl'>,
  number: number,
): Promise<NoteSigner | undefined> =>
  readRegisterKey(keyPath(config.keysFolder, number), await originIn(db, config, number))

/** As `readSigner`, but makes the key when it is not there. */
export const readOrMakeSigner = async (
  db: Db,
  config: Pick<Config, 'keysFolder' | 'publicUrl'>,
  number: number,
): Promise<NoteSigner> => readOrMakeRegisterKey(keyPath(config.keysFolder, number), await originIn(db, config, number))

/** The name of one of the registers: after that of the first, which is named after the address it began with. */
async function originIn(db: Db, { publicUrl }: Pick<Config, 'publicUrl'>, number: number): Promise<string> {
  const [first] = await closedRegisters(db)
  const vkey = first?.vkey ?? (await db.selectFrom('registerHead').select('vkey').executeTakeFirst())?.vkey
  const name = vkey ? orThrow(parseVkey(vkey)).name : `${publicUrl.replace(/^[a-z]+:\/\//, '')}/register`
  return originOf(name, number)
}

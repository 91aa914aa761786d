import { join } from 'node:path'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { parseVkey, type NoteSigner } from '#core/register/note'
import type { TrustPolicy } from '#core/register/policy'
import type { Config } from '#edge/house'
import { readOrMakeRegisterKey, readRegisterKey } from '#edge/keeper/key'
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
): Promise<Outcome<{ tiles: Tiles; signer: NoteSigner; trust?: TrustPolicy }>> {
  const signer = await openSigner(db, config)
  if (!signer.ok) return signer
  const tiles = tileFolder(join(config.dataFolder, 'register'))
  if (config.witnessesFile === undefined) return ok({ tiles, signer: signer.value })
  const trust = await readWitnesses(config.witnessesFile, signer.value.vkey)
  return trust.ok ? ok({ tiles, signer: signer.value, trust: trust.value }) : trust
}

async function openSigner(db: Db, config: Pick<Config, 'keysFolder' | 'publicUrl'>): Promise<Outcome<NoteSigner>> {
  const path = join(config.keysFolder, 'register.pem')
  const head = await db.selectFrom('registerHead').select('vkey').executeTakeFirst()
  if (!head) {
    const origin = `${config.publicUrl.replace(/^[a-z]+:\/\//, '')}/register`
    return ok(await readOrMakeRegisterKey(path, origin))
  }
  const signer = await readRegisterKey(path, orThrow(parseVkey(head.vkey)).name)
  return signer ? ok(signer) : fail('keeper-elsewhere', { detail: `There is no key file ${path}.` })
}

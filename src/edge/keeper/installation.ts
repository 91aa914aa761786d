import { join } from 'node:path'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { parseVkey, type NoteSigner } from '#core/register/note'
import type { Config } from '#edge/house'
import { readOrMakeRegisterKey, readRegisterKey } from '#edge/keeper/key'
import { tileFolder, type Tiles } from '#edge/keeper/tiles'
import type { Db } from '#edge/store/database'

/**
 * The register of an installation: its tiles in the data folder, its key among the keys.
 *
 * A register keeps for ever the name it began with, whatever the address is now; a new one is named after the address.
 *
 * @returns tiles and signer, or the problem `keeper-elsewhere` when there is a register but not its key file
 */
export async function openRegister(
  db: Db,
  config: Pick<Config, 'dataFolder' | 'keysFolder' | 'publicUrl'>,
): Promise<Outcome<{ tiles: Tiles; signer: NoteSigner }>> {
  const tiles = tileFolder(join(config.dataFolder, 'register'))
  const path = join(config.keysFolder, 'register.pem')
  const head = await db.selectFrom('registerHead').select('vkey').executeTakeFirst()
  if (!head) {
    const origin = `${config.publicUrl.replace(/^[a-z]+:\/\//, '')}/register`
    return ok({ tiles, signer: await readOrMakeRegisterKey(path, origin) })
  }
  const signer = await readRegisterKey(path, orThrow(parseVkey(head.vkey)).name)
  return signer ? ok({ tiles, signer }) : fail('keeper-elsewhere', { detail: `There is no key file ${path}.` })
}

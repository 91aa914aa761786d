import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { keyTypes, makeVkey, type NoteSigner } from '#core/register/note'

/**
 * The register's signing key: an Ed25519 private key in PKCS #8 PEM, readable by its owner only.
 *
 * Keep it outside the data folder and its backups: who has both can sign another past.
 *
 * @param name - the register's: its address without scheme and trailing slash; or a witness's
 * @param type - what the key signs, one of `keyTypes`
 * @returns the signer, or undefined when there is no such file
 * @throws Error when the file is open to others, or holds something else
 */
export async function readRegisterKey(
  path: string,
  name: string,
  type: number = keyTypes.ed25519,
): Promise<NoteSigner | undefined> {
  const pem = await readKey(path)
  if (pem === undefined) return undefined
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${path} holds no Ed25519 key`)
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  const vkey = makeVkey(name, type, new Uint8Array(Buffer.from(x!, 'base64url')))
  return { vkey, sign: (message) => Promise.resolve(new Uint8Array(sign(null, message, key))) }
}

/** As `readRegisterKey`, but makes the file when it is not there. */
export async function readOrMakeRegisterKey(path: string, name: string, type?: number): Promise<NoteSigner> {
  const found = await readRegisterKey(path, name, type)
  if (found) return found
  await makeKey(path)
  return (await readRegisterKey(path, name, type))!
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    if ((await stat(path)).mode % 0o100 !== 0) throw new Error(`${path} can be read by others: chmod 600 it`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function makeKey(path: string): Promise<void> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(unfinished, 'wx', 0o600)
  await file.writeFile(pem)
  await file.sync()
  await file.close()
  try {
    // A link, not a rename: of two processes that start at once, one key wins and both read it.
    await link(unfinished, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  await unlink(unfinished)
  const folder = await open(dirname(path))
  await folder.sync()
  await folder.close()
}

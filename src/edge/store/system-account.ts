import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The system account that the database server runs as. Postgres refuses to run as root. */
export interface Account {
  name: string
  uid: number
  gid: number
}

/** `postgres` before `nobody`: what belongs to nobody is shared with every other program that runs as nobody. */
const candidates = ['postgres', 'nobody']

/**
 * The account to run the database as: none when we are an ordinary user already, otherwise the owner of an existing
 * data folder, otherwise the first candidate that this machine knows.
 *
 * @throws Error with a sentence for the person when the data folder is another user's, or when we are root and the
 *   machine knows none of the accounts
 */
export async function chooseAccount(dataFolder: string): Promise<Account | null> {
  const owner = await stat(dataFolder).then(
    ({ uid }) => uid,
    () => null,
  )
  const ours = process.getuid?.()
  if (ours !== 0) {
    if (owner === null || ours === undefined || owner === ours) return null
    throw new Error(
      `The database in ${dataFolder} belongs to another account of this machine. Start Safehand as before, or choose another data folder.`,
    )
  }
  const accounts = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
  const chosen =
    accounts.find(({ uid }) => owner !== 0 && uid === owner) ??
    candidates.map((name) => accounts.find((account) => account.name === name)).find(Boolean)
  if (!chosen) {
    throw new Error(
      `The database does not run as root and this machine has no account named ${candidates.join(' or ')}. ` +
        'Start Safehand as an ordinary user, or set DATABASE_URL.',
    )
  }
  return chosen
}

/** Whether an account may pass through a folder and every folder above it. Ourselves (`null`) may by definition. */
export async function canReach(account: Account | null, folder: string): Promise<boolean> {
  if (!account) return true
  for (let at = await realpath(folder); ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at)
    const searchBit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
    if ((mode & searchBit) === 0) return false
    if (at === dirname(at)) return true
  }
}

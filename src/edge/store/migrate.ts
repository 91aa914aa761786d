import { sql, type Kysely } from 'kysely'
import { ok, ProblemError, type Outcome } from '#core/kit/outcome'
import { inTransaction, type Db } from '#edge/store/database'
import { migrations, type Migration } from '#edge/store/migrations/index'

/** Chosen once at random: everybody who migrates waits for the same lock. */
const migrationLock = 7_203_164_988

/**
 * Brings the database to the shape that this code expects, in one transaction and one process at a time.
 *
 * @returns the names of the migrations that were run, or the problem `database-newer` when the database holds one that
 *   this code does not know
 */
export async function migrate(db: Db, wanted: readonly Migration[] = migrations): Promise<Outcome<string[]>> {
  return inTransaction(db, async (tx) => {
    await sql`select pg_advisory_xact_lock(${migrationLock})`.execute(tx)
    await sql`create table if not exists migration (name text primary key, ran_at timestamptz not null default now())`.execute(
      tx,
    )
    const { rows } = await sql<{ name: string }>`select name from migration`.execute(tx)
    const known = new Set(wanted.map(({ name }) => name))
    const unknown = rows.find(({ name }) => !known.has(name))
    if (unknown) throw new ProblemError({ slug: 'database-newer', detail: `It holds the change ${unknown.name}.` })
    const ran: string[] = []
    for (const { name, up } of wanted.filter((each) => !rows.some((row) => row.name === each.name))) {
      await up(tx as unknown as Kysely<unknown>)
      await sql`insert into migration (name) values (${name})`.execute(tx)
      ran.push(name)
    }
    return ok(ran)
  })
}

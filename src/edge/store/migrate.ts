import { sql, type Kysely } from 'kysely'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { installJobs } from '#edge/jobs/install'
import { inTransaction, type Db } from '#edge/store/database'
import { migrations, type Migration } from '#edge/store/migrations/index'

/** Chosen once at random: everybody who migrates waits for the same lock. */
const migrationLock = 7_203_164_988

/**
 * Brings the database to the shape that this code expects: our tables in one transaction, then those of the jobs; one
 * process at a time.
 *
 * @returns the names of the migrations that were run, or the problem `database-newer` when the database holds one that
 *   this code does not know
 */
export async function migrate(db: Db, wanted: readonly Migration[] = migrations): Promise<Outcome<string[]>> {
  return db.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${migrationLock})`.execute(connection)
    try {
      const outcome = await runMissing(connection, wanted)
      if (outcome.ok) await installJobs(connection)
      return outcome
    } finally {
      await sql`select pg_advisory_unlock(${migrationLock})`.execute(connection)
    }
  })
}

function runMissing(db: Db, wanted: readonly Migration[]): Promise<Outcome<string[]>> {
  return inTransaction(db, async (tx) => {
    // Filling a new column of a large table may take longer than any request may.
    await sql`set local statement_timeout = 0`.execute(tx)
    await sql`create table if not exists migration (name text primary key, ran_at timestamptz not null default now())`.execute(
      tx,
    )
    const { rows } = await sql<{ name: string }>`select name from migration`.execute(tx)
    const unknown = rows.find((row) => !wanted.some(({ name }) => name === row.name))
    if (unknown) return fail('database-newer', { detail: `It holds the change ${unknown.name}.` })
    const missing = wanted.filter(({ name }) => !rows.some((row) => row.name === name))
    for (const step of missing) {
      await step.up(tx as unknown as Kysely<unknown>)
      await sql`insert into migration (name) values (${step.name})`.execute(tx)
    }
    return ok(missing.map(({ name }) => name))
  })
}

import { createHash } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { installJobs, jobsSchema } from '#edge/jobs/install'
import { jobNames } from '#edge/jobs/names'
import { access, questions, statementOf, statementsFor, type Line } from '#edge/store/access'
import { inTransaction, type Db } from '#edge/store/database'
import { migrations, type Migration } from '#edge/store/migrations/index'
import { databaseRoles, makeRoles } from '#edge/store/roles'

/** Chosen once at random: everybody who migrates waits for the same lock. */
const migrationLock = 7_203_164_988

/**
 * Brings the database to the shape that this code expects: our tables in one transaction, then those of the jobs; one
 * process at a time. Then everybody reaches what `access.ts` says. The caller is the tables' owner.
 *
 * @param wanted - fewer than all only for a database that is being restored and that nobody may reach yet
 * @returns the names of the migrations that were run; or the problem `database-newer` when the database holds one that
 *   this code does not know; or `database-owner-wrong`
 */
export async function migrate(
  db: Db,
  wanted: readonly Migration[] = migrations,
  lines: Record<string, Line> = access,
): Promise<Outcome<string[]>> {
  return db.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${migrationLock})`.execute(connection)
    try {
      const owner = await checkOwner(connection)
      const outcome = owner.ok ? await runMissing(connection, wanted, lines) : owner
      if (!outcome.ok) return outcome
      await installJobs(connection)
      await sql.raw(jobsAccess).execute(connection)
      if (wanted.length >= migrations.length) await noteShape(connection, lines)
      return outcome
    } finally {
      await sql`select pg_advisory_unlock(${migrationLock})`.execute(connection)
    }
  })
}

/**
 * Whether nothing is missing, asked by who may not change anything.
 *
 * @returns `database-older` when `migrate` must be run first, `database-newer` as there
 */
export async function checkMigrated(db: Db): Promise<Outcome<undefined>> {
  const shape = await shapeOf(db)
  if (shape === null) return fail('database-older')
  const { rows } = await sql<{ name: string }>`select name from migration`.execute(db)
  const unknown = rows.find((row) => !migrations.some(({ name }) => name === row.name))
  if (unknown) return newer(unknown)
  return shape === shapeWith(access) ? ok() : fail('database-older')
}

const newer = ({ name }: { name: string }) => fail('database-newer', { detail: `It holds the change ${name}.` })

/** An owner for whom policies hold would migrate rows without seeing them. */
async function checkOwner(db: Db): Promise<Outcome<undefined>> {
  const { rows } = await sql<{ mayMakeRoles: boolean }>`
    select (rolsuper or rolcreaterole) as may_make_roles from pg_roles
    where rolname = current_user and (rolsuper or rolbypassrls)`.execute(db)
  if (!rows[0]) return fail('database-owner-wrong', { detail: 'It is neither superuser nor BYPASSRLS.' })
  const known = await sql<{ mayErase: boolean }>`
    select pg_has_role('safehand_erasure', 'set') or pg_has_role('safehand_erasure', 'member with admin option') as may_erase
    from pg_roles where rolname = any(${databaseRoles}::text[])`.execute(db)
  const allMade = known.rows.length === databaseRoles.length
  if (allMade && !known.rows[0]!.mayErase)
    return fail('database-owner-wrong', { detail: 'It may not become safehand_erasure, which another login made.' })
  if (allMade || rows[0].mayMakeRoles) return ok()
  return fail('database-owner-wrong', { detail: `It cannot make the roles ${databaseRoles.join(', ')}.` })
}

function runMissing(db: Db, wanted: readonly Migration[], lines: Record<string, Line>): Promise<Outcome<string[]>> {
  return inTransaction(db, async (tx) => {
    // Filling a new column of a large table may take longer than any request may.
    await sql`set local statement_timeout = 0`.execute(tx)
    await sql`create table if not exists migration (name text primary key, ran_at timestamptz not null default now())`.execute(
      tx,
    )
    const { rows } = await sql<{ name: string }>`select name from migration`.execute(tx)
    const unknown = rows.find((row) => !wanted.some(({ name }) => name === row.name))
    if (unknown) return newer(unknown)
    const missing = wanted.filter(({ name }) => !rows.some((row) => row.name === name))
    for (const step of missing) {
      await step.up(tx as unknown as Kysely<unknown>)
      await sql`insert into migration (name) values (${step.name})`.execute(tx)
    }
    await sql.raw(makeRoles).execute(tx)
    const isWhole = wanted.length >= migrations.length
    if (isWhole && (missing.length > 0 || (await shapeOf(tx)) !== shapeWith(lines))) await giveAccess(tx, lines)
    return ok(missing.map(({ name }) => name))
  })
}

/** Takes back all that was ever granted and gives what the lines say. */
async function giveAccess(db: Db, lines: Record<string, Line>): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
    order by relname`.execute(db)
  const without = rows.filter(({ name }) => !lines[name])
  if (without.length > 0)
    throw new Error(`access.ts has no line for ${without.map(({ name }) => name).join(', ')}: say who may reach it.`)
  await sql
    .raw(
      `revoke all on all tables in schema public from public, ${databaseRoles.join(', ')};
       do $$
       declare
         old record;
       begin
         for old in select policyname, tablename from pg_policies where schemaname = 'public' loop
           execute format('drop policy %I on %I', old.policyname, old.tablename);
         end loop;
       end $$;
       ${Object.entries(questions)
         .map(([name, question]) => statementOf(name, question))
         .join(';\n')};
       ${rows.map(({ name }) => statementsFor(name, lines[name]!)).join(';\n')}`,
    )
    .execute(db)
}

const working = 'safehand_system, safehand_staff, safehand_outside'

/** Jobs hold ids only: whoever does something may enqueue what follows from it. */
const jobsAccess = `
  grant usage on schema ${jobsSchema} to safehand_app, ${working};
  grant select, insert, update, delete on all tables in schema ${jobsSchema} to safehand_app, ${working};
  grant usage, select on all sequences in schema ${jobsSchema} to safehand_app, ${working}`

/** What tells that access was given as these lines say, and that the queues of this code were made. */
const shapeWith = (lines: Record<string, Line>): string =>
  createHash('sha256')
    .update(JSON.stringify([lines, questions, jobsAccess, jobNames]))
    .digest('hex')

/** It stands where everybody may read it: a comment of the catalogue. */
const noteShape = (db: Db, lines: Record<string, Line>) =>
  sql.raw(`comment on table migration is '${shapeWith(lines)}'`).execute(db)

async function shapeOf(db: Db): Promise<string | null> {
  const { rows } = await sql<{ shape: string | null }>`
    select obj_description(to_regclass('public.migration'), 'pg_class') as shape`.execute(db)
  return rows[0]!.shape
}

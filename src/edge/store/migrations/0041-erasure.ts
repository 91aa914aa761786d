import { sql, type Kysely } from 'kysely'

/** What was erased, by the ids of the list that is kept outside; so that a restored database knows what it lacks. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table erasures (
      id uuid primary key,
      at timestamptz not null,
      reason text
    )`.execute(db)
}

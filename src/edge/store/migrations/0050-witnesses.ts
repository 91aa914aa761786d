import { sql, type Kysely } from 'kysely'

/** What witnesses signed of the register's checkpoints: a line for each witness under the note it belongs to. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table register_cosigned (
      size bigint not null check (size >= 0),
      witness text not null,
      checkpoint text not null,
      line text not null,
      primary key (size, witness)
    )`.execute(db)
}

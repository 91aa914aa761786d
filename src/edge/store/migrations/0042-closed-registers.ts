import { sql, type Kysely } from 'kysely'

/**
 * Registers that were closed when a new one was begun. The present one's events have the places 0, 1, …; those of closed
 * ones are moved below zero, each register to a range of its own that begins at `first_place`.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table closed_registers (
      number int primary key check (number > 0),
      vkey text not null,
      size bigint not null check (size > 0),
      root bytea not null,
      checkpoint text not null,
      first_place bigint not null check (first_place < 0)
    )`.execute(db)
  await sql`alter table register_events drop constraint register_events_seq_check`.execute(db)
}

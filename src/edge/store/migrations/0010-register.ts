import { sql, type Kysely } from 'kysely'

/** Events of the register with what only we know of them, and the one row that says how far it is signed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table register_events (
      id uuid primary key default uuidv7(),
      name text not null,
      transfer_id uuid,
      at timestamptz not null,
      handle text not null unique,
      salt bytea,
      body text,
      leaf bytea not null,
      seq bigint unique check (seq >= 0),
      check ((salt is null) = (body is null))
    )`.execute(db)
  await sql`create index register_events_transfer on register_events (transfer_id, id) where transfer_id is not null`.execute(
    db,
  )
  await sql`create index register_events_unsequenced on register_events (id) where seq is null`.execute(db)
  await sql`
    create table register_head (
      only_row boolean primary key default true check (only_row),
      vkey text not null,
      size bigint not null check (size >= 0),
      root bytea not null,
      checkpoint text not null,
      published text
    )`.execute(db)
}

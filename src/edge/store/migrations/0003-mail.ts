import { sql, type Kysely } from 'kysely'

/** Mails on their way out. What a mail said is taken away once it is handed over; that it was sent is kept. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table outgoing_mail (
      id uuid primary key default uuidv7(),
      recipient text not null,
      language text not null check (language in ('en', 'cy')),
      subject text not null,
      text text,
      html text,
      links jsonb,
      transfer_id uuid,
      state text not null default 'held' check (state in ('held', 'sent', 'refused')),
      tries integer not null default 0,
      refusal integer,
      created_at timestamptz not null default now(),
      settled_at timestamptz,
      check ((state = 'held') = (settled_at is null)),
      check (state <> 'held' or (text is not null and html is not null and links is not null))
    )`.execute(db)
  await sql`create index on outgoing_mail (created_at desc)`.execute(db)
  await sql`create index on outgoing_mail (transfer_id)`.execute(db)
  await sql`create index on outgoing_mail (id) where state = 'held'`.execute(db)
}

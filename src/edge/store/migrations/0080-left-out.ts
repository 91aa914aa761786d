import { sql, type Kysely } from 'kysely'

/** Whether a sender looked at what need not be sent, and what was left out (D3). */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table transfers add column looked_through_at timestamptz, add column left_out_words text`.execute(db)
}

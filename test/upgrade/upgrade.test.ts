import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { orThrow } from '#core/kit/outcome'
import { parseVkey } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import { fsckRegister } from '#edge/keeper/fsck'
import { receiptFor } from '#edge/keeper/receipt'
import { republish } from '#edge/keeper/repair'
import { tileFolder } from '#edge/keeper/tiles'
import type { Db } from '#edge/store/database'
import { migrate } from '#edge/store/migrate'
import { migrations } from '#edge/store/migrations/index'
import { emptyDatabase } from '#test/database'

/**
 * A database of version 0.1.0, as that version itself made it from a demonstration: a parcel sent, collected and
 * recalled, a transfer half described, an event that waits, and something in every table. And a receipt it gave out.
 */
const released = ['0003-mail', '0010-register', '0020-work']
const saved = (name: string) => readFile(join(import.meta.dirname, name), 'utf8')

const folder = await mkdtemp(join(tmpdir(), 'safehand-upgrade-'))
after(() => rm(folder, { recursive: true }))
const { db, store } = await emptyDatabase({ after })
orThrow(
  await migrate(
    db,
    migrations.filter(({ name }) => released.includes(name)),
  ),
)
await store.pool.query(await saved('0.1.0.sql'))

/** The tables of the release with their columns. */
async function shape(of: Db): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ table: string; columns: string[] }>`
    select table_name as table, array_agg(column_name::text order by ordinal_position) as columns
    from information_schema.columns where table_schema = 'public' and table_name <> 'migration'
    group by table_name order by table_name`.execute(of)
  return new Map(rows.map((row) => [row.table, row.columns]))
}

/** Every row of these columns, as text. */
async function rowsOf(of: Db, shapes: Map<string, string[]>): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {}
  for (const [table, columns] of shapes) {
    const list = sql.join(columns.map((column) => sql.ref(column)))
    const { rows } = await sql<{ row: string }>`
      select row(${list})::text as row from ${sql.id(table)} order by 1`.execute(of)
    all[table] = rows.map(({ row }) => row)
  }
  return all
}

test('a database of version 0.1.0 comes forward with every row as it was', async () => {
  const shapes = await shape(db)
  const before = await rowsOf(db, shapes)
  for (const [table, rows] of Object.entries(before)) assert.ok(rows.length > 0, `${table} holds something`)
  const ran = orThrow(await migrate(db))
  assert.deepEqual(
    ran,
    migrations.map(({ name }) => name).filter((name) => !released.includes(name)),
  )
  assert.deepEqual(await rowsOf(db, shapes), before)
  assert.deepEqual(orThrow(await migrate(db)), [])
  const { rows } = await sql<{ number: number }>`
    insert into transfers (reference, sender_id, state, created_at)
    select 'SH-2026-999999', sender_id, 'draft', now() from transfers limit 1 returning number`.execute(db)
  assert.equal(rows[0]!.number, before.transfers!.length + 1)
})

test('its register is sound, and receipts of then and of now verify with its key', async () => {
  const { vkey } = await db.selectFrom('registerHead').select('vkey').executeTakeFirstOrThrow()
  const tiles = tileFolder(join(folder, 'register'))
  assert.ok((await republish(db, tiles, orThrow(parseVkey(vkey))))!.includes('checkpoint'))
  const check = await fsckRegister(db, tiles, orThrow(parseVkey(vkey)))
  assert.deepEqual([check.findings, check.waiting], [[], 1])
  const trust = orThrow(parseTrustPolicy(`log ${vkey}\nquorum none\n`))
  const then = orThrow(verifyReceipt(await saved('0.1.0.tlog-proof'), trust))
  assert.equal(then.event, 'parcel-opened')
  const { id } = await db
    .selectFrom('registerEvents')
    .where('seq', '=', then.index)
    .select('id')
    .executeTakeFirstOrThrow()
  const now = orThrow(verifyReceipt(orThrow(await receiptFor(db, { tiles }, id)), trust))
  assert.deepEqual(now.body, then.body)
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { fail, ok, ProblemError } from '#core/kit/outcome'
import { inTransaction, newId, openDatabase } from '#edge/store/database'
import { startCuttingProxy } from '#test/cutting-proxy'
import { freshDatabase } from '#test/database'

const { db, url, open } = await freshDatabase({ after })
await sql`create table thing (id bigint primary key, day date, at timestamptz)`.execute(open('owner').db)
await sql`grant all on thing to safehand_system`.execute(open('owner').db)

const count = async () => (await sql<{ n: number }>`select count(*) as n from thing`.execute(db)).rows[0]!.n
const exists = async (id: number) => (await sql`select from thing where id = ${id}`.execute(db)).rows.length === 1
const insert = (id: number) => sql`insert into thing (id) values (${id})`

test('a bigint comes back as a number', async () => {
  const { rows } = await sql`select 9007199254740991::bigint as n`.execute(db)
  assert.deepEqual(rows, [{ n: Number.MAX_SAFE_INTEGER }])
})

test('a bigint that a number cannot hold exactly is refused', async () => {
  await assert.rejects(sql`select 9007199254740992::bigint as n`.execute(db), RangeError)
})

test('a date is its own text whatever the time zone, and an instant is a Date', async () => {
  const { rows } = await sql`select '2026-03-29'::date as day, '2026-03-29 01:30:00Z'::timestamptz as at`.execute(db)
  assert.deepEqual(rows, [{ day: '2026-03-29', at: new Date('2026-03-29T01:30:00Z') }])
})

test('a failure undoes the transaction and is the outcome', async () => {
  const before = await count()
  const outcome = await inTransaction(db, async (tx) => {
    await insert(1).execute(tx)
    return fail('not-found')
  })
  assert.deepEqual(outcome, fail('not-found'))
  assert.equal(await count(), before)
})

test('a problem thrown inside undoes the transaction and comes back as a failure', async () => {
  const before = await count()
  const outcome = await inTransaction(db, async (tx) => {
    await insert(2).execute(tx)
    throw new ProblemError({ slug: 'not-allowed', detail: 'No.' })
  })
  assert.deepEqual(outcome, fail('not-allowed', { detail: 'No.' }))
  assert.equal(await count(), before)
})

test('any other error undoes the transaction and is thrown', async () => {
  const before = await count()
  await assert.rejects(
    inTransaction(db, async (tx) => {
      await insert(3).execute(tx)
      throw new Error('the disk went away')
    }),
    /the disk went away/,
  )
  assert.equal(await count(), before)
})

let lastId = 1000

/** Work that the database refuses to order beside others, the first few times. */
const refusedTimes = (times: number, code: '40001' | '40P01' | '23505') => {
  let tries = 0
  return inTransaction(db, async (tx) => {
    tries++
    await insert(++lastId).execute(tx)
    if (tries <= times) await sql.raw(`do $$ begin raise sqlstate '${code}'; end $$`).execute(tx)
    return ok(tries)
  })
}

test('what could not be ordered beside other transactions is tried again, as often as the limit says and no more', async () => {
  const before = await count()
  const tries = limits.transactionTries
  assert.deepEqual(await refusedTimes(tries - 2, '40001'), ok(tries - 1))
  assert.deepEqual(await refusedTimes(tries - 1, '40P01'), ok(tries))
  await assert.rejects(refusedTimes(tries, '40001'), { code: '40001' })
  assert.equal(await count(), before + 2)
})

test('any other refusal by the database is not tried again', async () => {
  await assert.rejects(refusedTimes(1, '23505'), { code: '23505' })
})

test('a connection lost before the commit is thrown, and nothing is done', async (t) => {
  const proxy = await startCuttingProxy(t, url)
  const cut = openDatabase({ url: proxy.url })
  proxy.cutAtCommit = 'before'
  const work = (id: number) => inTransaction(cut.db, async (tx) => ok(await insert(id).execute(tx)))
  await assert.rejects(work(50), /connection error|Connection terminated/)
  assert.equal(await exists(50), false)
  assert.ok((await work(51)).ok)
  await cut.close()
})

test('a connection lost after the commit is thrown, and all of it is done', async (t) => {
  const proxy = await startCuttingProxy(t, url)
  const cut = openDatabase({ url: proxy.url })
  proxy.cutAtCommit = 'after'
  await assert.rejects(
    inTransaction(cut.db, async (tx) => ok(await insert(60).execute(tx))),
    /connection error|Connection terminated/,
  )
  assert.equal(await exists(60), true)
  await cut.close()
})

test('a statement that runs for too long is ended', async () => {
  const { rows } = await sql<{ name: string; setting: string }>`select name, setting from pg_settings
    where name in ('statement_timeout', 'idle_in_transaction_session_timeout') order by name`.execute(db)
  assert.deepEqual(
    rows.map(({ setting }) => Number(setting)),
    [limits.databaseIdleInTransactionMs, limits.databaseStatementMs],
  )
})

test('ids sort in the order in which they were made, also within a millisecond', () => {
  const ids = Array.from({ length: 5_000 }, newId)
  assert.deepEqual(ids, ids.toSorted())
  assert.equal(new Set(ids).size, ids.length)
  assert.match(ids[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

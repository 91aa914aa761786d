import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { fail, ok, ProblemError } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { freshDatabase } from '#test/database'

const { db } = await freshDatabase({ after })
await sql`create table thing (id bigint primary key, day date, at timestamptz)`.execute(db)

const count = async () => (await sql<{ n: number }>`select count(*) as n from thing`.execute(db)).rows[0]!.n
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

test('what two transactions could not be ordered for is tried again', async () => {
  await insert(10).execute(db)
  let tries = 0
  const raise = () =>
    inTransaction(db, async (tx) => {
      tries++
      await sql`set transaction isolation level serializable`.execute(tx)
      const { rows } = await sql<{ n: number }>`select max(id) as n from thing`.execute(tx)
      await sql`select pg_sleep(0.05)`.execute(tx)
      await insert(rows[0]!.n + 1).execute(tx)
      return ok(rows[0]!.n)
    })
  const outcomes = await Promise.allSettled([raise(), raise()])
  // Both may meet on the same id, which no retry mends, but never without having tried what could be retried.
  assert.equal(outcomes.length, 2)
  assert.ok(tries >= 2)
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { fail, ok, ProblemError, type Outcome } from '#core/kit/outcome'
import { asSystem, sendUnwaited } from '#edge/store/context'
import { inTransaction, newId, openDatabase, type Tx } from '#edge/store/database'
import { startCuttingProxy } from '#test/cutting-proxy'
import { freshDatabase } from '#test/database'

const { db, store, url, open } = await freshDatabase({ after })
await sql`create table thing (id bigint primary key, day date, at timestamptz)`.execute(open('owner').db)
await sql`grant all on thing to safehand_system`.execute(open('owner').db)

const count = async () => (await sql<{ n: number }>`select count(*) as n from thing`.execute(db)).rows[0]!.n
const exists = async (id: number) => (await sql`select from thing where id = ${id}`.execute(db)).rows.length === 1
const insert = (id: number) => sql`insert into thing (id) values (${id})`
const send = (tx: Tx, id: unknown) => sendUnwaited(tx, 'insert into thing (id) values ($1)', [id])
const isTaken = { code: '23505' }

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

test('a statement that nobody waits for leaves in one piece with the commit, or with the next statement', async (t) => {
  const pieces: string[][] = [[]]
  const proxy = await startCuttingProxy(t, url, (text) => {
    // All of a piece is read before anything else happens.
    if (pieces.at(-1)!.length === 0) setImmediate(() => pieces.push([]))
    pieces.at(-1)!.push(text)
    return null
  })
  const through = openDatabase({ url: proxy.url })
  const first = { begin: "begin; set local role = 'safehand_system'", insert: 'insert into thing (id) values ($1)' }
  await inTransaction(through.db, async (tx) => ok(await send(tx, 100)))
  await inTransaction(through.db, async (tx) => {
    await send(tx, 101)
    await sql`select 1`.execute(tx)
    return ok(await send(tx, 102))
  })
  await through.close()
  assert.deepEqual(pieces.slice(0, -1), [
    [first.begin, first.insert, 'commit'],
    [first.begin, first.insert, 'select 1'],
    [first.insert, 'commit'],
  ])
  assert.ok((await exists(100)) && (await exists(101)) && (await exists(102)))
})

test('what nobody waits for and fails undoes the transaction, which throws its error: never success, nor that it was aborted', async () => {
  await insert(110).execute(db)
  const before = await count()
  const works: ((tx: Tx) => Promise<Outcome<unknown>>)[] = [
    async (tx) => ok(await send(tx, 110)),
    async (tx) => {
      await send(tx, 110)
      await send(tx, 111)
      return ok(await insert(112).execute(tx))
    },
    async (tx) => {
      await send(tx, 110)
      await assert.rejects(insert(113).execute(tx), isTaken)
      return ok()
    },
  ]
  for (const work of works) {
    await assert.rejects(inTransaction(db, work), isTaken)
    await assert.rejects(db.transaction().execute(work), isTaken)
    await assert.rejects(
      db.connection().execute((one) => one.transaction().execute(work)),
      isTaken,
    )
  }
  assert.equal(await count(), before)
})

test('a connection whose transaction failed unheard goes on with the next one', async () => {
  await insert(115).execute(db)
  await db.connection().execute(async (one) => {
    await assert.rejects(
      inTransaction(one, async (tx) => ok(await send(tx, 115))),
      isTaken,
    )
    await insert(116).execute(one)
    assert.ok((await inTransaction(one, async (tx) => ok(await send(tx, 117)))).ok)
    await one
      .transaction()
      .setIsolationLevel('serializable')
      .execute((tx) => send(tx, 118))
  })
  assert.ok((await exists(116)) && (await exists(117)) && (await exists(118)))
})

test('what nobody waits for and could not be ordered beside other transactions is tried again', async () => {
  let tries = 0
  const outcome = await inTransaction(db, async (tx) => {
    tries += 1
    await send(tx, 120)
    if (tries < 3) await sendUnwaited(tx, `do $$ begin raise sqlstate '40001'; end $$`, [])
    return ok(tries)
  })
  assert.deepEqual(outcome, ok(3))
  assert.equal(await exists(120), true)
})

test('a work that throws or refuses undoes what it did not wait for, and throws or refuses as it did', async () => {
  await insert(130).execute(db)
  const before = await count()
  // One that would have been done, and one that fails.
  for (const id of [131, 130]) {
    const thrown = inTransaction(db, async (tx) => {
      await send(tx, id)
      throw new Error('the disk went away')
    })
    await assert.rejects(thrown, /the disk went away/)
    const refused = await inTransaction(db, async (tx) => {
      await send(tx, id)
      return fail('not-found')
    })
    assert.deepEqual(refused, fail('not-found'))
  }
  assert.equal(await count(), before)
})

test('a connection lost before the commit loses what nobody waited for, and one lost after it does not; both are thrown', async (t) => {
  const proxy = await startCuttingProxy(t, url)
  const cut = openDatabase({ url: proxy.url })
  const lost = /connection error|Connection terminated/
  for (const [when, id] of [
    ['before', 140],
    ['after', 141],
  ] as const) {
    proxy.cutAtCommit = when
    await assert.rejects(
      inTransaction(cut.db, async (tx) => ok(await send(tx, id))),
      lost,
    )
    assert.equal(await exists(id), when === 'after')
  }
  await cut.close()
})

test('a connection that is lost while nobody waits is thrown at the commit', async () => {
  const broken = inTransaction(db, async (tx) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
    await send(tx, 150)
    await sql`select pg_terminate_backend(${rows[0]!.pid}, 10000)`.execute(open('owner').db)
    // Long enough for its end to be heard, with nobody listening.
    await rest(50)
    return ok()
  })
  await assert.rejects(broken, /connection error|Connection terminated|not queryable|terminating connection/)
  assert.equal(await exists(150), false)
})

test('at most so many go unwaited for as the limit says; the next statement that nobody waits for waits', async () => {
  await insert(160).execute(db)
  const limit = limits.databaseStatementsUnwaited
  for (const more of [limit - 1, limit, limit + 1]) {
    let sent = 0
    const work = inTransaction(db, async (tx) => {
      await send(tx, 160)
      for (sent = 1; sent < more; sent += 1) await send(tx, 160 + sent)
      return ok()
    })
    await assert.rejects(work, isTaken)
    assert.equal(sent, Math.min(more, limit))
  }
})

test('what nobody waits for has succeeded before a savepoint is made, gone back to, or left', async () => {
  await insert(170).execute(db)
  const begun = await db.startTransaction().execute()
  const saved = await begun.savepoint('here').execute()
  await send(saved, 171)
  await saved.rollbackToSavepoint('here').execute()
  await send(saved, 172)
  await saved.releaseSavepoint('here').execute()
  await begun.commit().execute()
  assert.deepEqual([await exists(171), await exists(172)], [false, true])
  // Gone back to, it would mend what failed, and the transaction would succeed and throw.
  for (const step of ['rollbackToSavepoint', 'releaseSavepoint'] as const) {
    const again = await db.startTransaction().execute()
    const failing = await again.savepoint('here').execute()
    await send(failing, 170)
    await assert.rejects(failing[step]('here').execute(), isTaken)
    await assert.rejects(again.commit().execute(), isTaken)
    await again.rollback().execute()
  }
})

test('what cannot be put into a message is not left to be sent without anybody waiting', async () => {
  const before = await count()
  const ring: unknown[] = []
  ring.push(ring)
  await assert.rejects(
    inTransaction(db, async (tx) => ok(await send(tx, ring))),
    /plain values/,
  )
  assert.equal(await count(), before)
})

test('what nobody waits for is done as whoever it was sent as, also where its failure would be unheard', async () => {
  const staff = store.confine({ as: 'person', person: newId(), roles: [] })
  await inTransaction(staff, async (tx) => ok(await asSystem(tx, () => send(tx, 180))))
  assert.equal(await exists(180), true)
  await assert.rejects(
    inTransaction(staff, async (tx) => {
      await asSystem(tx, () => send(tx, 181))
      return ok(await send(tx, 182))
    }),
    { code: '42501' },
  )
  await assert.rejects(
    inTransaction(staff, async (tx) => ok(await asSystem(tx, () => send(tx, 180)))),
    isTaken,
  )
  assert.deepEqual([await exists(181), await exists(182)], [false, false])
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

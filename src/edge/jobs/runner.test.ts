import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import { fail, ok, orThrow } from '#core/kit/outcome'
import { enqueue, startJobs, type JobIds } from '#edge/jobs/runner'
import { inTransaction } from '#edge/store/database'
import { migrate } from '#edge/store/migrate'
import { freshDatabase } from '#test/database'

const { db, store, open } = await freshDatabase({ after })

/** Jobs that stop with their test, and what they logged. */
async function start(t: TestContext) {
  const lines: string[] = []
  const jobs = await startJobs(store, (line) => lines.push(line))
  t.after(() => jobs.stop())
  return { jobs, lines }
}

const waiting = async (name: string) =>
  (
    await sql<{
      data: JobIds
      state: string
      output: unknown
    }>`select data, state, output from jobs.job where name = ${name} order by created_on`.execute(db)
  ).rows

const clear = () => sql`delete from jobs.job`.execute(db)

test('a job enqueued in a transaction that is undone does not exist', async () => {
  await inTransaction(db, async (tx) => {
    await enqueue(tx, 'tidy', { id: 'undone' })
    return fail('not-found')
  })
  assert.deepEqual(await waiting('tidy'), [])
})

test('a job runs once its transaction is committed, and is given its ids', async (t) => {
  const { jobs } = await start(t)
  const ran = Promise.withResolvers<JobIds>()
  await jobs.work('tidy', async (ids) => ran.resolve(ids))
  await inTransaction(db, async (tx) => ok(await enqueue(tx, 'tidy', { id: 'a1', recipientId: 'b2' })))
  assert.deepEqual(await ran.promise, { id: 'a1', recipientId: 'b2' })
  await jobs.stop()
  await clear()
})

test('jobs that were enqueued while nobody worked are done later', async (t) => {
  await inTransaction(db, async (tx) => ok(await enqueue(tx, 'tidy', { id: 'early' })))
  const { jobs } = await start(t)
  const ran = Promise.withResolvers<JobIds>()
  await jobs.work('tidy', async (ids) => ran.resolve(ids))
  assert.deepEqual(await ran.promise, { id: 'early' })
  await jobs.stop()
  await clear()
})

test('a key that is waiting already is not enqueued twice; without a key every job counts', async () => {
  await inTransaction(db, async (tx) => {
    for (const id of ['1', '2']) await enqueue(tx, 'tidy', { id }, { singletonKey: 'same' })
    for (const id of ['3', '4']) await enqueue(tx, 'tidy', { id })
    return ok()
  })
  const ids = (await waiting('tidy')).map(({ data }) => data.id!)
  assert.deepEqual(ids, ['1', '3', '4'])
  await clear()
})

test('a job is not started before its time', async (t) => {
  const { jobs } = await start(t)
  const ran: string[] = []
  const second = Promise.withResolvers<void>()
  await jobs.work('tidy', async ({ id }) => {
    ran.push(id!)
    if (id === 'now') second.resolve()
  })
  await inTransaction(db, async (tx) => {
    await enqueue(tx, 'tidy', { id: 'tomorrow' }, { startAfter: new Date(Date.now() + 86_400_000) })
    await enqueue(tx, 'tidy', { id: 'now' })
    return ok()
  })
  await second.promise
  await jobs.stop()
  assert.deepEqual(ran, ['now'])
  await clear()
})

test('a job that fails is tried again, and neither log nor database repeats what its error said', async (t) => {
  const { jobs, lines } = await start(t)
  const again = Promise.withResolvers<void>()
  await jobs.work('deliver-mail', async () => {
    again.resolve()
    throw Object.assign(new TypeError('no such mailbox: mair@millbrook.example\n    at mair@millbrook.example'), {
      code: 'EENVELOPE',
    })
  })
  await inTransaction(db, async (tx) => ok(await enqueue(tx, 'deliver-mail', { id: 'x' })))
  await again.promise
  await jobs.stop()
  const [job] = await waiting('deliver-mail')
  assert.equal(job!.state, 'retry')
  assert.match(lines.join('\n'), /^job deliver-mail [\w-]+: TypeError EENVELOPE\n {4}at /)
  assert.doesNotMatch(JSON.stringify([job, lines]), /mair@|mailbox/)
  await clear()
})

test('two processes on one database never do the same job at once, and do all of them', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const ran: string[] = []
  const done = Promise.withResolvers<void>()
  const ids = Array.from({ length: 20 }, (_, i) => `j${i}`)
  const work = async ({ id }: JobIds) => {
    ran.push(id!)
    if (ran.length === ids.length) done.resolve()
  }
  await one.jobs.work('tidy', work)
  await two.jobs.work('tidy', work)
  await inTransaction(db, async (tx) => {
    for (const id of ids) await enqueue(tx, 'tidy', { id })
    return ok()
  })
  await done.promise
  await Promise.all([one.jobs.stop(), two.jobs.stop()])
  assert.deepEqual(new Set(ran), new Set(ids))
  assert.equal(ran.length, ids.length)
  await clear()
})

test('anything but an id is refused as the content of a job', async () => {
  await assert.rejects(
    inTransaction(db, async (tx) => ok(await enqueue(tx, 'tidy', { to: 'mair@millbrook.example' }))),
    /jobs hold ids only/,
  )
})

test('a repeating job stands in the database once, however many processes ask for it', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  await one.jobs.repeat('tidy', '* * * * *')
  await two.jobs.repeat('tidy', '* * * * *')
  const { rows } = await sql`select name, cron, timezone from jobs.schedule`.execute(db)
  assert.deepEqual(rows, [{ name: 'tidy', cron: '* * * * *', timezone: 'UTC' }])
})

test('migrating again, and two migrating at once, changes nothing and fails nothing', async () => {
  const outcomes = await Promise.all([migrate(open('owner').db), migrate(open('owner').db)])
  assert.deepEqual(outcomes.map(orThrow), [[], []])
})

test('jobs go on after every connection to the database was cut', async (t) => {
  const { jobs, lines } = await start(t)
  const ran = Promise.withResolvers<JobIds>()
  await jobs.work('tidy', async (ids) => ran.resolve(ids))
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`.execute(open('owner').db)
  const ask = () => inTransaction(db, async (tx) => ok(await enqueue(tx, 'tidy', { id: 'later' })))
  // Whoever asks on a connection that has not noticed the cut yet is told so, and asks again.
  while (!(await ask().catch(() => undefined))) await delay(50)
  assert.deepEqual(await ran.promise, { id: 'later' })
  assert.doesNotMatch(lines.join('\n'), /later/)
  await jobs.stop()
  await clear()
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql, type Kysely } from 'kysely'
import { fail, ok } from '#core/kit/outcome'
import { access } from '#edge/store/access'
import { migrate } from '#edge/store/migrate'
import { migrations, type Migration } from '#edge/store/migrations/index'
import { freshDatabase } from '#test/database'

const { open } = await freshDatabase({ after })
const { db } = open('owner')

/** As `migrate`, for a code that has a line for each table that these tests make. */
const made = Object.fromEntries(['9001', '9002', '9003'].map((name) => [`made_${name}`, {}]))
const migrateTo = (wanted: Migration[], as = db) => migrate(as, wanted, { ...access, ...made })

/** A migration that makes a table of its own name. */
const making = (name: string): Migration => ({
  name,
  up: async (tx: Kysely<unknown>) => void (await sql`create table ${sql.table(`made_${name}`)} ()`.execute(tx)),
})
const isThere = async (name: string) =>
  (await sql<{ oid: string | null }>`select to_regclass(${`made_${name}`}) as oid`.execute(db)).rows[0]!.oid !== null

test('migrations are numbered, in order, and each once', () => {
  const names = migrations.map(({ name }) => name)
  assert.ok(names.every((name) => /^\d{4}-[a-z-]+$/.test(name)))
  assert.deepEqual(names, [...new Set(names)].toSorted())
})

test('what is missing is run in order and named, and never again', async () => {
  const wanted = [...migrations, making('9001'), making('9002')]
  assert.deepEqual(await migrateTo(wanted), ok(['9001', '9002']))
  assert.deepEqual(await migrateTo(wanted), ok([]))
  assert.ok((await isThere('9001')) && (await isThere('9002')))
})

test('a migration that fails leaves nothing of itself or of those before it in the same run', async () => {
  const broken: Migration = { name: '9004', up: () => Promise.reject(new Error('no')) }
  const wanted = [...migrations, making('9001'), making('9002'), making('9003'), broken]
  await assert.rejects(migrateTo(wanted), /^Error: no$/)
  assert.equal(await isThere('9003'), false)
})

test('a database of a newer version is refused and left as it is', async () => {
  assert.deepEqual(
    await migrateTo([...migrations, making('9001'), making('9003')]),
    fail('database-newer', { detail: 'It holds the change 9002.' }),
  )
  assert.equal(await isThere('9003'), false)
})

test('many that migrate at once do it once', async () => {
  const wanted = [...migrations, making('9001'), making('9002'), making('9003')]
  const outcomes = await Promise.all([1, 2, 3].map(() => migrateTo(wanted, open('owner').db)))
  assert.deepEqual(
    outcomes.flatMap((outcome) => (outcome.ok ? outcome.value : ['failed'])),
    ['9003'],
  )
})

test('a table of which nobody said who may reach it is not made', async () => {
  const wanted = [...migrations, making('9001'), making('9002'), making('9003'), making('9005')]
  await assert.rejects(migrateTo(wanted), /access\.ts has no line for made_9005/)
  assert.equal(await isThere('9005'), false)
})

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { sql } from 'kysely'
import { ok, orThrow, type Outcome } from '#core/kit/outcome'
import { openDatabase } from '#edge/store/database'
import { connectionString, startEmbedded } from '#edge/store/embedded'
import { openExternal, openReady } from '#edge/store/installation'
import { checkMigrated, migrate } from '#edge/store/migrate'
import { checkLogin, databaseRoles } from '#edge/store/roles'
import { emptyDatabase, freshDatabase } from '#test/database'
import { blocksOf } from '#test/guide'

const { db: system, store, url, open } = await freshDatabase({ after })
const owner = open('owner').db

const slug = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.problem.slug)

/** A login of the server, made as told, and taken away after. */
async function aLogin(t: Pick<TestContext, 'after'>, made: string, ...granted: string[]) {
  const name = `login_${crypto.randomUUID().replaceAll('-', '')}`
  await sql.raw(`create role ${name} login ${made}`).execute(owner)
  for (const grant of granted) await sql.raw(`grant ${grant.replace('ROLE', name)}`).execute(owner)
  t.after(() => sql.raw(`drop role ${name}`).execute(owner))
  const at = new URL(url)
  at.searchParams.delete('options')
  at.searchParams.set('user', name)
  return at.href
}

test('a start is refused to a login that may do more than a server should', async (t) => {
  const started = async (login: string) => {
    const opened = await openReady(openExternal(login), false)
    if (opened.ok) await opened.value.close()
    return slug(opened)
  }
  const app = 'safehand_app, safehand_keeper to ROLE with inherit false'
  assert.equal(await started(await aLogin(t, '', app)), 'ok')
  assert.equal(await started(await aLogin(t, 'superuser')), 'database-login-wrong')
  assert.equal(await started(await aLogin(t, 'bypassrls', app)), 'database-login-wrong')
  assert.equal(await started(await aLogin(t, '', app, 'safehand to ROLE with inherit false')), 'database-login-wrong')
  assert.equal(await started(await aLogin(t, '', app, 'safehand_system to ROLE')), 'database-login-wrong')
  assert.equal(await started(await aLogin(t, '')), 'database-login-wrong')
})

test('a table without policies is found before anybody is served', async () => {
  await sql`alter table rates no force row level security`.execute(owner)
  assert.equal(slug(await checkLogin(store)), 'database-login-wrong')
  await sql`alter table rates force row level security`.execute(owner)
  assert.deepEqual(await checkLogin(store), ok())
})

test('a database that is not brought forward, or whose access is another’s, is refused; migrate sets it right', async (t) => {
  assert.deepEqual(await checkMigrated(system), ok())
  await sql`comment on table migration is 'other'`.execute(owner)
  await sql`grant select on rates to public`.execute(owner)
  await sql`create policy loose on transfers for select using (true)`.execute(owner)
  assert.equal(slug(await checkMigrated(system)), 'database-older')
  assert.deepEqual(await migrate(owner), ok([]))
  assert.deepEqual(await checkMigrated(system), ok())
  await assert.rejects(sql`select from rates`.execute(open('erasure').db), /permission denied/)
  const { rows } = await sql`select from pg_policies where policyname = 'loose'`.execute(owner)
  assert.equal(rows.length, 0)
  const login = new URL(await aLogin(t, '', 'safehand_app to ROLE with inherit false'))
  login.pathname = new URL((await emptyDatabase(t)).url).pathname
  assert.equal(slug(await openReady(openExternal(login.href), false)), 'database-older')
})

test('who may not see every row brings no database forward', async (t) => {
  const login = await aLogin(t, 'createrole')
  const opened = openDatabase({ url: login, role: 'owner' })
  assert.equal(slug(await migrate(opened.db)), 'database-owner-wrong')
  await opened.close()
})

test('many databases of one server make its roles at once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-roles-'))
  const server = await startEmbedded({ folder, settings: { fsync: 'off' } })
  assert.ok(server.ok)
  const { socketFolder } = server.value
  t.after(async () => {
    await server.value.stop()
    await rm(folder, { recursive: true })
  })
  const opened = (database: string) => openDatabase({ socketFolder, database, role: 'owner' })
  const first = opened('postgres')
  const names = Array.from({ length: 6 }, (_, i) => `roles_${i}`)
  for (const name of names) await first.pool.query(`create database ${name}`)
  await first.pool.query(`drop role ${databaseRoles.join(', ')}`)
  const stores = names.map(opened)
  assert.deepEqual(
    (await Promise.all(stores.map(({ db }) => migrate(db)))).map(slug),
    names.map(() => 'ok'),
  )
  const { rows } = await first.pool.query(
    `select count(*) as roles, (select count(*) from pg_auth_members where member = 'safehand_app'::regrole) as contexts
     from pg_roles where rolname = any($1)`,
    [databaseRoles],
  )
  assert.deepEqual(rows, [{ roles: databaseRoles.length, contexts: 3 }])
  for (const each of [first, ...stores]) await each.close()
})

test('with two logins made as the guide says, everybody can do what is theirs', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-guide-'))
  const server = await startEmbedded({ folder, settings: { fsync: 'off' } })
  assert.ok(server.ok)
  const { socketFolder } = server.value
  const superuser = openDatabase({ socketFolder, database: 'postgres', role: 'owner' })
  t.after(async () => {
    await superuser.close()
    await server.value.stop()
    await rm(folder, { recursive: true })
  })
  // A server that is somebody's own has never seen our roles.
  await superuser.pool.query('drop database safehand')
  await superuser.pool.query(`drop role ${databaseRoles.join(', ')}`)
  const [asOwner, asServer] = blocksOf('docs/operate.md', 'sql').map((block) =>
    block.split(';').filter((each) => each.trim()),
  )
  for (const statement of asOwner!) await superuser.pool.query(statement)
  const login = (name: string) => connectionString(socketFolder, 'safehand', name)
  const open = openExternal(login('safehand_server'), login('safehand_owner'))
  const owner = open('owner')
  assert.ok((await migrate(owner.db)).ok)
  await owner.close()
  for (const statement of asServer!) await superuser.pool.query(statement)

  // It serves without the owner's login, and brings itself forward with it.
  for (const isOwner of [false, true]) {
    const served = orThrow(
      await openReady(openExternal(login('safehand_server'), isOwner ? login('safehand_owner') : undefined), isOwner),
    )
    await sql`select from organisations`.execute(served.db)
    await served.close()
  }
  assert.equal(slug(await openReady(openExternal(login('safehand_owner')), false)), 'database-login-wrong')
  for (const [role, ask] of [
    ['keeper', 'select from register_events'],
    ['erasure', 'select from transfers'],
  ] as const) {
    const as = open(role)
    await as.pool.query(ask)
    await as.close()
  }
})

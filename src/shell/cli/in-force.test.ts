import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { orThrow } from '#core/kit/outcome'
import { readConfig } from '#config'
import { rulebook } from '#shell/cli/commands/rulebook'
import { openInstalled } from '#shell/cli/installed'
import { startSafehand } from '#shell/start'
import { aVersion } from '#test/drafting'
import { freePort } from '#test/serving'

const folder = await mkdtemp(join(tmpdir(), 'safehand-in-force-'))
after(() => rm(folder, { recursive: true, force: true }))
const data = join(folder, 'data')
const env = { SAFEHAND_KEYS: join(folder, 'keys') }
const config = orThrow(readConfig({ data, demonstration: true, port: String(await freePort()) }, env))

async function run(...positionals: string[]) {
  const said: string[] = []
  const yes = positionals.includes('--yes')
  const code = await rulebook.run({
    positionals: positionals.filter((each) => each !== '--yes'),
    values: { data, ...(yes ? { yes } : {}) },
    json: false,
    io: { out: (text: string) => said.push(text), err: (text: string) => said.push(text), env },
  } as never)
  return { code, said: said.join('\n') }
}

/** As a release before this one, with other words, left it published. */
async function publishUnreadable() {
  const text = aVersion('7.0.0', (shipped) => shipped.replace('methods: all', 'methods: carrier-pigeon'))
  const { store, close } = orThrow(await openInstalled(config, 'owner'))
  const row = { rulebook: 'council', version: '7.0.0', text, cases: '', publishedAt: new Date(), number: 1 }
  const sha256 = createHash('sha256').update(text).digest('hex')
  await store.db
    .insertInto('rulebookVersions')
    .values({ ...row, sha256 })
    .execute()
  await close()
}

test('a release that cannot read what was published refuses to start and says what to do; the operator does it, and it starts', async () => {
  await orThrow(await startSafehand(config)).stop()
  assert.match((await run('in-force')).said, /^council 1\.0\.0 [0-9a-f]{64}$/)
  assert.match((await run('restore', 'council', '--yes')).said, /Nothing was changed/)
  await publishUnreadable()
  const refused = await startSafehand(config)
  assert.equal(refused.ok ? '' : refused.problem.slug, 'rulebook-not-ours')
  assert.match(refused.ok ? '' : refused.problem.detail!, /council.*carrier-pigeon/)
  const { code, said } = await run('in-force')
  assert.equal(code, 1)
  assert.match(said, /council 7\.0\.0[^]*Published by officers here[^]*cannot read it/)
  assert.match((await run('restore', 'council')).said, /Add --yes/)
  assert.equal((await startSafehand(config)).ok, false, 'it was only said')
  assert.match((await run('restore', 'council', '--yes')).said, /Version 1\.0\.0 of the release is in force/)
  const { code: now } = await run('in-force')
  assert.equal(now, 0)
  await orThrow(await startSafehand(config)).stop()
  const { store, close } = orThrow(await openInstalled(config, 'app'))
  const [event] = await store.db
    .selectFrom('registerEvents')
    .select('body')
    .where('name', '=', 'rulebook-published')
    .execute()
  await close()
  assert.equal(JSON.parse(event!.body!).by, null)
})

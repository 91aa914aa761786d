/**
 * A Safehand that does not outlive one of the writes by which a rulebook is published: each in turn, before it is made and
 * after. The new version is in force with its event and its draft closed, or nothing of it is; said again, it is done once.
 * `FAULTS=full` cuts the draft and its offer too.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { orThrow } from '#core/kit/outcome'
import { parseVkey } from '#core/register/note'
import { fsckRegister } from '#edge/keeper/fsck'
import { policyInForce } from '#features/rulebooks/in-force'
import { Cuts, startProcess, type CutAt } from '#test/cuts'
import { aVersion, draftPage, draftsUrl, itsCases, keepDraft } from '#test/drafting'
import { aHouse, Browser, type TestHouse } from '#test/house'

const steps = ['draft', 'offer', 'approve'] as const
type Step = (typeof steps)[number]
const isFull = process.env.FAULTS === 'full'

interface Officers {
  helen: Browser
  omar: Browser
}

const versionsOf = async ({ house }: TestHouse) => {
  const { rows } = await sql<{ versions: number; events: number; closed: number; newest: string | null }>`
    select (select count(*)::int from rulebook_versions) as versions,
      (select count(*)::int from register_events where name = 'rulebook-published') as events,
      (select count(*)::int from rulebook_drafts where state = 'published') as closed,
      (select version from rulebook_versions order by number desc limit 1) as newest`.execute(house.db)
  return rows[0]!
}

/** What was published is published whole, and the register is well. @returns the version in force */
async function assertWhole(base: TestHouse, when: string): Promise<string> {
  const { versions, events, closed, newest } = await versionsOf(base)
  assert.deepEqual([events, closed], [versions, versions], when)
  const { house } = base
  const { findings } = await fsckRegister(house.db, house.keeper.tiles, orThrow(parseVkey(house.keeper.vkey)))
  assert.deepEqual(findings, [], when)
  const { version } = (await policyInForce(house)).rulebookVersions[0]!
  if (newest) assert.equal(version, newest, when)
  return version
}

/** Publishes a version, ended at one write of one step; then started again, and said again. */
async function publishing(base: TestHouse, version: string, cutStep: Step | undefined, at: CutAt | null) {
  const cuts = new Cuts()
  let running = await startProcess(base, cuts)
  const as: Officers = {
    helen: await Browser.of(running.app, 'Helen Marsh'),
    omar: await Browser.of(running.app, 'Omar Siddiq'),
  }
  let id = ''
  const content = async () => (await draftPage(as.helen, id)).content
  const work: Record<Step, () => Promise<unknown>> = {
    draft: async () => (id = await keepDraft(as.helen, aVersion(version), itsCases)),
    offer: async () => as.helen.post(`${draftsUrl}/${id}/offer`, { content: await content() }),
    approve: async () => as.omar.post(`${draftsUrl}/${id}/approve`, { content: await content() }),
  }
  const writes: Record<string, Cuts['writes']> = {}
  let isCut = false
  try {
    const before = await assertWhole(base, version)
    for (const step of steps) {
      cuts.watch(step === cutStep ? at : null)
      const failure = await work[step]().catch((error: Error) => error)
      writes[step] = cuts.writes
      cuts.watch(null)
      if (!cuts.isKilled) {
        if (failure instanceof Error) throw failure
        continue
      }
      isCut = true
      const when = `${step} of ${version} cut ${at!.when} ${writes[step][at!.n]!.what}`
      await running.stop()
      const now = await assertWhole(base, when)
      assert.ok(now === before || now === version, when)
      running = await startProcess(base, new Cuts())
      // Killed as a browser's secret was renewed, its person signs in again.
      Object.assign(as, {
        helen: await Browser.of(running.app, 'Helen Marsh'),
        omar: await Browser.of(running.app, 'Omar Siddiq'),
      })
      if (failure instanceof Error)
        await work[step]().catch((again: Error) => assert.match(again.message, /draft-closed/, when))
    }
    assert.equal(await assertWhole(base, version), version)
  } finally {
    await running.stop()
  }
  return { writes, isCut }
}

test('killed at any write: a rulebook is published whole, once, or not at all', async (t) => {
  const base = await aHouse(t)
  let round = 0
  const next = () => `2.${(round += 1)}.0`
  const whole = await publishing(base, next(), undefined, null)
  const cut = isFull ? steps : (['approve'] as const)
  for (const step of cut)
    for (const [n, { isKept, what }] of whole.writes[step]!.entries())
      for (const when of ['before', 'after'] as const) {
        if (!isKept && !(isFull && when === 'before')) continue
        const { isCut } = await publishing(base, next(), step, { n, when })
        assert.ok(isCut, `${step}: not cut ${when} ${what}`)
      }
  assert.ok(round > 4)
  t.diagnostic(`${round} publications`)
})

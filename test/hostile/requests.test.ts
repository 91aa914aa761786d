import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { withInstalled } from '#shell/cli/installed'
import { runSafehand } from '#shell/cli/safehand'
import { allRoutes } from '#shell/web/routes'
import { aHouse, Browser } from '#test/house'
import { aSentParcel } from '#test/sending'
import { effort } from './effort.ts'
import type { Description } from './requests.ts'
import { aWatchedServer, overHttp } from './server.ts'
import { allOperations, batch, storm } from './storm.ts'

const { seed } = effort
const { house, app } = await aHouse({ after })
const ops = allOperations((await app.inject('/api')).json<Description>(), allRoutes(house.policy))

const inWords = (statuses: ReadonlyMap<number, number>) =>
  [...statuses]
    .toSorted(([a], [b]) => a - b)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')

test('no request made from our own description fails, hangs or tells of our insides', async (t) => {
  const { statuses, reached } = await storm(app, house.db, ops, effort.injected)
  t.diagnostic(`seed ${seed}; ${effort.injected} requests; ${inWords(statuses)}`)
  t.diagnostic(`${reached.size} of ${ops.length} operations did what was asked`)
  assert.ok((statuses.get(200) ?? 0) > effort.injected / 20, 'enough requests are good enough to be carried out')
  assert.ok((statuses.get(422) ?? statuses.get(400) ?? 0) > 0)
})

test('a listening server answers as many, keeps nothing of them, and serves people afterwards', async (t) => {
  // With a heap this small whatever is kept of requests would end it.
  const server = await aWatchedServer(t, { SAFEHAND_LOG: 'error', NODE_OPTIONS: '--max-old-space-size=128' })
  const wire = overHttp(server.port)
  const resident: number[] = []
  const held = new Map<number, number>()
  const half = batch * Math.ceil(effort.sent / batch / 2)
  const onBatch = async (done: number) => {
    resident.push(Math.round(server.residentMiB()))
    if (done === half || done === effort.sent) held.set(done, await server.heldMiB())
  }
  const here = { values: { data: server.dataFolder }, io: { out: () => {}, err: () => {}, env: {} } }
  const { statuses } = await withInstalled(here, ({ db }) => storm(wire, db, ops, effort.sent, onBatch))
  t.diagnostic(`seed ${seed}; ${effort.sent} requests; ${inWords(statuses)}`)
  t.diagnostic(`MiB resident after each ${batch}: ${resident.join(' ')}`)
  t.diagnostic([...held].map(([done, mib]) => `MiB held after ${done}: ${mib.toFixed(1)}`).join('; '))
  const kept = held.get(effort.sent)! - held.get(half)!
  // Code that is compiled for what comes late stays; of a request nothing does, not even the 200 bytes allowed here.
  assert.ok(
    kept < 5 + (200 * (effort.sent - half)) / 2 ** 20,
    `the second half left ${kept.toFixed(1)} MiB that no collection takes away`,
  )
  assert.ok(Math.max(...resident) < 450, `memory grew to ${Math.max(...resident)} MiB`)
  assert.doesNotMatch(server.said(), /"level":50/, 'nothing failed inside')

  await aSentParcel(await Browser.of(wire, 'Priya Nair'))
  await server.stop()
  const lines: string[] = []
  const io = { out: (text: string) => void lines.push(text), err: (text: string) => void lines.push(text), env: {} }
  assert.equal(await runSafehand(['fsck', '--data', server.dataFolder], io), 0, lines.join('\n'))
})

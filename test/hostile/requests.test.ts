import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Db } from '#edge/store/database'
import { withInstalled } from '#shell/cli/installed'
import { runSafehand } from '#shell/cli/safehand'
import { allRoutes } from '#shell/web/routes'
import { aHouse, Browser } from '#test/house'
import { aSentParcel } from '#test/sending'
import { effort } from './effort.ts'
import { faultOf, shown } from './judging.ts'
import { anyRequest, operationsOf, type Description, type HostileRequest } from './requests.ts'
import { aWatchedServer, overHttp, type Answer } from './server.ts'
import { aWorld } from './world.ts'
import type { FastifyInstance } from 'fastify'

const { seed } = effort
const batch = 500
const atOnce = 8
/** Sends a request; what its person has to confirm is confirmed, or nothing dangerous would ever be tried. */
async function asIs({ method, url, payload, headers }: HostileRequest, browser: Browser): Promise<Answer> {
  const send = (more: Record<string, string> = {}) =>
    browser.call(method as 'GET', url, payload, { ...headers, ...more }) as unknown as Promise<Answer>
  const answer = await send()
  if (!answer.body.includes('/problems/step-up-needed')) return answer
  const code = await browser.mailedCode().catch(() => undefined)
  return code === undefined ? answer : send({ 'safehand-confirmation': code })
}

/** Pages have no description: which there are is told by the routes. */
const { house, app } = await aHouse({ after })
const pages = allRoutes(house.policy).flatMap((route) => {
  const path = route.path.replace(/:(\w+)/g, '{$1}')
  if (route.kind === 'raw') return [{ method: route.method, path }]
  return [{ method: route.kind === 'screen' ? 'GET' : 'POST', path }]
})
const { paths } = (await app.inject('/api')).json<Description>()
const ops = operationsOf({ paths }, [
  ...pages,
  { method: 'GET', path: '/problems/{slug}' },
  { method: 'GET', path: '/api' },
  { method: 'GET', path: '/assets/{asset}' },
])

/** Sends so many requests, some at a time, a fresh world for each batch; answers how many ended in which status. */
async function storm(target: FastifyInstance, db: Db, count: number, onBatch: () => void = () => {}) {
  const statuses = new Map<number, number>()
  const reached = new Set<string>()
  const faults: string[] = []
  for (let done = 0; done < count; done += batch) {
    // How often one person may do a thing is another test's.
    await db.deleteFrom('rates').execute()
    const { callers, pool } = await aWorld(target)
    const requests = fc.sample(anyRequest(ops, pool, [...callers.keys()]), {
      numRuns: Math.min(batch, count - done),
      seed: seed + done,
    })
    const queue = requests.entries()
    const worker = async () => {
      for (const [place, request] of queue) {
        const answer = await asIs(request, callers.get(request.as)!).catch((error: unknown) => String(error))
        const fault = typeof answer === 'string' ? answer : faultOf(request, answer)
        if (fault !== undefined) faults.push(`request ${done + place}, ${fault}: ${shown(request)}`)
        if (typeof answer === 'string') continue
        statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1)
        if (answer.statusCode < 400)
          reached.add(`${request.method} ${request.url.split('?')[0]!.replace(/[0-9a-f-]{36}/g, ':id')}`)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    onBatch()
  }
  assert.deepEqual(faults.slice(0, 20), [], `${faults.length} faults with HOSTILE_SEED=${seed}`)
  return { statuses, reached }
}

const inWords = (statuses: ReadonlyMap<number, number>) =>
  [...statuses]
    .toSorted(([a], [b]) => a - b)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')

test('no request made from our own description fails, hangs or tells of our insides', async (t) => {
  const { statuses, reached } = await storm(app, house.db, effort.injected)
  t.diagnostic(
    `seed ${seed}; ${effort.injected} requests; ${inWords(statuses)}; ${reached.size} addresses did what was asked`,
  )
  assert.ok((statuses.get(200) ?? 0) > effort.injected / 20, 'enough requests are good enough to be carried out')
  assert.ok((statuses.get(422) ?? statuses.get(400) ?? 0) > 0)
})

test('a listening server answers as many, keeps its memory, and serves people afterwards', async (t) => {
  // With a heap this small whatever is kept of requests would end it.
  const server = await aWatchedServer(t, { SAFEHAND_LOG: 'error', NODE_OPTIONS: '--max-old-space-size=128' })
  const wire = overHttp(server.port)
  const resident: number[] = []
  const here = { values: { data: server.dataFolder }, io: { out: () => {}, err: () => {}, env: {} } }
  const { statuses } = await withInstalled(here, ({ db }) =>
    storm(wire, db, effort.sent, () => resident.push(Math.round(server.residentMiB()))),
  )
  t.diagnostic(`seed ${seed}; ${effort.sent} requests; ${inWords(statuses)}`)
  t.diagnostic(`MiB resident after each ${batch}: ${resident.join(' ')}`)
  assert.ok(Math.max(...resident) < 600, `memory grew to ${Math.max(...resident)} MiB`)
  assert.doesNotMatch(server.said(), /"level":50/, 'nothing failed inside')

  await aSentParcel(await Browser.of(wire, 'Priya Nair'))
  await server.stop()
  const lines: string[] = []
  const io = { out: (text: string) => void lines.push(text), err: (text: string) => void lines.push(text), env: {} }
  assert.equal(await runSafehand(['fsck', '--data', server.dataFolder], io), 0, lines.join('\n'))
})

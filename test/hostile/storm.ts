/** Hostile requests by the thousand, against a program in this process or one that listens. */
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import type { Db } from '#edge/store/database'
import type { Route } from '#edge/web/route'
import { Browser } from '#test/house'
import type { Pool } from './bodies.ts'
import { effort } from './effort.ts'
import { faultOf, shown } from './judging.ts'
import { anyRequest, operationsOf, type Description, type HostileRequest, type Op } from './requests.ts'
import type { Answer } from './server.ts'
import { aWorld, type World } from './world.ts'

const { seed, batch } = effort
const atOnce = 8

/** Every operation of the description, and every page: pages have no description, so the routes tell which there are. */
export function allOperations({ paths }: Description, routes: readonly Route[]): Op[] {
  const pages = routes.flatMap((route) => {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    if (route.kind === 'raw') return [{ method: route.method, path }]
    return [{ method: route.kind === 'screen' ? 'GET' : 'POST', path }]
  })
  return operationsOf({ paths }, [
    ...pages,
    { method: 'GET', path: '/problems/{slug}' },
    { method: 'GET', path: '/api' },
    { method: 'GET', path: '/assets/{asset}' },
  ])
}

/** Sends a request; what its person has to confirm is confirmed, or nothing dangerous would ever be tried. */
async function asIs({ method, url, payload, headers }: HostileRequest, browser: Browser): Promise<Answer> {
  const send = (more: Record<string, string> = {}) =>
    browser.call(method as 'GET', url, payload, { ...headers, ...more }) as unknown as Promise<Answer>
  const answer = await send()
  if (!answer.body.includes('/problems/step-up-needed')) return answer
  const code = await browser.mailedCode().catch(() => undefined)
  return code === undefined ? answer : send({ 'safehand-confirmation': code })
}

/**
 * Ids for parameters that the world has nothing for, from the page above that lists such things: so a route that is new
 * is tried with what is there, and nobody has to think of it.
 */
async function listed(ops: readonly Op[], { callers, pool }: World): Promise<Pool> {
  const found: Pool = {}
  // Shorter ones first: what is in a thing is listed below the thing.
  const paths = ops.map(({ path }) => path).toSorted((one, other) => one.length - other.length)
  for (const path of paths) {
    const [, above, name] = /^(\/api\/.*)\/\{(\w+)\}(?:\/[^{}]*)?$/.exec(path) ?? []
    if (name === undefined || pool[name] || found[name]) continue
    const list = above!.replace(/\{(\w+)\}/g, (_, one: string) => (pool[one] ?? found[one])?.[0] ?? 'none')
    found[name] = []
    for (const caller of callers.values()) {
      const answer = await caller.call('GET', list)
      found[name].push(...[...answer.body.matchAll(/"id":"([^"]{1,80})"/g)].slice(0, 10).map(([, id]) => id!))
    }
  }
  return found
}

/** What came of a storm. */
export interface Aftermath {
  /** How many requests ended in which status. */
  statuses: Map<number, number>
  /** Operations that did what was asked. */
  reached: Set<string>
  /** Answers that are at fault, each with its request. */
  faults: string[]
}

/**
 * Sends so many requests, some at a time, a fresh world for each batch.
 *
 * @param onBatch - told after each batch how many are done
 */
export async function storm(
  target: FastifyInstance,
  db: Db,
  ops: readonly Op[],
  count: number,
  onBatch: (done: number) => unknown = () => {},
): Promise<Aftermath> {
  const statuses = new Map<number, number>()
  const reached = new Set<string>()
  const faults: string[] = []
  for (let done = 0; done < count; done += batch) {
    // How often one person may do a thing is another test's.
    await db.deleteFrom('rates').execute()
    const world = await aWorld(target)
    const { callers } = world
    const pool = { ...world.pool, ...(await listed(ops, world)) }
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
        if (answer.statusCode < 400) reached.add(request.operation)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    await onBatch(done + requests.length)
  }
  return { statuses, reached, faults }
}

/** `200: 12, 404: 3`. */
export const inWords = (statuses: ReadonlyMap<number, number>) =>
  [...statuses]
    .toSorted(([a], [b]) => a - b)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')

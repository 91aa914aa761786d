import { statfs } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import type { House } from '#edge/house'

/** How the installation stands, in numbers: nothing in it is about anybody. */
export interface Standing {
  /** Null when the database does not answer in time. */
  database: {
    eventsWaiting: number
    /** Of the event that has waited longest for its place in the register. */
    eventWaitMs: number
    eventsSigned: number
    eventsPublished: number
    /** By state. */
    mails: Record<string, number>
    /** Of the mail that has waited longest to be handed over. */
    mailWaitMs: number
    /** By state. */
    parcels: Record<string, number>
    /** By state; finished ones of the last day. */
    jobs: Record<string, number>
  } | null
  /** What keeps the register from being signed; undefined when its last round was sound. */
  registerTrouble: string | undefined
  /** Whether mail is handed over at all. */
  sendsMail: boolean
  /** Free for us where the data folder is. */
  diskFreeBytes: number
}

type Watched = Pick<House, 'system' | 'keeper' | 'config' | 'now'>

// By the database: every visit has a house of its own.
const watches = new WeakMap<House['system'], () => Promise<Standing>>()

/**
 * How an installation of this process stands. Whoever asks at the same time or shortly after gets the same answer, and
 * a database that hangs is asked once: asking often costs it nothing.
 */
export function standingOf(house: Watched): Promise<Standing> {
  const ask = watches.get(house.system) ?? watch(house)
  watches.set(house.system, ask)
  return ask()
}

function watch(house: Watched): () => Promise<Standing> {
  let last: { at: number; standing: Promise<Standing> } | undefined
  let asking: Promise<Standing['database']> | undefined
  return () => {
    const at = house.now().getTime()
    if (last && at - last.at < limits.watchRestMs) return last.standing
    asking ??= readDatabase(house)
      .catch(() => null)
      .finally(() => (asking = undefined))
    last = { at, standing: readStanding(house, asking) }
    return last.standing
  }
}

async function readStanding(house: Watched, asking: Promise<Standing['database']>): Promise<Standing> {
  const patience = new AbortController()
  const database = await Promise.race([
    asking,
    delay(limits.watchPatienceMs, null, { signal: patience.signal }).catch(() => null),
  ])
  patience.abort()
  const trouble = house.keeper.trouble()
  const disk = await statfs(house.config.dataFolder).catch(() => ({ bavail: 0, bsize: 0 }))
  return {
    database,
    registerTrouble: trouble && ('slug' in trouble ? trouble.slug : 'failed'),
    sendsMail: house.config.smtpUrl !== undefined,
    diskFreeBytes: disk.bavail * disk.bsize,
  }
}

async function readDatabase({ system, now }: Watched): Promise<NonNullable<Standing['database']>> {
  // One connection, one after the other: watching must not take what the work needs.
  return system.connection().execute(async (connection) => {
    const oldest = (at: Date | null) => (at ? Math.max(0, now().getTime() - at.getTime()) : 0)
    const count = sql<number>`count(*)`.as('count')
    const waiting = await connection
      .selectFrom('registerEvents')
      .select((query) => [count, query.fn.min('at').as('since')])
      .where('seq', 'is', null)
      .executeTakeFirstOrThrow()
    const head = await connection.selectFrom('registerHead').select(['size', 'published']).executeTakeFirst()
    const mails = await connection
      .selectFrom('outgoingMail')
      .select((query) => ['state', count, query.fn.min('createdAt').as('since')])
      .groupBy('state')
      .execute()
    const parcels = await connection.selectFrom('parcels').select(['state', count]).groupBy('state').execute()
    const jobs = await sql<{ state: string; count: number }>`
      select state, count(*) as count from jobs.job group by state`.execute(connection)
    return {
      eventsWaiting: waiting.count,
      eventWaitMs: oldest(waiting.since),
      eventsSigned: head?.size ?? 0,
      eventsPublished: Number(head?.published?.split('\n')[1] ?? 0),
      mails: byState(mails),
      mailWaitMs: oldest(mails.find(({ state }) => state === 'held')?.since ?? null),
      parcels: byState(parcels),
      jobs: byState(jobs.rows),
    }
  })
}

const byState = (rows: { state: string; count: number }[]): Record<string, number> =>
  Object.fromEntries(rows.map(({ state, count }) => [state, count]))

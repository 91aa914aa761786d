/** The rows about pages: how soon they come while many ask, what script they bring, how soon a server is there. */
import { join } from 'node:path'
import { readdirSync } from 'node:fs'
import { setTimeout as rest } from 'node:timers/promises'
import { Browser } from '#test/house'
import { admit } from '#test/collecting'
import { compressedBytes, fetchedWith } from '#test/scripts'
import { aReadyTransfer, aSentParcel } from '#test/sending'
import { assetsFolder } from '#shell/web/app'
import { root } from '#test/guide'
import { Server } from '../faults/server.ts'
import { type Order } from './asker.ts'
import { measured } from './memory.ts'
import { median, percentile, shown, type Asked, type Row } from './rows.ts'

const perSecond = 100
const seconds = 5
const atMostMs = 50
const transfers = 300
const parcels = 20
const senders = ['Priya Nair', 'Tom Fletcher', 'Sian Pritchard', 'Martin Ashdown']
const startsWithinSeconds = 2
const scriptBytes = 60_000

/** How many milliseconds each page took, asked at a steady pace by a process of its own. */
export async function timesOf(order: Order): Promise<number[]> {
  const { said } = await measured([join(import.meta.dirname, 'asker.ts'), JSON.stringify(order)])
  return JSON.parse(said) as number[]
}

const cookieOf = (browser: Browser) => [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')

/** Clears away in the end what a group of rows began, the newest first. */
export async function withCleaning<T>(
  work: (t: { after(clean: () => Promise<void>): void }) => Promise<T>,
): Promise<T> {
  const cleans: (() => Promise<void>)[] = []
  try {
    return await work({ after: (clean) => void cleans.push(clean) })
  } finally {
    for (const clean of cleans.toReversed()) await clean()
  }
}

/** Hundreds of transfers as their senders made them, some of them sent; and the pages to be asked for. */
async function fill(server: Server): Promise<Record<'home' | 'transfer' | 'recipient', Order['asked']>> {
  const url = server.url
  const asked = { home: [], transfer: [], recipient: [] } as Record<'home' | 'transfer' | 'recipient', Order['asked']>
  await Promise.all(
    senders.map(async (name, place) => {
      const sender = await Browser.of(server.app, name)
      asked.home.push({ url: `${url}/`, cookie: cookieOf(sender) })
      for (let n = place; n < transfers; n += senders.length) {
        const id = await aReadyTransfer(sender)
        asked.transfer.push({ url: `${url}/transfers/${id}`, cookie: cookieOf(sender) })
      }
    }),
  )
  const priya = await Browser.of(server.app, senders[0]!)
  for (let n = 0; n < parcels; n += 1) {
    const parcel = await aSentParcel(priya)
    const recipient = await admit(new Browser(server.app), priya, parcel)
    asked.recipient.push({ url: `${url}/collect/${parcel.recipients[0]}`, cookie: cookieOf(recipient) })
    asked.transfer.push({ url: `${url}/transfers/${parcel.transferId}`, cookie: cookieOf(priya) })
  }
  return asked
}

async function pageRow(page: string, asked: Order['asked'], rounds: number): Promise<Row> {
  const times: number[][] = []
  for (let round = 0; round < rounds; round += 1) times.push(await timesOf({ asked, perSecond, seconds }))
  const within = times.map((each) => percentile(each, 0.95))
  return {
    row: `${page} page, ${perSecond} a second, 95 in 100 within`,
    ours: `${shown(within, 'ms', 1)}; half within ${median(times.flat()).toFixed(1)} ms`,
    theirs: `${atMostMs} ms`,
    ratio: median(within) / atMostMs,
    goal: '≤ 1',
  }
}

/** From the start of the process to the first answer that all is well. */
async function startsIn(server: Server): Promise<number> {
  const started = performance.now()
  await server.start()
  while (!(await fetch(`${server.url}/health`)).ok) await rest(10)
  return (performance.now() - started) / 1_000
}

async function startRow(how: string, server: Server, end: () => Promise<unknown>, rounds: number): Promise<Row> {
  const taken: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    await end()
    taken.push(await startsIn(server))
  }
  return {
    row: `start to ready, after ${how}`,
    ours: shown(taken, 's'),
    theirs: `${startsWithinSeconds} s`,
    ratio: median(taken) / startsWithinSeconds,
    goal: '≤ 1',
  }
}

/** The island that brings the most script with it, before anything is done. */
function scriptRow(): Row {
  const islands = readdirSync(assetsFolder(root)).filter((name) => /^(?!part-).*(?<!-worker)\.js$/.test(name))
  const weighed = islands.map((name) => ({ name, bytes: compressedBytes(fetchedWith(['page.js', name])) }))
  const [largest] = weighed.toSorted((one, other) => other.bytes - one.bytes)
  return {
    row: 'script that a page brings, compressed',
    ours: `${(largest!.bytes / 1_000).toFixed(0)} kB (${largest!.name})`,
    theirs: `${scriptBytes / 1_000} kB`,
    ratio: largest!.bytes / scriptBytes,
    goal: '≤ 1',
  }
}

export const pageRows = ({ rounds }: Asked): Promise<Row[]> =>
  withCleaning(async (t) => {
    const server = await Server.begin(t)
    const asked = await fill(server)
    const rows = [scriptRow()]
    for (const [page, each] of Object.entries(asked)) rows.push(await pageRow(page, each, rounds))
    const stop = async () => {
      process.kill(server.pid, 'SIGTERM')
      await server.ended
    }
    rows.push(await startRow('a clean stop', server, stop, rounds))
    rows.push(await startRow('kill -9', server, () => server.killServer(), rounds))
    rows.push(await startRow('kill -9 of it and its Postgres', server, () => server.killAll(), rounds))
    return rows
  })

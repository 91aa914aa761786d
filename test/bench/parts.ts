/** The rows about parts and ranges: what carrying costs, how fair it is among many, and what the server holds meanwhile. */
import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { parcelRoot } from '#core/seal/parcel'
import { formTokenOf } from '#features/people/sessions'
import { acknowledge, admit } from '#test/collecting'
import { Browser } from '#test/house'
import { aReadyTransfer, bytesHeaders } from '#test/sending'
import { Server } from '../faults/server.ts'
import { partBytes, partSha256, type Carried, type Order } from './carrier.ts'
import { measured, pssMib, treeOf } from './memory.ts'
import { timesOf, withCleaning } from './pages.ts'
import { median, percentile, shown, type Asked, type Row } from './rows.ts'

const many = 50
const partsOfMany = 2
const mib = 2 ** 20
const partsPerGib = (1_024 * mib) / partBytes
const inFlight = 3
const mostMib = 250
const pagesPerSecond = 20

const cookieOf = (browser: Browser) => [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
const headersOf = (browser: Browser) => ({
  cookie: cookieOf(browser),
  'safehand-form-token': formTokenOf(browser.token!),
})

async function carry(order: Partial<Order>): Promise<Carried> {
  const whole: Order = { uploads: [], downloads: [], inFlight, ...order }
  const { said } = await measured([join(import.meta.dirname, 'carrier.ts'), JSON.stringify(whole)])
  return JSON.parse(said) as Carried
}

/** A parcel that is begun, so that its parts can be sent. */
async function aBegunParcel(sender: Browser) {
  const transferId = await aReadyTransfer(sender)
  const measures = { sizeBytes: 1_000, fileCount: 1, availableDays: 14 }
  const { parcelId, recipients } = await sender.post<{ parcelId: string; recipients: { id: string }[] }>(
    `/api/transfers/${transferId}/parcel`,
    measures,
  )
  return { parcelId, recipientId: recipients[0]!.id }
}

type Begun = Awaited<ReturnType<typeof aBegunParcel>>

const uploadOf = (server: Server, sender: Browser, { parcelId }: Begun, parts: number): Order['uploads'][0] => ({
  url: `${server.url}/api/parcels/${parcelId}/parts`,
  headers: headersOf(sender),
  parts,
})

/** Completes a parcel whose parts have come, and lets somebody in who may fetch it. */
async function toBeFetched(
  server: Server,
  sender: Browser,
  { parcelId, recipientId }: Begun,
  parts: number,
): Promise<Order['downloads'][0]> {
  const manifest = Buffer.from('A manifest that nobody opens')
  const manifestSha256 = createHash('sha256').update(manifest).digest('hex')
  await sender.call('PUT', `/api/parcels/${parcelId}/manifest`, manifest, bytesHeaders(manifestSha256))
  const lock = { id: randomUUID(), recipientId, kind: 'passphrase' }
  const content = { parts: Array.from({ length: parts }, () => partSha256), manifestSha256 }
  await sender.post(`/api/parcels/${parcelId}/complete`, {
    ...content,
    contentSizeBytes: parts * partBytes,
    parcelRoot: parcelRoot({ ...content, lockIds: [lock.id] }),
    locks: [
      { ...lock, receiptPublicKey: Buffer.alloc(32).toString('base64'), age: Buffer.alloc(100).toString('base64') },
    ],
  })
  const parcel = { recipients: [recipientId], phrases: new Map<string, string>() }
  const recipient = await admit(new Browser(server.app), sender, parcel)
  await acknowledge(recipient, parcel)
  return { url: `${server.url}/api/collect/${recipientId}/content`, headers: { cookie: cookieOf(recipient) } }
}

/** Does something with a server of its own. */
const withServer = <T>(work: (server: Server, sender: Browser) => Promise<T>): Promise<T> =>
  withCleaning(async (t) => {
    const server = await Server.begin(t)
    return work(server, await Browser.of(server.app, 'Priya Nair'))
  })

/** The most that the server and its Postgres held while something was done. */
async function holding<T>(
  server: Server,
  work: Promise<T>,
): Promise<{ result: T; serverMib: number; postgresMib: number }> {
  let [serverMib, postgresMib, isDone] = [0, 0, false]
  const watching = (async () => {
    while (!isDone) {
      const [, ...below] = await treeOf(server.pid)
      serverMib = Math.max(serverMib, await pssMib(server.pid))
      const sizes = await Promise.all(below.map(pssMib))
      postgresMib = Math.max(
        postgresMib,
        sizes.reduce((total, mib) => total + mib, 0),
      )
      await rest(100)
    }
  })()
  const result = await work.finally(() => (isDone = true))
  await watching
  return { result, serverMib, postgresMib }
}

/** A gibibyte in parts, up and down, against the same bytes as bare files. */
async function costRows(server: Server, sender: Browser, { rounds }: Asked): Promise<Row[]> {
  const taken: Record<'up' | 'down' | 'bare', number[]> = { up: [], down: [], bare: [] }
  for (let round = 0; round < rounds; round += 1) {
    const begun = await aBegunParcel(sender)
    const files = { folder: join(server.folder, 'bare'), count: partsPerGib }
    taken.bare.push(...(await carry({ files })).files)
    taken.up.push(...(await carry({ uploads: [uploadOf(server, sender, begun, partsPerGib)] })).uploads)
    const download = await toBeFetched(server, sender, begun, partsPerGib)
    taken.down.push(...(await carry({ downloads: [download] })).downloads)
  }
  const perPart = (seconds: number[]) =>
    shown(
      seconds.map((each) => (each * 1_000) / partsPerGib),
      'ms a part',
      1,
    )
  const row = (what: string, ours: number[], goal: string): Row => ({
    row: `1 GiB ${what} in parts of 8 MiB, against bare files written`,
    ours: perPart(ours),
    theirs: perPart(taken.bare),
    ratio: median(ours) / median(taken.bare),
    goal,
  })
  return [row('sent, three at a time,', taken.up, '≤ 3'), row('fetched', taken.down, '≤ 2')]
}

/** Fifty uploads and fifty downloads at once, and pages meanwhile. */
async function crowd(server: Server, sender: Browser) {
  const downloads: Order['downloads'] = []
  for (let n = 0; n < many; n += 1) {
    const begun = await aBegunParcel(sender)
    await carry({ uploads: [uploadOf(server, sender, begun, partsOfMany)] })
    downloads.push(await toBeFetched(server, sender, begun, partsOfMany))
  }
  const uploads: Order['uploads'] = []
  for (let n = 0; n < many; n += 1) uploads.push(uploadOf(server, sender, await aBegunParcel(sender), partsOfMany))
  const home = [{ url: `${server.url}/`, cookie: cookieOf(sender) }]
  const pages = timesOf({ asked: home, perSecond: pagesPerSecond, seconds: 10 })
  const { result, serverMib } = await holding(server, carry({ uploads, downloads, inFlight: 1 }))
  return { ...result, serverMib, homeMs: percentile(await pages, 0.95) }
}

async function fairRows({ rounds }: Asked): Promise<Row[]> {
  const taken: Awaited<ReturnType<typeof crowd>>[] = []
  // A server for each round: nobody may begin so many parcels within an hour.
  for (let round = 0; round < rounds; round += 1) taken.push(await withServer(crowd))
  const fair = (what: 'uploads' | 'downloads'): Row => {
    const [slowest, fastest] = [
      taken.map((each) => Math.max(...each[what])),
      taken.map((each) => Math.min(...each[what])),
    ]
    return {
      row: `${many} ${what} of ${partsOfMany} parts with ${many} others at once: slowest against fastest`,
      ours: shown(slowest, 's'),
      theirs: shown(fastest, 's'),
      ratio: median(slowest.map((seconds, round) => seconds / fastest[round]!)),
      goal: '≤ 2',
    }
  }
  const homeMs = taken.map((each) => each.homeMs)
  const serverMib = taken.map((each) => each.serverMib)
  return [
    fair('uploads'),
    fair('downloads'),
    {
      row: `home page, ${pagesPerSecond} a second, 95 in 100 within, meanwhile`,
      ours: shown(homeMs, 'ms', 0),
      theirs: '1,000 ms',
      ratio: median(homeMs) / 1_000,
      goal: '≤ 1',
    },
    {
      row: 'memory of the server meanwhile',
      ours: shown(serverMib, 'MiB', 0),
      theirs: `${mostMib} MB`,
      ratio: (median(serverMib) * mib) / (mostMib * 1e6),
      goal: 'reported',
    },
  ]
}

/** What a server that did nothing else before holds while one gibibyte goes through it, up and down, and then many. */
async function memoryRows(server: Server, sender: Browser, { memoryGib }: Asked): Promise<Row[]> {
  const through = async (gib: number) => {
    const begun = await aBegunParcel(sender)
    const parts = gib * partsPerGib
    const up = await holding(server, carry({ uploads: [uploadOf(server, sender, begun, parts)] }))
    const download = await toBeFetched(server, sender, begun, parts)
    const down = await holding(server, carry({ downloads: [download] }))
    return {
      server: Math.max(up.serverMib, down.serverMib),
      postgres: Math.max(up.postgresMib, down.postgresMib),
    }
  }
  const small = await through(1)
  const large = await through(memoryGib)
  const row = (what: 'server' | 'postgres', name: string): Row => ({
    row: `memory of ${name}, ${memoryGib} GiB through it against 1 GiB`,
    ours: `${large[what].toFixed(0)} MiB`,
    theirs: `${small[what].toFixed(0)} MiB`,
    ratio: large[what] / small[what],
    goal: `≤ 1.15, < ${mostMib} MB`,
  })
  return [row('server', 'the server'), row('postgres', 'its Postgres')]
}

export const partRows = async (asked: Asked): Promise<Row[]> => [
  ...(await withServer((server, sender) => costRows(server, sender, asked))),
  ...(await fairRows(asked)),
  ...(await withServer((server, sender) => memoryRows(server, sender, asked))),
]

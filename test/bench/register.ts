/** The rows about the register: how fast events are written, sequenced and proved, and everything checked. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { sql } from 'kysely'
import { Client, Pool } from 'pg'
import { canonicalJson } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { ok, orThrow } from '#core/kit/outcome'
import { leafOf } from '#core/register/event'
import { parseTrustPolicy, trustPolicyFor } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import { openRegister } from '#edge/keeper/installation'
import { keepOnce } from '#edge/keeper/keeper'
import { receiptFor } from '#edge/keeper/receipt'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction, newId, type Db } from '#edge/store/database'
import { anInstallation, type Installed } from './installed.ts'
import { measured } from './memory.ts'
import { median, percentile, shown, type Asked, type Row } from './rows.ts'

const root = join(import.meta.dirname, '../..')
const writers = 32
const writingMs = 3_000
const smallEvents = 100_000
const largeEvents = 1_000_000
const eventsAtOnce = 5_000
const proofs = 500

/** How often a second `write` comes to its end when 32 do it at once, each again as soon as it is done. */
async function perSecond(write: (writer: number) => Promise<unknown>): Promise<number> {
  let done = 0
  const started = performance.now()
  const until = started + writingMs
  const one = async (writer: number) => {
    for (; performance.now() < until; done += 1) await write(writer)
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => one(writer)))
  return (done * 1_000) / (performance.now() - started)
}

/** What an ordinary event says: a lock that is released. */
function anEvent(n: number) {
  const id = `0192f0c1-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
  return { lock: id, recipient: id, transfer: null }
}

/**
 * Inserts bare rows of an event's size, each durable before the next: what this Postgres can do. `insert` does so with a
 * connection for each writer; `transact` as an act has to, beginning and committing, on as many connections as we have.
 */
async function withBareWriters(
  { store }: Installed,
  work: (bare: { insert: (writer: number) => Promise<unknown>; transact: () => Promise<void> }) => Promise<void>,
): Promise<void> {
  const connectionString = store.connectionString.replace('safehand_app', 'safehand')
  const clients = Array.from({ length: writers }, () => new Client({ connectionString }))
  await Promise.all(clients.map((client) => client.connect()))
  const pool = new Pool({ connectionString, max: limits.databaseConnections, pipeline: true })
  await clients[0]!.query(`create table bare (
    id uuid primary key default uuidv7(), name text, at timestamptz, handle text, salt bytea, body text, leaf bytea)`)
  const [salt, leaf, body] = [Buffer.alloc(32, 1), Buffer.alloc(200, 1), JSON.stringify(anEvent(1))]
  const values = ['lock-released', new Date(), 'a'.repeat(32), salt, body, leaf]
  const text = 'insert into bare (name, at, handle, salt, body, leaf) values ($1, $2, $3, $4, $5, $6)'
  await work({
    insert: (writer) => clients[writer]!.query({ name: 'bare', text, values }),
    async transact() {
      const client = await pool.connect()
      await Promise.all([client.query('begin'), client.query({ name: 'bare', text, values })])
      await client.query('commit')
      client.release()
    },
  })
  await pool.end()
  await clients[0]!.query('drop table bare')
  await Promise.all(clients.map((client) => client.end()))
}

async function writingRows(installed: Installed, { rounds }: Asked): Promise<Row[]> {
  const [ours, bare, begun]: [number[], number[], number[]] = [[], [], []]
  let n = 0
  const write = () =>
    inTransaction(installed.store.db, async (tx) => ok(await recordEvent(tx, 'lock-released', anEvent((n += 1)))))
  await withBareWriters(installed, async ({ insert, transact }) => {
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await perSecond(insert))
      begun.push(await perSecond(transact))
      ours.push(await perSecond(write))
    }
  })
  const row = (what: string, theirs: number[], goal: string): Row => ({
    row: `durable events a second, ${writers} writers, against ${what}`,
    ours: shown(ours, 'a second', 0),
    theirs: shown(theirs, 'a second', 0),
    ratio: median(ours) / median(theirs),
    goal,
  })
  return [
    row('bare inserts', bare, '≥ 0.5, and ours ≥ 3,000 a second'),
    row('bare inserts that begin and commit', begun, 'reported'),
  ]
}

/** Has as many events waiting as are missing, true ones, written many at a time: how they come there is not measured. */
async function fill({ store }: Installed, size: number): Promise<void> {
  const { count } = await store.db
    .selectFrom('registerEvents')
    .select(sql<number>`count(*)`.as('count'))
    .executeTakeFirstOrThrow()
  for (let n = count; n < size; n += eventsAtOnce) {
    const events = Array.from({ length: Math.min(eventsAtOnce, size - n) }, (_, i) => aRow(n + i))
    const column = <K extends keyof (typeof events)[0]>(name: K) => events.map((event) => event[name])
    await sql`
      insert into register_events (id, name, at, handle, salt, body, leaf)
      select * from unnest(${column('id')}::uuid[], ${column('name')}::text[], ${column('at')}::timestamptz[],
        ${column('handle')}::text[], ${column('salt')}::bytea[], ${column('body')}::text[], ${column('leaf')}::bytea[])
    `.execute(store.db)
  }
}

function aRow(n: number) {
  const [body, at, handle] = [anEvent(n), new Date(), randomBytes(16).toString('hex')]
  const salt = new Uint8Array(randomBytes(32))
  const name = 'lock-released'
  const leaf = leafOf({ event: name, at: at.toISOString(), handle, salt, body })
  return { id: newId(), name, at, handle, salt: Buffer.from(salt), body: canonicalJson(body), leaf: Buffer.from(leaf) }
}

/** Sequences, signs and publishes all that waits. @returns events a second */
async function keep(installed: Installed, keeperDb: Db, waiting: number): Promise<number> {
  const started = performance.now()
  const { tiles, signer } = orThrow(await openRegister(keeperDb, installed.config))
  orThrow(await keepOnce({ db: keeperDb, tiles, signer }))
  return (waiting * 1_000) / (performance.now() - started)
}

async function proofRows(installed: Installed, keeperDb: Db): Promise<Row[]> {
  const register = orThrow(await openRegister(keeperDb, installed.config))
  const trusted = orThrow(parseTrustPolicy(trustPolicyFor(register.signer.vkey)))
  const [built, verified]: [number[], number[]] = [[], []]
  for (let i = 0; i < proofs; i += 1) {
    const seq = (i * 7_919 * 127) % largeEvents
    const { id } = await keeperDb
      .selectFrom('registerEvents')
      .select('id')
      .where('seq', '=', seq)
      .executeTakeFirstOrThrow()
    const started = performance.now()
    const receipt = orThrow(await receiptFor(installed.store.db, register, id))
    const made = performance.now()
    orThrow(verifyReceipt(receipt, trusted))
    verified.push(performance.now() - made)
    built.push(made - started)
  }
  const row = (what: string, taken: number[]): Row => ({
    row: `${what} a proof in a register of a million events`,
    ours: `${median(taken).toFixed(2)} ms, 95 in 100 within ${percentile(taken, 0.95).toFixed(2)} ms`,
    theirs: '5 ms',
    ratio: percentile(taken, 0.95) / 5,
    goal: '≤ 1',
  })
  return [row('build', built), row('verify', verified)]
}

const fsck = ({ config }: Installed) =>
  measured([join(root, 'src/main.ts'), 'fsck', '--data', config.dataFolder, '--json'])

export async function registerRows(asked: Asked): Promise<Row[]> {
  const installed = await anInstallation()
  try {
    const keeperDb = installed.open('keeper').db
    await fill(installed, smallEvents)
    const keptSmall = await keep(installed, keeperDb, smallEvents)
    const small = await fsck(installed)
    await fill(installed, largeEvents)
    const kept = await keep(installed, keeperDb, largeEvents - smallEvents)
    const large = await fsck(installed)
    return [
      ...(await proofRows(installed, keeperDb)),
      {
        row: 'fsck of a million events',
        ours: `${large.seconds.toFixed(1)} s`,
        theirs: '60 s',
        ratio: large.seconds / 60,
        goal: '≤ 1',
      },
      {
        row: 'memory of fsck, a million events against a hundred thousand',
        ours: `${large.mostMib.toFixed(0)} MiB`,
        theirs: `${small.mostMib.toFixed(0)} MiB`,
        ratio: large.mostMib / small.mostMib,
        goal: '≤ 1.15, < 250 MiB',
      },
      {
        row: 'events sequenced, signed and published a second',
        ours: `${kept.toFixed(0)} a second`,
        theirs: `${keptSmall.toFixed(0)} a second for the first hundred thousand`,
        ratio: kept / keptSmall,
        goal: '≥ 0.8: no slower as the register grows',
      },
      ...(await writingRows(installed, asked)),
    ]
  } finally {
    await installed.stop()
  }
}

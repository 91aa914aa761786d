/**
 * Real processes and real disks: a Safehand, its Postgres, both, or one of Postgres' own processes are killed at random
 * moments while people send and collect. `FAULT_ROUNDS` says how many transfers (a few in the short form, 200 with
 * `FAULTS=full`), `FAULT_SEED` makes the same choices again.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { toHex } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { verifyConsistency, proveSubtree } from '#core/register/merkle'
import { parseVkey } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { rootsFromTiles } from '#core/register/tile'
import { verifyReceipt } from '#core/register/verify'
import { openCheckpoint } from '#edge/keeper/head'
import { tileReader } from '#edge/keeper/tiles'
import { Browser } from '#test/house'
import { collect, prepare, receipt, send, type Step, type Traveller } from './journey.ts'
import { childrenOf, isAlive, isAway, numbersFrom, Server } from './server.ts'

const rounds = Number(process.env.FAULT_ROUNDS ?? (process.env.FAULTS === 'full' ? 200 : 4))
const seed = Number(process.env.FAULT_SEED ?? randomBytes(4).readUInt32BE())
const people = ['Priya Nair', 'Tom Fletcher', 'Sian Pritchard']

/** What was acknowledged: it must be there from then on. */
interface Ledger {
  transfers: string[]
  parts: { parcelId: string; n: number; sha256: string }[]
  sealed: { parcelId: string; transferId: string }[]
  opened: { recipientId: string; statement: string }[]
  recalled: string[]
  receipts: string[]
  checkpoints: string[]
}

/** Says a step until it is answered. @param onRepeat - called before it is said again; throws when it need not be */
async function said(step: Step, t: Traveller, onRepeat: () => void): Promise<void> {
  for (let isRepeated = false; ; isRepeated = true) {
    try {
      await step.run(t)
      return
    } catch (error) {
      if (isRepeated && step.done?.some((slug) => (error as Error).message.includes(`/problems/${slug}`))) return
      // A receipt comes with the next round of the keeper.
      if (!isAway(error)) throw error
      onRepeat()
      await rest(50)
    }
  }
}

const recall: Step = {
  name: 'recall',
  done: ['transfer-closed'],
  run: async (t) => void (await t.sender.post(`/api/transfers/${t.transferId}/recall`)),
}

/** One transfer from the first question to the receipt, or to its recall; each answer goes into the ledger. */
async function transfer(
  server: Server,
  ledger: Ledger,
  sender: Browser,
  sizeBytes: number,
  isRecalled: boolean,
  onRepeat: () => void,
) {
  const t: Traveller = {
    process: undefined as never,
    base: undefined as never,
    smtpUrl: '',
    sender,
    recipient: new Browser(server.app),
    transferId: '',
    content: randomBytes(sizeBytes),
    sealed: undefined as never,
    statement: {},
    receipt: '',
  }
  const say = (step: Step) => said(step, t, onRepeat)
  for (const step of prepare) await say(step)
  ledger.transfers.push(t.transferId)
  for (const step of send) {
    await say(step)
    const { parcelId, content, transferId } = t.sealed
    if (step.name === 'part') ledger.parts.push(...content.map(({ sha256 }, n) => ({ parcelId, n, sha256 })))
    if (step.name === 'complete') ledger.sealed.push({ parcelId, transferId })
  }
  if (isRecalled) {
    await say(recall)
    ledger.recalled.push(t.transferId)
    return
  }
  for (const step of collect) await say(step)
  ledger.opened.push({ recipientId: t.sealed.recipients[0]!, statement: t.statement.statement! })
  await say(receipt)
  ledger.receipts.push(t.receipt)
}

/** Everything acknowledged before is there. */
async function assertKept(server: Server, ledger: Ledger, vkeyText: string, when: string) {
  // As it was before we looked: people go on.
  const known = structuredClone(ledger)
  await server.asking(async (db) => {
    const ids = async (of: Promise<{ id: string }[]>) => new Set((await of).map(({ id }) => id))
    const transfers = await ids(db.selectFrom('transfers').select('id').execute())
    for (const id of known.transfers) assert.ok(transfers.has(id), `${when}: a transfer is gone`)
    const parts = new Set(
      (await db.selectFrom('parcelParts').selectAll().execute()).map((row) => `${row.parcelId} ${row.n} ${row.sha256}`),
    )
    for (const part of known.parts)
      assert.ok(parts.has(`${part.parcelId} ${part.n} ${part.sha256}`), `${when}: a part is gone`)
    const sealed = await ids(db.selectFrom('parcels').select('id').where('sealedAt', 'is not', null).execute())
    for (const { parcelId } of known.sealed) assert.ok(sealed.has(parcelId), `${when}: a parcel is not sealed any more`)
    const opened = new Map(
      (await db.selectFrom('recipients').select(['id', 'statement']).execute()).map((row) => [row.id, row.statement]),
    )
    for (const { recipientId, statement } of known.opened)
      assert.equal(opened.get(recipientId), statement, `${when}: an opening is gone`)
    const recalled = await ids(db.selectFrom('transfers').select('id').where('state', '=', 'recalled').execute())
    for (const id of known.recalled) assert.ok(recalled.has(id), `${when}: a recall is gone`)
  })
  const vkey = orThrow(parseVkey(vkeyText))
  const read = tileReader({
    read: async (path) => {
      const response = await fetch(`${server.url}/register/${path}`)
      return response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined
    },
  })
  const newest = orThrow(openCheckpoint(await (await fetch(`${server.url}/register/checkpoint`)).text(), vkey))
  for (const note of known.checkpoints) {
    const { size, root } = orThrow(openCheckpoint(note, vkey))
    assert.ok(size <= newest.size, `${when}: the register is shorter than it was`)
    if (size === 0) continue
    const proof =
      size === newest.size ? [] : await proveSubtree(0, size, newest.size, rootsFromTiles(newest.size, read))
    const holds =
      size === newest.size
        ? toHex(root) === toHex(newest.root)
        : verifyConsistency(size, newest.size, root, newest.root, proof)
    assert.ok(holds, `${when}: the register does not continue what it was`)
  }
  for (const each of known.receipts)
    orThrow(verifyReceipt(each, orThrow(parseTrustPolicy(`log ${vkeyText}\nquorum none\n`))))
}

/** Waits for what jobs do after a recall: they go on where a killed process left them. */
async function untilDestroyed(server: Server, { sealed, recalled }: Ledger) {
  const parcels = sealed.filter(({ transferId }) => recalled.includes(transferId)).map(({ parcelId }) => parcelId)
  if (parcels.length === 0) return
  await server.asking(async (db) => {
    const left = () =>
      db.selectFrom('parcels').select('id').where('id', 'in', parcels).where('destroyedAt', 'is', null).execute()
    while ((await left()).length > 0) await rest(100)
  })
}

/** Kills one of Postgres' own processes. Comes back when Postgres has noticed, and ended the others: it recovers then. */
async function killBackend(server: Server, choice: number) {
  const postgres = await server.postgres()
  const all = postgres === null ? [] : await childrenOf(postgres)
  if (all.length === 0) return
  process.kill(all[Math.floor(choice * all.length)]!, 'SIGKILL')
  for (const pid of all) while (await isAlive(pid)) await rest(5)
}

test(`killed at random moments, nothing acknowledged is lost (${rounds} transfers, FAULT_SEED=${seed})`, async (t) => {
  const next = numbersFrom(seed)
  const server = await Server.begin(t)
  const ledger: Ledger = {
    transfers: [],
    parts: [],
    sealed: [],
    opened: [],
    recalled: [],
    receipts: [],
    checkpoints: [],
  }
  const grace = await Browser.of(server.app, 'Grace Oduya')
  const { found } = await grace.post<{ found: { organisationId: string }[] }>('/api/organisations/search', {
    words: 'Millbrook',
  })
  const profile = { tls: 'refused', tlsEvidence: 'A report came back', tlsCheckedOn: '2026-01-01' }
  await grace.post(`/api/organisations/${found[0]!.organisationId}/profile`, profile)
  const { vkey } = (await (await fetch(`${server.url}/api/register/check`)).json()) as { vkey: string }
  const senders = await Promise.all(people.map((name) => Browser.of(server.app, name)))

  const counts = { server: 0, postgres: 0, both: 0, backend: 0, repeats: 0 }
  let begun = 0
  let isDone = false
  const onRepeat = () => {
    // Whoever goes on when the test has failed would go on for ever.
    assert.ok(!isDone, 'somebody else failed')
    counts.repeats += 1
  }
  const work = async (sender: Browser) => {
    while (begun < rounds) {
      begun += 1
      // Most are small; some have several parts.
      const sizeBytes = next() < 0.15 ? 9_000_000 + Math.floor(next() * 9_000_000) : 1 + Math.floor(next() * 100_000)
      await transfer(server, ledger, sender, sizeBytes, next() < 0.2, onRepeat)
    }
  }
  const working = Promise.all(senders.map(work)).finally(() => (isDone = true))
  const kinds = ['server', 'postgres', 'both', 'backend'] as const
  const killing = async () => {
    while (!isDone) {
      await rest(100 + next() * 900)
      if (isDone) return
      const kind = kinds[Math.floor(next() * kinds.length)]!
      if (kind === 'server') await server.killServer()
      if (kind === 'both') await server.killAll()
      if (kind === 'postgres') await server.killPostgres()
      if (kind === 'backend') await killBackend(server, next())
      counts[kind] += 1
      const when = `after kill ${counts.server + counts.postgres + counts.both + counts.backend} (${kind})`
      if (server.hasEnded) await server.start()
      await server.untilAnswers()
      const check = await server.fsck()
      assert.ok(check.isSound, `${when}: ${check.text}`)
      await assertKept(server, ledger, vkey, when)
      ledger.checkpoints.push(await (await fetch(`${server.url}/register/checkpoint`)).text())
    }
  }
  await Promise.all([working, killing()]).finally(() => (isDone = true))
  await untilDestroyed(server, ledger)
  const check = await server.fsck()
  assert.ok(check.isSound, check.text)
  await assertKept(server, ledger, vkey, 'at the end')
  assert.equal(ledger.sealed.length, rounds)
  assert.equal(ledger.opened.length + ledger.recalled.length, rounds)
  t.diagnostic(
    `${rounds} transfers, ${ledger.parts.length} parts, ${ledger.opened.length} opened and byte for byte as they were, ${ledger.recalled.length} recalled; ` +
      `kills: ${counts.server} server, ${counts.postgres} Postgres, ${counts.both} both, ${counts.backend} a process of Postgres; ` +
      `${counts.repeats} answers that did not come; ${ledger.checkpoints.length} checkpoints continued`,
  )
})

/**
 * A Safehand that does not outlive one of its writes: every write of every journey in turn, before it is made and after.
 * Then it is started again, whoever had no answer says the same again, and all must be as if nothing had happened.
 *
 * Inside a transaction an end after one statement is an end before the next, so the short form cuts at what stays:
 * commits, statements alone, bytes, tiles and keys. `FAULTS=full` cuts before every statement too.
 */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { sql } from 'kysely'
import { orThrow } from '#core/kit/outcome'
import { parseVkey } from '#core/register/note'
import { edgeRoot, readEdge } from '#core/register/tile'
import { parseTrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import { toHex } from '#core/kit/bytes'
import { fsckRegister, noteIn } from '#edge/keeper/fsck'
import { latestCheckpoint, openCheckpoint } from '#edge/keeper/head'
import { tileReader } from '#edge/keeper/tiles'
import { checkWork } from '#features/parcels/checking'
import { Cuts, startProcess, type CutAt } from '#test/cuts'
import { startTestServer } from '#test/database'
import { aHouse, Browser, day, type TestHouse } from '#test/house'
import { startRelay } from '#test/smtp'
import {
  before,
  beforeRefusal,
  dayEnd,
  end,
  mainJourney,
  neglect,
  otherJourney,
  refusal,
  withdrawal,
  type Step,
  type Traveller,
} from './journey.ts'

// One server for the file when it is run by itself.
if (!process.env.SAFEHAND_TEST_DATABASE) {
  const server = await startTestServer()
  after(() => server.stop())
}

const isFull = process.env.FAULTS === 'full'
/** So few that no register comes to 256 events: a whole tile is published in other writes than a part of one. */
const roundsPerHouse = 8

type Relay = Awaited<ReturnType<typeof startRelay>>
interface Place {
  base: TestHouse
  relay: Relay
}

/** A house whose school's mail is not encrypted on its way, and a relay. */
async function aPlace(t: TestContext): Promise<Place> {
  const base = await aHouse(t)
  const grace = await base.browser('Grace Oduya')
  const { found } = await grace.post<{ found: { organisationId: string }[] }>('/api/organisations/search', {
    words: 'Millbrook',
  })
  const profile = { tls: 'refused', tlsEvidence: 'A report came back', tlsCheckedOn: '2026-01-01' }
  await grace.post(`/api/organisations/${found[0]!.organisationId}/profile`, profile)
  return { base, relay: await startRelay(t) }
}

/** Nothing is wrong between database, register, bytes and keys. */
async function assertSound({ house }: TestHouse, when: string) {
  const check = await fsckRegister(house.db, house.keeper.tiles, orThrow(parseVkey(house.keeper.vkey)))
  await checkWork({ ...house, now: house.now() }, false, noteIn(check))
  assert.deepEqual(check.findings, [], when)
}

const eventsOf = ({ house }: TestHouse, transferId: string) =>
  house.db
    .selectFrom('registerEvents')
    .where('transferId', '=', transferId)
    .select(['id', 'name', 'body'])
    .orderBy('id')
    .execute()

/** Events that may be there once only, however often somebody says the same; the others are said by whoever says them. */
const once = [
  'parcel-sealed',
  'lock-made',
  'lock-destroyed',
  'mailbox-proved',
  'parcel-downloaded',
  'parcel-opened',
  'not-for-me',
  'parcel-extended',
  'parcel-recalled',
  'parcel-expired',
  'not-collected',
  'parcel-destroyed',
  'recipient-added',
  'recipient-chased',
]

/** Every mail that is held has a job that hands it over: neither is there without the other. */
async function assertMailsHaveJobs({ house: { db } }: TestHouse, when: string) {
  const { rows } = await sql<{ id: string }>`select id from outgoing_mail where state = 'held' and not exists
    (select from jobs.job where name = 'deliver-mail' and data->>'id' = outgoing_mail.id::text)`.execute(db)
  assert.deepEqual(rows, [], when)
}

/** Every mail that is said to be sent was taken by the relay, and none twice but for a hand-over that was begun twice. */
async function assertMailsTrue({ base, relay }: Place, when: string) {
  const rows = await base.house.db.selectFrom('outgoingMail').select(['id', 'state', 'tries']).execute()
  for (const { id, state, tries } of rows) {
    const taken = relay.mails.filter(({ raw }) => raw.includes(`Message-ID: <${id}@`)).length
    if (state === 'sent') assert.ok(taken >= 1, `${when}: ${id} was not sent`)
    assert.ok(taken <= tries, `${when}: ${id} was handed over ${taken} times, begun ${tries}`)
  }
}

/** One journey under way. */
class Travel {
  readonly place: Place
  readonly name: string
  readonly traveller: Traveller
  /** Ids of the events that there were when the last answer came. */
  #acknowledged: string[] = []
  #seen: string[] = []

  private constructor(place: Place, name: string, traveller: Traveller) {
    this.place = place
    this.name = name
    this.traveller = traveller
  }

  static async begin(place: Place, name: string): Promise<Travel> {
    const { base, relay } = place
    // Half an hour after midnight: what falls due by the day falls due in the same steps each time.
    const now = base.house.now().valueOf()
    base.advance(Math.ceil(now / day) * day + day / 48 - now)
    const process = await startProcess(base, new Cuts())
    const sender = await Browser.of(process.app, 'Priya Nair')
    const nothing = {
      transferId: '',
      content: Buffer.from('Some text.'),
      sealed: undefined as never,
      statement: {},
      receipt: '',
    }
    return new Travel(place, name, {
      process,
      base,
      smtpUrl: relay.url,
      sender,
      recipient: process.browser(),
      ...nothing,
    })
  }

  /** Does a step with at most one cut; after it everything is started again, looked at, and the step said again. */
  async step(step: Step, at: CutAt | null): Promise<{ writes: Cuts['writes']; isCut: boolean }> {
    const { cuts } = this.traveller.process
    cuts.watch(at)
    const failure = await step.run(this.traveller).then(
      () => undefined,
      (error: unknown) => error,
    )
    const { writes, isKilled } = cuts
    cuts.watch(null)
    if (failure && !isKilled) throw failure
    if (isKilled) {
      const what = `${this.name}: ‘${step.name}’ cut ${at!.when} ${writes[at!.n]!.what}`
      await this.#startAgain(what)
      if (failure)
        await step.run(this.traveller).catch((again: Error) => {
          const isDone = step.done?.some((slug) => again.message.includes(`/problems/${slug}`))
          assert.ok(isDone, `${what}, and again: ${again.message}`)
        })
    }
    const { base, transferId } = this.traveller
    this.#acknowledged = (await eventsOf(base, transferId)).map(({ id }) => id)
    const checkpoint = await latestCheckpoint(base.house.db)
    if (checkpoint && checkpoint !== this.#seen.at(-1)) this.#seen.push(checkpoint)
    return { writes, isCut: isKilled }
  }

  async #startAgain(what: string): Promise<void> {
    const { base, process, sender, recipient, transferId } = this.traveller
    await process.stop()
    await assertSound(base, what)
    await assertMailsHaveJobs(base, what)
    const there = new Set((await eventsOf(base, transferId || crypto.randomUUID())).map(({ id }) => id))
    for (const id of this.#acknowledged) assert.ok(there.has(id), `${what}: an acknowledged event is gone`)
    const again = await startProcess(base, new Cuts())
    Object.assign(this.traveller, {
      process: again,
      sender: again.browser(sender),
      recipient: again.browser(recipient),
    })
  }

  /** Ends it, and looks at everything. @returns how often each event was recorded */
  async end(): Promise<Map<string, number>> {
    const { base, process, receipt, transferId } = this.traveller
    orThrow(await process.house.keeper.once())
    await process.stop()
    await assertSound(base, this.name)
    await assertMailsHaveJobs(base, this.name)
    await assertMailsTrue(this.place, this.name)
    await assertConsistent(base, this.#seen, this.name)
    const trust = orThrow(parseTrustPolicy(`log ${base.house.keeper.vkey}\nquorum none\n`))
    if (receipt) orThrow(verifyReceipt(receipt, trust))
    for await (const { key } of base.house.blobs.list('')) assert.fail(`${this.name}: ${key} is left`)
    const events = new Map<string, number>()
    for (const { name } of await eventsOf(base, transferId)) events.set(name, (events.get(name) ?? 0) + 1)
    return events
  }
}

/** What was published leads to every checkpoint that was ever shown. */
async function assertConsistent({ house }: TestHouse, seen: string[], when: string) {
  for (const note of seen) {
    const { size, root } = orThrow(openCheckpoint(note, orThrow(parseVkey(house.keeper.vkey))))
    const edge = await readEdge(size, tileReader(house.keeper.tiles))
    assert.equal(toHex(edgeRoot(edge)), toHex(root), `${when}: the checkpoint of ${size}`)
  }
}

interface Journey {
  name: string
  before: Step[]
  steps: Step[]
  after?: Step[]
  /** Events that saying a step again brings again, rightly. */
  again?: string[]
  /** What must be cut in a step, before and after each, in this order; there may be more. */
  between?: Record<string, string[]>
}
const journeys: Journey[] = [
  {
    name: 'from the first question to the last byte',
    before: [],
    steps: mainJourney,
    between: {
      'keep the register': [
        'commit',
        'publish tile/entries/',
        'publish tile/0/',
        'publish checkpoint',
        'update "register_head"',
      ],
      // Begun; the relay takes it; settled.
      'hand mails over': ['commit', 'commit'],
      // The locks; the bytes; that they are gone; the identity of the day; that it is gone.
      tidy: ['commit', 'remove blobs', 'commit', 'destroy the identity of a day', 'commit'],
    },
  },
  {
    name: 'another lock, an extension, a recall',
    before,
    steps: otherJourney,
    after: dayEnd,
    again: ['lock-made', 'lock-destroyed'],
  },
  { name: 'a recipient who is taken off', before, steps: withdrawal, after: end },
  { name: 'a recipient for whom it is not', before: beforeRefusal, steps: refusal, after: end },
  { name: 'a recipient who does not come', before, steps: neglect },
]

/** One journey; `cutOf` says where each of its steps is cut. */
async function travel(
  place: Place,
  { name, before, steps, after = [] }: Journey,
  round: string,
  cutOf: (step: number) => CutAt | null,
) {
  const travelling = await Travel.begin(place, `${name}, ${round}`)
  try {
    for (const step of before) await step.run(travelling.traveller)
    const done = []
    for (const [i, step] of steps.entries()) done.push(await travelling.step(step, cutOf(i)))
    for (const step of after) await step.run(travelling.traveller)
    return { done, events: await travelling.end() }
  } finally {
    await travelling.traveller.process.stop()
  }
}

for (const journey of journeys) {
  test(`killed at any write: ${journey.name}`, async (t) => {
    const { steps } = journey
    let place = await aPlace(t)
    const whole = await travel(place, journey, 'uncut', () => null)
    const cuts = whole.done.map(({ writes }) =>
      writes.flatMap(({ isKept }, n): CutAt[] => [
        ...(isKept || isFull ? [{ n, when: 'before' as const }] : []),
        ...(isKept ? [{ n, when: 'after' as const }] : []),
      ]),
    )
    for (const [name, wanted] of Object.entries(journey.between ?? {})) {
      const at = steps.findIndex((step) => step.name === name)
      const cut = whole.done[at]!.writes.filter(({ isKept }) => isKept).map(({ what }) => what)
      const left = cut.reduce((rest, what) => (what.startsWith(rest[0] ?? '-') ? rest.slice(1) : rest), wanted)
      assert.deepEqual(left, [], `${name}: ${cut.join(', ')}`)
    }
    const rounds = Math.max(...cuts.map(({ length }) => length))
    for (let round = 0; round < rounds; round += 1) {
      if ((round + 1) % roundsPerHouse === 0) place = await aPlace(t)
      // Each step is cut in every round that has a cut left for it: a Safehand may be killed again and again.
      const { done, events } = await travel(place, journey, `round ${round}`, (step) => cuts[step]![round] ?? null)
      for (const [step, each] of cuts.entries()) {
        const cut = each[round]
        // A cut that never came would be no test; a new write is cut without anybody's doing.
        const what = cut && `${steps[step]!.name}: ${cut.when} ${whole.done[step]!.writes[cut.n]!.what}`
        if (what) assert.ok(done[step]!.isCut, `${journey.name}, round ${round}: not cut at ${what}`)
      }
      for (const name of once.filter((each) => !journey.again?.includes(each)))
        assert.equal(events.get(name) ?? 0, whole.events.get(name) ?? 0, `${journey.name}, round ${round}: ${name}`)
      for (const [name, count] of whole.events)
        assert.ok((events.get(name) ?? 0) >= count, `${journey.name}, round ${round}: ${name} is lost`)
    }
    const all = cuts.flat().length
    assert.ok(all >= 2)
    t.diagnostic(`${whole.done.flatMap(({ writes }) => writes).length} writes, ${all} cuts, ${rounds} rounds`)
  })
}

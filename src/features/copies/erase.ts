import { randomUUID } from 'node:crypto'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction, type Db, type Tx } from '#edge/store/database'
import { appendErasure, readErasures, type Erasure } from '#features/copies/list'
import {
  counted,
  doneErasures,
  eraseEvents,
  erasePeople,
  eraseRecipients,
  eraseTransfers,
  eventsAbout,
  lockErasing,
  noteErasure,
  openIn,
  personByAddress,
  receivedBy,
  sentBy,
  transferByReference,
} from '#features/copies/queries'

/** What is to be erased: a whole transfer by its reference, or somebody by their address. */
export type Wanted = { transfer: string } | { person: string }

/** What an erasure does, in numbers and in words. */
export interface Plan {
  erasure: Erasure
  recipients: number
  mails: number
  records: number
  /** What stays, and why, in sentences. */
  kept: string[]
  /** Names and addresses that a reason must not hold. */
  names: string[]
}

/**
 * What would be erased. Changes nothing.
 *
 * @returns the plan; `erasure-unknown`, or `erasure-open` with what has to end first
 */
export const planErasure = (db: Db, wanted: Wanted, now: Date): Promise<Outcome<Plan>> =>
  inTransaction(db, (tx) => plan(tx, wanted, now))

/**
 * Erases. The list outside comes first and the database second, so that whoever is killed in between has it done by
 * `replayErasures`; when this comes back, neither a loss of power nor a restored backup brings anything back.
 *
 * @param reason - why, without a name: it stays in the database
 * @returns what was done; as `planErasure`; `erasures-unreadable`; or `reason-names` when the reason names them
 */
export async function eraseNow(
  db: Db,
  listPath: string,
  wanted: Wanted,
  { reason, now }: { reason: string; now: Date },
): Promise<Outcome<Plan>> {
  let planned: Outcome<Plan> | undefined
  return inTransaction(db, async (tx) => {
    await lockErasing(tx)
    const listed = orThrow(await readErasures(listPath))
    // Planned and listed once only, should the transaction have to be done again.
    planned ??= await plan(tx, wanted, now)
    if (!planned.ok) return planned
    const { erasure, names } = planned.value
    const lower = reason.toLowerCase()
    if (names.some((name) => lower.includes(name.toLowerCase()))) return fail('reason-names')
    if (!listed.some(({ id }) => id === erasure.id)) await appendErasure(listPath, erasure)
    await apply(tx, erasure, reason)
    return planned
  })
}

/**
 * Does the erasures of the list that this database has not done: after a kill, and after a backup from before them was
 * restored. Doing it again changes nothing.
 *
 * @returns how many were done, or `erasures-unreadable`
 */
export function replayErasures(db: Db, listPath: string): Promise<Outcome<number>> {
  return inTransaction(db, async (tx) => {
    await lockErasing(tx)
    const listed = await readErasures(listPath)
    if (!listed.ok) return listed
    const done = await doneErasures(tx)
    const missing = listed.value.filter(({ id }) => !done.has(id))
    for (const erasure of missing) await apply(tx, erasure, null)
    return ok(missing.length)
  })
}

/** Whether this database has done every erasure of the list; or `erasures-unreadable`. */
export async function isAllErased(db: Db, listPath: string): Promise<Outcome<boolean>> {
  const listed = await readErasures(listPath)
  if (!listed.ok) return listed
  const done = await doneErasures(db)
  return ok(listed.value.every(({ id }) => done.has(id)))
}

/** Erases what is listed, by ids alone: rows that a backup does not have are no trouble. */
async function apply(tx: Tx, erasure: Erasure, reason: string | null): Promise<void> {
  const { id, at, transfers, recipients, people } = erasure
  await eraseEvents(erasure, tx)
  await eraseTransfers(tx, transfers)
  await eraseRecipients(tx, recipients)
  await erasePeople(tx, people)
  await noteErasure(tx, { id, at: new Date(at), reason })
  await recordEvent(tx, 'erased', { erasure: id, events: erasure.events.length, again: reason === null })
}

async function plan(tx: Tx, wanted: Wanted, now: Date): Promise<Outcome<Plan>> {
  const found = 'transfer' in wanted ? await theTransfer(tx, wanted.transfer) : await thePerson(tx, wanted.person)
  if (!found.ok) return found
  const { transfers, recipients, people, about, kept, names } = found.value
  const open = await openIn(tx, about)
  if (open.length > 0)
    return fail('erasure-open', { detail: open.map(({ reference, why }) => `${reference}: ${why}.`).join('\n') })
  const events = await eventsAbout(tx, { transfers, recipients, people })
  const erasure = { v: 1 as const, id: randomUUID(), at: now.toISOString(), transfers, recipients, people, events }
  const counts = await counted(tx, erasure, 'person' in wanted ? wanted.person : undefined)
  return ok({ erasure, ...counts, kept: [...kept, ...always], names })
}

const always = [
  'The leaves of the events in the register: without body and salt nobody can tell whom they were about, and the register stays whole.',
  'Receipts that others hold: they verify for whoever kept one, and say what they said.',
  'Backups made before: the list of erasures is replayed when one is restored.',
  'Problems that were reported, and their record, as the law asks for a record of breaches. Read them, and take names out by hand.',
  'Safehand knows no legal hold yet: make sure that none applies.',
]

interface Found extends Pick<Erasure, 'transfers' | 'recipients' | 'people'> {
  /** Transfers that must have ended. */
  about: string[]
  kept: string[]
  names: string[]
}

async function theTransfer(tx: Tx, reference: string): Promise<Outcome<Found>> {
  const transfer = await transferByReference(tx, reference)
  if (!transfer) return fail('erasure-unknown', { detail: `No transfer has the reference ${reference}.` })
  return ok({
    transfers: [transfer.id],
    recipients: [],
    people: [],
    about: [transfer.id],
    kept: ['That there was a transfer, its method, dates and sizes, so that totals stay right.'],
    names: [reference],
  })
}

async function thePerson(tx: Tx, email: string): Promise<Outcome<Found>> {
  const person = await personByAddress(tx, email)
  const received = await receivedBy(tx, email)
  if (!person && received.length === 0)
    return fail('erasure-unknown', {
      detail: `Nobody in the directory or among the recipients has the address ${email}.`,
    })
  if (person?.kind === 'staff' && person.active)
    return fail('erasure-open', { detail: 'This is a colleague who can sign in. End their access first.' })
  const sent = person ? await sentBy(tx, person.id) : []
  return ok({
    transfers: [],
    recipients: received.map(({ id }) => id),
    people: person ? [person.id] : [],
    about: [...received.map(({ transferId }) => transferId), ...sent.map(({ id }) => id)],
    kept: [
      'The transfers themselves: what was sent to others and why. Erase one whole with --transfer.',
      ...(person?.kind === 'staff'
        ? ['What they did in their office, under a number that names nobody: it is the organisation’s own evidence.']
        : []),
    ],
    names: [email, ...(person ? [person.fullName] : []), ...received.map(({ fullName }) => fullName)],
  })
}

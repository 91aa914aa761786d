import { setTimeout as rest } from 'node:timers/promises'
import type { Json } from '#core/kit/canonical-json'
import { assert, fail, ok, type Outcome } from '#core/kit/outcome'
import { parseCheckpoint, type Checkpoint } from '#core/register/checkpoint'
import { encodeEvidence, leafOf, type Evidence } from '#core/register/event'
import { leafHash, proveSubtree, verifyInclusion } from '#core/register/merkle'
import { parseNote } from '#core/register/note'
import { formatProof } from '#core/register/proof'
import { rootsFromTiles } from '#core/register/tile'
import type { Bytes } from '#core/kit/bytes'
import { latestCheckpoint } from '#edge/keeper/head'
import type { Keeper } from '#edge/keeper/keeper'
import { closedRegisters } from '#edge/keeper/registers'
import { tileReader } from '#edge/keeper/tiles'
import { cosignedCheckpoints, isWitnessed } from '#edge/keeper/witness'
import type { Db } from '#edge/store/database'

/**
 * The receipt for an event: a `.tlog-proof` text that anyone with the register's key can check without us.
 *
 * It discloses the event's body: the caller decides who may have it. It ends in the newest checkpoint that enough
 * witnesses have signed, or else in the newest there is, with the witnesses' lines that are there.
 *
 * @returns the text, or the problem `not-found`, `proof-erased` or `proof-not-ready`
 * @throws Error when the published tiles do not lead to the checkpoint
 */
export async function receiptFor(
  db: Db,
  register: Pick<Keeper, 'tiles' | 'closedTiles' | 'trust'>,
  eventId: string,
): Promise<Outcome<string>> {
  const [event, newest] = await Promise.all([
    db.selectFrom('registerEvents').selectAll().where('id', '=', eventId).executeTakeFirst(),
    latestCheckpoint(db),
  ])
  if (!event) return fail('not-found')
  if (event.salt === null || event.body === null) return fail('proof-erased')
  if (event.seq === null) return fail('proof-not-ready')
  const { seq, latest, tiles, trust } =
    event.seq < 0 ? await closedRegisterOf(db, register, event.seq) : { ...register, seq: event.seq, latest: newest }
  if (latest === undefined) return fail('proof-not-ready')
  const published = stateOf(latest)
  if (seq >= published.size) return fail('proof-not-ready')
  const cosigned = trust ? await cosignedCheckpoints(db) : []
  const witnessed = cosigned.find((one) => seq < one.size && isWitnessed(trust!, one))
  const checkpoint = witnessed?.note ?? latest
  const { size, root } = stateOf(checkpoint)
  // From the tiles of what is published now: partial ones of an earlier size may have been tidied away.
  const roots = rootsFromTiles(published.size, tileReader(tiles))
  const hashes = await proveSubtree(seq, seq + 1, size, roots)
  const evidence = evidenceOf(event.name, event.handle, event.at, event.salt, event.body)
  // A wrong receipt would look like a forged record to whoever checks it years later.
  if (!verifyInclusion(seq, size, leafHash(leafOf(evidence)), root, hashes)) {
    throw new Error(`Event ${seq} does not stand in the published register: run safehand fsck`)
  }
  return ok(formatProof({ extra: encodeEvidence(evidence), index: seq, hashes, checkpoint }))
}

/** The closed register that an event stands in, its place there, and the checkpoint with which that register ends. */
async function closedRegisterOf(db: Db, present: Pick<Keeper, 'closedTiles'>, place: number) {
  const closed = (await closedRegisters(db)).find(
    ({ firstPlace, size }) => place >= firstPlace && place < firstPlace + size,
  )
  assert(closed && present.closedTiles, 'an event below zero stands in a register that was closed')
  const { number, firstPlace, checkpoint: latest } = closed
  return { seq: place - firstPlace, latest, tiles: present.closedTiles(number), trust: undefined }
}

/** What a checkpoint that we signed says. */
function stateOf(checkpoint: string): Checkpoint {
  const note = parseNote(checkpoint)
  const state = note.ok ? parseCheckpoint(note.value.text) : note
  assert(state.ok, 'what was signed cannot be read')
  return state.value
}

/** Evidence from the columns of an event that is not erased. */
export const evidenceOf = (event: string, handle: string, at: Date, salt: Uint8Array, body: string): Evidence => ({
  event,
  handle,
  at: at.toISOString(),
  salt: new Uint8Array(salt) as Bytes,
  body: JSON.parse(body) as Json,
})

/**
 * The receipt for an event that was just recorded, waiting until it is signed and published.
 *
 * @param waitMs - how long at most
 * @returns as `receiptFor`; `proof-not-ready` when it took longer
 */
export async function waitForReceipt(
  db: Db,
  keeper: Pick<Keeper, 'tiles' | 'trust'>,
  eventId: string,
  waitMs: number,
): Promise<Outcome<string>> {
  const end = performance.now() + waitMs
  for (;;) {
    const receipt = await receiptFor(db, keeper, eventId)
    if (receipt.ok || receipt.problem.slug !== 'proof-not-ready' || performance.now() >= end) return receipt
    await rest(100)
  }
}

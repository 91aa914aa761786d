import { sql } from 'kysely'
import { fromUtf8, sameBytes } from '#core/kit/bytes'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import type { Checkpoint } from '#core/register/checkpoint'
import { HASH_BYTES, leafHash } from '#core/register/merkle'
import { formatVkey, type NoteSigner } from '#core/register/note'
import { bundlePath, edgeRoot, emptyEdge, grow, parseBundle, TILE_WIDTH, tilePath } from '#core/register/tile'
import type { EventName } from '#edge/keeper/event-names'
import { asNextKeeper, openCheckpoint, readHead, type Head } from '#edge/keeper/head'
import { beginNext, presentNumber, publishedUnder } from '#edge/keeper/registers'
import { CHECKPOINT_PATH, type Tiles } from '#edge/keeper/tiles'
import { inTransaction, type Db, type Tx } from '#edge/store/database'

/** What was published, from wherever it survived: by paths below the address of the first register. */
export type Published = Pick<Tiles, 'read'>

export interface AdoptOrder {
  db: Db
  published: Published
  /** The signer of the register with a number; undefined when its key is not there. */
  signerOf: (number: number) => Promise<NoteSigner | undefined>
  /** A checkpoint that somebody holds: at least this much was published. */
  newest?: string
  /** The operator's word that nothing was published after the backup. */
  nothingLater: boolean
}

/** What was taken in. */
export interface Adopted {
  /** Events that the present register has now. */
  size: number
  /** Events of the database that were published already, and have got the places they were published at. */
  placed: number
  /** Events that the database did not know. What they said is lost; that they happened is not. */
  lost: number
  /** Registers that were closed after the backup. */
  closed: number
}

/**
 * Takes in what was published after the database's last state, so that the next signature continues what the world has
 * seen. Everything is verified against checkpoints signed with our keys, and all of it is taken in or nothing; again
 * changes nothing. The mark of a restored database is taken away.
 *
 * @returns what was taken in; `adopt-differs` with the first event that is wrong, `adopt-older` when more is known to
 *   exist than is published there, `adopt-unproven` when nothing is published there, `keeper-elsewhere` without a key,
 *   `keeper-busy`
 */
export const adopt = (order: AdoptOrder): Promise<Outcome<Adopted>> =>
  asNextKeeper(order.db, (connection) => inTransaction(connection, (tx) => takeIn(tx, order)))

async function takeIn(tx: Tx, order: AdoptOrder): Promise<Outcome<Adopted>> {
  // What is published may be slow to read.
  await sql`set local statement_timeout = 0`.execute(tx)
  await sql`set local idle_in_transaction_session_timeout = 0`.execute(tx)
  const adopted: Adopted = { size: 0, placed: 0, lost: 0, closed: 0 }
  let isOfUse = order.newest === undefined
  let number = await presentNumber(tx)
  let signer = await signerNamed(order, number)
  let head = orThrow(await readHead(tx as Db, signer))
  for (;;) {
    const known = newestOf(order, signer)
    isOfUse ||= known !== undefined
    const note = await order.published.read(publishedUnder(number) + CHECKPOINT_PATH)
    const published = note && orThrow(verified(note, signer))
    if (!published && !order.nothingLater && adopted.closed === 0) return fail('adopt-unproven')
    const later = Math.max(published?.size ?? 0, known?.size ?? 0)
    if (later > (published?.size ?? 0) && later > head.size)
      return fail('adopt-older', {
        detail: `A checkpoint of ${later} events is known; ${published?.size ?? 0} are there.`,
      })
    if (published && published.size < head.size && !order.nothingLater)
      return fail('adopt-older', { detail: `The database has ${head.size} events; ${published.size} are there.` })
    if (published) head = await follow(tx, order, { number, head, note: fromUtf8(note), published, known }, adopted)
    const next = await order.published.read(publishedUnder(number + 1) + CHECKPOINT_PATH)
    if (!next) break
    number += 1
    signer = await signerNamed(order, number)
    head = await beginNext(tx, head, signer)
    adopted.closed += 1
  }
  if (!isOfUse) return fail('adopt-differs', { detail: 'The newest checkpoint given is not signed with our key.' })
  adopted.size = head.size
  await tx.deleteFrom('registerRestored').execute()
  return ok(adopted)
}

async function signerNamed({ signerOf }: AdoptOrder, number: number): Promise<NoteSigner> {
  const signer = await signerOf(number)
  return signer ?? orThrow(fail('keeper-elsewhere', { detail: `The key of register ${number} is missing.` }))
}

/** A checkpoint that this register signed under its own name. */
function verified(note: Uint8Array, { vkey }: NoteSigner): Outcome<Checkpoint> {
  const opened = openCheckpoint(fromUtf8(note), vkey)
  if (opened.ok && opened.value.origin === vkey.name) return opened
  return fail('adopt-differs', { detail: `The checkpoint there is not signed with ${formatVkey(vkey)}.` })
}

/** The checkpoint that somebody holds, if it is one of this register. */
function newestOf({ newest }: AdoptOrder, { vkey }: NoteSigner): Checkpoint | undefined {
  const opened = newest === undefined ? undefined : openCheckpoint(newest, vkey)
  return opened?.ok ? opened.value : undefined
}

interface Following {
  number: number
  head: Head
  note: string
  published: Checkpoint
  known: Checkpoint | undefined
}

const wrongAt = (seq: number, what: string): never =>
  orThrow(fail('adopt-differs', { detail: `The first wrong event is ${seq}: ${what}` }))

/** Goes through all that is published, beside the database, and takes in what the database lacks. */
async function follow(
  tx: Tx,
  order: AdoptOrder,
  { number, head, note, published, known }: Following,
  adopted: Adopted,
): Promise<Head> {
  const roots = [head, published, ...(known ? [known] : [])]
  let edge = emptyEdge()
  const checkRoots = () => {
    for (const { size, root } of roots)
      if (size === edge.size && !sameBytes(root, edgeRoot(edge)))
        wrongAt(size, 'the events before it do not lead to the signed root.')
  }
  for (let start = 0; start < published.size; start += TILE_WIDTH) {
    const width = Math.min(TILE_WIDTH, published.size - start)
    const entries = await bundle(order.published, number, start, width)
    const rows = await tx
      .selectFrom('registerEvents')
      .select(['seq', 'leaf'])
      .where('seq', '>=', start)
      .where('seq', '<', Math.min(start + width, head.size))
      .orderBy('seq')
      .execute()
    const had = Math.max(0, Math.min(width, head.size - start))
    for (const [i, entry] of entries.slice(0, had).entries())
      if (rows[i]?.seq !== start + i || !sameBytes(rows[i].leaf, entry))
        wrongAt(start + i, 'the database does not have what was published.')
    await place(tx, entries.slice(had), start + had, adopted)
    const hashes = entries.map(leafHash)
    for (let at = 0; at < width;) {
      checkRoots()
      const end = Math.min(width, ...roots.map(({ size }) => size - start).filter((size) => size > at))
      edge = grow(edge, hashes.slice(at, end)).edge
      at = end
    }
  }
  checkRoots()
  if (published.size <= head.size) return head
  const next = { vkey: head.vkey, size: published.size, root: published.root, checkpoint: note, published: null }
  await tx.updateTable('registerHead').set(next).execute()
  return next
}

/** The published entries from `start`, checked against the published hashes so that the first wrong one is named. */
async function bundle(published: Published, number: number, start: number, width: number): Promise<Uint8Array[]> {
  const read = (path: string) => published.read(publishedUnder(number) + path)
  const n = start / TILE_WIDTH
  const bytes = (await read(bundlePath(n, width))) ?? (await read(bundlePath(n, TILE_WIDTH)))
  const parsed = bytes && parseBundle(bytes)
  if (!parsed?.ok || parsed.value.length < width) return wrongAt(start, 'it is not published whole.')
  const entries = parsed.value.slice(0, width)
  const hashes =
    (await read(tilePath({ level: 0, n, width }))) ?? (await read(tilePath({ level: 0, n, width: TILE_WIDTH })))
  const wrong = entries.findIndex(
    (entry, i) => hashes && !sameBytes(leafHash(entry), hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  )
  return wrong < 0 ? entries : wrongAt(start + wrong, 'the published entry does not fit its published hash.')
}

interface Shown {
  event: EventName
  at: string
  handle: string
}

/** Gives published leaves the places they were published at: to events that wait, or else to new rows without a body. */
async function place(tx: Tx, leaves: Uint8Array[], first: number, adopted: Adopted): Promise<void> {
  if (leaves.length === 0) return
  const shown = leaves.map((leaf, i) => shownBy(leaf, first + i))
  const handles = shown.map(({ handle }) => handle)
  const found = await tx
    .selectFrom('registerEvents')
    .select(['id', 'handle', 'leaf', 'seq'])
    .where('handle', 'in', handles)
    .execute()
  const byHandle = new Map(found.map((row) => [row.handle, row]))
  for (const [i, { event, at, handle }] of shown.entries()) {
    const [seq, leaf, row] = [first + i, leaves[i]!, byHandle.get(handle)]
    if (row && (row.seq !== null || !sameBytes(row.leaf, leaf)))
      wrongAt(seq, 'the database has another event with its handle.')
    if (row) {
      await tx.updateTable('registerEvents').set({ seq }).where('id', '=', row.id).execute()
      adopted.placed += 1
      continue
    }
    const lost = { name: event, transferId: null, at: new Date(at), handle, salt: null, body: null, leaf, seq }
    await tx.insertInto('registerEvents').values(lost).execute()
    adopted.lost += 1
  }
}

/** What a leaf shows of its event. */
function shownBy(leaf: Uint8Array, seq: number): Shown {
  try {
    const shown = JSON.parse(fromUtf8(leaf)) as Shown
    if (/^[0-9a-f]{32}$/.test(shown.handle) && new Date(shown.at).toISOString() === shown.at) return shown
  } catch {
    // Not text, not JSON, no instant: no leaf of ours, whoever signed it.
  }
  return wrongAt(seq, 'it is no event.')
}

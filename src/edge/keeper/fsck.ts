import { fromUtf8, sameBytes, toHex } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { problems } from '#core/kit/problems'
import type { Checkpoint } from '#core/register/checkpoint'
import { leafOf } from '#core/register/event'
import { leafHash } from '#core/register/merkle'
import { formatVkey, parseVkey, type Vkey } from '#core/register/note'
import {
  bundlePath,
  edgeRoot,
  emptyEdge,
  grow,
  parseBundle,
  partialTiles,
  TILE_WIDTH,
  tilePath,
  type Edge,
  type Tile,
} from '#core/register/tile'
import { openCheckpoint, type Head } from '#edge/keeper/head'
import { evidenceOf } from '#edge/keeper/receipt'
import { transferOf } from '#edge/keeper/record'
import type { ClosedRegistersTable, RegisterEventsTable } from '#edge/keeper/tables'
import { CHECKPOINT_PATH, type Tiles } from '#edge/keeper/tiles'
import type { Db } from '#edge/store/database'

/** One thing that is wrong. `seq` is the event's place, where it is about one. */
export interface Finding {
  where: 'database' | 'published' | 'blobs' | 'keys' | 'files'
  what: string
  seq?: number
}

/** What a check of the register found; nothing is wrong when `findings` is empty. */
export interface RegisterCheck {
  /** Events that have places and are signed. */
  size: number
  /** How many of them are published; the rest waits for the keeper. */
  published: number
  /** Events that wait for places. */
  waiting: number
  /** The first place with something wrong, if any. */
  firstWrong?: number
  /** At most `fsckFindings`. */
  findings: Finding[]
}

type EventRow = Pick<RegisterEventsTable, 'name' | 'at' | 'handle' | 'salt' | 'body' | 'leaf' | 'seq' | 'transferId'>
/** Takes a finding down. */
export type Note = (where: Finding['where'], what: string, seq?: number) => void

/** Takes findings down into a check, and which event is the first wrong one. */
export const noteIn =
  (check: { findings: Finding[]; firstWrong?: number }): Note =>
  (where, what, seq) => {
    if (seq !== undefined && seq < (check.firstWrong ?? Infinity)) check.firstWrong = seq
    if (check.findings.length < limits.fsckFindings)
      check.findings.push({ where, what, ...(seq !== undefined && { seq }) })
  }

/**
 * Checks the whole register both ways: each event against its leaf, leaves against published entries and tiles, the
 * tree against the signed heads. Reads everything, changes nothing; memory does not grow with the register.
 *
 * The keeper may go on meanwhile: what is checked is the state at the beginning.
 */
export async function fsckRegister(db: Db, tiles: Tiles, vkey: Vkey): Promise<RegisterCheck> {
  const check: RegisterCheck = { size: 0, published: 0, waiting: 0, findings: [] }
  const note = noteIn(check)
  // The published state first: in a sound register the database is never behind what was published before it was read.
  const published = await readPublished(tiles, vkey, note)
  const head = await db.selectFrom('registerHead').selectAll().executeTakeFirst()
  check.size = head?.size ?? 0
  check.published = Math.min(published?.size ?? 0, check.size)
  if (published && published.size > check.size)
    note('database', 'What was published is ahead of the database.', check.size)
  if (!published && head?.published) note('published', 'There is no checkpoint that can be read.')

  const shown = await checkEvents(db, emptyEdge(), check.published, note, tiles)
  for (const tile of partialTiles(shown)) await checkTile(tiles, tile, note)
  if (published?.size === shown.size && !sameBytes(edgeRoot(shown), published.root)) {
    note('published', 'The events do not lead to the published checkpoint.')
  }
  const whole = await checkEvents(db, shown, check.size, note)
  if (head) checkHead(head, edgeRoot(whole), vkey, note)
  check.waiting = await checkWaiting(db, note)
  return check
}

/**
 * Checks a register that was closed, as `fsckRegister` does the present one. What is found says which it is about.
 *
 * @param tiles - as it is published still
 */
export async function fsckClosed(db: Db, tiles: Tiles, closed: ClosedRegistersTable): Promise<Finding[]> {
  const check: { findings: Finding[] } = { findings: [] }
  const note = noteIn(check)
  const vkey = orThrow(parseVkey(closed.vkey))
  const { number, size, root, firstPlace, checkpoint } = closed
  const published = await readPublished(tiles, vkey, note)
  if (published?.size !== size || !sameBytes(published.root, root))
    note('published', 'The checkpoint is not the last one that was signed.')
  const edge = await checkEvents(db, emptyEdge(), size, note, tiles, firstPlace)
  for (const tile of partialTiles(edge)) await checkTile(tiles, tile, note)
  checkHead({ vkey: closed.vkey, size, root, checkpoint }, edgeRoot(edge), vkey, note)
  return check.findings.map((finding) => ({ ...finding, what: `Register ${number}: ${finding.what}` }))
}

/** Events from the edge's size to `size`, in order, also as published where `tiles` are given; gives the edge after. */
async function checkEvents(db: Db, from: Edge, size: number, note: Note, tiles?: Tiles, firstPlace = 0): Promise<Edge> {
  let edge = from
  while (edge.size < size) {
    const first = edge.size
    const end = Math.min(size, first + limits.registerRoundEvents)
    const rows = await db
      .selectFrom('registerEvents')
      .select(['name', 'at', 'handle', 'salt', 'body', 'leaf', 'seq', 'transferId'])
      .where('seq', '>=', firstPlace + first)
      .where('seq', '<', firstPlace + end)
      .orderBy('seq')
      .execute()
    const bySeq = new Map(rows.map((row) => [row.seq, row]))
    const entries: (Uint8Array | undefined)[] = tiles ? await readEntries(tiles, first, end, note) : []
    const leaves = Array.from({ length: end - first }, (_, i) =>
      checkEvent(bySeq.get(firstPlace + first + i), entries[i], first + i, note),
    )
    const grown = grow(edge, leaves.map(leafHash))
    if (tiles) for (const tile of grown.full) await checkTile(tiles, tile, note)
    edge = grown.edge
  }
  return edge
}

/** The published entries from `first`, which begins a bundle, to `end`; undefined where they cannot be read. */
async function readEntries(tiles: Tiles, first: number, end: number, note: Note): Promise<(Uint8Array | undefined)[]> {
  const all: (Uint8Array | undefined)[] = []
  for (let start = first; start < end; start += TILE_WIDTH) {
    const width = Math.min(TILE_WIDTH, end - start)
    const [path, full] = [bundlePath(start / TILE_WIDTH, width), bundlePath(start / TILE_WIDTH, TILE_WIDTH)]
    const bytes = (await tiles.read(path)) ?? (await tiles.read(full))
    const entries = bytes && parseBundle(bytes)
    if (!entries?.ok || entries.value.length < width) note('published', `${path} is missing or cannot be read.`, start)
    all.push(...Array.from({ length: width }, (_, i) => (entries?.ok ? entries.value[i] : undefined)))
  }
  return all
}

/** One event against its leaf and its published entry; gives the leaf that the database has, or else the published. */
function checkEvent(row: EventRow | undefined, published: Uint8Array | undefined, seq: number, note: Note): Uint8Array {
  if (!row) {
    note('database', 'The event is missing.', seq)
    return published ?? new Uint8Array()
  }
  if (!fitsLeaf(row)) note('database', 'The event is not what its leaf says.', seq)
  if (published && !sameBytes(row.leaf, published))
    note('published', 'The published entry is not the event’s leaf.', seq)
  return row.leaf
}

/** Whether an event's columns are what its leaf commits to; of an erased event only what the leaf itself shows. */
function fitsLeaf({ name, handle, at, salt, body, leaf, transferId }: EventRow): boolean {
  try {
    if (salt && body !== null) {
      const evidence = evidenceOf(name, handle, at, salt, body)
      return sameBytes(leafOf(evidence), leaf) && transferOf(evidence.body) === transferId
    }
    const shown = JSON.parse(fromUtf8(leaf)) as Record<string, unknown>
    return shown.event === name && shown.handle === handle && shown.at === at.toISOString()
  } catch {
    return false
  }
}

async function checkTile(tiles: Tiles, tile: Tile, note: Note): Promise<void> {
  const path = tilePath(tile)
  const bytes = (await tiles.read(path)) ?? (await tiles.read(tilePath({ ...tile, width: TILE_WIDTH })))
  if (!bytes) note('published', `${path} is missing.`)
  else if (!sameBytes(bytes.subarray(0, tile.bytes.length), tile.bytes))
    note('published', `${path} does not fit the events.`)
}

async function readPublished(tiles: Tiles, vkey: Vkey, note: Note): Promise<Checkpoint | undefined> {
  const file = await tiles.read(CHECKPOINT_PATH)
  if (!file) return undefined
  const opened = openCheckpoint(fromUtf8(file), vkey)
  if (opened.ok) return opened.value
  note('published', `The checkpoint: ${problems[opened.problem.slug].title}.`)
  return undefined
}

/** The newest signed state in the database. */
function checkHead(head: Omit<Head, 'published'>, root: Uint8Array, vkey: Vkey, note: Note): void {
  if (head.vkey !== formatVkey(vkey)) note('database', `The register is that of another key: ${head.vkey}`)
  if (!sameBytes(root, head.root)) note('database', `The events do not lead to the signed root ${toHex(head.root)}.`)
  const signed = openCheckpoint(head.checkpoint, vkey)
  if (!signed.ok) note('database', `The newest state: ${problems[signed.problem.slug].title}.`)
  else if (signed.value.size !== head.size || !sameBytes(signed.value.root, head.root)) {
    note('database', 'The newest state is not the one that was signed.')
  }
}

/** Events without a place, against their leaves; and that no place is beyond the head. */
async function checkWaiting(db: Db, note: Note): Promise<number> {
  const beyond = await db
    .selectFrom('registerEvents')
    .select((eb) => eb.fn.min('seq').as('seq'))
    // The head as this one statement sees it: the keeper may have signed more since the check began.
    .where('seq', '>=', (eb) => eb.fn.coalesce(eb.selectFrom('registerHead').select('size'), eb.lit(0)))
    .executeTakeFirstOrThrow()
  if (beyond.seq !== null) note('database', 'The event has a place that was never signed.', Number(beyond.seq))
  let waiting = 0
  for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
    const rows = await db
      .selectFrom('registerEvents')
      .select(['id', 'name', 'at', 'handle', 'salt', 'body', 'leaf', 'seq', 'transferId'])
      .where('seq', 'is', null)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limits.registerRoundEvents)
      .execute()
    if (rows.length === 0) return waiting
    waiting += rows.length
    for (const row of rows)
      if (!fitsLeaf(row)) note('database', `Event ${row.id}, without a place yet, is not what its leaf says.`)
    after = rows.at(-1)!.id
  }
}

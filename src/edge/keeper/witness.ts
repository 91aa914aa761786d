import { readFile } from 'node:fs/promises'
import { fromUtf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, orThrow, type Outcome, type Problem } from '#core/kit/outcome'
import { parseCheckpoint, wholeNumber } from '#core/register/checkpoint'
import { proveSubtree } from '#core/register/merkle'
import { formatVkey, isBy, parseNote, parseVkey, type NoteSignature, type Vkey } from '#core/register/note'
import { meetsQuorum, parseTrustPolicy, type TrustPolicy } from '#core/register/policy'
import { rootsFromTiles } from '#core/register/tile'
import { formatSubmission, takeCosignature } from '#core/register/witness'
import { bodyOf } from '#edge/fetched'
import type { KeeperParts } from '#edge/keeper/keeper'
import { tileReader, type Tiles } from '#edge/keeper/tiles'
import type { Db, Tx } from '#edge/store/database'

/** A checkpoint as it was published, and the witnesses' lines that are there. */
export interface Cosigned {
  size: number
  /** The published note, with those lines under it. */
  note: string
  /** Keys of the witnesses that signed. */
  witnesses: string[]
}

/**
 * The witnesses of an installation, from the policy file that it may also give to readers of its receipts.
 *
 * @returns the policy, or `setting-wrong`: each witness must say where it answers, and a register named must be ours
 */
export async function readWitnesses(path: string, register: Vkey): Promise<Outcome<TrustPolicy>> {
  const wrong = (detail: string) => fail('setting-wrong', { detail: `SAFEHAND_WITNESSES: ${detail}` })
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return wrong(`${path} cannot be read.`)
  const parsed = parseTrustPolicy(text)
  if (!parsed.ok) return wrong(parsed.problem.detail ?? 'The file cannot be read.')
  const { logs, witnesses, urls } = parsed.value
  if (logs.length > 0 && !logs.some((log) => formatVkey(log) === formatVkey(register)))
    return wrong(`It names other registers than this one, which is ${formatVkey(register)}.`)
  if (witnesses.size > limits.witnesses) return wrong(`It names more than ${limits.witnesses} witnesses.`)
  for (const name of witnesses.keys()) {
    const url = urls.get(name) ?? ''
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return wrong(`Say at the line of ${name} where it answers.`)
  }
  return parsed
}

/** The checkpoints of the present register that witnesses have signed, newest first: seldom more than two are kept. */
export async function cosignedCheckpoints(db: Db | Tx): Promise<Cosigned[]> {
  const head = await db.selectFrom('registerHead').select('vkey').executeTakeFirst()
  const origin = head && orThrow(parseVkey(head.vkey)).name
  const rows = await db.selectFrom('registerCosigned').selectAll().orderBy('size', 'desc').orderBy('witness').execute()
  const found = new Map<string, Cosigned>()
  for (const { size, checkpoint, line, witness } of rows) {
    // Another process may just have kept a line for the register that was closed.
    if (!checkpoint.startsWith(`${origin}\n`)) continue
    const before = found.get(checkpoint)
    const witnesses = [...(before?.witnesses ?? []), witness]
    found.set(checkpoint, { size, note: (before?.note ?? checkpoint) + line, witnesses })
  }
  return [...found.values()]
}

/** Whether a checkpoint has been signed by enough of the policy's witnesses. */
export function isWitnessed(policy: TrustPolicy, { witnesses }: Cosigned): boolean {
  const names = [...policy.witnesses].filter(([, vkey]) => witnesses.includes(formatVkey(vkey))).map(([name]) => name)
  return meetsQuorum(policy, new Set(names))
}

/** Asks witnesses to cosign, beside the keeper and without any of its locks. */
export interface Gathering {
  /** Asks those that have not cosigned what is published, now or at the end of a closed register. */
  look: () => Promise<void>
  /** Ends what is under way. */
  stop: () => Promise<void>
}

/** A witness, and what this process knows of it. */
interface Known {
  name: string
  vkey: Vkey
  url: string
  isBusy: boolean
  /** By the registers' names. */
  standing: Map<string, Standing>
}

/** How a witness stands to one register. */
interface Standing {
  /** The size that it cosigned last, as far as we know. */
  size: number
  /** When it may be asked again after it failed, by `performance.now()`. */
  notBefore: number
  /** What was reported last. */
  told: string
}

/** What witnesses are asked to sign: what a register published last. */
interface Published {
  origin: string
  size: number
  text: string
  /** As the register signed it; of a closed one with the lines of witnesses that are there. */
  note: string
  signatures: NoteSignature[]
  tiles: Tiles
  /** Of a register that was closed. */
  number?: number
}

/**
 * Gathers cosignatures from the policy's witnesses.
 *
 * @param report - told once of each new trouble with a witness, and again after it was well in between
 */
export function gatherFrom(
  { db, tiles, closedTiles, trust }: Pick<KeeperParts, 'db' | 'tiles' | 'closedTiles'> & { trust: TrustPolicy },
  report: (problem: Problem) => void,
): Gathering {
  const all = [...trust.witnesses].map(([name, vkey]): Known => {
    const url = trust.urls.get(name)!.replace(/\/$/, '')
    return { name, vkey, url, isBusy: false, standing: new Map() }
  })
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  const gather = async (one: Known, published: Published) => {
    const standing = one.standing.get(published.origin) ?? { size: 0, notBefore: 0, told: '' }
    if (performance.now() < standing.notBefore) return
    one.standing.set(published.origin, standing)
    const line = await askWitness(one, standing, published, stopping.signal)
    if (line.ok) await keepLine(db, trust, published, { witness: formatVkey(one.vkey), line: line.value })
    const problem = line.ok ? undefined : line.problem
    standing.notBefore = problem ? performance.now() + limits.witnessRetryMs : 0
    const told = problem ? JSON.stringify(problem) : ''
    if (problem && told !== standing.told && !stopping.signal.aborted) report(problem)
    standing.told = told
  }
  const look = async () => {
    const registers = [...(await readPublished(db, tiles)), ...(closedTiles ? await readClosed(db, closedTiles) : [])]
    const askFor = async (one: Known) => {
      one.isBusy = true
      try {
        for (const published of registers) {
          if (!published.signatures.some((line) => isBy(line, one.vkey))) await gather(one, published)
        }
      } finally {
        one.isBusy = false
      }
    }
    if (!stopping.signal.aborted) await Promise.all(all.filter(({ isBusy }) => !isBusy).map(askFor))
  }
  return {
    look() {
      const looking = look().finally(() => underWay.delete(looking))
      underWay.add(looking)
      return looking
    },
    async stop() {
      stopping.abort()
      await Promise.allSettled(underWay)
    },
  }
}

/** The present register as it is published, if it is. */
async function readPublished(db: Db, tiles: Tiles): Promise<Published[]> {
  const head = await db.selectFrom('registerHead').select('published').executeTakeFirst()
  if (!head?.published) return []
  const lines = await db
    .selectFrom('registerCosigned')
    .select('line')
    .where('checkpoint', '=', head.published)
    .execute()
  const signed = readNote(head.published + lines.map(({ line }) => line).join(''))
  return [{ ...signed, note: head.published, tiles }]
}

/** The registers that were closed, as they ended: their last event may not have been witnessed before. */
async function readClosed(db: Db, tilesOf: (number: number) => Tiles): Promise<Published[]> {
  const closed = await db.selectFrom('closedRegisters').select(['number', 'checkpoint']).orderBy('number').execute()
  return closed.map(({ number, checkpoint }) => ({ ...readNote(checkpoint), number, tiles: tilesOf(number) }))
}

function readNote(note: string) {
  const { text, signatures } = orThrow(parseNote(note))
  const { origin, size } = orThrow(parseCheckpoint(text))
  return { origin, size, text, note, signatures }
}

/** Keeps a witness's line, and forgets older checkpoints but for the newest that enough have signed. */
async function keepLine(
  db: Db,
  trust: TrustPolicy,
  { size, note, number }: Published,
  signed: { witness: string; line: string },
): Promise<void> {
  if (number !== undefined) {
    // Only to what was read: of two processes that ask at once, the second looks again.
    const added = { checkpoint: note + signed.line }
    const same = db
      .updateTable('closedRegisters')
      .set(added)
      .where('number', '=', number)
      .where('checkpoint', '=', note)
    await same.execute()
    return
  }
  const row = { size, checkpoint: note, ...signed }
  await db
    .insertInto('registerCosigned')
    .values(row)
    .onConflict((conflict) => conflict.columns(['size', 'witness']).doUpdateSet(row))
    .execute()
  const enough = (await cosignedCheckpoints(db)).find((cosigned) => isWitnessed(trust, cosigned))
  await db
    .deleteFrom('registerCosigned')
    .where('size', '<', size)
    .where('size', '!=', enough?.size ?? size)
    .execute()
}

/**
 * Asks one witness to cosign. It is asked again from the size that it names, once it has named one.
 *
 * @returns its line, or the problem `witness-silent` or `witness-refuses`
 */
async function askWitness(
  one: Known,
  standing: Standing,
  { size, text, note, tiles }: Published,
  stop: AbortSignal,
): Promise<Outcome<string>> {
  const refuses = (why: string) => fail('witness-refuses', { detail: `${one.name} at ${one.url}: ${why}` })
  const roots = rootsFromTiles(size, tileReader(tiles))
  // Twice, as the first answer may name a size, and once more for another process that asked in between.
  for (let tries = 0; tries < 3; tries++) {
    const old = standing.size <= size ? standing.size : 0
    const proof = old > 0 ? await proveSubtree(0, old, size, roots) : []
    const answer = await post(`${one.url}/add-checkpoint`, formatSubmission({ old, proof, note }), stop)
    if (!answer) return fail('witness-silent', { detail: `${one.name} at ${one.url}` })
    if (answer.status === 200) {
      const line = takeCosignature(text, answer.text, one.vkey)
      if (!line.ok) return refuses('What it answered is not its cosignature.')
      standing.size = size
      return line
    }
    const theirs = answer.status === 409 ? wholeNumber(answer.text.replace(/\n$/, '')) : undefined
    if (theirs === undefined) return refuses(`It answered ${answer.status}.`)
    if (theirs > size) return refuses(`It has seen ${theirs} events, and only ${size} are published here.`)
    if (theirs === old) return refuses(`It has seen another register of ${old} events.`)
    standing.size = theirs
  }
  return refuses('It names another size each time.')
}

/** Status and text of the answer; undefined when there was none in time, or one that is longer than any answer. */
async function post(
  url: string,
  body: string,
  stop: AbortSignal,
): Promise<{ status: number; text: string } | undefined> {
  try {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(limits.witnessWaitMs)])
    const response = await fetch(url, { method: 'POST', body, signal, redirect: 'error' })
    const bytes = await bodyOf(response, limits.noteBytes)
    return bytes && { status: response.status, text: fromUtf8(bytes) }
  } catch {
    // It is down, slow, unreachable or no witness: it is said once and tried again.
    return undefined
  }
}

import { readFile } from 'node:fs/promises'
import { fromUtf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, orThrow, type Outcome, type Problem } from '#core/kit/outcome'
import { parseCheckpoint, wholeNumber } from '#core/register/checkpoint'
import { proveSubtree } from '#core/register/merkle'
import { formatVkey, parseNote, type Vkey } from '#core/register/note'
import { meetsQuorum, parseTrustPolicy, type TrustPolicy } from '#core/register/policy'
import { rootsFromTiles } from '#core/register/tile'
import { formatSubmission, takeCosignature } from '#core/register/witness'
import { bodyOf } from '#edge/fetched'
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

/** The checkpoints that witnesses have signed, newest first: seldom more than two are kept. */
export async function cosignedCheckpoints(db: Db | Tx): Promise<Cosigned[]> {
  const rows = await db.selectFrom('registerCosigned').selectAll().orderBy('size', 'desc').orderBy('witness').execute()
  const found = new Map<string, Cosigned>()
  for (const { size, checkpoint, line, witness } of rows) {
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
  /** Asks those that have not cosigned what is published now and are not being asked already. */
  look: () => Promise<void>
  /** Ends what is under way. */
  stop: () => Promise<void>
}

/** A witness, and what this process knows of it. */
interface Known {
  name: string
  vkey: Vkey
  url: string
  /** The size that it cosigned last, as far as we know. */
  size: number
  /** When it may be asked again after it failed, by `performance.now()`. */
  notBefore: number
  /** What was reported of it last. */
  told: string
  isBusy: boolean
}

/** What is published: what witnesses are asked to sign. */
interface Published {
  size: number
  text: string
  note: string
}

/**
 * Gathers cosignatures from the policy's witnesses.
 *
 * @param report - told once of each new trouble with a witness, and again after it was well in between
 */
export function gatherFrom(
  { db, tiles, policy }: { db: Db; tiles: Tiles; policy: TrustPolicy },
  report: (problem: Problem) => void,
): Gathering {
  const all = [...policy.witnesses].map(([name, vkey]): Known => {
    const url = policy.urls.get(name)!.replace(/\/$/, '')
    return { name, vkey, url, size: 0, notBefore: 0, told: '', isBusy: false }
  })
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  const gather = async (one: Known, published: Published) => {
    one.isBusy = true
    try {
      const line = await askWitness(one, published, tiles, stopping.signal)
      if (line.ok) await keepLine(db, policy, published, { witness: formatVkey(one.vkey), line: line.value })
      const problem = line.ok ? undefined : line.problem
      one.notBefore = problem ? performance.now() + limits.witnessRetryMs : 0
      const told = problem ? JSON.stringify(problem) : ''
      if (problem && told !== one.told && !stopping.signal.aborted) report(problem)
      one.told = told
    } finally {
      one.isBusy = false
    }
  }
  const look = async () => {
    const published = await readPublished(db)
    if (!published || stopping.signal.aborted) return
    const signed = await db
      .selectFrom('registerCosigned')
      .select('witness')
      .where('size', '=', published.size)
      .execute()
    const isWanted = ({ vkey, notBefore, isBusy }: Known) =>
      !isBusy && performance.now() >= notBefore && !signed.some(({ witness }) => witness === formatVkey(vkey))
    await Promise.all(all.filter(isWanted).map((one) => gather(one, published)))
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

async function readPublished(db: Db): Promise<Published | undefined> {
  const head = await db.selectFrom('registerHead').select('published').executeTakeFirst()
  if (!head?.published) return undefined
  const { text } = orThrow(parseNote(head.published))
  return { size: orThrow(parseCheckpoint(text)).size, text, note: head.published }
}

/** Keeps a witness's line, and forgets older checkpoints but for the newest that enough have signed. */
async function keepLine(
  db: Db,
  policy: TrustPolicy,
  { size, note }: Published,
  signed: { witness: string; line: string },
) {
  const row = { size, checkpoint: note, ...signed }
  await db
    .insertInto('registerCosigned')
    .values(row)
    .onConflict((conflict) => conflict.columns(['size', 'witness']).doUpdateSet(row))
    .execute()
  const enough = (await cosignedCheckpoints(db)).find((cosigned) => isWitnessed(policy, cosigned))
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
  { size, text, note }: Published,
  tiles: Tiles,
  stop: AbortSignal,
): Promise<Outcome<string>> {
  const refuses = (why: string) => fail('witness-refuses', { detail: `${one.name} at ${one.url}: ${why}` })
  const roots = rootsFromTiles(size, tileReader(tiles))
  // Twice, as the first answer may name a size, and once more for another process that asked in between.
  for (let tries = 0; tries < 3; tries++) {
    const old = one.size <= size ? one.size : 0
    const proof = old > 0 ? await proveSubtree(0, old, size, roots) : []
    const answer = await post(`${one.url}/add-checkpoint`, formatSubmission({ old, proof, note }), stop)
    if (!answer) return fail('witness-silent', { detail: `${one.name} at ${one.url}` })
    if (answer.status === 200) {
      const line = takeCosignature(text, answer.text, one.vkey)
      if (!line.ok) return refuses('What it answered is not its cosignature.')
      one.size = size
      return line
    }
    const theirs = answer.status === 409 ? wholeNumber(answer.text.replace(/\n$/, '')) : undefined
    if (theirs === undefined) return refuses(`It answered ${answer.status}.`)
    if (theirs > size) return refuses(`It has seen ${theirs} events, and only ${size} are published here.`)
    if (theirs === old) return refuses(`It has seen another register of ${old} events.`)
    one.size = theirs
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

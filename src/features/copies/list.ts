import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import Type, { type Static } from 'typebox'
import { Value } from 'typebox/value'
import { fail, ok, type Outcome } from '#core/kit/outcome'

const id = Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' })
const erasure = Type.Object(
  {
    v: Type.Literal(1),
    id,
    at: Type.String(),
    transfers: Type.Array(id),
    recipients: Type.Array(id),
    people: Type.Array(id),
    /** Handles of the register's events whose bodies are erased. */
    events: Type.Array(Type.String({ pattern: '^[0-9a-f]{32}$' })),
  },
  { additionalProperties: false },
)

/** One line of the list: random ids and handles only, which name nobody. */
export type Erasure = Static<typeof erasure>

/**
 * The list of all erasures, oldest first; empty when there is no such file.
 *
 * A last line without its end was never acknowledged and is passed over; anything else that is no line of ours refuses
 * the whole list, because an erasure that is overlooked brings somebody back.
 *
 * @returns the list, or `erasures-unreadable`
 */
export async function readErasures(path: string): Promise<Outcome<Erasure[]>> {
  const erasures: Erasure[] = []
  const lines = (await textOf(path)).split('\n').slice(0, -1)
  for (const [n, line] of lines.entries()) {
    const value = parsed(line)
    if (!Value.Check(erasure, value)) return fail('erasures-unreadable', { detail: `${path}, line ${n + 1}.` })
    erasures.push(value)
  }
  return ok(erasures)
}

/** Adds to the list, for good: when this comes back it outlives a loss of power. One at a time: see `eraseNow`. */
export async function appendErasure(path: string, added: Erasure): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(path, 'a+', 0o600)
  try {
    const text = await file.readFile('utf8')
    // What a killed process left half written was never acknowledged.
    await file.truncate(Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1)))
    await file.writeFile(`${JSON.stringify(added)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  const folder = await open(dirname(path))
  await folder.sync()
  await folder.close()
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

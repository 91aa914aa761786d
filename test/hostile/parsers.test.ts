import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { problems } from '#core/kit/problems'
import { effort } from './effort.ts'
import { hostileBytes, hostileText } from './mutations.ts'
import { parsers, type Parser } from './parsers.ts'

const { seed, parserMs } = effort
setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

/** A value, or a problem that has its row; an outcome may be one of several. */
function isAnswer(answer: unknown): boolean {
  if (Array.isArray(answer)) return answer.every((one) => typeof one !== 'object' || isAnswer(one))
  const outcome = answer as { ok: boolean; problem?: { slug: string } }
  return outcome.ok !== false || Object.hasOwn(problems, outcome.problem!.slug)
}

const inputsFor = ({ examples }: Parser): fc.Arbitrary<string | Uint8Array> =>
  typeof examples[0] === 'string' ? hostileText(examples as string[]) : hostileBytes(examples as Uint8Array[])

const quoted = (input: string | Uint8Array) =>
  (typeof input === 'string' ? JSON.stringify(input) : Buffer.from(input).toString('base64')).slice(0, 2_000)

const patience = { timeout: 2 * parserMs + 120_000 }

for (const parser of parsers) {
  test(`${parser.name} is read, or named for what is wrong with it`, patience, async (t) => {
    for (const example of parser.examples) assert.ok(isAnswer(await parser.read(example)))
    let cases = 0
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    const end = performance.now() + parserMs
    // However slow the machine is today, each reader reads something.
    do {
      for (const input of fc.sample(inputsFor(parser), { numRuns: 25, seed: seed + cases })) {
        cases += 1
        const answer = await Promise.resolve()
          .then(() => parser.read(input))
          .catch((error: unknown) =>
            assert.fail(
              `HOSTILE_SEED=${seed}, case ${cases}: ${String(error)}\n${(error as Error).stack}\n${quoted(input)}`,
            ),
          )
        assert.ok(isAnswer(answer), quoted(input))
      }
    } while (performance.now() < end)
    collectGarbage()
    const grownMiB = (process.memoryUsage().heapUsed - before) / 2 ** 20
    t.diagnostic(`${cases} cases, seed ${seed}; the heap grew by ${grownMiB.toFixed(1)} MiB`)
    assert.ok(grownMiB < 64, `what was read is kept: ${grownMiB} MiB`)
  })
}

/** Ways to make an input long that make a careless pattern, or a careless loop, despair. */
function grown(example: string, most: number): ((length: number) => string)[] {
  const middle = Math.floor(example.length / 2)
  const fill = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
  const units = [
    'a',
    ' ',
    '\n',
    '\t',
    '0',
    '=',
    '-',
    '.',
    'a.',
    'a@',
    '/',
    '/.',
    '\u0301',
    'A\u0301',
    '"',
    '\\',
    '[',
    '{"a":',
    '- ',
    'a: ',
    '&a ',
    '? ',
    '\n\n',
    '-> X',
    '\u2014 a A\n',
    '🗂',
    '\u0000a',
    '# ',
  ]
  return [
    ...units.flatMap((unit) => [
      (length: number) => fill(unit, length),
      (length: number) =>
        example.slice(0, middle) + fill(unit, Math.max(0, length - example.length)) + example.slice(middle),
      (length: number) => `${fill(unit, length)}\u0001`,
    ]),
    (length: number) => fill(example, length),
  ].map((grow) => (length) => grow(Math.min(length, most)))
}

/** Below this, in microseconds, the clock says nothing. */
const noticed = 40_000

/** Processor time; least of a few tries, since what else the machine does only ever adds. */
async function workOf(read: () => unknown): Promise<number> {
  let least = Infinity
  for (let tries = 0; tries < 3 && least > noticed; tries += 1) {
    const before = process.cpuUsage()
    await read()
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, user + system)
  }
  return least
}

test('no reader takes sixteen times the work for four times the input', { timeout: 600_000 }, async () => {
  for (const { name, examples, read, most } of parsers as Parser<string>[]) {
    const isText = typeof examples[0] === 'string'
    const example = isText ? examples[0]! : Buffer.from(examples[0]!).toString('latin1')
    const input = (text: string) => (isText ? text : (new Uint8Array(Buffer.from(text, 'latin1')) as never))
    const ways = grown(example, most)
    for (const [place, grow] of ways.entries()) {
      // The short form takes one way, another each time.
      if (!effort.isFull && place !== seed % ways.length) continue
      const large = await workOf(() => read(input(grow(most))))
      if (large < noticed) continue
      const small = await workOf(() => read(input(grow(most / 4))))
      assert.ok(
        large < 10 * small + noticed,
        `${name}, way ${place}: ${small} µs for ${most / 4}, ${large} µs for ${most}`,
      )
    }
  }
})

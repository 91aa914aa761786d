/**
 * `npm run bench`: what Safehand's speed and memory are, as ratios inside one run. `--gib N` sets the size of the file
 * (1), `--memory-gib N` that of the larger one for memory (4), `--rounds N` the rounds (3), `--only GROUP` (sealing,
 * deciding, register, pages, parts; more than once if you like) what is measured. Writes results.json when it is all.
 * Analysing and comparing rulebooks has no peer: those rows are against the time it may take.
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { decidingRows } from './deciding.ts'
import { partRows } from './parts.ts'
import { pageRows } from './pages.ts'
import { registerRows } from './register.ts'
import type { Row } from './rows.ts'
import { analyse } from '#core/policy/analyse'
import { compare as compareRulebooks } from '#core/policy/compare'
import { stack, type Policy } from '#core/policy/stack'
import { shippedPolicy } from '../support/policy.ts'

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1' },
    'memory-gib': { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true },
  },
})
const asked = { rounds: Number(values.rounds), gib: Number(values.gib), memoryGib: Number(values['memory-gib']) }
const mib = 2 ** 20
const age = spawnSync('age', ['--version'], { encoding: 'utf8' })
if (age.error) {
  console.error('The benchmark compares with age. Install the Debian package age, then run it again.')
  process.exit(1)
}
const folder = await mkdtemp(join(tmpdir(), 'safehand-bench-'))
const at = (name: string) => join(folder, name)
const sealFile = join(import.meta.dirname, 'seal-file.ts')

interface Run {
  seconds: number
  /** The most memory the process held, in MiB: proportional set size, sampled; and the kernel's own high-water mark. */
  pssMib: number
  peakMib: number
}

/** Runs a program to its end, taking its time and, from /proc, its memory. */
async function measure(program: string, ...args: string[]): Promise<Run> {
  const started = performance.now()
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  let pssKib = 0
  let peakKib = 0
  const kib = async (file: string, field: string) => {
    const text = await readFile(`/proc/${child.pid}/${file}`, 'utf8').catch(() => '')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
  }
  const sample = async () => {
    pssKib = Math.max(pssKib, await kib('smaps_rollup', 'Pss'))
    peakKib = Math.max(peakKib, await kib('status', 'VmHWM'))
  }
  const sampling = setInterval(() => void sample(), 50)
  const [code] = await once(child, 'exit')
  clearInterval(sampling)
  const seconds = (performance.now() - started) / 1_000
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`)
  return { seconds, pssMib: pssKib / 1_024, peakMib: peakKib / 1_024 }
}

async function makeFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w')
  const block = new Uint8Array(mib)
  for (let written = 0; written < sizeBytes; written += mib) await file.write(randomFillSync(block))
  await file.close()
}

const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!
const spread = (numbers: number[]) => `${Math.min(...numbers).toFixed(2)}–${Math.max(...numbers).toFixed(2)}`

const rows: Row[] = []

/** One row of speed: ours against theirs, turn by turn, medians of all rounds. */
async function compare(row: string, gib: number, ours: () => Promise<Run>, theirs: () => Promise<Run>): Promise<void> {
  const taken: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  for (let round = 0; round < Number(values.rounds); round++) {
    taken.theirs.push((await theirs()).seconds)
    taken.ours.push((await ours()).seconds)
  }
  const shown = (seconds: number[]) => `${median(seconds).toFixed(2)} s (${spread(seconds)})`
  const ratio = median(taken.theirs) / median(taken.ours)
  rows.push({
    row: `${row} ${gib} GiB, against age`,
    ours: shown(taken.ours),
    theirs: shown(taken.theirs),
    ratio,
    goal: '≥ 0.9',
  })
}

/** One row of memory: the larger file against the smaller. */
function compareMemory(row: string, small: Run, large: Run): void {
  const shown = ({ pssMib, peakMib }: Run) => `${pssMib.toFixed(0)} MiB (peak ${peakMib.toFixed(0)})`
  rows.push({
    row,
    ours: shown(large),
    theirs: shown(small),
    ratio: large.pssMib / small.pssMib,
    goal: '≤ 1.15, < 250 MiB',
  })
}

/** One row of thinking: how much of the time that it may take it takes. */
function compareTime(row: string, atMostSeconds: number, think: () => unknown): void {
  const taken = Array.from({ length: Number(values.rounds) }, () => {
    const started = performance.now()
    think()
    return (performance.now() - started) / 1_000
  })
  rows.push({
    row,
    ours: `${median(taken).toFixed(2)} s (${spread(taken)})`,
    theirs: `${atMostSeconds} s`,
    ratio: median(taken) / atMostSeconds,
    goal: '≤ 1',
  })
}

/** The same rulebooks with every quantity among their parameters one larger. */
function withOtherParameters({ vocabulary, rulebooks, offered }: Policy): Policy {
  const changed = rulebooks.map((rulebook) => ({
    ...rulebook,
    parameters: new Map(
      [...rulebook.parameters].map(([id, value]) => [
        id,
        typeof value === 'string' ? value : { ...value, amount: value.amount + 1 },
      ]),
    ),
  }))
  return stack(vocabulary, changed, offered)
}

function compareThinking(): void {
  const names = ['council', 'practitioner', 'ministry']
  for (const name of names) {
    const policy = shippedPolicy(name)
    compareTime(`analyse ${name}`, 10, () => analyse(policy))
  }
  const stacked = shippedPolicy(...names)
  compareTime('analyse all three', 60, () => analyse(stacked))
  const other = withOtherParameters(stacked)
  compareTime('compare all three with themselves changed', 60, () => compareRulebooks(stacked, other))
}

const ours = async (mode: 'seal' | 'open', from: string, to: string) =>
  measure(process.execPath, sealFile, mode, at(from), at(to))

async function compareSealing(): Promise<void> {
  const { gib, memoryGib: largeGib } = asked
  spawnSync('age-keygen', ['-o', at('key')])
  const recipient = spawnSync('age-keygen', ['-y', at('key')], { encoding: 'utf8' }).stdout.trim()
  await makeFile(at('plain'), gib * 1_024 * mib)
  const ageSeal = async () => measure('age', '-r', recipient, '-o', at('age'), at('plain'))
  const ageOpen = async () => measure('age', '-d', '-i', at('key'), '-o', at('age.plain'), at('age'))
  await compare('seal', gib, async () => ours('seal', 'plain', 'sealed'), ageSeal)
  await compare('open', gib, async () => ours('open', 'sealed', 'opened'), ageOpen)
  if ((await stat(at('opened'))).size !== gib * 1_024 * mib) throw new Error('What was opened has another size')
  const small = { seal: await ours('seal', 'plain', 'sealed'), open: await ours('open', 'sealed', 'opened') }
  await makeFile(at('plain'), largeGib * 1_024 * mib)
  const large = { seal: await ours('seal', 'plain', 'sealed'), open: await ours('open', 'sealed', 'opened') }
  compareMemory(`memory to seal ${largeGib} GiB, against ${gib} GiB`, small.seal, large.seal)
  compareMemory(`memory to open ${largeGib} GiB, against ${gib} GiB`, small.open, large.open)
}

try {
  const groups = {
    sealing: compareSealing,
    deciding: async () => {
      compareThinking()
      rows.push(...decidingRows())
    },
    register: async () => rows.push(...(await registerRows(asked))),
    pages: async () => rows.push(...(await pageRows(asked))),
    parts: async () => rows.push(...(await partRows(asked))),
  }
  for (const [name, measureGroup] of Object.entries(groups)) {
    if (values.only?.includes(name) === false) continue
    const before = rows.length
    await measureGroup()
    console.table(rows.slice(before).map((row) => ({ ...row, ratio: Number(row.ratio.toFixed(2)) })))
  }
  const machine = {
    processor: cpus()[0]?.model,
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    age: age.stdout.trim(),
  }
  const results = { takenAt: new Date().toISOString(), machine, rows }
  if (!values.only) await writeFile(join(import.meta.dirname, 'results.json'), `${JSON.stringify(results, null, 2)}\n`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

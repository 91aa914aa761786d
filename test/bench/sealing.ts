/** Sealing and opening file to file as the command line does, against age; many small files; memory. */
import { spawn, spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pssMib } from './memory.ts'
import { median, shown, type Asked, type Row } from './rows.ts'

const mib = 2 ** 20
const sealFile = join(import.meta.dirname, 'seal-file.ts')

interface Run {
  seconds: number
  mostMib: number
}

/** Runs a program to its end, taking its time and its memory. */
async function measure(program: string, ...args: string[]): Promise<Run> {
  const started = performance.now()
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  let mostMib = 0
  const sampling = setInterval(() => void pssMib(child.pid!).then((held) => (mostMib = Math.max(mostMib, held))), 100)
  const [code] = await once(child, 'exit')
  clearInterval(sampling)
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`)
  return { seconds: (performance.now() - started) / 1_000, mostMib }
}

/** A file of so many bytes that no cipher or disk could take for another. */
export async function makeFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w')
  const block = new Uint8Array(mib)
  for (let written = 0; written < sizeBytes; written += mib)
    await file.write(randomFillSync(block), 0, Math.min(mib, sizeBytes - written))
  await file.close()
}

/** A folder of so many files of 10 KiB, a hundred in each of its folders. */
export async function makeFiles(path: string, count: number): Promise<void> {
  const block = new Uint8Array(10 * 1_024)
  for (let n = 0; n < count; n += 1) {
    const folder = join(path, String(Math.floor(n / 100)))
    if (n % 100 === 0) await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `${n}.bin`), randomFillSync(block))
  }
}

/** One row of speed: ours against theirs, turn by turn, medians of all rounds. */
async function against(
  row: Pick<Row, 'row' | 'goal'>,
  rounds: number,
  ours: () => Promise<Run>,
  theirs: () => Promise<Run>,
): Promise<Row> {
  const taken: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  for (let round = 0; round < rounds; round += 1) {
    taken.theirs.push((await theirs()).seconds)
    taken.ours.push((await ours()).seconds)
  }
  const ratio = median(taken.theirs) / median(taken.ours)
  return { ...row, ours: shown(taken.ours, 's'), theirs: shown(taken.theirs, 's'), ratio }
}

/** One row of memory: the larger against the smaller. */
export function memoryRow(row: string, smallMib: number, largeMib: number, mostMib: number): Row {
  return {
    row,
    ours: `${largeMib.toFixed(0)} MiB`,
    theirs: `${smallMib.toFixed(0)} MiB`,
    ratio: largeMib / smallMib,
    goal: `≤ 1.15, < ${mostMib} MB`,
  }
}

export async function sealingRows({ gib, memoryGib, rounds }: Asked, folder: string): Promise<Row[]> {
  const at = (name: string) => join(folder, name)
  const run = async (act: 'seal' | 'open', from: string, to: string) => {
    await rm(at(to), { recursive: true, force: true })
    return measure(process.execPath, sealFile, act, at(from), at(to))
  }
  spawnSync('age-keygen', ['-o', at('key')])
  const recipient = spawnSync('age-keygen', ['-y', at('key')], { encoding: 'utf8' }).stdout.trim()
  const ageSeal = async () => measure('age', '-r', recipient, '-o', at('age'), at('plain'))
  const ageOpen = async () => measure('age', '-d', '-i', at('key'), '-o', at('age.plain'), at('age'))
  await makeFile(at('plain'), gib * 1_024 * mib)
  const goal = '≥ 0.9'
  const rows = [
    await against(
      { row: `seal ${gib} GiB, against age`, goal },
      rounds,
      async () => run('seal', 'plain', 'sealed'),
      ageSeal,
    ),
    await against(
      { row: `open ${gib} GiB, against age`, goal },
      rounds,
      async () => run('open', 'sealed', 'opened'),
      ageOpen,
    ),
  ]
  const small = { seal: await run('seal', 'plain', 'sealed'), open: await run('open', 'sealed', 'opened') }
  await makeFile(at('plain'), memoryGib * 1_024 * mib)
  const large = { seal: await run('seal', 'plain', 'sealed'), open: await run('open', 'sealed', 'opened') }
  for (const act of ['seal', 'open'] as const)
    rows.push(
      memoryRow(`memory to ${act} ${memoryGib} GiB, against ${gib} GiB`, small[act].mostMib, large[act].mostMib, 250),
    )
  await makeFiles(at('many'), 10_000)
  await makeFile(at('one'), 10_000 * 10 * 1_024)
  for (const [act, many, one, into] of [
    ['seal', 'many', 'one', '.sealed'],
    ['open', 'many.sealed', 'one.sealed', '.opened'],
  ] as const)
    rows.push(
      await against(
        { row: `${act} 10,000 files of 10 KiB, against one of their size`, goal: '≥ 0.5' },
        rounds,
        async () => run(act, many, many + into),
        async () => run(act, one, one + into),
      ),
    )
  return rows
}

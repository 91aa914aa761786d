/**
 * `npm run bench`: what Safehand's speed and memory are, as ratios inside one run. `--gib N` sets the size of the file
 * (1), `--memory-gib N` that of the larger one for memory (8), `--rounds N` the rounds (3), `--only GROUP` (physical,
 * sealing, browsers, firefox, pages, deciding, parts, register; more than once if you like) what is measured. Asked for
 * with these sizes and rounds, a group's rows take the place of its last ones in bench/results.json.
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { browserRows } from './browser-rows.ts'
import { decidingRows } from './deciding.ts'
import { firefoxRows } from './firefox-rows.ts'
import { pageRows } from './pages.ts'
import { partRows } from './parts.ts'
import { physicalRows } from './physical.ts'
import { registerRows } from './register.ts'
import type { Asked, Row } from './rows.ts'
import { sealingRows } from './sealing.ts'
import { thinkingRows } from './thinking.ts'

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1' },
    'memory-gib': { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true },
  },
})
const asked = { rounds: Number(values.rounds), gib: Number(values.gib), memoryGib: Number(values['memory-gib']) }
const resultsFile = join(import.meta.dirname, '../../bench/results.json')
const age = spawnSync('age', ['--version'], { encoding: 'utf8' })
if (age.error) {
  console.error('The benchmark compares with age. Install the Debian package age, then run it again.')
  process.exit(1)
}
const groups: Record<string, (asked: Asked, folder: string) => Row[] | Promise<Row[]>> = {
  physical: physicalRows,
  sealing: sealingRows,
  browsers: browserRows,
  firefox: firefoxRows,
  pages: pageRows,
  deciding: ({ rounds }) => [...thinkingRows(rounds), ...decidingRows()],
  parts: partRows,
  register: registerRows,
}
const unknown = values.only?.find((name) => !(name in groups))
if (unknown !== undefined) {
  console.error(`There is no group ${unknown}. The groups are ${Object.keys(groups).join(', ')}.`)
  process.exit(1)
}
const machine = {
  processor: cpus()[0]?.model,
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
  age: age.stdout.trim(),
}
const isUsual = asked.rounds === 3 && asked.gib === 1 && asked.memoryGib === 8
const results = JSON.parse(await readFile(resultsFile, 'utf8')) as Record<string, object>
// Stopped by a signal, everything that it started and wrote goes with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
for (const [name, measure] of Object.entries(groups)) {
  if (values.only?.includes(name) === false) continue
  const folder = await mkdtemp(join(tmpdir(), 'safehand-bench-'))
  const clean = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', clean)
  try {
    const rows = await measure(asked, folder)
    console.table(rows.map((row) => ({ ...row, ratio: Number(row.ratio.toFixed(2)) })))
    results[name] = { takenAt: new Date().toISOString(), machine, asked, rows }
    if (isUsual) await writeFile(resultsFile, `${JSON.stringify(results, null, 2)}\n`)
  } finally {
    process.off('exit', clean)
    clean()
  }
}

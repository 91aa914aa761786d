/** What processes hold and take, from /proc. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'

/** A process's share of the memory that there is, in MiB: pages that several processes map are divided among them. */
export async function pssMib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1_024
}

/** A process and all that it started. */
export async function treeOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const below = await Promise.all(text.split(' ').filter(Boolean).map(Number).map(treeOf))
  return [pid, ...below.flat()]
}

/** Runs this Node with a program to its end: how long it took, the most it held, and what it said. */
export async function measured(args: string[], env = process.env) {
  const started = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
  let [said, mostMib] = ['', 0]
  child.stdout.on('data', (text) => (said += text))
  const sampling = setInterval(() => void pssMib(child.pid!).then((mib) => (mostMib = Math.max(mostMib, mib))), 50)
  const [code] = await once(child, 'close')
  clearInterval(sampling)
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${said}`)
  return { seconds: (performance.now() - started) / 1_000, mostMib, said }
}

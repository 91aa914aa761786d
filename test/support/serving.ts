import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A port of this machine that nothing listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

/** A program that serves. */
export interface Serving {
  child: ChildProcess
  /** All it has written so far, on both outputs. */
  said: () => string
  /** Comes true with its exit code and signal. */
  ended: Promise<[number | null, NodeJS.Signals | null]>
}

/** Starts a program; it is ended with the test whatever happens. */
export function start(
  t: { after(clean: () => Promise<void>): void },
  command: string,
  args: string[],
  options: SpawnOptions,
): Serving {
  // A group of its own: what it started itself, such as the Node that came with it, must end with it.
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const ended = once(child, 'close') as Serving['ended']
  let said = ''
  for (const output of [child.stdout!, child.stderr!]) output.on('data', (text) => (said += text))
  t.after(async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      try {
        process.kill(-child.pid!, signal)
      } catch {
        return
      }
      if (await Promise.race([ended.then(() => true), delay(20_000, false)])) return
    }
  })
  return { child, said: () => said, ended }
}

/** As `start`, and waits until it says that it is ready. */
export async function serving(...given: Parameters<typeof start>): Promise<Serving> {
  const begun = start(...given)
  const ready = new Promise<boolean>((resolve) => {
    begun.child.stdout!.on('data', () => begun.said().includes('ready at') && resolve(true))
    void begun.ended.then(() => resolve(false))
  })
  if (await ready) return begun
  throw new Error(`It did not start: ${begun.said()}`)
}

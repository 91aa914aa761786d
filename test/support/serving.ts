import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'

/** A port of this machine that nothing listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

/** Starts a program that serves, waits until it says that it is ready, and ends it with the test whatever happens. */
export async function serving(
  t: { after(clean: () => Promise<void>): void },
  command: string,
  args: string[],
  options: SpawnOptions,
): Promise<ChildProcess> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  })
  let said = ''
  child.stderr!.on('data', (text) => (said += text))
  for await (const line of createInterface({ input: child.stdout! })) if (line.includes('ready at')) return child
  throw new Error(`It did not start: ${said}`)
}

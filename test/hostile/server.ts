/** A demonstration server in a process of its own, whose every word and whose memory is watched. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { freePort } from '#test/serving'
import { buildAssets } from '../../scripts/build.ts'

const root = join(import.meta.dirname, '../..')
const startMs = 120_000
/** No answer within this is a server that hangs. */
const patienceMs = 30_000

export interface WatchedServer {
  url: string
  port: number
  dataFolder: string
  /** All that it has said on standard output and standard error. */
  said(): string
  /** Resident memory of the web server's own process, in MiB. */
  residentMiB(): number
  /** What that process still holds, in MiB, once all garbage is collected: its heap, and what hangs on it. */
  heldMiB(): Promise<number>
  stop(): Promise<void>
}

/** Starts a demonstration on a free port; it ends with the test. */
export async function aWatchedServer(
  t: { after(clean: () => Promise<void>): void },
  env: Record<string, string> = {},
): Promise<WatchedServer> {
  await buildAssets()
  const folder = await mkdtemp(join(tmpdir(), 'safehand-hostile-'))
  const dataFolder = join(folder, 'data')
  const port = await freePort()
  const log = join(folder, 'said')
  const file = openSync(log, 'a')
  const args = [
    '--import',
    './test/hostile/weighed.ts',
    'src/main.ts',
    'serve',
    '--demonstration',
    '--port',
    String(port),
    '--data',
    dataFolder,
  ]
  const server = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', file, file],
    env: { ...process.env, ...env },
  })
  closeSync(file)
  const said = () => readFileSync(log, 'utf8')
  process.once('exit', () => server.kill('SIGKILL'))
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill('SIGTERM')
    await ended
  }
  t.after(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  })
  for (const startedAt = performance.now(); !said().includes('ready at'); await wait(100)) {
    if (server.exitCode !== null || performance.now() - startedAt > startMs)
      throw new Error(`The demonstration did not start: ${said()}`)
  }
  const weighings = () => [...said().matchAll(/^{"weighed":(\d+)/gm)]
  const heldMiB = async () => {
    const { length } = weighings()
    server.kill('SIGUSR2')
    for (const askedAt = performance.now(); weighings().length === length; await wait(50)) {
      if (server.exitCode !== null || server.signalCode !== null || performance.now() - askedAt > patienceMs)
        throw new Error(`The server does not say what it holds: ${said().slice(-2_000)}`)
    }
    return Number(weighings().at(-1)![1]) / 2 ** 20
  }
  return {
    url: `http://localhost:${port}`,
    port,
    dataFolder,
    said,
    stop,
    heldMiB,
    residentMiB: () =>
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024,
  }
}

/** What both `app.inject` and a real connection answer, as far as these tests look. */
export interface Answer {
  statusCode: number
  headers: Record<string, string | string[] | undefined>
  body: string
  rawPayload: Buffer
}

/** How a request is handed over: the part of `app.inject` that the tests use. */
export interface Sending {
  method: string
  url: string
  headers?: Record<string, string>
  payload?: string | Buffer | object
}

/** Stands where an app stands, so that a test's `Browser` speaks to a real server over real connections. */
export function overHttp(port: number, onUrl: (url: string) => void = () => {}): FastifyInstance {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const inject = ({ method, url, headers = {}, payload }: Sending) =>
    new Promise((resolve, reject) => {
      onUrl(url)
      const isBytes = typeof payload === 'string' || Buffer.isBuffer(payload)
      const body = payload === undefined ? undefined : isBytes ? payload : JSON.stringify(payload)
      const type = body === undefined || isBytes ? {} : { 'content-type': 'application/json' }
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
      const sent = request(
        {
          agent,
          port,
          host: '127.0.0.1',
          method,
          path: url,
          headers: { host: `localhost:${port}`, ...type, ...length, ...headers },
        },
        (response) => {
          const pieces: Buffer[] = []
          response.on('data', (piece: Buffer) => pieces.push(piece))
          response.on('error', reject)
          response.on('end', () => {
            const rawPayload = Buffer.concat(pieces)
            resolve({
              statusCode: response.statusCode,
              headers: response.headers,
              rawPayload,
              body: rawPayload.toString(),
              json: () => JSON.parse(rawPayload.toString()) as unknown,
              cookies: (response.headers['set-cookie'] ?? []).map((line) => {
                const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
                return { name, value }
              }),
            })
          })
        },
      )
      sent.setTimeout(patienceMs, () => sent.destroy(new Error(`No answer to ${method} ${url} in ${patienceMs} ms`)))
      sent.on('error', reject)
      sent.end(body)
    })
  return { inject } as unknown as FastifyInstance
}

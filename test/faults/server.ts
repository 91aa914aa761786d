/** A Safehand in a process of its own, on a folder of its own, with its own Postgres that forces every write to disk. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { orThrow } from '#core/kit/outcome'
import { fsck } from '#shell/cli/commands/fsck'
import { installedConfig, openInstalled } from '#shell/cli/installed'
import type { Db } from '#edge/store/database'
import { freePort, serving, start, type Serving } from '#test/serving'
import { buildAssets } from '../../scripts/build.ts'

const root = join(import.meta.dirname, '../..')

interface Cleaned {
  after(clean: () => Promise<void>): void
}

/** A demonstration that can be killed and started again on its folder. */
export class Server {
  readonly folder: string
  readonly dataFolder: string
  readonly port: number
  readonly url: string
  readonly #t: Cleaned
  #running!: Serving
  readonly #undo: (() => void)[] = []

  private constructor(t: Cleaned, folder: string, port: number) {
    this.#t = t
    this.folder = folder
    this.dataFolder = join(folder, 'data')
    this.port = port
    this.url = `http://localhost:${port}`
  }

  /** Makes the folder and starts it. */
  static async begin(t: Cleaned): Promise<Server> {
    await buildAssets()
    const folder = await mkdtemp(join(tmpdir(), 'safehand-faults-'))
    const server = new Server(t, folder, await freePort())
    t.after(async () => {
      // Its Postgres outlives a process that is killed.
      await server.killAll()
      for (const undo of server.#undo.toReversed()) undo()
      await rm(folder, { recursive: true, force: true })
    })
    await server.start()
    return server
  }

  #command(port = this.port): Parameters<typeof start> {
    const args = ['src/main.ts', 'serve', '--demonstration', '--port', String(port), '--data', this.dataFolder]
    return [
      { after: (clean) => this.#t.after(clean) },
      process.execPath,
      args,
      { cwd: root, env: { ...process.env, SAFEHAND_LOG: 'error' } },
    ]
  }

  /** Undoes something about the folder before that is removed. */
  onEnd(undo: () => void): void {
    this.#undo.push(undo)
  }

  async start(): Promise<void> {
    this.#running = await serving(...this.#command())
  }

  /** Starts another on the same folder, at another port; comes back when that has ended. */
  async startSecond(): Promise<{ code: number | null; said: string }> {
    const second = start(...this.#command(await freePort()))
    const [code] = await second.ended
    return { code, said: second.said() }
  }

  get pid(): number {
    return this.#running.child.pid!
  }

  get said(): string {
    return this.#running.said()
  }

  /** Whether the process has ended by itself or otherwise. */
  get hasEnded(): boolean {
    const { exitCode, signalCode } = this.#running.child
    return exitCode !== null || signalCode !== null
  }

  get ended() {
    return this.#running.ended
  }

  /** The process number of its Postgres, or null when there is none. */
  async postgres(): Promise<number | null> {
    const text = await readFile(join(this.dataFolder, 'postgres/data/postmaster.pid'), 'utf8').catch(() => null)
    return text === null ? null : Number(text.split('\n')[0])
  }

  async killServer(): Promise<void> {
    this.#running.child.kill('SIGKILL')
    // Not `ended`: its Postgres has its outputs still.
    while (!this.hasEnded) await rest(5)
  }

  async killPostgres(): Promise<void> {
    const pid = await this.postgres()
    if (pid !== null) killed(pid)
  }

  async killAll(): Promise<void> {
    const pid = await this.postgres()
    await this.killServer()
    if (pid === null) return
    killed(pid)
    while (await isAlive(pid)) await rest(5)
  }

  /** Waits until it answers. */
  async untilAnswers(): Promise<void> {
    for (;;) {
      const isUp = await fetch(`${this.url}/api/demonstration`).then(
        (response) => response.ok,
        () => false,
      )
      if (isUp) return
      if (this.hasEnded) throw new Error(`It has ended: ${this.said.slice(-2_000)}`)
      await rest(20)
    }
  }

  /** What the operator's check says of it. */
  async fsck(): Promise<{ isSound: boolean; text: string }> {
    let text = ''
    const io = { out: (said: string) => void (text += said), err: (said: string) => void (text += said), env: {} }
    const code = await fsck.run({ positionals: [], values: { data: this.dataFolder }, json: false, io })
    return { isSound: code === 0, text }
  }

  /** Asks its database. */
  async asking<T>(ask: (db: Db) => Promise<T>): Promise<T> {
    const config = orThrow(
      installedConfig({ values: { data: this.dataFolder }, io: { out: () => {}, err: () => {}, env: {} } }),
    )
    const { store, close } = orThrow(await openInstalled(config, 'owner'))
    try {
      return await ask(store.db)
    } finally {
      await close()
    }
  }

  /** For `Browser`: the same calls, over the network. */
  get app(): Pick<FastifyInstance, 'inject'> {
    return { inject: ((options: InjectOptions) => this.#inject(options)) as unknown as FastifyInstance['inject'] }
  }

  async #inject({ method, url, headers, payload }: InjectOptions) {
    const isBytes = Buffer.isBuffer(payload)
    const response = await fetch(`${this.url}${url as string}`, {
      method: method!,
      redirect: 'manual',
      headers: {
        ...(payload === undefined || isBytes ? {} : { 'content-type': 'application/json' }),
        ...(headers as Record<string, string>),
      },
      ...(payload === undefined ? {} : { body: isBytes ? new Uint8Array(payload) : JSON.stringify(payload) }),
    })
    const rawPayload = Buffer.from(await response.arrayBuffer())
    const body = rawPayload.toString()
    const cookies = response.headers.getSetCookie().map((line) => {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      return { name, value }
    })
    const known = Object.fromEntries(response.headers)
    // Whoever cannot be answered just now is told when to ask again.
    if (body.includes('/problems/unavailable')) assert.ok(Number(known['retry-after']) > 0)
    return {
      statusCode: response.status,
      body,
      rawPayload,
      cookies,
      headers: known,
      json: () => JSON.parse(body) as unknown,
    }
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was gone before.
  }
}

/** Whether a process runs: a zombie does not. */
export async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return status !== null && !/\) [ZX] /.test(status)
}

/** The processes that a process started, as the kernel has them: not every machine has `ps`. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

/** Whether a failure means that nobody answered, so that the same may be said again. */
export const isAway = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof Error && /: 50[234] |^50[234] |\b503\b/.test(error.message))

/** Numbers from 0 up to 1 that follow from a seed. @source mulberry32, by Tommy Ettinger, in the public domain */
export function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

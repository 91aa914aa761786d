import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { orThrow } from '#core/kit/outcome'
import { memoryBlobs, type FaultyBlobs } from '#edge/blobs/memory'
import type { House } from '#edge/house'
import { openRegister } from '#edge/keeper/installation'
import { startKeeper } from '#edge/keeper/keeper'
import { openKeyring } from '#edge/keyring'
import { freshDatabase } from '#test/database'
import { seedDemonstration } from '#shell/demonstration'
import { loadPolicy } from '#shell/start'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'

/** A whole Safehand for a test: real Postgres, real register, blobs in memory that can be made to fail, a settable clock. */
export interface TestHouse {
  house: House & { blobs: FaultyBlobs }
  app: FastifyInstance
  /** Moves the clock on. */
  advance: (ms: number) => void
  /** A browser signed in as one of the demonstration's people; a stranger without a name. */
  browser: (name?: string) => Promise<Browser>
}

export const day = 86_400_000

/** A cookie jar and a way to call the server. */
export class Browser {
  readonly #app: FastifyInstance
  readonly #cookies = new Map<string, string>()
  constructor(app: FastifyInstance) {
    this.#app = app
  }

  async call(
    method: NonNullable<InjectOptions['method']>,
    url: string,
    payload?: InjectOptions['payload'],
    headers: Record<string, string> = {},
  ) {
    const response = await this.#app.inject({
      method,
      url,
      headers: { ...headers, cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(payload === undefined ? {} : { payload }),
    })
    for (const { name, value } of response.cookies) this.#cookies.set(name, value)
    return response
  }

  /** A GET that must succeed, as JSON. */
  async get<T = Record<string, unknown>>(url: string): Promise<T> {
    const response = await this.call('GET', url)
    if (response.statusCode >= 400) throw new Error(`GET ${url}: ${response.statusCode} ${response.body}`)
    return response.json<T>()
  }

  /** A POST that must succeed, as JSON. */
  async post<T = Record<string, unknown>>(url: string, body: object = {}): Promise<T> {
    const response = await this.call('POST', url, body)
    if (response.statusCode >= 400) throw new Error(`POST ${url}: ${response.statusCode} ${response.body}`)
    return response.body === '' ? ({} as T) : response.json<T>()
  }

  /** The problem's slug and status that a call ends in. */
  async problem(
    method: NonNullable<InjectOptions['method']>,
    url: string,
    payload?: InjectOptions['payload'],
    headers: Record<string, string> = {},
  ) {
    const response = await this.call(method, url, payload, headers)
    const body = response.json<{ type?: string; fields?: Record<string, string> }>()
    return { status: response.statusCode, slug: body.type?.replace(/^.*\/problems\//, ''), fields: body.fields }
  }
}

/** Starts a whole Safehand for a test file, and clears it away after. */
export async function aHouse(t: { after(clean: () => Promise<void>): void }): Promise<TestHouse> {
  const { db } = await freshDatabase(t)
  const folder = await mkdtemp(join(tmpdir(), 'safehand-house-'))
  let offset = 0
  const config: House['config'] = {
    dataFolder: join(folder, 'data'),
    keysFolder: join(folder, 'keys'),
    host: '127.0.0.1',
    port: 0,
    publicUrl: 'http://localhost:8080',
    mailFrom: 'safehand@localhost',
    demonstration: true,
    trustProxy: false,
    postQuantum: true,
  }
  const register = orThrow(await openRegister(db, config))
  const keeper = startKeeper({ db, ...register, restMs: 60_000, report: (what) => console.error(what) })
  const house = {
    config,
    db,
    blobs: memoryBlobs(),
    keeper,
    keyring: openKeyring(join(config.keysFolder, 'keyring'), config.postQuantum),
    ...orThrow(await loadPolicy()),
    now: () => new Date(Date.now() + offset),
  }
  await seedDemonstration(house)
  const app = await buildApp(house, allRoutes(house.policy), {
    folder: import.meta.dirname,
    url: '/assets/test',
    version: '0',
  })
  t.after(async () => {
    await app.close()
    await keeper.stop()
    await rm(folder, { recursive: true })
  })
  return {
    house,
    app,
    advance: (ms) => {
      offset += ms
    },
    async browser(name) {
      const browser = new Browser(app)
      if (!name) return browser
      const { people } = await browser.get<{ people: { id: string; name: string }[] }>('/api/demonstration')
      await browser.post('/api/demonstration', { person: people.find((person) => person.name === name)!.id })
      return browser
    },
  }
}

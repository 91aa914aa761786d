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
import { ratesKeyOf } from '#edge/web/rates'
import { formTokenOf } from '#features/people/sessions'
import type { OpenAs } from '#edge/store/installation'
import { freshDatabase } from '#test/database'
import { seedDemonstration } from '#shell/demonstration'
import { loadPolicy } from '#shell/start'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'

/** A whole Safehand for a test: real Postgres, real register, blobs in memory that can be made to fail, a settable clock. */
export interface TestHouse {
  house: House & { blobs: FaultyBlobs }
  /** Its database as another role. */
  open: OpenAs
  app: FastifyInstance
  /** Moves the clock on. */
  advance: (ms: number) => void
  /** A browser signed in as one of the demonstration's people; a stranger without a name. */
  browser: (name?: string) => Promise<Browser>
}

export const day = 86_400_000

/** Headers of a browser that opens a page or sends a form. */
export const page = { accept: 'text/html' }

/** The code in a mail, if there is one. */
export const codeIn = (text: string) => /^ *([0-9A-Z]{4}[ -]?[0-9A-Z]{4})$/m.exec(text)?.[1]

/** A cookie jar and a way to call the server, as its pages would: with the token of their forms. */
export class Browser {
  readonly #app: Pick<FastifyInstance, 'inject'>
  readonly cookies = new Map<string, string>()
  constructor(app: Pick<FastifyInstance, 'inject'>) {
    this.#app = app
  }

  /** A browser signed in as one of a demonstration's people. */
  static async of(app: Pick<FastifyInstance, 'inject'>, name: string): Promise<Browser> {
    const browser = new Browser(app)
    const { people } = await browser.get<{ people: { id: string; name: string }[] }>('/api/demonstration')
    await browser.post('/api/demonstration', { person: people.find((person) => person.name === name)!.id })
    return browser
  }

  async call(
    method: NonNullable<InjectOptions['method']>,
    url: string,
    payload?: InjectOptions['payload'],
    headers: Record<string, string> = {},
  ) {
    const isUnsafe = method !== 'GET' && method !== 'HEAD'
    // A form was shown before it is sent, and with the page came the cookie.
    if (isUnsafe && !this.token && !url.startsWith('/api/')) await this.call('GET', '/sign-in', undefined, page)
    const response = await this.#app.inject({
      method,
      url,
      headers: {
        ...(isUnsafe && this.token ? { 'safehand-form-token': formTokenOf(this.token) } : {}),
        ...headers,
        cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      },
      ...(payload === undefined ? {} : { payload }),
    })
    for (const { name, value } of response.cookies) {
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return response
  }

  /** The browser's secret, when it has one. */
  get token(): string | undefined {
    return this.cookies.get('safehand') ?? this.cookies.get('__Host-safehand')
  }

  /** The code that was just mailed to whoever is signed in here. */
  async mailedCode(): Promise<string> {
    const { person } = await this.get<{ person: { email: string } }>('/api/account')
    const { mails } = await this.get<{ mails: { to: string; text: string }[] }>('/api/demonstration/outbox')
    return mails
      .filter(({ to }) => to === person.email)
      .map(({ text }) => codeIn(text))
      .find((code) => code !== undefined)!
  }

  /** A GET that must succeed, as JSON. */
  async get<T = Record<string, unknown>>(url: string): Promise<T> {
    const response = await this.call('GET', url)
    if (response.statusCode >= 400) throw new Error(`GET ${url}: ${response.statusCode} ${response.body}`)
    return response.json<T>()
  }

  /** A POST that must succeed, as JSON. What has to be confirmed is, with the code that was mailed. */
  async post<T = Record<string, unknown>>(url: string, body: object = {}): Promise<T> {
    let response = await this.call('POST', url, body)
    if (response.statusCode === 403 && response.body.includes('/problems/step-up-needed'))
      response = await this.call('POST', url, body, { 'safehand-confirmation': await this.mailedCode() })
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

/** Starts a whole Safehand for a test file, with other settings if told, and clears it away after. */
export async function aHouse(
  t: { after(clean: () => Promise<void>): void },
  changes: Partial<House['config']> = {},
): Promise<TestHouse> {
  const { store, open } = await freshDatabase(t)
  const keeperDb = open('keeper').db
  const folder = await mkdtemp(join(tmpdir(), 'safehand-house-'))
  let offset = 0
  const now = () => new Date(Date.now() + offset)
  const config: House['config'] = {
    dataFolder: join(folder, 'data'),
    keysFolder: join(folder, 'keys'),
    erasuresFile: join(folder, 'keys', 'erasures.jsonl'),
    host: '127.0.0.1',
    port: 0,
    publicUrl: 'http://localhost:8080',
    mailFrom: 'safehand@localhost',
    demonstration: true,
    trustProxy: [],
    postQuantum: true,
    rulebooks: ['council'],
    ...changes,
  }
  const register = orThrow(await openRegister(keeperDb, config))
  const keeper = startKeeper({ db: keeperDb, ...register, restMs: 60_000, report: (what) => console.error(what) })
  const house = {
    config,
    db: store.db,
    system: store.db,
    confine: store.confine,
    blobs: memoryBlobs(now),
    keeper,
    keyring: openKeyring(join(config.keysFolder, 'keyring'), config.postQuantum),
    ratesKey: await ratesKeyOf(register.signer),
    ...orThrow(await loadPolicy(config.rulebooks)),
    now,
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
    open,
    app,
    advance: (ms) => {
      offset += ms
    },
    browser: async (name) => (name ? Browser.of(app, name) : new Browser(app)),
  }
}

/** What the journeys stand on: a demonstration server of their own, and a real browser. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'
import { formTokenOf } from '#features/people/sessions'
import { freePort } from '#test/serving'
import { buildAssets } from '../../scripts/build.ts'

const root = join(import.meta.dirname, '../..')

interface Cleanable {
  after(clean: () => Promise<void>): void
}

/** A demonstration in a process and a data folder of its own. */
export interface Demonstration {
  url: string
  folder: string
  /** Ends it at once, as a power cut would. */
  kill(): Promise<void>
  /** Starts it again on the same folder and port. */
  start(): Promise<void>
}

/** Starts a demonstration on a free port, with further settings in `env`; it ends with the test. */
export async function aDemonstration(t: Cleanable, env: Record<string, string> = {}): Promise<Demonstration> {
  await buildAssets()
  const folder = await mkdtemp(join(tmpdir(), 'safehand-journey-'))
  const port = await freePort()
  let server: ChildProcess | undefined
  const start = async () => {
    const args = ['src/main.ts', 'serve', '--demonstration', '--port', String(port), '--data', join(folder, 'data')]
    server = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    for await (const line of createInterface({ input: server.stdout! })) if (line.includes('ready at')) return
    throw new Error('The demonstration did not start')
  }
  // A test file that breaks off must not leave its server behind: the runner would wait for it.
  process.once('exit', () => server?.kill('SIGKILL'))
  const end = async (signal: NodeJS.Signals) => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const ended = new Promise((resolve) => server!.once('exit', resolve))
    server.kill(signal)
    await ended
  }
  t.after(async () => {
    await end('SIGTERM')
    await rm(folder, { recursive: true, force: true })
  })
  await start()
  return { url: `http://localhost:${port}`, folder, kill: () => end('SIGKILL'), start }
}

const patienceMs = 120_000

/** Debian's Chromium, with further options of its own; it ends with the test. */
export async function aChromium(t: Cleanable, ...options: string[]): Promise<Browser> {
  const program = [process.env.SAFEHAND_CHROMIUM ?? '', '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
    existsSync,
  )
  if (program === undefined) throw new Error('The journeys need Chromium: apt-get install chromium')
  const quiet = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-quic',
    '--no-first-run',
    '--disable-component-update',
    '--disable-sync',
    ...options,
  ]
  // Without a locale Chromium reads no file whose name is not ASCII.
  const env = { ...process.env, LC_ALL: 'C.UTF-8' } as Record<string, string>
  const browser = await chromium.launch({ executablePath: program, args: quiet, env })
  t.after(() => browser.close())
  // A busy disk can hold up a write that must be durable for many seconds; a journey is about what happens, not how soon.
  const newContext = browser.newContext.bind(browser)
  browser.newContext = async (options) => {
    const context = await newContext(options)
    context.setDefaultTimeout(patienceMs)
    return context
  }
  return browser
}

/** The width of the narrowest phone that must work (WCAG 2.2, 1.4.10). */
export const phone: BrowserContextOptions = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true }

const axe = await readFile(fileURLToPath(import.meta.resolve('axe-core')), 'utf8')

/** What axe finds against WCAG 2.2 AA, as sentences. */
export async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const { violations } = await (
      window as unknown as {
        axe: { run(what: object): Promise<{ violations: { id: string; help: string; nodes: { html: string }[] }[] }> }
      }
    ).axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    return violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes
          .map((node) => node.html)
          .slice(0, 3)
          .join(' ')}`,
    )
  })
}

/** What sticks out at the side when the page is as narrow as it may be. */
export const overflowOf = (page: Page) =>
  page.evaluate(() => {
    const width = document.documentElement.clientWidth
    return document.documentElement.scrollWidth <= width
      ? []
      : [...document.querySelectorAll('main *')]
          .filter((each) => each.getBoundingClientRect().right > width + 1)
          .map((each) => each.outerHTML.slice(0, 100))
          .slice(0, 3)
  })

/** Something a page reported that nobody should see: an error, or a breach of its content security policy. */
export const complaintsOf = (page: Page): string[] => {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text()))
      complaints.push(message.text())
  })
  return complaints
}

/** Signs in as one of the demonstration's people. */
export async function signIn(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}/demonstration`)
  await page.getByRole('button', { name }).click()
  await page.waitForURL(`${url}/`)
}

/** The API, called as whoever the browser is signed in as. */
export function apiOf(context: BrowserContext, url: string) {
  const read = async <T>(answer: { ok(): boolean; status(): number; text(): Promise<string> }): Promise<T> => {
    const text = await answer.text()
    if (!answer.ok()) throw new Error(`${answer.status()} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
  return {
    get: async <T>(path: string) => read<T>(await context.request.get(url + path)),
    post: async <T>(path: string, data: unknown = {}) => {
      const cookie = (await context.cookies(url)).find(({ name }) => name === 'safehand')
      const headers = cookie ? { 'safehand-form-token': formTokenOf(cookie.value) } : {}
      return read<T>(await context.request.post(url + path, { data, headers }))
    },
  }
}

/** A server elsewhere, called as `app.inject` calls one here: for the `Browser` of the other tests. */
export const remote = (url: string): Pick<FastifyInstance, 'inject'> => ({
  inject: (async ({ method, url: path, headers, payload }: InjectOptions) => {
    const response = await fetch(`${url}${path as string}`, {
      method: method!,
      redirect: 'manual',
      headers: { 'content-type': 'application/json', ...(headers as Record<string, string>) },
      ...(payload === undefined ? {} : { body: JSON.stringify(payload) }),
    })
    const body = await response.text()
    const cookies = response.headers.getSetCookie().map((line) => {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      return { name, value }
    })
    return { statusCode: response.status, body, cookies, json: () => JSON.parse(body) }
  }) as unknown as FastifyInstance['inject'],
})

export interface OutboxMail {
  to: string
  subject: string
  text: string
  links: { text: string; url: string }[]
}

/** The mails to somebody, newest first. */
export async function mailsTo(context: BrowserContext, url: string, to: string): Promise<OutboxMail[]> {
  const { mails } = await apiOf(context, url).get<{ mails: OutboxMail[] }>(
    `/api/demonstration/outbox?to=${encodeURIComponent(to)}`,
  )
  return mails
}

/** The link to a parcel in the newest mail that has one. */
export async function parcelLink(context: BrowserContext, url: string, to: string): Promise<string> {
  const links = (await mailsTo(context, url, to)).flatMap((mail) => mail.links)
  const link = links.find((each) => each.url.includes('/collect/'))
  if (!link) throw new Error(`No link was mailed to ${to}`)
  return link.url
}

/** The code in the newest mail that has one. */
export async function mailedCode(context: BrowserContext, url: string, to: string): Promise<string> {
  for (const { text } of await mailsTo(context, url, to)) {
    const code = /^ *([0-9A-Z]{4}[ -]?[0-9A-Z]{4})$/m.exec(text)?.[1]
    if (code) return code
  }
  throw new Error(`No code was mailed to ${to}`)
}

/** The words on the sender's page, shown or not yet. */
export async function wordsOn(page: Page): Promise<string> {
  await page.locator('[data-phrase] li').first().waitFor({ state: 'attached' })
  return (await page.locator('[data-phrase] li').allTextContents()).join(' ')
}

/** Follows the link in the newest mail as its recipient, and proves the mailbox: the terms are shown next. */
export async function proveMailbox(page: Page, url: string, to: string): Promise<void> {
  const context = page.context()
  await page.goto(await parcelLink(context, url, to))
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await page.getByLabel('Code').waitFor()
  await page.getByLabel('Code').fill(await mailedCode(context, url, to))
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('heading', { name: 'Before you open it' }).waitFor()
}

/** Agrees to the terms: the words are asked for next. */
export async function acknowledge(page: Page): Promise<void> {
  for (const name of ['purpose', 'limits', 'handling']) await page.locator(`#${name}`).check()
  await page.getByRole('button', { name: 'Open the parcel' }).click()
  await page.getByRole('heading', { name: 'Open your parcel' }).waitFor()
}

/** Types the words and presses 'Open'. */
export async function openWith(page: Page, words: string): Promise<void> {
  await page.getByLabel('The seven words').fill(words)
  await page.getByRole('button', { name: 'Open', exact: true }).click()
}

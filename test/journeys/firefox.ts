/** Debian's Firefox. Playwright needs a build of its own, so this one is driven over WebDriver BiDi. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launch, type Page } from 'puppeteer-core'

export interface Firefox {
  /** A page with cookies and storage of its own. */
  newPage(): Promise<Page>
  /** Where its downloads go. */
  downloads: string
  close(): Promise<void>
}

const patienceMs = 120_000

/**
 * Starts Firefox; it ends with the test.
 *
 * @param proxy - what it fetches everything through, this machine's addresses too
 * @param settings - further preferences, as in about:config
 */
export async function aFirefox(
  t: { after(clean: () => Promise<void>): void },
  proxy?: string,
  settings: Record<string, unknown> = {},
): Promise<Firefox> {
  const program = [process.env.SAFEHAND_FIREFOX ?? '', '/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync)
  if (program === undefined) throw new Error('The journeys need Firefox: apt-get install firefox-esr')
  const downloads = await mkdtemp(join(tmpdir(), 'safehand-downloads-'))
  const through = proxy && new URL(proxy)
  const browser = await launch({
    browser: 'firefox',
    executablePath: program,
    headless: true,
    // Otherwise it keeps a copy of what is fetched, and memory grows with that.
    networkEnabled: false,
    protocolTimeout: 0,
    extraPrefsFirefox: {
      'browser.download.folderList': 2,
      'browser.download.dir': downloads,
      'browser.download.useDownloadDir': true,
      'browser.download.always_ask_before_handling_new_types': false,
      ...(through
        ? {
            'network.proxy.type': 1,
            'network.proxy.http': through.hostname,
            'network.proxy.http_port': Number(through.port),
            'network.proxy.allow_hijacking_localhost': true,
          }
        : {}),
      ...settings,
    },
  })
  const close = () => browser.close()
  t.after(async () => {
    await close()
    await rm(downloads, { recursive: true, force: true })
  })
  return {
    downloads,
    close,
    newPage: async () => {
      const page = await (await browser.createBrowserContext()).newPage()
      page.setDefaultTimeout(patienceMs)
      return page
    },
  }
}

/** Presses the button whose text begins with this, when it is there and may be pressed. */
export async function press(page: Page, text: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => {
      const buttons = [...document.querySelectorAll<HTMLButtonElement>('main button:not([disabled])')]
      const button = buttons.find((each) => each.checkVisibility() && each.textContent.trim().startsWith(wanted))
      button?.click()
      return button !== undefined
    },
    {},
    text,
  )
}

/** Chooses a file for the input that this finds. */
export async function choose(page: Page, selector: string, path: string): Promise<void> {
  const input = await page.waitForSelector(selector)
  await (input as Awaited<ReturnType<typeof page.$<'input'>>>)!.uploadFile(path)
}

/** Signs in as Priya Nair, seals a file for her transfer and sends it. Answers its words, and when she pressed. */
export async function sealAndSend(page: Page, url: string, transferId: string, path: string) {
  await page.goto(`${url}/demonstration`)
  await Promise.all([page.waitForNavigation(), press(page, 'Priya Nair')])
  await page.goto(`${url}/transfers/${transferId}/seal`)
  await choose(page, '[data-input=files]', path)
  await page.waitForSelector('[data-files] li')
  const pressedMs = Date.now()
  await press(page, 'Seal and send')
  await page.waitForSelector('[data-phrase] li')
  const words = await page.$$eval('[data-phrase] li', (all) => all.map((each) => each.textContent).join(' '))
  return { pressedMs, words }
}

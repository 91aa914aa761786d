/**
 * What sealing, sending and collecting in a browser cost, against the same bytes in clear: put whole to a server that has
 * them on disk before it answers, and downloaded from it, by the same browser.
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { aReadyTransfer, sergeant } from '#test/sending'
import { acknowledge, apiOf, proveMailbox, signIn, wordsOn } from '../journeys/support.ts'
import type { Prepared } from './chromium.ts'
import type { PlainServer } from './plain-server.ts'

/** Presses are put off by so long, so that DevTools is gone by then. */
const headStartMs = 1_500

/**
 * Presses a button of the page when nobody watches it any more, and then each of the others as soon as it is there.
 * Answers when the first was, in milliseconds.
 */
async function pressAlone(browser: Prepared, ...selectors: string[]): Promise<number> {
  const atMs = Date.now() + headStartMs
  await browser.attached((page) =>
    page.evaluate(
      ({ targets, when }) => {
        const press = () => {
          const button = document.querySelector<HTMLElement>(targets[0]!)
          if (button) targets.shift()
          button?.click()
          if (targets.length > 0) setTimeout(press, 20)
        }
        setTimeout(press, when - Date.now())
      },
      { targets: selectors, when: atMs },
    ),
  )
  return atMs
}

/** Waits until the browser has saved a file of at least this size, and removes it. Answers when that was. */
export async function untilSaved(folder: string, sizeBytes: number): Promise<number> {
  for (;;) {
    for (const name of await readdir(folder)) {
      const found = await stat(join(folder, name)).catch(() => undefined)
      if (!found || found.size < sizeBytes || /\.(crdownload|part)$/.test(name)) continue
      await rm(join(folder, name))
      return Date.now()
    }
    await wait(20)
  }
}

/** The most memory that the browser's page holds while something goes on. */
async function watched<T>(browser: Prepared, work: Promise<T>): Promise<{ value: T; mostMib: number }> {
  let mostMib = 0
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      mostMib = Math.max(mostMib, await browser.pageMib())
      await wait(1_000)
    }
  })()
  const value = await work.finally(() => (isOver = true))
  await watching
  return { value, mostMib }
}

/** Chooses files without their bytes passing through DevTools. */
async function chooseFiles(page: Page, selector: string, paths: string[]): Promise<void> {
  const devTools = await page.context().newCDPSession(page)
  const { root } = await devTools.send('DOM.getDocument')
  const { nodeId } = await devTools.send('DOM.querySelector', { nodeId: root.nodeId, selector })
  await devTools.send('DOM.setFileInputFiles', { nodeId, files: paths })
  await devTools.detach()
}

export interface Taken {
  seconds: number
  pageMib: number
}

export interface Chosen {
  input: 'files' | 'folder'
  paths: string[]
  /** Of all files. What is saved has at least so many bytes. */
  sizeBytes: number
}

/** A page on which files are chosen and nothing is sent yet. */
async function prepareSending(browser: Prepared, url: string, { input, paths }: Chosen) {
  return browser.attached(async (page) => {
    await signIn(page, url, 'Priya Nair')
    const transferId = await aReadyTransfer(apiOf(page.context(), url))
    await page.goto(`${url}/transfers/${transferId}/seal`)
    await chooseFiles(page, `[data-input=${input}]`, paths)
    await page.locator('[data-files] li').first().waitFor({ timeout: 120_000 })
    const own = (await page.context().cookies(url)).find(({ name }) => name === 'safehand')
    return { transferId, cookie: `safehand=${own!.value}` }
  })
}

/** Sends files from this browser until the parcel is complete. Answers the words too. */
export async function send(browser: Prepared, url: string, chosen: Chosen): Promise<Taken & { words: string }> {
  const { transferId, cookie } = await prepareSending(browser, url, chosen)
  const fromMs = await pressAlone(browser, 'form[data-choose] button:not([type=button])')
  const isSealed = async () => {
    for (;;) {
      const answer = await fetch(`${url}/api/transfers/${transferId}/parcel`, { headers: { cookie } })
      if (answer.ok && ((await answer.json()) as { state: string }).state === 'sealed') return Date.now()
      // Asking is work for the server too: it is done seldom enough to cost a hundredth.
      await wait(Math.max(50, (Date.now() - fromMs) / 40))
    }
  }
  const { value, mostMib } = await watched(browser, isSealed())
  const words = await browser.attached(wordsOn)
  return { seconds: (value - fromMs) / 1_000, pageMib: mostMib, words }
}

const saveButton = ':is([data-save-only], [data-save-all]):not([hidden]):enabled'

/** Collects the parcel that was sent last, from opening it until it lies among the browser's downloads. */
export async function collect(browser: Prepared, url: string, words: string, sizeBytes: number): Promise<Taken> {
  await browser.attached(async (page) => {
    await proveMailbox(page, url, sergeant.email)
    await acknowledge(page)
    await page.getByLabel('The seven words').fill(words)
    // A dialog of the system's own cannot be answered here: the service worker saves.
    await page.evaluate(() => delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker)
  })
  const fromMs = await pressAlone(browser, 'form[data-parcel] button:not([type=button])', saveButton)
  const { value, mostMib } = await watched(browser, untilSaved(browser.downloads, sizeBytes))
  return { seconds: (value - fromMs) / 1_000, pageMib: mostMib }
}

/** The same bytes in clear. */
export async function putAndGet(
  browser: Prepared,
  plain: PlainServer,
  path: string,
): Promise<{ put: number; get: number }> {
  const { size } = await stat(path)
  await browser.attached(async (page) => {
    await page.goto(plain.url)
    await chooseFiles(page, 'input', [path])
  })
  const putFromMs = await pressAlone(browser, '#put')
  const put = (await plain.said()) - putFromMs
  const getFromMs = await pressAlone(browser, '#get')
  const get = (await untilSaved(browser.downloads, size)) - getFromMs
  return { put: put / 1_000, get: get / 1_000 }
}

/** How long this browser's worker takes to seal a file to nowhere, or only to read it and call WebCrypto, in seconds. */
export async function sealAlone(
  browser: Prepared,
  plain: PlainServer,
  path: string,
  act: 'seal' | 'bare',
): Promise<number> {
  await browser.attached(async (page) => {
    await page.goto(plain.url)
    await chooseFiles(page, 'input', [path])
  })
  await pressAlone(browser, `#${act}`)
  return plain.said()
}

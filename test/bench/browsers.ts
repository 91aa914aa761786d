/**
 * What a browser's sealing, sending and collecting cost against the same bytes in clear: put whole to a server that has
 * them on disk before it answers, and downloaded from it, by the same browser.
 */
import { createReadStream } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { writeFlow } from '#shell/cli/file-bytes'
import { aReadyTransfer, sergeant } from '#test/sending'
import { apiOf, mailedCode, parcelLink, signIn } from '../journeys/support.ts'
import { type Prepared } from './chromium.ts'

/** Clicks are put off by so long, so that DevTools is gone by then. */
const headStartMs = 1_500

/** Presses a button of the page when nobody watches it any more. Answers when that was, in milliseconds. */
async function pressAlone(browser: Prepared, selector: string): Promise<number> {
  const atMs = Date.now() + headStartMs
  await browser.attached((page) =>
    page.evaluate(
      ({ target, when }) =>
        void setTimeout(() => document.querySelector<HTMLElement>(target)!.click(), when - Date.now()),
      { target: selector, when: atMs },
    ),
  )
  return atMs
}

/** A server that keeps a file as it comes and gives it back, and a page that does both. */
export async function plainServer(folder: string) {
  const path = join(folder, 'plain')
  let doneAtMs = 0
  const html = `<input type=file><button id=put>Put</button><a id=get href=/file download=plain.bin>Get</a><script>
    document.querySelector('#put').onclick = () => fetch('/file', { method: 'PUT', body: document.querySelector('input').files[0] })
  </script>`
  const server = createServer(async (request, response) => {
    if (request.method === 'PUT') {
      const file = await open(path, 'w')
      await writeFlow(file, request, 0)
      await file.sync()
      await file.close()
      doneAtMs = Date.now()
      return response.writeHead(204).end()
    }
    if (request.url !== '/file') return response.writeHead(200, { 'content-type': 'text/html' }).end(html)
    const { size } = await stat(path)
    response.writeHead(200, { 'content-length': size, 'content-type': 'application/octet-stream' })
    return createReadStream(path, { highWaterMark: 2 ** 20 }).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async untilPut(): Promise<number> {
      while (doneAtMs === 0) await wait(10)
      const at = doneAtMs
      doneAtMs = 0
      return at
    },
    end: () => server.close(),
  }
}

/** Waits until the browser has saved a file of this size, and removes it. Answers when that was. */
async function untilSaved(folder: string, sizeBytes: number): Promise<number> {
  for (;;) {
    for (const name of await readdir(folder)) {
      const found = await stat(join(folder, name)).catch(() => undefined)
      if (found?.size !== sizeBytes || name.endsWith('.crdownload')) continue
      await rm(join(folder, name))
      return Date.now()
    }
    await wait(20)
  }
}

/** The most that `sample` says while something goes on. */
async function most<T>(sample: () => Promise<number>, work: Promise<T>): Promise<{ value: T; most: number }> {
  let top = 0
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      top = Math.max(top, await sample())
      await wait(1_000)
    }
  })()
  const value = await work.finally(() => (isOver = true))
  await watching
  return { value, most: top }
}

interface Taken {
  seconds: number
  pageMib: number
}

/** Chooses files without their bytes passing through DevTools. */
async function chooseFiles(page: Page, selector: string, paths: string[]): Promise<void> {
  const devTools = await page.context().newCDPSession(page)
  const { root } = await devTools.send('DOM.getDocument')
  const { nodeId } = await devTools.send('DOM.querySelector', { nodeId: root.nodeId, selector })
  await devTools.send('DOM.setFileInputFiles', { nodeId, files: paths })
  await devTools.detach()
}

const saveButton = ':is([data-save-only], [data-save-all]):not([hidden]):enabled'

/** One parcel from choosing to the end, in this browser. */
export async function sendAndCollect(
  browser: Prepared,
  url: string,
  files: { input: 'files' | 'folder'; paths: string[]; sizeBytes: number },
): Promise<{ send: Taken; collect: Taken }> {
  const { transferId, cookie } = await browser.attached(async (page) => {
    await signIn(page, url, 'Priya Nair')
    const id = await aReadyTransfer(apiOf(page.context(), url))
    await page.goto(`${url}/transfers/${id}/seal`)
    await chooseFiles(page, `[data-input=${files.input}]`, files.paths)
    await page.locator('[data-files] li').first().waitFor()
    const own = (await page.context().cookies(url)).find(({ name }) => name === 'safehand')
    return { transferId: id, cookie: `safehand=${own!.value}` }
  })
  const sealedFrom = await pressAlone(browser, '[data-choose] button[type=submit], [data-choose] button:not([type])')
  const isSealed = async () => {
    for (;;) {
      const answer = await fetch(`${url}/api/transfers/${transferId}/parcel`, { headers: { cookie } })
      if (answer.ok && ((await answer.json()) as { state: string }).state === 'sealed') return Date.now()
      await wait(50)
    }
  }
  const sent = await most(browser.pageMib, isSealed())
  const words = await browser.attached(async (page) => {
    await page.locator('[data-phrase] li').first().waitFor({ state: 'attached' })
    return (await page.locator('[data-phrase] li').allTextContents()).join(' ')
  })
  await browser.attached(async (page) => {
    const context = page.context()
    await page.goto(await parcelLink(context, url, sergeant.email))
    await page.getByRole('button', { name: 'Send me a code' }).click()
    await page.getByLabel('Code').fill(await mailedCode(context, url, sergeant.email))
    await page.getByRole('button', { name: 'Continue' }).click()
    for (const name of ['purpose', 'limits', 'handling']) await page.locator(`#${name}`).check()
    await page.getByRole('button', { name: 'Open the parcel' }).click()
    await page.getByLabel('The seven words').fill(words)
    // A dialog of the system's own cannot be answered here: the service worker saves.
    await page.evaluate(() => delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker)
    await page.getByRole('button', { name: 'Open', exact: true }).click()
    await page.locator(saveButton).first().waitFor()
  })
  const savedFrom = await pressAlone(browser, saveButton)
  const saved = await most(browser.pageMib, untilSaved(browser.downloads, files.sizeBytes))
  return {
    send: { seconds: (sent.value - sealedFrom) / 1000, pageMib: sent.most },
    collect: { seconds: (saved.value - savedFrom) / 1000, pageMib: saved.most },
  }
}

/** The same bytes in clear. */
export async function putAndGet(
  browser: Prepared,
  plain: Awaited<ReturnType<typeof plainServer>>,
  path: string,
  sizeBytes: number,
): Promise<{ put: number; get: number }> {
  await browser.attached(async (page) => {
    await page.goto(plain.url)
    await chooseFiles(page, 'input', [path])
  })
  const putFrom = await pressAlone(browser, '#put')
  const put = (await plain.untilPut()) - putFrom
  const getFrom = await pressAlone(browser, '#get')
  const get = (await untilSaved(browser.downloads, sizeBytes)) - getFrom
  return { put: put / 1000, get: get / 1000 }
}

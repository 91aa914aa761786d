/** Sealing in the browser survives: a page that is closed, a network and a server that go away, a session that ends. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { BrowserContext, Page, Route } from 'playwright-core'
import { limits } from '#core/kit/limits'
import { startCountingProxy } from '#test/counting-proxy'
import { aReadyTransfer, sergeant } from '#test/sending'
import {
  aChromium,
  aDemonstration,
  acknowledge,
  apiOf,
  complaintsOf,
  faultsOf,
  openWith,
  overflowOf,
  proveMailbox,
  signIn,
  wordsOn,
} from './support.ts'

const MiB = 1024 * 1024
const { url } = await aDemonstration({ after })
const { host, port } = new URL(url)
const proxy = await startCountingProxy({ after }, Number(port))
const chromium = await aChromium({ after }, `--host-resolver-rules=MAP ${host} localhost:${proxy.port}`)
const folder = await mkdtemp(join(tmpdir(), 'safehand-resume-'))
after(() => rm(folder, { recursive: true, force: true }))

const shots = process.env.SAFEHAND_SHOTS
/** Looks at a state of the page as everybody must be able to: axe, and as narrow as a phone. */
async function look(page: Page, name: string): Promise<void> {
  const wide = page.viewportSize()!
  for (const width of [wide.width, 320]) {
    await page.setViewportSize({ width, height: wide.height })
    if (shots) await page.screenshot({ path: join(shots, `${name}-${width}.png`), fullPage: true })
    assert.deepEqual(await overflowOf(page), [])
  }
  await page.setViewportSize(wide)
  assert.deepEqual(await faultsOf(page), [])
}

/** A file that cannot be pressed together, of a time that never changes. */
async function aFile(name: string, sizeBytes: number): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, randomBytes(sizeBytes))
  const time = new Date('2026-01-01T00:00:00Z')
  await utimes(path, time, time)
  return path
}

/** Writes over some bytes of a file, and leaves its size and time as they were. */
async function change(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(randomBytes(16), 0, 16, at)
  await file.close()
  const time = new Date('2026-01-01T00:00:00Z')
  await utimes(path, time, time)
}

/** What each part was whenever it was sent: by parcel and number, its digests. */
const sentParts = new Map<string, Set<string>>()
after(() => {
  assert.ok(sentParts.size > 0)
  for (const [part, digests] of sentParts) assert.equal(digests.size, 1, `two plaintexts under one nonce: ${part}`)
})

async function watched(): Promise<BrowserContext> {
  const context = await chromium.newContext()
  context.on('request', (request) => {
    const part = /parcels\/([^/]+\/parts\/\d+)$/.exec(request.url())?.[1]
    if (!part || request.method() !== 'PUT') return
    const digests = sentParts.get(part) ?? new Set()
    sentParts.set(part, digests.add(request.headers()['content-digest']!))
  })
  return context
}

/** Puts something before the script that seals, as another browser would be. */
const before = (context: BrowserContext, script: string) =>
  context.route('**/seal-worker.js', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, body: `${script};${await response.text()}` })
  })

/** A sender, and a transfer that is ready for its files. */
async function aSender(given?: BrowserContext) {
  const context = given ?? (await watched())
  const page = await context.newPage()
  const complaints = complaintsOf(page)
  page.on('dialog', (dialog) => void dialog.accept())
  await signIn(page, url, 'Priya Nair')
  const transferId = await aReadyTransfer(apiOf(context, url))
  const sealUrl = `${url}/transfers/${transferId}/seal`
  await page.goto(sealUrl)
  return { context, page, complaints, transferId, sealUrl }
}

const choose = (page: Page, ...paths: string[]) => page.setInputFiles('[data-input=files]', paths)
const pressSeal = (page: Page) => page.getByRole('button', { name: 'Seal and send' }).click()
const seal = async (page: Page, ...paths: string[]) => {
  await choose(page, ...paths)
  await pressSeal(page)
}

/** Waits until it is sent; a problem that the page shows instead is what the test then fails with. */
async function isSent(page: Page) {
  const sent = page.getByRole('heading', { name: 'Sealed and sent' })
  const problem = page.locator('[data-seal] > [data-problem] > *')
  await sent.or(problem).first().waitFor()
  if (!(await sent.isVisible())) assert.fail(await page.innerText('main'))
}

/** Lets so many bytes of a sealing pass, then nothing any more until the network is back. */
async function sealUntil(page: Page, bytes: number, ...paths: string[]) {
  const begun = proxy.up
  const isCut = new Promise<void>((resolve) => {
    proxy.onUp = () => {
      if (proxy.up - begun < bytes) return
      proxy.isDead = true
      resolve()
    }
  })
  await seal(page, ...paths)
  await isCut
}
/** Leaves the page while it seals; the network is back then. */
async function leave(page: Page) {
  await page.goto('about:blank')
  netIsBack()
}
const netIsBack = () => Object.assign(proxy, { isDead: false, onUp: () => {} })
afterEach(() => void netIsBack())

const partsNow = async (context: BrowserContext, transferId: string) => {
  const api = apiOf(context, url)
  const { parcelId } = await api.get<{ parcelId: string }>(`/api/transfers/${transferId}/parcel`)
  const { parts } = await api.get<{ parts: { sizeBytes: number }[] }>(`/api/parcels/${parcelId}/parts`)
  return { parcelId, parts: parts.length, bytes: parts.reduce((total, { sizeBytes }) => total + sizeBytes, 0) }
}

/** What has arrived. A part that passed whole before the network died is still being forced to disk for a moment. */
async function partsAt(context: BrowserContext, transferId: string) {
  for (let before = await partsNow(context, transferId); ;) {
    await wait(500)
    const now = await partsNow(context, transferId)
    if (now.parts === before.parts) return now
    before = now
  }
}

/** What this browser keeps of sealings, as text, and the keys that could be read out of it. */
const keptBy = (page: Page) =>
  page.evaluate(async () => {
    const opening = indexedDB.open('safehand-sealings')
    await new Promise((resolve) => (opening.onsuccess = resolve))
    const all = async (name: string, what: 'getAll' | 'getAllKeys') => {
      const asking = opening.result.transaction(name).objectStore(name)[what]()
      await new Promise((resolve) => (asking.onsuccess = resolve))
      return asking.result as unknown[]
    }
    const sealings = (await all('sealings', 'getAll')) as Record<string, unknown>[]
    const parts = [await all('parts', 'getAll'), await all('parts', 'getAllKeys')]
    opening.result.close()
    const bytes = sealings.map(({ wrapped }) => new TextDecoder('latin1').decode(wrapped as Uint8Array))
    const isExtractable = sealings.map(({ wrapping }) => (wrapping as CryptoKey).extractable)
    return {
      text: JSON.stringify([sealings, parts, bytes]),
      isExtractable,
      isKept: sealings.length > 0,
      numbers: (parts[1] as [string, number][]).map(([, n]) => n),
    }
  })

/** The one file that the sergeant takes out of what was sent last. */
async function collected(words: string): Promise<Buffer> {
  const context = await chromium.newContext()
  const page = await context.newPage()
  await proveMailbox(page, url, sergeant.email)
  await acknowledge(page)
  await openWith(page, words)
  await page.getByText('Checked. You can save it now.').waitFor()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save' }).click(),
  ])
  const bytes = await readFile(await download.path())
  await context.close()
  return bytes
}

test('after the page was left and after it crashed only what is missing is sent, and everything arrives as it was', async () => {
  const path = await aFile('a very private name.bin', 48 * MiB)
  const sender = await aSender()
  const { page, context } = sender
  await page.fill('#message', 'Something between the two of us')
  await sealUntil(page, 22 * MiB, path)
  await look(page, 'sealing')
  const kept = await keptBy(page)
  assert.deepEqual(kept.isExtractable, [false])
  assert.ok(kept.numbers.length >= 3)
  for (const secret of ['private name', 'between the two', 'AGE-SECRET-KEY'])
    assert.ok(!kept.text.includes(secret), `${secret} is kept`)
  await leave(page)
  const first = await partsAt(context, sender.transferId)
  await page.goto(sender.sealUrl)
  await page.getByText('You began to send this on').waitFor()
  const arrived = new RegExp(`${(first.bytes / 1e6).toFixed(1).replace('.0', '')} MB of 50\\.3 MB has arrived`)
  assert.match(await page.innerText('[data-begun]'), arrived)
  await look(page, 'begun')

  let begun = proxy.up
  await sealUntil(page, 12 * MiB, path)
  const second = await partsAt(context, sender.transferId)
  assert.equal(second.parcelId, first.parcelId)
  await page.goto('chrome://crash').catch(() => undefined)
  netIsBack()
  const anew = await context.newPage()
  await anew.goto(sender.sealUrl)
  await anew.getByText('You began to send this on').waitFor()
  await choose(anew, path)
  await anew.getByText('These are the same files as before').waitFor()
  await look(anew, 'begun-same')
  begun = proxy.up
  await pressSeal(anew)
  await isSent(anew)
  const missing = 48 * MiB - second.bytes
  assert.ok(proxy.up - begun >= missing, 'what was missing was sent')
  assert.ok(proxy.up - begun < missing + MiB, `${proxy.up - begun} bytes for ${missing} that were missing`)
  assert.equal((await partsAt(context, sender.transferId)).parcelId, first.parcelId)
  const { isKept, numbers } = await keptBy(anew)
  assert.deepEqual([isKept, numbers], [false, []], 'nothing is kept of what was sent')
  assert.ok((await collected(await wordsOn(anew))).equals(await readFile(path)))
  assert.deepEqual(sender.complaints, [])
})

test('a file whose bytes changed behind its name, size and time is sealed anew, with nothing of the change under the old keys', async () => {
  const path = await aFile('changing.bin', 30 * MiB)
  const { page, context, transferId, sealUrl } = await aSender()
  await sealUntil(page, 20 * MiB, path)
  await leave(page)
  const old = await partsAt(context, transferId)
  assert.ok(old.parts > 0)
  await change(path, MiB)
  await page.goto(sealUrl)
  const changed = `${old.parcelId}/parts/0`
  const digests = [...sentParts.get(changed)!]
  await choose(page, path)
  await page.getByText('These are the same files as before').waitFor()
  await pressSeal(page)
  await page.getByText('A file is not the same as before. We start again.').waitFor()
  await isSent(page)
  assert.notEqual((await partsAt(context, transferId)).parcelId, old.parcelId)
  assert.deepEqual([...sentParts.get(changed)!], digests)
  assert.ok((await collected(await wordsOn(page))).equals(await readFile(path)))
})

test('other files than before are named so before they are sent, and begin again', async () => {
  const [one, other] = [await aFile('one.bin', 30 * MiB), await aFile('other.bin', 20 * MiB)]
  const { page, context, transferId, sealUrl } = await aSender()
  await sealUntil(page, 20 * MiB, one)
  await leave(page)
  const old = await partsAt(context, transferId)
  await page.goto(sealUrl)
  await page.getByText('You began to send this on').waitFor()
  await choose(page, one, other)
  await page.getByText('These are not the same files as before. If you send these, we start again.').waitFor()
  await look(page, 'begun-other')
  await page.getByRole('button', { name: 'Remove one.bin' }).click()
  await pressSeal(page)
  await page.getByText('These are not the same files. We start again.').waitFor()
  await isSent(page)
  assert.notEqual((await partsAt(context, transferId)).parcelId, old.parcelId)
  assert.ok((await collected(await wordsOn(page))).equals(await readFile(other)))
})

test('a network that dies without a word, as after sleep, is overcome by itself', async () => {
  const context = await watched()
  // The worker's clock runs six times as fast: its patience with a silent line is a minute.
  await before(context, 'const slow = setTimeout; self.setTimeout = (work, ms) => slow(work, ms / 6)')
  const { page, complaints } = await aSender(context)
  const path = await aFile('asleep.bin', 40 * MiB)
  await sealUntil(page, 20 * MiB, path)
  await page.getByText('Waiting for the connection').waitFor()
  await look(page, 'sealing-waiting')
  netIsBack()
  await isSent(page)
  assert.ok((await collected(await wordsOn(page))).equals(await readFile(path)))
  assert.deepEqual(complaints, [])
})

test('whose session ended meanwhile signs in in another tab, and it goes on', async () => {
  const path = await aFile('signed-out.bin', 40 * MiB)
  const { page, context, transferId, complaints } = await aSender()
  const elsewhere = await chromium.newContext()
  await signIn(await elsewhere.newPage(), url, 'Priya Nair')
  const api = apiOf(elsewhere, url)
  const endOthers = async () => {
    const { browsers } = await api.get<{ browsers: { id: string; isThis: boolean }[] }>('/api/account')
    for (const { id } of browsers.filter(({ isThis }) => !isThis)) await api.post(`/api/account/browsers/${id}/end`)
  }
  // The session ends while parts are on their way.
  const onPart = async (route: Route) => {
    await endOthers()
    await route.continue()
  }
  await context.route('**/parts/2', onPart, { times: 1 })
  await seal(page, path)
  await page.getByText('You have been signed out').waitFor()
  await look(page, 'signed-out')
  const waiting = proxy.up
  await page.waitForTimeout(7_000)
  assert.ok(proxy.up - waiting < MiB, 'no part is sent again and again to be refused')
  const tab = await context.newPage()
  await signIn(tab, url, 'Priya Nair')
  await isSent(page)
  assert.equal(await page.getByText('You have been signed out').isVisible(), false)
  assert.ok((await collected(await wordsOn(page))).equals(await readFile(path)))

  await endOthers()
  await page.getByText('You have been signed out').waitFor()
  await look(page, 'signed-out-sent')
  await signIn(tab, url, 'Priya Nair')
  await page.getByText('You have been signed out').waitFor({ state: 'hidden' })
  assert.match(await page.innerText('[data-recipient]'), /Opened\. They have signed for it\./)
  assert.equal(
    (await apiOf(context, url).get<{ state: string }>(`/api/transfers/${transferId}/parcel`)).state,
    'sealed',
  )
  assert.deepEqual(complaints, [])
})

test('two tabs that seal one transfer at once: the second says so, and goes on when the first is closed', async () => {
  const path = await aFile('two tabs.bin', 30 * MiB)
  const { page, context, sealUrl, transferId } = await aSender()
  // The last part of the first tab never arrives, so that it seals for as long as it is open.
  const isHeld = new Promise<void>((resolve) => void context.route('**/parts/3', () => resolve()))
  await seal(page, path)
  await isHeld
  const second = await context.newPage()
  await second.goto(sealUrl)
  await seal(second, path)
  await second.getByRole('heading', { name: 'This is being sealed in another tab' }).waitFor()
  await look(second, 'elsewhere')
  const { parcelId } = await partsAt(context, transferId)
  await page.close({ runBeforeUnload: false })
  await context.unroute('**/parts/3')
  await pressSeal(second)
  await isSent(second)
  assert.equal((await partsAt(context, transferId)).parcelId, parcelId)
})

test('where tabs cannot lock each other out, a part is sent only as the first of them kept it', async () => {
  const context = await watched()
  await before(context, 'delete WorkerNavigator.prototype.locks')
  const path = await aFile('no locks.bin', 64 * MiB)
  const { page, sealUrl, transferId } = await aSender(context)
  await sealUntil(page, 12 * MiB, path)
  await leave(page)
  const { parcelId } = await partsAt(context, transferId)
  const second = await context.newPage()
  for (const each of [page, second]) {
    await each.goto(sealUrl)
    await each.getByText('You began to send this on').waitFor()
  }
  // The second has read what is kept, and is held up while the first keeps more.
  let goOn = () => {}
  const isHeld = new Promise<void>((resolve) => {
    const hold = async (route: Route) => {
      const released = new Promise<void>((release) => (goOn = release))
      resolve()
      await released
      await route.continue()
    }
    void context.route('**/parcel', hold, { times: 1 })
  })
  const seen = (await keptBy(second)).numbers
  await seal(second, path)
  await isHeld
  await sealUntil(page, 28 * MiB, path)
  let last = -1
  while (last <= Math.max(...seen)) last = Math.max(...(await keptBy(page)).numbers)
  await change(path, last * limits.partSizeBytes + MiB)
  // The first, which goes on as well, never gets to its end.
  await context.route(`**/parcels/${parcelId}/parts/${last}`, () => {})
  netIsBack()
  goOn()
  await second.getByText('A file is not the same as before. We start again.').waitFor()
  await isSent(second)
  assert.notEqual((await partsAt(context, transferId)).parcelId, parcelId)
  assert.ok((await collected(await wordsOn(second))).equals(await readFile(path)))
})

test('a browser that keeps nothing seals as before, and has nothing to go on with', async () => {
  const context = await watched()
  await context.addInitScript(() => Object.defineProperty(self, 'indexedDB', { value: undefined }))
  await before(context, "Object.defineProperty(self, 'indexedDB', { value: undefined })")
  const path = await aFile('private window.bin', 20 * MiB)
  const { page, sealUrl } = await aSender(context)
  await sealUntil(page, 10 * MiB, path)
  assert.equal(await page.getByText('If it closes, open it again').isVisible(), false)
  await leave(page)
  await page.goto(sealUrl)
  assert.equal(await page.getByText('You began to send this').isVisible(), false)
  await seal(page, path)
  await isSent(page)
  assert.ok((await collected(await wordsOn(page))).equals(await readFile(path)))
})

test('a page that ended after everything had arrived and before it showed the words leads to new ones', async () => {
  const path = await aFile('complete.bin', MiB)
  const { page, context, sealUrl } = await aSender()
  await context.route('**/complete', async (route) => {
    await route.fetch()
    await page.close({ runBeforeUnload: false })
  })
  await seal(page, path)
  await page.waitForEvent('close').catch(() => undefined)
  await context.unroute('**/complete')
  const anew = await context.newPage()
  await anew.goto(sealUrl)
  await anew.getByRole('heading', { name: 'This has been sent' }).waitFor()
  await look(anew, 'been-sent')
  await anew.getByRole('button', { name: 'Go to this transfer' }).click()
  await anew.getByRole('button', { name: 'New words' }).click()
  assert.ok((await collected(await wordsOn(anew))).equals(await readFile(path)))
  const { isKept, numbers } = await keptBy(anew)
  assert.deepEqual([isKept, numbers], [false, []], 'nothing is kept of what was sent')
})

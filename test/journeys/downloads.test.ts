/**
 * Large parcels on slow, broken and missing lines, in Chromium and in Firefox. `DOWNLOADS=full` has the slow downloads
 * last over six minutes, past every limit that a browser sets its service workers, on a line that dies without a word;
 * otherwise they last longer than the thirty seconds after which Firefox ends an idle one.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Page as ChromiumPage } from 'playwright-core'
import type { Page as FirefoxPage } from 'puppeteer-core'
import { aReadyTransfer, sergeant } from '#test/sending'
import { startSlowProxy, type SlowProxy } from '#test/slow-proxy'
import { aFirefox, press, sealAndSend } from './firefox.ts'
import { aChromium, aDemonstration, apiOf, mailedCode, parcelLink, signIn, wordsOn } from './support.ts'

const MB = 1_000_000
const isFull = process.env.DOWNLOADS === 'full'
const seconds = isFull ? 400 : 60
const largeBytes = 205 * MB
/** The slowest thing waited for is a download, so that what does not come at all is named before the file's time is up. */
const patienceMs = (seconds + 120) * 1_000

const { url } = await aDemonstration({ after })
const chromium = await aChromium({ after })
const folder = await mkdtemp(join(tmpdir(), 'safehand-files-'))
after(() => rm(folder, { recursive: true, force: true }))
const proxies = { chromium: await startSlowProxy({ after }), firefox: await startSlowProxy({ after }) }
const firefox = await aFirefox({ after }, proxies.firefox.url)
const staff = await chromium.newContext()
await signIn(await staff.newPage(), url, 'Priya Nair')
const staffApi = apiOf(staff, url)

const large = join(folder, 'scan.bin')
await writeFile(large, 'beginning')
await truncate(large, largeBytes - 3)
await writeFile(large, 'end', { flag: 'a' })
const case1 = join(folder, 'case')
await mkdir(join(case1, 'photos'), { recursive: true })
const notes = join(case1, 'notes.txt')
await writeFile(notes, 'Notes')
await writeFile(join(case1, 'photos/welsh ŵ.bin'), Buffer.alloc(3 * MB, 7))

async function digest(path: string): Promise<string> {
  const sha256 = createHash('sha256')
  await pipeline(createReadStream(path), sha256)
  return sha256.digest('hex')
}

/** What both browsers can do with a page. Buttons are found by how their text begins. */
interface Recipient {
  goto(to: string): Promise<unknown>
  press(text: string): Promise<void>
  fill(selector: string, text: string): Promise<void>
  /** Waits until the page says this where a person sees it. */
  says(text: string): Promise<unknown>
  run<T>(what: () => T | Promise<T>): Promise<T>
  close(): Promise<void>
}

const inChromium = (page: ChromiumPage): Recipient => ({
  goto: (to) => page.goto(to),
  press: (text) => page.locator(`button:visible:has-text("${text}")`).first().click(),
  fill: (selector, text) => page.fill(selector, text),
  says: (text) => page.locator(`main :text("${text}"):visible`).first().waitFor({ timeout: patienceMs }),
  run: (what) => page.evaluate(what) as never,
  close: () => page.close(),
})

const inFirefox = (page: FirefoxPage): Recipient => {
  const says = (text: string) =>
    page.waitForFunction(
      (wanted) => document.querySelector('main')?.innerText.includes(wanted),
      { timeout: patienceMs },
      text,
    )
  return {
    goto: (to) => page.goto(to),
    press: (text) => press(page, text),
    fill: async (selector, text) => page.locator(selector).fill(text),
    says,
    run: (what) => page.evaluate(what) as never,
    close: () => page.close(),
  }
}

interface Sent {
  transferId: string
  link: string
  words: string
}

/** Seals these in Chromium and sends them to the sergeant. */
async function aSentParcel(input: 'files' | 'folder', path: string | string[]): Promise<Sent> {
  const page = await staff.newPage()
  const transferId = await aReadyTransfer(staffApi)
  await page.goto(`${url}/transfers/${transferId}/seal`)
  await page.setInputFiles(`[data-input=${input}]`, path)
  await page.getByRole('button', { name: 'Seal and send' }).click()
  await page.getByRole('heading', { name: 'Sealed and sent' }).waitFor({ timeout: patienceMs })
  const words = await wordsOn(page)
  await page.close()
  return { transferId, words, link: await parcelLink(staff, url, sergeant.email) }
}

/** Follows the link, proves the mailbox, acknowledges, and opens with the words. */
async function opened(page: Recipient, { link, words }: Sent): Promise<void> {
  await page.goto(link)
  await page.press('Send me a code')
  await page.says('Enter the code we sent you')
  await page.fill('#code', await mailedCode(staff, url, sergeant.email))
  await page.press('Continue')
  await page.says('Before you open it')
  await page.run(() =>
    document.querySelectorAll<HTMLInputElement>('input[type=checkbox]').forEach((box) => box.click()),
  )
  await page.press('Open the parcel')
  await openedBy(page, words)
}

async function openedBy(page: Recipient, words: string): Promise<void> {
  await page.says('The seven words')
  await page.fill('#phrase', words)
  await page.press('Open')
  await page.says('Checked. You can save it now.')
}

interface Standing {
  recipients: { downloaded: boolean; opened: boolean }[]
}
async function standingOf({ transferId }: Sent) {
  const { recipients } = await staffApi.get<Standing>(`/api/transfers/${transferId}/parcel`)
  const { downloaded, opened } = recipients[0]!
  return { downloaded, opened }
}

/** The files in a download folder that are more than the empty place that Firefox keeps for a name. */
async function savedIn(downloads: string): Promise<string[]> {
  const names = (await readdir(downloads)).filter((name) => !name.endsWith('.part'))
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(downloads, name))).size))
  return names.filter((_, place) => sizes[place]! > 0)
}

/** The one file saved there whose name is like this. */
async function untilSaved(downloads: string, name: RegExp): Promise<string> {
  for (let tries = 0; tries < 600; tries += 1) {
    const found = (await savedIn(downloads)).find((each) => name.test(each))
    if (found && !(await readdir(downloads)).some((each) => each.endsWith('.part'))) return join(downloads, found)
    await delay(100)
  }
  throw new Error(`Nothing was saved: ${(await readdir(downloads)).join(', ')}`)
}

/** A recipient in Chromium behind its slow line, without the picker that cannot be driven, and where downloads go. */
async function aChromiumRecipient(prepare: () => void = () => {}) {
  const downloads = await mkdtemp(join(folder, 'chromium-'))
  const context = await chromium.newContext({ proxy: { server: proxies.chromium.url, bypass: '<-loopback>' } })
  await context.addInitScript(() => void delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker)
  await context.addInitScript(prepare)
  const page = await context.newPage()
  const ends: Promise<string | null>[] = []
  page.on('download', (download) =>
    ends.push(
      download.failure().then(async (failure) => {
        if (failure !== null) return failure
        const saved = join(downloads, download.suggestedFilename())
        // It is copied there bit by bit, and must not be taken for the whole meanwhile.
        await download.saveAs(`${saved}.part`)
        await rename(`${saved}.part`, saved)
        return null
      }),
    ),
  )
  return { ...inChromium(page), downloads, ends, proxy: proxies.chromium }
}

async function aFirefoxRecipient(prepare: () => void = () => {}) {
  for (const name of await readdir(firefox.downloads)) await rm(join(firefox.downloads, name))
  const page = await firefox.newPage()
  await page.evaluateOnNewDocument(prepare)
  return { ...inFirefox(page), downloads: firefox.downloads, proxy: proxies.firefox }
}

const recipients = { Chromium: aChromiumRecipient, Firefox: aFirefoxRecipient }
const withoutServiceWorker = () => Object.defineProperty(Navigator.prototype, 'serviceWorker', { get: () => undefined })

function atFullSpeed(proxy: SlowProxy): void {
  Object.assign(proxy, { bytesPerSecond: Infinity, isCut: false, isSilent: false, ranges: [], contentBytes: 0 })
}

test(`a large file on a line so slow that it takes ${seconds} s ends as it was sealed, lost for a while on the way, and counts as opened`, async () => {
  const parcels: Sent[] = []
  const saving = []
  for (const aRecipient of Object.values(recipients)) {
    const page = await aRecipient()
    const parcel = await aSentParcel('files', [notes, large])
    await opened(page, parcel)
    await page.press('Save notes.txt')
    await page.says('Saved. Every byte was checked.')
    assert.equal((await standingOf(parcel)).opened, false)
    page.proxy.bytesPerSecond = largeBytes / seconds
    await page.press('Save scan.bin')
    parcels.push(parcel)
    saving.push(page)
  }
  const sealed = await digest(large)
  await delay((seconds * 1_000) / 3)
  for (const { proxy } of saving) {
    Object.assign(proxy, { ranges: [], isCut: true, isSilent: isFull })
    proxy.cut()
  }
  for (const page of saving) {
    await page.says('Waiting for the connection')
    assert.deepEqual(await savedIn(page.downloads), ['notes.txt'])
    Object.assign(page.proxy, { isCut: false, isSilent: false })
  }
  for (const [place, page] of saving.entries()) {
    await page.says('Saved. Every byte was checked.')
    assert.equal(await digest(await untilSaved(page.downloads, /^scan\.bin$/)), sealed)
    const [range] = page.proxy.ranges
    assert.ok(Number(/^bytes=(\d+)-/.exec(range!)![1]) > largeBytes / 10, `taken up where it broke: ${range}`)
    await page.says('Download the receipt')
    assert.equal((await standingOf(parcels[place]!)).opened, true)
    atFullSpeed(page.proxy)
    await page.close()
  }
})

/** Sealed once for all who do not get to its end, and at last for one who does. */
let cut: Promise<Sent> | undefined

test('a page that is closed while it saves leaves no file that looks whole; a worker that is ended is noticed', async (t) => {
  const parcel = await (cut ??= aSentParcel('files', large))
  const closed = []
  for (const aRecipient of Object.values(recipients)) {
    const page = await aRecipient()
    await opened(page, parcel)
    page.proxy.bytesPerSecond = 3 * MB
    await page.press('Save')
    await page.says('Saving: ')
    closed.push(page)
  }
  await Promise.all(closed.map((page) => page.close()))
  // A Firefox so impatient that no answer of the page comes in time: it ends the worker, and the file looks whole.
  const impatient = { 'dom.serviceWorkers.idle_timeout': 4_000, 'dom.serviceWorkers.idle_extended_timeout': 500 }
  const slow = await startSlowProxy(t)
  const ending = inFirefox(await (await aFirefox(t, slow.url, impatient)).newPage())
  await opened(ending, parcel)
  slow.bytesPerSecond = MB
  await ending.press('Save')
  for (const { proxy, downloads } of closed) {
    for (let before = -1; before < proxy.contentBytes; await delay(2_000)) before = proxy.contentBytes
    assert.ok(proxy.contentBytes < largeBytes, 'nothing is fetched for a page that is gone')
    assert.deepEqual(await savedIn(downloads), [])
    atFullSpeed(proxy)
  }
  await ending.says('The browser has ended the saving')
  assert.deepEqual(await standingOf(parcel), { downloaded: false, opened: false })
})

for (const [name, aRecipient] of Object.entries(recipients))
  test(`without a service worker ${name} saves a large file from its own disk, and takes it away again`, async () => {
    const parcel = await (cut ??= aSentParcel('files', large))
    const page = await aRecipient(withoutServiceWorker)
    await opened(page, parcel)
    await page.press('Save')
    await page.says('Saved. Every byte was checked.')
    assert.equal(await digest(await untilSaved(page.downloads, /^scan\.bin$/)), await digest(large))
    await page.says('Download the receipt')
    const staged = async () => {
      const kept = await (await navigator.storage.getDirectory()).getDirectoryHandle('safehand-staged')
      return (await Array.fromAsync((kept as unknown as { keys(): AsyncIterable<string> }).keys())).length
    }
    assert.equal(await page.run(staged), 1)
    await page.goto(await page.run(() => location.href))
    await openedBy(page, parcel.words)
    assert.equal(await page.run(staged), 0)
    await page.close()
  })

test('all files in one zip have their names and folders, in the order of the parcel, in Chromium and in Firefox', async () => {
  for (const aRecipient of Object.values(recipients)) {
    const parcel = await aSentParcel('folder', case1)
    const page = await aRecipient()
    await opened(page, parcel)
    await page.press('Save all')
    await page.says('Saved. Every byte was checked.')
    const zip = await untilSaved(page.downloads, /^SH-.*\.zip$/)
    const script =
      'import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(*z.namelist(), sep="\\n")'
    const listed = spawnSync('python3', ['-c', script, zip], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONIOENCODING: 'utf8' },
    })
    assert.equal(listed.stderr, '')
    assert.deepEqual(listed.stdout.trim().split('\n'), ['case/notes.txt', 'case/photos/welsh ŵ.bin'])
    await page.close()
  }
})

test('what is sealed in Firefox, which has no such cipher of its own, comes out in Chromium as it was', async () => {
  const path = join(case1, 'photos/welsh ŵ.bin')
  const transferId = await aReadyTransfer(staffApi)
  const sender = await firefox.newPage()
  const { words } = await sealAndSend(sender, url, transferId, path)
  await sender.close()
  const page = await aChromiumRecipient()
  await opened(page, { transferId, words, link: await parcelLink(staff, url, sergeant.email) })
  await page.press('Save')
  await page.says('Saved. Every byte was checked.')
  assert.equal(await digest(await untilSaved(page.downloads, /\.bin$/)), await digest(path))
  await page.close()
})

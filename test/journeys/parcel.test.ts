/** A parcel from the sender's browser to the recipient's, on the real pages of a real server. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { BrowserContext, Download, Page } from 'playwright-core'
import { identityFrom, recipientOf } from '#core/seal/locks'
import { randomBytes } from '#core/seal/tools'
import { Browser } from '#test/house'
import { aReadyTransfer, sergeant } from '#test/sending'
import {
  aChromium,
  aDemonstration,
  acknowledge,
  apiOf,
  complaintsOf,
  mailedCode,
  openWith,
  parcelLink,
  phone,
  proveMailbox,
  remote,
  signIn,
  wordsOn,
} from './support.ts'

const demonstration = await aDemonstration({ after })
const { url } = demonstration
const chromium = await aChromium({ after })
const folder = await mkdtemp(join(tmpdir(), 'safehand-files-'))
after(() => rm(folder, { recursive: true, force: true }))

const report = 'The report.\n'.repeat(1000)
const files = { report: join(folder, 'report.txt'), case: join(folder, 'case'), large: join(folder, 'scan.bin') }
await mkdir(join(files.case, 'photos'), { recursive: true })
await writeFile(files.report, report)
await writeFile(join(files.case, 'notes.txt'), 'Notes')
await writeFile(join(files.case, 'photos/welsh ŵ.bin'), Buffer.alloc(3_000_000, 7))

/** A file of that many bytes that is not all the same. */
async function aLargeFile(sizeBytes: number): Promise<string> {
  await writeFile(files.large, 'beginning')
  await truncate(files.large, sizeBytes - 3)
  await appendFile(files.large, 'end')
  return files.large
}

const shots = process.env.SAFEHAND_SHOTS
const shot = async (page: Page, name: string) => {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
}

/** A sender on the page where files are chosen. */
async function aSender() {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const complaints = complaintsOf(page)
  await signIn(page, url, 'Priya Nair')
  const transferId = await aReadyTransfer(apiOf(context, url))
  await page.goto(`${url}/transfers/${transferId}/seal`)
  return { context, page, complaints, transferId }
}

const pressSeal = (page: Page) => page.getByRole('button', { name: 'Seal and send' }).click()
/** Waits until it is sent; a problem that the page shows instead is what the test then fails with. */
async function isSent(page: Page) {
  const sent = page.getByRole('heading', { name: 'Sealed and sent' })
  const problem = page.locator('[data-seal] > [data-problem] > *')
  await sent.or(problem).first().waitFor()
  if (!(await sent.isVisible())) assert.fail(await page.innerText('main'))
}

async function aSentParcel(paths: string[] = [files.report]) {
  const sender = await aSender()
  await sender.page.setInputFiles('[data-input=files]', paths)
  await pressSeal(sender.page)
  await isSent(sender.page)
  return sender
}

/** A recipient who has followed the link and proved the mailbox. */
async function aRecipient() {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const complaints = complaintsOf(page)
  await proveMailbox(page, url, sergeant.email)
  return { context, page, complaints }
}

const isInside = (page: Page) => page.getByText('Checked. You can save it now.').waitFor({ timeout: 120_000 })
const saveBy = async (page: Page, name: string): Promise<Download> => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()])
  return download
}

test('files are sealed, told and collected, and both hold a receipt', async () => {
  const sender = await aSender()
  await shot(sender.page, 'seal-empty')
  await sender.page.setInputFiles('[data-input=files]', [files.report])
  await sender.page.setInputFiles('[data-input=folder]', files.case)
  await sender.page.fill('#message', 'Please ring me when you have read it.\nPriya')
  await shot(sender.page, 'seal-chosen')
  await pressSeal(sender.page)
  await isSent(sender.page)
  assert.equal(new URL(sender.page.url()).pathname, `/transfers/${sender.transferId}`)
  assert.equal(await sender.page.locator('[data-phrase]').isVisible(), false)
  await shot(sender.page, 'sent-waiting')

  const { page, complaints } = await aRecipient()
  await sender.page.getByText('Ring now').waitFor()
  await shot(sender.page, 'sent-ring')
  assert.equal(await sender.page.getByRole('link', { name: '01632 960 101' }).getAttribute('href'), 'tel:01632960101')
  await sender.page.getByLabel('By telephone').check()
  await sender.page.getByRole('button', { name: 'I have told them' }).click()
  await sender.page.getByText('Enter the number you used').waitFor()
  await sender.page.getByLabel('The number you used').fill('01632 960 101')
  await sender.page.getByRole('button', { name: 'I have told them' }).click()
  await sender.page.getByText('Told by telephone').waitFor()

  await acknowledge(page)
  await openWith(page, `  ${(await wordsOn(sender.page)).toUpperCase().replaceAll(' ', ', ')}`)
  await isInside(page)
  const inside = await page.innerText('main')
  assert.match(inside, /Please ring me when you have read it\.\nPriya/)
  assert.match(inside, /Signed by the sender’s own device/)
  assert.match(inside, /case\/photos\/welsh ŵ\.bin/)
  const saved = await saveBy(page, 'Save report.txt')
  assert.equal(saved.suggestedFilename(), 'report.txt')
  assert.equal(await readFile(await saved.path(), 'utf8'), report)
  const zip = await saveBy(page, 'Save all')
  assert.match(zip.suggestedFilename(), /^SH-.*\.zip$/)
  const listed = spawnSync('python3', ['-m', 'zipfile', '-l', await zip.path()], { encoding: 'utf8' }).stdout
  for (const name of ['report.txt', 'case/notes.txt', 'case/photos/welsh ŵ.bin'])
    assert.ok(listed.includes(name), listed)
  assert.equal(spawnSync('python3', ['-m', 'zipfile', '-t', await zip.path()]).status, 0)
  const receiptLink = page.getByRole('link', { name: 'Download the receipt' })
  const [receipt] = await Promise.all([page.waitForEvent('download'), receiptLink.click()])
  assert.match(await readFile(await receipt.path(), 'utf8'), /^c2sp\.org\/tlog-proof/)
  await sender.page.getByText('Opened. They have signed for it.').waitFor()
  await sender.page.goto(`${url}/transfers/${sender.transferId}`)
  await shot(sender.page, 'transfer-opened')
  assert.deepEqual([...sender.complaints, ...complaints], [])
})

test('the words are in no request, no storage and no address', async () => {
  const sender = await aSender()
  const sent: string[] = []
  sender.context.on('request', (request) =>
    sent.push(request.url(), request.postDataBuffer()?.toString('latin1') ?? '', JSON.stringify(request.headers())),
  )
  await sender.page.setInputFiles('[data-input=files]', [files.report])
  await pressSeal(sender.page)
  await isSent(sender.page)
  const words = (await wordsOn(sender.page)).split(' ')
  await sender.page.getByRole('button', { name: 'Show the words now' }).click()
  await sender.page.getByLabel('By letter').check()
  await sender.page.getByRole('button', { name: 'I have told them' }).click()
  await sender.page.getByText('Told by letter').waitFor()
  const kept = await sender.page.evaluate(async () => {
    const opening = indexedDB.open('safehand')
    await new Promise((resolve) => (opening.onsuccess = resolve))
    const all = opening.result.transaction('keys').objectStore('keys').getAll()
    await new Promise((resolve) => (all.onsuccess = resolve))
    return JSON.stringify([
      Object.entries(localStorage),
      Object.entries(sessionStorage),
      document.cookie,
      location.href,
      history.state,
      all.result,
    ])
  })
  assert.ok(
    sent.some((text) => text.includes('receiptPublicKey')),
    'the locks were seen on their way',
  )
  for (const text of [...sent, kept]) {
    assert.ok(!text.includes(words.join(' ')), 'the whole phrase')
    assert.ok(words.filter((word) => new RegExp(`\\b${word}\\b`).test(text)).length < 5, 'most of its words')
  }
})

test('a file that changes while it is being sealed stops everything, and says so', async () => {
  const sender = await aSender()
  await sender.page.setInputFiles('[data-input=files]', [await aLargeFile(30_000_000)])
  await writeFile(files.large, 'something else')
  await pressSeal(sender.page)
  await sender.page.getByRole('heading', { name: 'A file changed while it was being sealed' }).waitFor()
  await shot(sender.page, 'seal-changed')
  const { state } = await apiOf(sender.context, url).get<{ state: string }>(
    `/api/transfers/${sender.transferId}/parcel`,
  )
  assert.equal(state, 'sealing')
  assert.deepEqual(sender.complaints, [])
})

test('sealing waits for a lost network and a restarted server, and goes on by itself', async () => {
  const sender = await aSender()
  await sender.page.setInputFiles('[data-input=files]', [await aLargeFile(150_000_000)])
  let parts = 0
  sender.page.context().on('requestfinished', (request) => {
    if (request.url().includes('/parts/') && ++parts === 3) void demonstration.kill()
  })
  await pressSeal(sender.page)
  await sender.page.getByText('Waiting for the connection').waitFor()
  await shot(sender.page, 'sealing-waiting')
  await demonstration.start()
  await isSent(sender.page)
  assert.ok(parts >= 18)
  assert.deepEqual(sender.complaints, [])
})

test('new words are made in the browser that sealed it; another browser says that it cannot', async () => {
  const sender = await aSentParcel()
  const before = await wordsOn(sender.page)
  sender.page.on('dialog', (dialog) => void dialog.accept())
  await sender.page.goto(`${url}/transfers/${sender.transferId}`)
  await sender.page.getByRole('button', { name: 'New words' }).click()
  const words = await wordsOn(sender.page)
  await shot(sender.page, 'transfer-new-words')
  assert.notEqual(words, before)
  const { page } = await aRecipient()
  await acknowledge(page)
  await openWith(page, before)
  await page.getByRole('heading', { name: 'This phrase does not open this parcel' }).waitFor()
  await openWith(page, words)
  await isInside(page)
  const elsewhere = await (await chromium.newContext()).newPage()
  await signIn(elsewhere, url, 'Priya Nair')
  await elsewhere.goto(`${url}/transfers/${sender.transferId}`)
  await elsewhere.getByText('This browser has no key of yours').waitFor()
  assert.equal(await elsewhere.getByRole('button', { name: 'New words' }).isVisible(), false)
  assert.deepEqual(sender.complaints, [])
})

/** One file of 205 MB, sealed once for the tests of large parcels. */
let large: ReturnType<typeof aSentParcel> | undefined
const largeBytes = 205_000_000

/** A recipient who has opened the large parcel, in a browser that was prepared first. */
async function aLargeParcelOpened(prepare: () => void) {
  large ??= aLargeFile(largeBytes).then((path) => aSentParcel([path]))
  const sender = await large
  const recipient = await aRecipient()
  await recipient.page.addInitScript(prepare)
  await acknowledge(recipient.page)
  await openWith(recipient.page, await wordsOn(sender.page))
  await isInside(recipient.page)
  return { sender, ...recipient }
}
const withoutPicker = () => void delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker

test('a large parcel is streamed to disk by the service worker', async () => {
  const { page, complaints } = await aLargeParcelOpened(withoutPicker)
  await shot(page, 'collect-large')
  const download = await saveBy(page, 'Save')
  assert.equal(download.suggestedFilename(), 'scan.bin')
  const bytes = await readFile(await download.path())
  assert.equal(bytes.length, largeBytes)
  assert.equal(bytes.subarray(-3).toString(), 'end')
  // Had it the workers' own addresses as well, all that they send and fetch would go through it.
  const scopes = () => navigator.serviceWorker.getRegistrations().then((all) => all.map(({ scope }) => scope))
  for (const scope of await page.evaluate(scopes)) assert.match(scope, /\/download\/$/)
  await page.getByRole('link', { name: 'Download the receipt' }).waitFor()
  assert.deepEqual(complaints, [])
})

test('where the browser has a save picker, a large parcel goes into the chosen file', async () => {
  // The native dialog cannot be driven: a file of the page's own private folder stands for the one chosen in it.
  const { page, complaints } = await aLargeParcelOpened(() => {
    const pick = async () => (await navigator.storage.getDirectory()).getFileHandle('chosen', { create: true })
    Object.assign(window, { showSaveFilePicker: pick })
  })
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Saved. Every byte was checked.').waitFor({ timeout: 120_000 })
  const saved = await page.evaluate(async () => {
    const file = await (await (await navigator.storage.getDirectory()).getFileHandle('chosen')).getFile()
    return { sizeBytes: file.size, end: await file.slice(-3).text() }
  })
  assert.deepEqual(saved, { sizeBytes: largeBytes, end: 'end' })
  await page.getByRole('link', { name: 'Download the receipt' }).waitFor()
  assert.deepEqual(complaints, [])
})

test('a large parcel whose content was altered is never recorded as a finished download', async () => {
  const { page, sender } = await aLargeParcelOpened(withoutPicker)
  const { parcelId } = await apiOf(sender.context, url).get<{ parcelId: string }>(
    `/api/transfers/${sender.transferId}/parcel`,
  )
  const content = join(demonstration.folder, 'data/blobs/kept/parcels', parcelId, 'content')
  const part = (await readdir(content)).find((name) => name.startsWith('20-'))!
  const bytes = await readFile(join(content, part))
  bytes[1000]! ^= 1
  await writeFile(join(content, part), bytes)
  const download = await saveBy(page, 'Save')
  assert.notEqual(await download.failure(), null)
  await page.getByRole('heading', { name: 'The content has been altered' }).waitFor()
  await shot(page, 'collect-altered')
  assert.equal(await page.getByText('Saved. Every byte was checked.').isVisible(), false)
})

test('on a narrow phone and in Welsh, everything fits and is said', async () => {
  const sender = await aSentParcel([files.report])
  const context = await chromium.newContext(phone)
  const page = await context.newPage()
  const fits = async (name: string) => {
    await shot(page, name)
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
    assert.ok(widths[0]! <= widths[1]!, `${name} is ${widths[0]} px wide`)
  }
  await page.goto(await parcelLink(context, url, sergeant.email))
  await page.getByRole('link', { name: 'Cymraeg' }).click()
  await page.getByRole('heading', { name: 'Parsel i chi' }).waitFor()
  await fits('cy-start')
  await page.getByRole('button', { name: 'Anfonwch god ataf' }).click()
  await page.getByLabel('Cod').waitFor()
  await fits('cy-code')
  await page.getByLabel('Cod').fill('WRNG-WRNG')
  await page.getByRole('button', { name: 'Parhau' }).click()
  await page.getByText('Nid dyna’r cod a anfonwyd').first().waitFor()
  await page.getByLabel('Cod').fill(await mailedCode(context, url, sergeant.email))
  await page.getByRole('button', { name: 'Parhau' }).click()
  await page.getByRole('heading', { name: 'Cyn i chi ei agor' }).waitFor()
  await page.getByRole('button', { name: 'Agor y parsel' }).click()
  await page.getByText('Cadarnhewch eich bod wedi darllen y cyfyngiadau').first().waitFor()
  await fits('cy-read')
  for (const name of ['purpose', 'limits', 'handling']) await page.locator(`#${name}`).check()
  await page.getByRole('button', { name: 'Agor y parsel' }).click()
  await page.getByLabel('Y saith gair').fill('abandon '.repeat(7))
  await page.getByRole('button', { name: 'Agor', exact: true }).click()
  await page.getByRole('heading', { name: 'Nid yw’r geiriau hyn yn agor y parsel' }).waitFor()
  await fits('cy-wrong')
  await page.getByLabel('Y saith gair').fill(await wordsOn(sender.page))
  await page.getByRole('button', { name: 'Agor', exact: true }).click()
  await page.getByText('Wedi’i wirio').waitFor()
  await saveBy(page, 'Cadw')
  await page.getByRole('link', { name: 'Lawrlwytho’r dderbynneb' }).waitFor()
  assert.equal(await page.getByRole('progressbar').isVisible(), false)
  await fits('cy-inside')
})

test('a link without its token says so, and offers nothing to press', async () => {
  await aSentParcel()
  const context = await chromium.newContext()
  const page = await context.newPage()
  await page.goto((await parcelLink(context, url, sergeant.email)).replace(/#.*/, ''))
  await page.getByText('The link is not complete').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Send me a code' }).isVisible(), false)
})

test('saying ‘this is not for me’ stops the parcel and tells the sender', async () => {
  const sender = await aSentParcel()
  const { page } = await aRecipient()
  await page.getByText('This is not for me').click()
  await shot(page, 'collect-not-me')
  await page.getByRole('button', { name: 'Stop this parcel' }).click()
  await page.getByRole('heading', { name: 'You told us that this was not for you' }).waitFor()
  await sender.page.getByText('They say that it is not for them').waitFor()
})

test('another browser of the same recipient reads the terms again, because its key is another', async () => {
  const sender = await aSentParcel()
  await acknowledge((await aRecipient()).page)
  const { context, page } = await aRecipient()
  await acknowledge(page)
  await openWith(page, await wordsOn(sender.page))
  await isInside(page)
  await saveBy(page, 'Save')
  await page.getByRole('link', { name: 'Download the receipt' }).waitFor()
  await context.close()
})

test('a browser without ChaCha20-Poly1305 and Ed25519 of its own seals, signs, opens and signs for it all the same', async () => {
  const lacking = () => {
    for (const name of ['importKey', 'generateKey'] as const) {
      const own = crypto.subtle[name].bind(crypto.subtle) as (...args: unknown[]) => Promise<unknown>
      const missing = (arg: unknown) => arg === 'ChaCha20-Poly1305' || arg === 'Ed25519'
      const refuse = () => Promise.reject(new DOMException('Not here', 'NotSupportedError'))
      Object.assign(crypto.subtle, { [name]: (...args: unknown[]) => (args.some(missing) ? refuse() : own(...args)) })
    }
  }
  /** Tells of each run that a helper did. After its second one it ends, when helpers are to fail. */
  const helped = (fails: boolean) => {
    Object.defineProperty(navigator, 'hardwareConcurrency', { value: 3 })
    globalThis.Worker = class extends Worker {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        super(...args)
        let heard = 0
        this.addEventListener('message', () => {
          heard += 1
          if (heard > 1) console.info('a helper did a run')
          if (!fails || heard <= 2) return
          this.terminate()
          this.dispatchEvent(new ErrorEvent('error'))
        })
      }
    }
  }
  const without = async ({ context, page }: { context: BrowserContext; page: Page }, { fails = false } = {}) => {
    const seen = { scripts: [] as string[], runs: 0 }
    page.on('console', (said) => void (seen.runs += said.text() === 'a helper did a run' ? 1 : 0))
    await context.addInitScript(lacking)
    await context.route('**/*-worker.js', async (route) => {
      seen.scripts.push(route.request().url().split('/').pop()!)
      const response = await route.fetch()
      const before = `(${String(lacking)})();(${String(helped)})(${fails});`
      await route.fulfill({ response, body: before + (await response.text()) })
    })
    await page.reload()
    return seen
  }
  const scan = join(folder, 'scan-of-100.bin')
  const scanned = Buffer.alloc(100_000_000, randomBytes(65_521))
  await writeFile(scan, scanned)
  const sender = await aSender()
  const sealing = await without(sender)
  await sender.page.setInputFiles('[data-input=files]', [scan])
  await pressSeal(sender.page)
  await isSent(sender.page)
  assert.deepEqual(sealing.scripts, ['seal-worker.js'])
  assert.ok(sealing.runs > 2, `helpers sealed ${sealing.runs} runs`)
  const words = await wordsOn(sender.page)
  for (const fails of [false, true]) {
    const recipient = await aRecipient()
    const opening = await without(recipient, { fails })
    const { page, complaints, context } = recipient
    await acknowledge(page)
    await openWith(page, words)
    await isInside(page)
    assert.match(await page.innerText('main'), /Signed by the sender’s own device/)
    const saved = await saveBy(page, 'Save')
    assert.ok(scanned.equals(await readFile(await saved.path())))
    await page.getByRole('link', { name: 'Download the receipt' }).waitFor()
    assert.deepEqual(opening.scripts, ['open-worker.js'])
    assert.ok(fails ? opening.runs >= 2 : opening.runs > 2, `helpers opened ${opening.runs} runs`)
    assert.deepEqual(complaints, [])
    await context.close()
  }
  assert.deepEqual(sender.complaints, [])
})

test('a parcel locked to a registered key needs no words, and opens with that key alone', async () => {
  const desk = await Browser.of(remote(url), 'Grace Oduya')
  const { id } = await desk.post<{ id: string }>('/api/transfers')
  const { found } = await desk.post<{ found: { id: string; organisationId: string; name: string }[] }>(
    `/api/transfers/${id}/who/search`,
    { q: 'Amir' },
  )
  const at = `/api/organisations/${found[0]!.organisationId}/people/${found[0]!.id}`
  const identity = identityFrom(randomBytes(32), true)
  const ageRecipient = await recipientOf(identity)
  await desk.post(at, {
    fullName: found[0]!.name,
    email: sergeant.email,
    partnerLogin: false,
    cjsmAccount: false,
    active: true,
    ageRecipient,
  })

  const sender = await aSentParcel()
  await sender.page.getByText('No words needed').waitFor()
  const { page, complaints } = await aRecipient()
  await acknowledge(page)
  await page.getByLabel('Your age key').fill(identityFrom(randomBytes(32), true))
  await page.getByRole('button', { name: 'Open', exact: true }).click()
  await page.getByRole('heading', { name: 'This key does not open it' }).waitFor()
  const key = { name: 'key.txt', mimeType: 'text/plain', buffer: Buffer.from(`# my key\n${identity}\n`) }
  await page.setInputFiles('#keyFile', key)
  await page.getByRole('button', { name: 'Open', exact: true }).click()
  await isInside(page)
  await saveBy(page, 'Save')
  await page.getByRole('link', { name: 'Download the receipt' }).waitFor()
  assert.deepEqual([...sender.complaints, ...complaints], [])
})

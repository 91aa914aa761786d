/** Sending and collecting in Firefox, which has no ChaCha20-Poly1305 of its own: reported, without a goal. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeIn, Browser } from '#test/house'
import { aReadyTransfer, sergeant } from '#test/sending'
import { aFirefox, choose, press, sealAndSend, type Firefox } from '../journeys/firefox.ts'
import { aDemonstration, remote } from '../journeys/support.ts'
import { untilSaved } from './browsers.ts'
import { plainServer, type PlainServer } from './plain-server.ts'
import { median, shown, type Asked, type Row } from './rows.ts'
import { makeFile } from './sealing.ts'

/** Since then, in seconds. */
const secondsFrom = (ms: number, until: number) => (until - ms) / 1_000

async function putAndGet(firefox: Firefox, plain: PlainServer, path: string) {
  const page = await firefox.newPage()
  await page.goto(plain.url)
  await choose(page, 'input', path)
  const putMs = Date.now()
  await page.$eval('#put', (button) => (button as HTMLElement).click())
  const put = secondsFrom(putMs, await plain.said())
  const getMs = Date.now()
  await page.$eval('#get', (link) => (link as HTMLElement).click())
  const get = secondsFrom(getMs, await untilSaved(firefox.downloads, (await stat(path)).size))
  await page.close()
  return { put, get }
}

async function send(firefox: Firefox, url: string, sender: Browser, path: string) {
  const transferId = await aReadyTransfer(sender)
  const page = await firefox.newPage()
  const { pressedMs, words } = await sealAndSend(page, url, transferId, path)
  const seconds = secondsFrom(pressedMs, Date.now())
  await page.close()
  return { seconds, words }
}

interface Mail {
  text: string
  links: { url: string }[]
}

async function collect(firefox: Firefox, sender: Browser, words: string, sizeBytes: number) {
  const mails = async () =>
    (await sender.get<{ mails: Mail[] }>(`/api/demonstration/outbox?to=${sergeant.email}`)).mails
  const link = (await mails()).flatMap(({ links }) => links).find((each) => each.url.includes('/collect/'))!
  const page = await firefox.newPage()
  await page.goto(link.url)
  await press(page, 'Send me a code')
  await page.waitForSelector('#code')
  await page.locator('#code').fill((await mails()).map(({ text }) => codeIn(text)).find((code) => code !== undefined)!)
  await press(page, 'Continue')
  await page.waitForSelector('#purpose')
  await page.$$eval('input[type=checkbox]', (boxes) => boxes.forEach((box) => box.click()))
  await press(page, 'Open the parcel')
  await page.waitForSelector('#phrase', { visible: true })
  await page.locator('#phrase').fill(words)
  const fromMs = Date.now()
  await press(page, 'Open')
  await press(page, 'Save')
  const seconds = secondsFrom(fromMs, await untilSaved(firefox.downloads, sizeBytes))
  await page.close()
  return seconds
}

export async function firefoxRows({ gib, rounds }: Asked, folder: string): Promise<Row[]> {
  const path = join(folder, 'plain')
  const sizeBytes = gib * 2 ** 30
  await makeFile(path, sizeBytes)
  const cleaning: (() => Promise<void>)[] = []
  const t = { after: (clean: () => Promise<void>) => void cleaning.unshift(clean) }
  const taken = { put: [], send: [], get: [], collect: [] } as Record<'put' | 'send' | 'get' | 'collect', number[]>
  const plain = await plainServer(folder)
  try {
    const { url } = await aDemonstration(t)
    const firefox = await aFirefox(t)
    const sender = await Browser.of(remote(url), 'Priya Nair')
    for (let round = 0; round < rounds; round += 1) {
      const clear = await putAndGet(firefox, plain, path)
      const sent = await send(firefox, url, sender, path)
      taken.put.push(clear.put)
      taken.get.push(clear.get)
      taken.send.push(sent.seconds)
      taken.collect.push(await collect(firefox, sender, sent.words, sizeBytes))
    }
  } finally {
    plain.end()
    for (const clean of cleaning) await clean()
  }
  const row = (what: string, ours: number[], theirs: number[]): Row => ({
    row: `Firefox: ${what}`,
    ours: shown(ours, 's'),
    theirs: shown(theirs, 's'),
    ratio: median(theirs) / median(ours),
    goal: 'reported',
  })
  return [
    row(`send ${gib} GiB until it is on disk, against a plain PUT`, taken.send, taken.put),
    row(`collect ${gib} GiB to disk, against a plain GET`, taken.collect, taken.get),
  ]
}

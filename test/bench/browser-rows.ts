/** The browsers' rows. Each round begins with bytes in clear, so that both stand beside each other. */
import { join } from 'node:path'
import { aDemonstration } from '../journeys/support.ts'
import { collect, putAndGet, sealAlone, send, type Chosen } from './browsers.ts'
import { startChromium, type Prepared } from './chromium.ts'
import { plainServer } from './plain-server.ts'
import { median, shown, type Asked, type Row } from './rows.ts'
import { makeFile, makeFiles, memoryRow } from './sealing.ts'

const mib = 2 ** 20

/** A ratio of what theirs took to what ours took; the first round of a browser, which is the cold one, stands apart. */
function ratioRow(row: string, goal: string, ours: number[], theirs: number[]): Row {
  const warm = (taken: number[]) => (taken.length > 1 ? taken.slice(1) : taken)
  const said = (taken: number[]) => `${shown(warm(taken), 's')}; cold ${taken[0]!.toFixed(2)} s`
  return { row, ours: said(ours), theirs: said(theirs), ratio: median(warm(theirs)) / median(warm(ours)), goal }
}

/** Sends and collects in a browser and a demonstration of their own. */
async function inChromium<T>(work: (browser: Prepared, url: string) => Promise<T>): Promise<T> {
  const cleaning: (() => Promise<void>)[] = []
  const demonstration = await aDemonstration({ after: (clean) => void cleaning.push(clean) })
  const browser = await startChromium()
  try {
    return await work(browser, demonstration.url)
  } finally {
    await browser.end()
    for (const clean of cleaning) await clean()
  }
}

const passed = async (browser: Prepared, url: string, chosen: Chosen) => {
  const sent = await send(browser, url, chosen)
  return { sent, collected: await collect(browser, url, sent.words, chosen.sizeBytes) }
}

/** One large file: sealed alone, sent and collected, against the same in clear. */
async function largeFile({ gib, rounds }: Asked, folder: string): Promise<Row[]> {
  const path = join(folder, 'plain')
  const sizeBytes = gib * 1_024 * mib
  await makeFile(path, sizeBytes)
  const plain = await plainServer(folder)
  const taken = { bare: [], seal: [], put: [], send: [], get: [], collect: [] } as Record<string, number[]>
  try {
    await inChromium(async (browser, url) => {
      // One round more than asked for: the first is cold.
      for (let round = 0; round <= rounds; round += 1) {
        for (const act of ['bare', 'seal'] as const) taken[act]!.push(await sealAlone(browser, plain, path, act))
        const { put, get } = await putAndGet(browser, plain, path)
        const { sent, collected } = await passed(browser, url, { input: 'files', paths: [path], sizeBytes })
        taken.put!.push(put)
        taken.get!.push(get)
        taken.send!.push(sent.seconds)
        taken.collect!.push(collected.seconds)
      }
    })
  } finally {
    plain.end()
  }
  const row = (what: string, goal: string, ours: string, theirs: string) =>
    ratioRow(`Chromium: ${what}`, goal, taken[ours]!, taken[theirs]!)
  return [
    row(`seal ${gib} GiB, against reading and WebCrypto alone`, '≥ 0.8', 'seal', 'bare'),
    row(`send ${gib} GiB until it is on disk, against a plain PUT`, '≥ 0.75', 'send', 'put'),
    row(`collect ${gib} GiB to disk, against a plain GET`, '≥ 0.5', 'collect', 'get'),
  ]
}

/** Ten thousand small files against one of their size; ten times as many, once. */
async function manyFiles({ rounds }: Asked, folder: string): Promise<Row[]> {
  const sizeBytes = 10_000 * 10 * 1_024
  await makeFile(join(folder, 'one'), sizeBytes)
  await makeFiles(join(folder, 'many'), 10_000)
  const one: Chosen = { input: 'files', paths: [join(folder, 'one')], sizeBytes }
  const many: Chosen = { input: 'folder', paths: [join(folder, 'many')], sizeBytes }
  const taken = { one: [], many: [], collectOne: [], collectMany: [] } as Record<string, number[]>
  await inChromium(async (browser, url) => {
    for (let round = 0; round <= rounds; round += 1)
      for (const [name, into, chosen] of [
        ['one', 'collectOne', one],
        ['many', 'collectMany', many],
      ] as const) {
        const { sent, collected } = await passed(browser, url, chosen)
        taken[name]!.push(sent.seconds)
        taken[into]!.push(collected.seconds)
      }
  })
  await makeFiles(join(folder, 'most'), 100_000)
  const most: Chosen = { input: 'folder', paths: [join(folder, 'most')], sizeBytes: 10 * sizeBytes }
  const { sent, collected } = await inChromium(async (browser, url) => passed(browser, url, most))
  const mostRow = (what: string, ours: number, theirs: number[]): Row => ({
    row: `Chromium: ${what} 100,000 files, against 10,000`,
    ours: `${ours.toFixed(1)} s`,
    theirs: shown(theirs, 's'),
    ratio: ours / median(theirs),
    goal: '≤ 12: it works, and grows with their number',
  })
  return [
    ratioRow('Chromium: send 10,000 files of 10 KiB, against one of their size', '≥ 0.5', taken.many!, taken.one!),
    ratioRow('Chromium: collect them (zip), against the one', '≥ 0.5', taken.collectMany!, taken.collectOne!),
    mostRow('send', sent.seconds, taken.many!),
    mostRow('collect', collected.seconds, taken.collectMany!),
  ]
}

/** What the page holds, in a browser of its own for each size: pages of one site share a process, and what it has kept. */
async function pageMemory({ gib, memoryGib }: Asked, folder: string): Promise<Row[]> {
  const path = join(folder, 'plain')
  const held = async (gibibytes: number) => {
    const sizeBytes = gibibytes * 1_024 * mib
    await makeFile(path, sizeBytes)
    return inChromium(async (browser, url) => passed(browser, url, { input: 'files', paths: [path], sizeBytes }))
  }
  const [small, large] = [await held(gib), await held(memoryGib)]
  const row = (what: string, of: (taken: typeof small) => number) =>
    memoryRow(`Chromium: page’s memory to ${what} ${memoryGib} GiB, against ${gib} GiB`, of(small), of(large), 300)
  return [row('send', ({ sent }) => sent.pageMib), row('collect', ({ collected }) => collected.pageMib)]
}

export async function browserRows(asked: Asked, folder: string): Promise<Row[]> {
  return [
    ...(await largeFile(asked, folder)),
    ...(await manyFiles(asked, folder)),
    ...(await pageMemory(asked, folder)),
  ]
}

/** Takes a picture of every page into `docs/pictures`: `npm run pictures`. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aChromium, aDemonstration } from '../test/journeys/support.ts'
import { walk } from '../test/journeys/walk.ts'

const out = join(import.meta.dirname, '../docs/pictures')
await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const folder = await mkdtemp(join(tmpdir(), 'safehand-pictures-'))
const cleaning: (() => Promise<void>)[] = []
const t = { after: (clean: () => Promise<void>) => void cleaning.push(clean) }
try {
  const demonstration = await aDemonstration(t)
  const browser = await aChromium(t)
  await walk(browser, demonstration, folder, async (page, name) => {
    const { width, height } = await page.evaluate(() => ({
      width: document.documentElement.clientWidth,
      height: document.documentElement.scrollHeight,
    }))
    // Of a very long page its beginning tells enough.
    const clip = { x: 0, y: 0, width, height: Math.min(height, 3_000) }
    await page.screenshot({ path: join(out, `${name}.png`), fullPage: true, clip })
    console.log(name)
  })
} finally {
  for (const clean of cleaning.reverse()) await clean()
  await rm(folder, { recursive: true, force: true })
}

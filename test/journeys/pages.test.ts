/** Every page, as a person meets it: accessible, at home on a narrow screen, and without a complaint in its console. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { aChromium, aDemonstration, complaintsOf, faultsOf, overflowOf, signIn } from './support.ts'
import { walk } from './walk.ts'

const demonstration = await aDemonstration({ after })
const chromium = await aChromium({ after })
const folder = await mkdtemp(join(tmpdir(), 'safehand-walk-'))
after(() => rm(folder, { recursive: true, force: true }))

test('every page is accessible, fits a narrow screen, and names itself without anybody’s name', async () => {
  const faults: string[] = []
  const watched = new Set<Page>()
  await walk(chromium, demonstration, folder, async (page, name) => {
    if (!watched.has(page)) {
      watched.add(page)
      page.on('pageerror', (error) => faults.push(`${name}: ${error}`))
    }
    for (const fault of await faultsOf(page)) faults.push(`${name}: ${fault}`)
    const before = page.viewportSize()!
    await page.setViewportSize({ width: 320, height: 640 })
    for (const wide of await overflowOf(page)) faults.push(`${name} at 320 px: ${wide}`)
    await page.setViewportSize(before)
    const title = await page.title()
    if (/Khan|Priya|Nair|Report/.test(title.replace('Reported problem', '')))
      faults.push(`${name}: its title names somebody: ${title}`)
    if ((await page.locator('h1').count()) !== 1 && (await page.locator('h1:visible').count()) !== 1)
      faults.push(`${name}: it has not one heading`)
  })
  assert.equal(faults.join('\n'), '')
})

test('a transfer is started, answered and decided with the keyboard alone', async () => {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const complaints = complaintsOf(page)
  await signIn(page, demonstration.url, 'Tom Fletcher')
  /** Tabs until what has the focus is the one. */
  const tabTo = async (is: string) => {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      await page.keyboard.press('Tab')
      if (await page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, is)) return
    }
    assert.fail(`The keyboard does not reach ${is} on ${page.url()}`)
  }
  await tabTo('form[action="/transfers"] button')
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/who$/)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Skip to main content')
  await page.keyboard.press('Enter')
  await tabTo('input[name=to]')
  while (!(await page.locator('input[name=to][value=individual]').isChecked())) await page.keyboard.press('ArrowDown')
  await tabTo('main form[action$="/who"] button')
  await page.keyboard.press('Enter')
  await page.waitForURL(/sensitivity$/)
  await tabTo('input[name="council-class"]')
  await page.keyboard.press('Space')
  await tabTo('main form button')
  await page.keyboard.press('Enter')
  await page.waitForURL(/decision$/)
  assert.match(await page.innerText('h1'), /Email it as usual/)
  assert.deepEqual(complaints, [])
})

test('every page but sealing and opening works without JavaScript', async () => {
  const context = await chromium.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await signIn(page, demonstration.url, 'Tom Fletcher')
  await page.getByRole('button', { name: 'Share information' }).click()
  await page.locator('input[name=to][value=individual]').check()
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.locator('input[name="council-class"][value=controlled]').check()
  await page.locator('input[name=personal][value=yes]').check()
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.locator('input[name=artefact][value=file]').check()
  await page.locator('input[name=size]').first().check()
  await page.getByRole('button', { name: 'Continue' }).click()
  for (const name of ['purpose', 'urgency']) await page.locator(`input[name=${name}]`).last().check()
  await page.getByRole('button', { name: 'Continue' }).click()
  assert.match(page.url(), /decision$/)
})

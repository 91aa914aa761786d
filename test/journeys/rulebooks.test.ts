/** A governance officer and the three rulebooks of an organisation, stacked: read, seen as a picture, tried out. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { aChromium, aDemonstration, complaintsOf, faultsOf, overflowOf, signIn } from './support.ts'

const { url } = await aDemonstration({ after }, { SAFEHAND_RULEBOOKS: 'council,practitioner,ministry' })
const chromium = await aChromium({ after })
/** Where to put pictures of the pages, for whoever wants to look at them. */
const pictures = process.env.SAFEHAND_PICTURES

/** What is wrong with a page as it is shown: wide and as narrow as it may be. */
async function look(page: Page, name: string): Promise<string[]> {
  const faults = await faultsOf(page)
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 900 })
    for (const wide of await overflowOf(page)) faults.push(`at ${width} px: ${wide}`)
    if (pictures) await page.screenshot({ path: join(pictures, `${name}-${width}.png`), fullPage: true })
  }
  return faults.map((fault) => `${name}: ${fault}`)
}

test('an officer goes from a rule to its matrix, from a cell to its reasons, and on to the next question', async () => {
  const page = await (await chromium.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
  const complaints = complaintsOf(page)
  const faults: string[] = []
  await signIn(page, url, 'Helen Marsh')
  await page.getByRole('link', { name: 'Rulebooks' }).click()
  assert.equal(await page.locator('tbody tr').count(), 3)
  faults.push(...(await look(page, 'list')))
  await page.locator('tbody a').first().click()
  faults.push(...(await look(page, 'document')))
  await page.getByRole('link', { name: /^See it in the matrix ?: Ordinary email is not secure/ }).click()
  assert.equal(await page.innerText('h1'), 'Matrix: Ordinary email')
  faults.push(...(await look(page, 'matrix')))
  await page
    .locator('table a')
    .filter({ hasText: /^No: Any other work or home address, Controlled/ })
    .click()
  assert.equal(new URL(page.url()).hash, '#method-standard_email')
  assert.ok(await page.getByText('Ordinary email: you cannot use this here.').isVisible())
  assert.ok(
    await page
      .getByText(/Sharing information \(council\): No\./)
      .first()
      .isVisible(),
  )
  faults.push(...(await look(page, 'what-if')))
  const known = await page.locator('.sh-tests dt').count()
  await page.locator('h2:has-text("What is asked next") ~ ul a').first().click()
  assert.equal(await page.locator('.sh-tests dt').count(), known + 1)
  assert.equal(faults.join('\n'), '')
  assert.deepEqual(complaints, [])
})

test('cases and analysis are sound and accessible, and the form works without JavaScript', async () => {
  const context = await chromium.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await signIn(page, url, 'Peter Lang')
  await page.goto(`${url}/rulebooks/matrix`)
  await page.selectOption('#_rows', { label: 'Who is it for?' })
  await page.selectOption('#_method', { label: 'Telephone' })
  await page.getByRole('button', { name: 'Show' }).click()
  assert.equal(await page.innerText('h1'), 'Matrix: Telephone')
  const withScripts = await (await chromium.newContext()).newPage()
  await signIn(withScripts, url, 'Helen Marsh')
  const faults: string[] = []
  for (const [name, says] of [
    ['cases', /^All \d+ cases passed/],
    ['analysis', /^No gap, no contradiction/],
  ] as const) {
    await withScripts.goto(`${url}/rulebooks/${name}`)
    assert.match(await withScripts.innerText('.govuk-inset-text'), says)
    const first = withScripts.locator('details').nth(1)
    if (name === 'cases') await first.locator('summary').click()
    faults.push(...(await look(withScripts, name)))
  }
  assert.equal(faults.join('\n'), '')
})

/** An officer publishes a change of a rulebook: from the text to the next decision, in a real browser. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { aVersion, itsCases } from '#test/drafting'
import { aChromium, aDemonstration, complaintsOf, faultsOf, mailedCode, overflowOf, signIn } from './support.ts'

const { url } = await aDemonstration({ after })
const chromium = await aChromium({ after })
const pictures = process.env.SAFEHAND_PICTURES

/** Looks at a page as everybody must be able to use it; and keeps a picture of it where that is wanted. */
async function look(page: Page, name: string): Promise<void> {
  assert.deepEqual(await faultsOf(page), [], name)
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true })
  const before = page.viewportSize()!
  await page.setViewportSize({ width: 320, height: 640 })
  assert.deepEqual(await overflowOf(page), [], `${name} at 320 px`)
  if (pictures) await page.screenshot({ path: `${pictures}/${name}-narrow.png`, fullPage: true })
  await page.setViewportSize(before)
}

const press = (page: Page, name: string) => page.getByRole('button', { name }).click()

test('an officer publishes a change: a mistake is named, a case fails and is changed, a second officer approves, and it decides', async () => {
  const context = await chromium.newContext()
  const helen = await context.newPage()
  const complaints = complaintsOf(helen)
  await signIn(helen, url, 'Helen Marsh')
  await helen.goto(`${url}/rulebooks/council/drafts`)
  await look(helen, 'drafts')
  await helen.getByRole('button', { name: 'Write a new version' }).click()
  const text = helen.getByLabel('The rulebook')
  assert.equal(await text.getAttribute('spellcheck'), 'false')
  await text.fill(aVersion('1.1.0').replace('methods: all', 'methods: al'))
  await press(helen, 'Keep and check the draft')
  await helen.getByRole('heading', { name: 'There is a problem' }).waitFor()
  await look(helen, 'draft-faults')
  assert.match(await text.inputValue(), /methods: al\n/, 'what was typed is there')
  await helen.locator('.govuk-error-summary a').first().click()
  assert.match(await helen.locator('.sh-faults li:target').innerText(), /^Line \d+: 'al' is not a method/)

  await text.fill(aVersion('1.1.0'))
  await press(helen, 'Keep and check the draft')
  await helen.getByText('Fails').first().waitFor()
  await look(helen, 'draft-fails')
  assert.equal(await helen.getByRole('button', { name: 'Offer it for publication' }).count(), 0)
  await helen.getByRole('link', { name: 'Change the draft' }).click()
  await helen.getByLabel('Cases of your own').fill(itsCases)
  await press(helen, 'Keep and check the draft')
  await helen.getByRole('heading', { name: 'It is sound' }).waitFor()
  await look(helen, 'draft-sound')
  await helen.getByRole('link', { name: 'Open transfers that would change' }).click()
  await look(helen, 'draft-transfers')
  await helen.goBack()
  await press(helen, 'Offer it for publication')
  await helen.getByText('You had a part in writing it').waitFor()
  assert.equal(await helen.getByRole('button', { name: 'Approve and publish' }).count(), 0)

  const omar = await (await chromium.newContext()).newPage()
  await signIn(omar, url, 'Omar Siddiq')
  await look(omar, 'home-approve')
  await omar.getByRole('link', { name: /Approve a change of the rulebook/ }).click()
  await look(omar, 'draft-approve')
  await press(omar, 'Approve and publish')
  await omar.getByLabel('Code').fill(await mailedCode(omar.context(), url, 'omar.siddiq@exampleshire.example'))
  await press(omar, 'Confirm and continue')
  await omar.getByText('Published', { exact: true }).waitFor()
  await look(omar, 'draft-published')
  await omar.goto(`${url}/rulebooks/council/drafts`)
  await look(omar, 'versions')
  assert.match(await omar.locator('table').last().innerText(), /1\.1\.0[^]*Helen Marsh[^]*Omar Siddiq/)

  await omar.goto(`${url}/rulebooks`)
  assert.match(await omar.locator('table').innerText(), /1\.1\.0/)
  assert.deepEqual(complaints, [])
})

/** The three commonest transfers where three rulebooks decide together, each page looked at wide and narrow. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { aChromium, aDemonstration, complaintsOf, faultsOf, overflowOf, phone, signIn } from './support.ts'

const { url } = await aDemonstration({ after }, { SAFEHAND_RULEBOOKS: 'council,practitioner,ministry' })
const chromium = await aChromium({ after })
/** Where to put pictures of the pages, for whoever wants to look at them. */
const pictures = process.env.SAFEHAND_PICTURES

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).first().click()

/** What people answer to whatever is asked, by the name of the fact. */
type Answers = Record<string, string>

/** Answers every page of questions that comes, and looks at each. Gives the pages in their order. */
async function answerAll(page: Page, answers: Answers, faults: string[]): Promise<string[]> {
  const asked: string[] = []
  while (!page.url().endsWith('/decision')) {
    assert.ok(asked.length < 12, asked.join(' '))
    const name = page.url().split('/').at(-1)!
    asked.push(name)
    faults.push(...(await look(page, `${answers.who}-${name}`)))
    const names = await page.evaluate(() => [
      ...new Set(
        [...document.querySelectorAll<HTMLInputElement>('main form[method=post] input[type=radio]')].map(
          (each) => each.name,
        ),
      ),
    ])
    for (const fact of names) {
      if (answers[fact] === undefined) assert.fail(`${name} asks ${fact}`)
      await page.locator(`input[name="${fact}"][value="${answers[fact]}"]`).check()
    }
    for (const field of ['informationWords', 'purposeWords', 'whatCouldHappen', 'whyNow'])
      if (await page.locator(`#${field}`).count()) await page.fill(`#${field}`, answers[field] ?? 'As agreed')
    const before = page.url()
    await press(page, /^(Continue|I certify)/)
    await page.waitForURL((now) => now.href !== before)
  }
  faults.push(...(await look(page, `${answers.who}-decision`)))
  return asked
}

async function look(page: Page, name: string): Promise<string[]> {
  const faults = await faultsOf(page)
  const before = page.viewportSize()!
  for (const width of [320, 1100]) {
    await page.setViewportSize({ width, height: 900 })
    for (const wide of await overflowOf(page)) faults.push(`at ${width} px: ${wide}`)
    if (pictures) await page.screenshot({ path: join(pictures, `stacked-${name}-${width}.png`), fullPage: true })
  }
  await page.setViewportSize(before)
  return faults.map((fault) => `${name}: ${fault}`)
}

/** Begins a transfer to somebody in the directory. */
async function begin(page: Page, search: string, label: string | RegExp): Promise<void> {
  await page.goto(url)
  await press(page, 'Share information')
  await page.getByLabel('Find them in the directory').fill(search)
  await press(page, 'Find')
  await page.getByLabel(label).check()
  await press(page, 'Continue')
}

const file: Answers = { artefact: 'file', 'internal-use-only': 'no', personal: 'yes' }

test('an urgent child protection file: telephone the minimum now, then a parcel, and every rulebook is named', async () => {
  const page = await (await chromium.newContext({ viewport: { width: 1100, height: 900 } })).newPage()
  const complaints = complaintsOf(page)
  const faults: string[] = []
  await signIn(page, url, 'Priya Nair')
  await begin(page, 'Amir', 'Sergeant Amir Khan')
  const asked = await answerAll(
    page,
    {
      ...file,
      who: 'urgent',
      'council-class': 'restricted',
      'government-class': 'official',
      size: 'at-most-12000000',
      sensitivity: 'high',
      people: 'at-most-1',
      purpose: 'protect-someone',
      urgency: 'at-risk-now',
      kind: 'share',
      informationWords: 'Child protection report',
      purposeWords: 'To protect a child whose carer was arrested today',
    },
    faults,
  )
  assert.ok(asked.length <= 7, asked.join(' '))
  assert.equal(await page.innerText('h1'), 'Telephone the minimum now, then send it')
  const said = await page.innerText('main')
  for (const book of ['council', 'practitioner', 'ministry']) assert.match(said.toLowerCase(), new RegExp(book), book)
  assert.deepEqual(faults, [])
  assert.deepEqual(complaints, [])
})

test('a public leaflet: two answers, and it is emailed as usual', async () => {
  const page = await (await chromium.newContext({ viewport: { width: 1100, height: 900 } })).newPage()
  const faults: string[] = []
  await signIn(page, url, 'Tom Fletcher')
  await press(page, 'Share information')
  await page.locator('input[name=to][value=individual]').check()
  await press(page, 'Continue')
  const asked = await answerAll(page, { who: 'leaflet', 'council-class': 'published', personal: 'no' }, faults)
  assert.equal(asked.length, 1)
  assert.match(await page.innerText('h1'), /Email it as usual/)
  assert.deepEqual(faults, [])
})

test('a dataset for a department: its owner is asked, and answers from a phone', async () => {
  const page = await (await chromium.newContext({ viewport: { width: 1100, height: 900 } })).newPage()
  const faults: string[] = []
  await signIn(page, url, 'Priya Nair')
  await begin(page, 'Lindqvist', /Maya Lindqvist/)
  await answerAll(
    page,
    {
      ...file,
      who: 'dataset',
      'council-class': 'controlled',
      'government-class': 'official',
      size: 'above-12000000',
      sensitivity: 'none',
      people: 'above-999',
      planned: 'yes',
      purpose: 'statutory-return',
      urgency: 'no-rush',
      kind: 'share',
      informationWords: 'The March extract',
      purposeWords: 'The monthly return that the department asks for',
    },
    faults,
  )
  assert.match(await page.innerText('h1'), /^Ask /)
  await page.getByRole('button', { name: /^Ask/ }).click()
  await page.locator('input[name=role][value=information-asset-owner]').check()
  await page.fill('#question', 'May the March extract go to the department, by the form of last year?')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  const transfer = page.url()

  const hers = await (await chromium.newContext(phone)).newPage()
  await signIn(hers, url, 'Dilys Rowan')
  await hers.locator('main a[href^="/advice/"]').first().click()
  faults.push(...(await look(hers, 'dataset-owner')))
  assert.match(await hers.innerText('main'), /March extract/)
  await hers.fill('#answer', 'Yes, by form 12')
  await hers.selectOption('#settles-movement-form', 'movement-form=authorised')
  await hers.selectOption('#settles-owner-authorised', 'owner-authorised=yes')
  await press(hers, 'Send the answer')

  await page.goto(`${transfer}/decision`)
  const said = await page.innerText('main')
  assert.match(said, /Yes, by form 12/)
  assert.doesNotMatch(said, /Have a data movement form/)
  assert.deepEqual(faults, [])
})

/** A walk past every page, as the people of the demonstration do their work. Whoever calls it looks at each page. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { sergeant } from '#test/sending'
import { apiOf, mailedCode, parcelLink, phone, signIn, type Demonstration } from './support.ts'

/** Called at each page, with the name its picture has. */
export type Look = (page: Page, name: string) => Promise<void>

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).first().click()
const choose = (page: Page, name: string, value: string) =>
  page.locator(`input[name="${name}"][value="${value}"]`).check()

/** DESIGN's first transfer up to the decision: an urgent child protection file for a police officer. */
export async function toUrgentDecision(page: Page, look: Look): Promise<string> {
  await press(page, 'Share information')
  await look(page, 'who')
  await page.getByLabel('Find them in the directory').fill('Amir')
  await press(page, 'Find')
  await look(page, 'who-found')
  await page.getByLabel('Sergeant Amir Khan').check()
  await press(page, 'Continue')
  await look(page, 'sensitivity')
  await press(page, 'Continue')
  await look(page, 'sensitivity-errors')
  await choose(page, 'council-class', 'restricted')
  await choose(page, 'personal', 'yes')
  await press(page, 'Continue')
  await choose(page, 'artefact', 'file')
  await choose(page, 'size', 'at-most-12000000')
  await page.fill('#informationWords', 'Child protection report')
  await page.fill('#caseReference', 'CP-2231')
  await look(page, 'what')
  await press(page, 'Continue')
  await choose(page, 'purpose', 'protect-someone')
  await page.fill('#purposeWords', 'To protect a child whose carer was arrested today')
  await page.fill('#limitsWords', 'Only for this investigation')
  await choose(page, 'urgency', 'at-risk-now')
  await look(page, 'why')
  await press(page, 'Continue')
  await page.fill('#whatCouldHappen', 'A child could be returned to someone who hurt them')
  await page.fill('#whyNow', 'The next visit is at 17:30')
  await look(page, 'emergency')
  await press(page, 'I certify this and continue')
  await page.waitForURL(/decision$/)
  await look(page, 'decision')
  return /transfers\/([^/]+)/.exec(page.url())![1]!
}

/** Confirms the sergeant, records the call, seals a file, and comes to the page that says so. */
async function toSent(page: Page, look: Look, folder: string): Promise<void> {
  await press(page, /^Record the call/)
  await look(page, 'confirm')
  await choose(page, 'authorised', 'yes')
  await choose(page, 'how', 'switchboard')
  await page.fill('#detail', 'Rang the station at 16:42 and was put through')
  await press(page, 'Confirm')
  await choose(page, 'outcome', 'spoke')
  await page.fill('#time', '16:44')
  await look(page, 'call')
  await press(page, 'Save the record')
  await press(page, 'Go on with this transfer')
  await page.waitForURL(/decision$/)
  await press(page, /^Choose files and send/)
  const report = join(folder, 'Report.pdf')
  await writeFile(report, 'A report.\n'.repeat(4000))
  await page.getByRole('button', { name: 'Choose files', exact: true }).waitFor()
  await page.setInputFiles('[data-input=files]', [report])
  await look(page, 'seal')
  await press(page, 'Seal and send')
  await page.getByRole('heading', { name: 'Sealed and sent' }).waitFor()
  await look(page, 'sent')
}

/** The recipient's side at the width of a phone, up to the receipt; `words` are read to them on the way. */
async function collect(
  browser: Browser,
  demonstration: Demonstration,
  look: Look,
  words: () => Promise<string>,
): Promise<void> {
  const { url } = demonstration
  const context = await browser.newContext({ ...phone, acceptDownloads: true })
  const page = await context.newPage()
  await page.goto(await parcelLink(context, url, sergeant.email))
  await look(page, 'collect-start')
  await page.goto(`${page.url().split('#')[0]!}?lang=cy`)
  await look(page, 'collect-start-cy')
  await page.goto(await parcelLink(context, url, sergeant.email))
  await page.goto(`${page.url().split('?')[0]!.split('#')[0]!}?lang=en`)
  await press(page, 'Send me a code')
  await page.getByLabel('Code').waitFor()
  await look(page, 'collect-code')
  await page.getByLabel('Code').fill(await mailedCode(context, url, sergeant.email))
  await press(page, 'Continue')
  await page.getByRole('heading', { name: 'Before you open it' }).waitFor()
  await look(page, 'collect-read')
  for (const id of ['purpose', 'limits', 'handling']) await page.locator(`#${id}`).check()
  await press(page, 'Open the parcel')
  await page.getByLabel('The seven words').waitFor()
  await look(page, 'collect-words')
  await page.getByLabel('The seven words').fill(await words())
  await page.getByRole('button', { name: 'Open', exact: true }).click()
  await page.getByText('Checked. You can save it now.').waitFor({ timeout: 120_000 })
  await look(page, 'collect-inside')
  const download = page.waitForEvent('download')
  await page.locator('[data-save]:visible').first().click()
  await download
  await page.getByRole('link', { name: 'Download the receipt' }).waitFor({ timeout: 120_000 })
  await look(page, 'collect-receipt')
  await context.close()
}

/** The question before there is anything to send; then its answers become a transfer, which in the end is not shared. */
async function mayI(page: Page, url: string, look: Look): Promise<void> {
  const answer = async (name: string, value: string) => {
    await choose(page, name, value)
    await press(page, 'Continue')
  }
  await page.goto(`${url}/`)
  await page.getByRole('link', { name: /^May I/ }).click()
  await look(page, 'may-i')
  await answer('audience', 'organisation')
  await page.getByLabel('Find it in the directory').fill('Northbrook')
  await press(page, 'Find')
  await look(page, 'may-i-organisation')
  await page.getByLabel('Northbrook Police').check()
  await press(page, 'Continue')
  await answer('address', 'ordinary')
  for (
    let left = 12;
    left > 0 && !(await page.getByRole('button', { name: /^Start a transfer/ }).isVisible());
    left -= 1
  ) {
    const help = page.getByRole('link', { name: 'Help me choose' })
    if (await help.isVisible()) {
      await help.click()
      await page.locator('input[name=_restricted][value=no]').check()
      await page.locator('input[name=_controlled][value=yes]').check()
      await press(page, 'See which it is')
      await look(page, 'classify')
      await page.getByRole('button', { name: 'Go back with this answer' }).click()
    } else await page.locator('input[type=radio]:not([value=not-sure])').last().check()
    await press(page, 'Continue')
  }
  await look(page, 'may-i-answer')
  await press(page, 'Start a transfer with these answers')
  await page.waitForURL(/\/who$/)
  const transfer = page.url().replace(/\/who$/, '')
  await page.goto(`${transfer}/look-through`)
  await look(page, 'look-through')
  await page.goto(`${transfer}/decision`)
  await page.getByText('I have decided not to share it').click()
  await page.getByLabel('Why not?').fill('They have it already')
  await press(page, 'Record that it is not shared')
  await look(page, 'not-shared')
}

/** What the others do: the leaflet, advice, reviews, the directory, a problem. */
async function others(page: Page, url: string, look: Look, transferId: string): Promise<void> {
  await signIn(page, url, 'Tom Fletcher')
  await press(page, 'Share information')
  await choose(page, 'to', 'individual')
  await press(page, 'Continue')
  await choose(page, 'council-class', 'published')
  await press(page, 'Continue')
  await look(page, 'decision-leaflet')
  await press(page, /^Save a note/)
  await look(page, 'sent-another-way')
  await mayI(page, url, look)
  await page.goto(`${url}/`)
  await press(page, 'Share information')
  await choose(page, 'to', 'not-sure')
  await press(page, 'Continue')
  for (let left = 5; left > 0 && !page.url().endsWith('/decision'); left -= 1) {
    for (const radio of await page.locator('input[type=radio][value=not-sure]').all())
      if (await radio.isVisible()) await radio.check()
    await press(page, 'Continue')
  }
  await look(page, 'decision-not-sure')
  await page.getByRole('button', { name: /^Ask/ }).click()
  await look(page, 'ask-advice')
  await page.fill('#question', 'A resident sent this to us by mistake. What is it, and who may have it?')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await page.goto(`${url}/transfers/00000000-0000-4000-8000-000000000000`)
  await look(page, 'not-found')

  await signIn(page, url, 'Grace Oduya')
  await look(page, 'home-service-desk')
  await page.goto(`${url}/advice`)
  await look(page, 'advice')
  await page.locator('main a[href^="/advice/"]').first().click()
  await look(page, 'advice-answer')
  for (const path of ['grants', 'organisations']) {
    await page.goto(`${url}/${path}`)
    await look(page, path)
  }
  await page.getByRole('link', { name: 'Northbrook Police' }).click()
  await look(page, 'organisation')

  await signIn(page, url, 'Helen Marsh')
  for (const path of ['certifications', 'exceptions', 'agreements', 'agreements/new']) {
    await page.goto(`${url}/${path}`)
    await look(page, path.replace('/', '-'))
  }
  for (const path of ['', '/council', '/matrix', '/what-if', '/cases', '/analysis']) {
    await page.goto(`${url}/rulebooks${path}`)
    await look(page, `rulebooks${path.replace('/', '-')}`)
  }
  await page.goto(`${url}/transfers/${transferId}`)
  await look(page, 'transfer-read-by-governance')

  await signIn(page, url, 'Martin Ashdown')
  await look(page, 'home-manager')
  await page.locator('main a[href^="/problems-reported/"]').first().click()
  await look(page, 'problem-to-record')
}

/** The whole walk. `folder` is for the files that are sent. */
export async function walk(browser: Browser, demonstration: Demonstration, folder: string, look: Look): Promise<void> {
  const { url } = demonstration
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 } })
  const page = await context.newPage()
  await page.goto(`${url}/sign-in`)
  await look(page, 'sign-in')
  await page.fill('#email', 'priya.nair@exampleshire.example')
  await press(page, 'Send me a code')
  await look(page, 'sign-in-code')
  await page.goto(`${url}/demonstration`)
  await look(page, 'demonstration')
  await signIn(page, url, 'Priya Nair')
  const transferId = await toUrgentDecision(page, look)
  await toSent(page, look, folder)
  await collect(browser, demonstration, look, async () => {
    await page.getByText('Ring now').waitFor()
    await look(page, 'ring-now')
    return (await page.locator('[data-phrase] li').allTextContents()).join(' ')
  })
  await page.goto(`${url}/transfers/${transferId}`)
  await look(page, 'transfer')
  for (const path of ['record', 'recall', 'problem']) {
    await page.goto(`${url}/transfers/${transferId}/${path}`)
    await look(page, path)
  }
  await choose(page, 'kind', 'wrong-recipient')
  await page.fill('#whatHappened', 'The number may have been an old one')
  await press(page, 'Report it')
  await look(page, 'problem-reported')
  await page.goto(`${url}/`)
  await look(page, 'home')
  for (const path of ['account', 'demonstration/outbox', 'genuine', 'register/check']) {
    await page.goto(`${url}/${path}`)
    await look(page, path.replace('/', '-'))
  }
  await page.goto(`${url}/account`)
  await page.fill('#label', 'Work laptop')
  await press(page, 'Make a token')
  await look(page, 'confirm-act')
  await page.getByLabel('Code').fill('00000000')
  await press(page, 'Confirm and continue')
  await look(page, 'confirm-act-errors')
  await page.getByLabel('Code').fill(await mailedCode(context, url, 'priya.nair@exampleshire.example'))
  await press(page, 'Confirm and continue')
  await page.getByRole('heading', { name: 'Your new token' }).waitFor()
  await page.goto(`${url}/register/check`)
  const { timeline } = await apiOf(context, url).get<{ timeline: { id: string; words: string }[] }>(
    `/api/transfers/${transferId}`,
  )
  const proof = await context.request.get(`${url}/api/transfers/${transferId}/proofs/${timeline[0]!.id}`)
  await page.fill('#receipt', await proof.text())
  await press(page, 'Check')
  await page.locator('[data-verdict=genuine]').waitFor()
  await look(page, 'receipt-genuine')
  await others(page, url, look, transferId)
  await context.close()
}

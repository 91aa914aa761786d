/** Hostile names of files and a hostile message, in a real browser and on the command line. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { runSafehand } from '#shell/cli/safehand'
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
  proveMailbox,
  signIn,
  wordsOn,
} from '../journeys/support.ts'

const demonstration = await aDemonstration({ after })
const { url } = demonstration
const chromium = await aChromium({ after })
const folder = await mkdtemp(join(tmpdir(), 'safehand-hostile-names-'))
after(() => rm(folder, { recursive: true, force: true }))

/** What no parcel may hold, as it would be written to do harm. */
const refused = [
  '<img src=x onerror=alert(1)>.txt',
  '"><script>alert(1)<slash>script>.txt',
  'photo\u202egpj.exe',
  'a\u001b]0;title\u0007.txt',
  'two\nlines.txt',
  'CON.txt',
  'trailing. ',
]
/** What it may: each is only a name, wherever it is shown and saved. */
const allowed = [
  "'onmouseover=alert(1)'.txt",
  '{{7+7}}${7+7}.html',
  '=1+1.csv',
  '&lt;b&gt;&#x3c;img src=x onerror=alert(1)&#x3e;.txt',
  'javascript&colon;alert(1).js',
  '--help',
  '-rf',
  '$(id)`id`;id&id.sh',
  '.htaccess',
  '__proto__',
  'a\u200bb\ufeffc.txt',
  `${'e\u0301\u0323'.repeat(30)}.txt`,
  '👩‍👩‍👧‍👦 مرحبا שלום.txt',
  `${'x'.repeat(240)}.txt`,
  'index.html',
]
const content = '<!doctype html><script>alert(document.domain)</script>'
const message = `<img src=x onerror=alert(1)>{{7*7}}\n</textarea><script>alert(1)</script>`

/** Anything that would mean that a name was taken for more than a name. */
function watch(page: Page): string[] {
  const complaints = complaintsOf(page)
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('popup', (popup) => complaints.push(`a popup: ${popup.url()}`))
  return complaints
}

const noElements = (page: Page) => page.locator('main img, main script, main b, main iframe').count()

test('names that no parcel may hold are refused where they are chosen, and shown as text', async () => {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const complaints = watch(page)
  await signIn(page, url, 'Priya Nair')
  await page.goto(`${url}/transfers/${await aReadyTransfer(apiOf(context, url))}/seal`)
  await page.getByRole('button', { name: 'Choose files', exact: true }).waitFor()
  for (const name of refused) {
    await page.setInputFiles('[data-input=files]', [{ name, mimeType: 'text/plain', buffer: Buffer.from('x') }])
    await page.getByRole('button', { name: 'Seal and send' }).click()
    await page.locator('[data-seal] > [data-problem] > *').first().waitFor()
    assert.equal(await noElements(page), 0, name)
    assert.doesNotMatch(await page.innerText('main'), /[^\P{C}\n]/u)
    await page.reload()
    await page.getByRole('button', { name: 'Choose files', exact: true }).waitFor()
  }
  assert.deepEqual(complaints, [])
})

test('names that it may hold are sealed, opened, shown and saved as names', async () => {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const complaints = watch(page)
  await signIn(page, url, 'Priya Nair')
  const transferId = await aReadyTransfer(apiOf(context, url))
  await page.goto(`${url}/transfers/${transferId}/seal`)
  await page.getByRole('button', { name: 'Choose files', exact: true }).waitFor()
  const chosen = allowed.map((name) => ({ name, mimeType: 'text/html', buffer: Buffer.from(content) }))
  await page.setInputFiles('[data-input=files]', chosen)
  await page.fill('#message', message)
  await page.getByRole('button', { name: 'Seal and send' }).click()
  await page.getByRole('heading', { name: 'Sealed and sent' }).waitFor()
  const words = await wordsOn(page)

  const recipient = await (await chromium.newContext({ acceptDownloads: true })).newPage()
  complaints.push(...watch(recipient))
  const theirs = watch(recipient)
  await proveMailbox(recipient, url, sergeant.email)
  await acknowledge(recipient)
  await openWith(recipient, words)
  await recipient.getByText('Checked. You can save it now.').waitFor()
  const inside = await recipient.innerText('main')
  assert.ok(inside.includes('<img src=x onerror=alert(1)>{{7*7}}') && inside.includes('{{7+7}}${7+7}.html'))
  assert.ok(inside.includes('&lt;b&gt;'))
  assert.match(inside, /a.*b.*c\.txt/)
  assert.doesNotMatch(inside, /[\u200b\ufeff]/, inside)
  assert.equal(await noElements(recipient), 0)
  const before = recipient.url()
  // Chromium asks before a page saves many files one after the other, so most of them come in one.
  for (const press of ['Save all', 'Save index.html', 'Save __proto__', 'Save .htaccess']) {
    const button = recipient.getByRole('button', { name: press })
    const [download] = await Promise.all([recipient.waitForEvent('download'), button.click()])
    assert.doesNotMatch(download.suggestedFilename(), /[/\\<>:"|?*\p{Cc}\u202a-\u202e]|^\.\.?$/u)
    if (press !== 'Save all') assert.equal(await readFile(await download.path(), 'utf8'), content)
    else assert.equal(spawnSync('python3', ['-m', 'zipfile', '-t', await download.path()]).status, 0)
  }
  assert.equal(recipient.url(), before)
  assert.deepEqual([...complaints, ...theirs], [])
})

test('on the command line they are sent, collected and told of, and move no cursor', async () => {
  const data = join(demonstration.folder, 'data')
  const said: string[] = []
  const cli = async (args: string[], env: Record<string, string> = {}) => {
    const lines: string[] = []
    const io = {
      out: (text: string) => void lines.push(text),
      err: (text: string) => void lines.push(text),
      env: { HOME: folder, SAFEHAND_SERVER: url, ...env },
    }
    const code = await runSafehand(args, io)
    said.push(...lines)
    return { code, text: lines.join('\n') }
  }
  const made = await cli(['token', '--person', 'priya.nair@exampleshire.example', '--data', data, '--json'])
  const account = { SAFEHAND_TOKEN: (JSON.parse(made.text) as { token: string }).token }
  const why = [
    '--to',
    sergeant.email,
    '--purpose',
    'A\u001b[2J\u202epurpose\u009b',
    '--reason',
    'protect-someone',
    '--class',
    'restricted',
    '--personal',
    'yes',
    '--confirm',
    'known:x',
    '--left-out',
    'none',
    '--message',
    'b\u001b]0;x\u0007',
    '--json',
  ]
  const good = join(folder, 'good')
  await mkdir(good)
  for (const name of allowed) await writeFile(join(good, name), content)
  for (const name of refused.filter((each) => !each.includes('/'))) {
    const bad = join(folder, `bad-${refused.indexOf(name)}`)
    await mkdir(bad)
    await writeFile(join(bad, name), 'x')
    assert.equal((await cli(['send', bad, ...why], account)).code, 1, name)
    await cli(['send', bad, ...why.slice(0, -1)], account)
    await cli(['digest', join(bad, name)])
  }
  const sent = await cli(
    [
      'send',
      good,
      ...why
        .filter((each) => !each.includes('\u001b'))
        .toSpliced(2, 1, '--purpose', 'A purpose')
        .filter((each) => each !== '--message'),
    ],
    account,
  )
  assert.equal(sent.code, 0, sent.text)
  const context = await chromium.newContext()
  const link = await parcelLink(context, url, sergeant.email)
  await cli(['collect', link])
  const { phrases } = JSON.parse(sent.text) as { phrases: { phrase: string }[] }
  const out = join(folder, 'out')
  const collected = await cli([
    'collect',
    link,
    '--code',
    await mailedCode(context, url, sergeant.email),
    '--words',
    phrases[0]!.phrase,
    '--yes',
    '--out',
    out,
  ])
  assert.equal(collected.code, 0, collected.text)
  assert.deepEqual((await readdir(join(out, 'good'))).toSorted(), allowed.toSorted())
  await cli(['outbox', '--data', data])
  await cli(['fsck', '--data', data])
  assert.ok(said.length > 20)
  for (const line of said) assert.doesNotMatch(line, /[^\P{C}\n]/u)
})

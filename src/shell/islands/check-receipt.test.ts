import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { utf8 } from '#core/kit/bytes'
import { formatVkey, keyTypes } from '#core/register/note'
import { trustPolicyFor } from '#core/register/policy'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', process.env.SAFEHAND_CHROMIUM ?? ''].find(existsSync)
if (program === undefined) throw new Error('This test needs Chromium: apt-get install chromium')

const { outputFiles } = await build({
  entryPoints: [join(import.meta.dirname, 'check-receipt.ts')],
  bundle: true,
  format: 'esm',
  write: false,
})
const html = `<!doctype html><title>Check a receipt</title>
<form data-check-receipt><textarea name="receipt"></textarea><input type="file"><textarea name="key"></textarea><button>Check</button></form>
<div data-verdict tabindex="-1"></div><script type="module" src="/check.js"></script>`

/** Every address that the browser asked for. */
const asked: string[] = []
const server = createServer((request, response) => {
  asked.push(request.url!)
  const isScript = request.url === '/check.js'
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8')
  response.setHeader(
    'content-security-policy',
    "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'",
  )
  response.end(isScript ? outputFiles[0]!.text : html)
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = server.address()
const url = `http://127.0.0.1:${typeof address === 'object' ? address!.port : ''}/`
const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
const page = await browser.newPage()
after(async () => {
  await browser.close()
  server.close()
})

const key = formatVkey(aSigner().vkey)

async function verdictOn(receipt: string, trusted: string) {
  await page.goto(url)
  await page.fill('[name=receipt]', receipt)
  await page.fill('[name=key]', trusted)
  await page.click('button')
  return {
    text: await page.innerText('[data-verdict]'),
    kind: await page.getAttribute('[data-verdict]', 'data-verdict'),
  }
}

test('a pasted receipt is found genuine, and the network is asked for nothing', async () => {
  await page.goto(url)
  asked.length = 0
  await page.fill('[name=receipt]', `${await aReceipt()}  \n`)
  await page.fill('[name=key]', key)
  await page.click('button')
  const text = await page.innerText('[data-verdict]')
  assert.match(text, /^This receipt is genuine\n+parcel-sealed, 2026-01-31/)
  assert.match(text, /UNWITNESSED/)
  assert.deepEqual(asked, [])
})

test('a receipt taken as a file is found genuine', async () => {
  await page.goto(url)
  const file = { name: 'receipt.tlog-proof', mimeType: 'text/plain', buffer: Buffer.from(utf8(await aReceipt(0, 1))) }
  await page.setInputFiles('input[type=file]', file)
  await page.waitForFunction(() => document.querySelector<HTMLTextAreaElement>('[name=receipt]')!.value !== '')
  await page.fill('[name=key]', key)
  await page.click('button')
  assert.match(await page.innerText('[data-verdict]'), /This receipt is genuine/)
})

test('what is wrong is said as on every page', async () => {
  const receipt = await aReceipt()
  assert.deepEqual((await verdictOn(receipt.replace('\n7\n', '\n8\n'), key)).kind, 'refused')
  assert.match((await verdictOn(receipt.replace('\n7\n', '\n8\n'), key)).text, /^The signature is false/)
  assert.match((await verdictOn(receipt, 'nonsense')).text, /^This is not the key of a register/)
  assert.match((await verdictOn('', key)).text, /^This is not a whole receipt/)
  assert.match((await verdictOn(receipt, `log ${key}`)).text, /no quorum/)
})

test('a trust policy may be pasted where the key goes', async () => {
  const policy = trustPolicyFor(aSigner().vkey)
  assert.equal((await verdictOn(await aReceipt(), policy)).kind, 'genuine')
  assert.match((await verdictOn(await aReceipt(), `log ${key}\nquorum nobody`)).text, /nobody is not defined above/)
})

test('a policy that asks for witnesses names who has not signed', async () => {
  const witness = formatVkey(aSigner('witness.example', keyTypes.ed25519Cosignature, 3).vkey)
  const policy = `log ${key}\nwitness neighbour ${witness}\nquorum neighbour\n`
  const { kind, text } = await verdictOn(await aReceipt(), policy)
  assert.equal(kind, 'refused')
  assert.match(text, /Too few of the witnesses[^]*neighbour has not signed\./)
})

test('markup in a receipt is shown as text', async () => {
  const hostile = await aReceipt(
    0,
    1,
    someEvidence({ body: '<img src=x onerror="document.title=1"><script>1</script>' }),
  )
  const { text, kind } = await verdictOn(hostile, key)
  assert.equal(kind, 'genuine')
  assert.match(text, /<img src=x/)
  assert.equal(await page.locator('[data-verdict] img, [data-verdict] script').count(), 0)
})

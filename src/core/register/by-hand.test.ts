import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { formatVkey } from '#core/register/note'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'

const run = promisify(execFile)
const folder = await mkdtemp(join(tmpdir(), 'safehand-by-hand-'))
after(() => rm(folder, { recursive: true }))

const page = await readFile(join(import.meta.dirname, '../../../docs/register.md'), 'utf8')
const script = join(folder, 'check.py')
await writeFile(script, /```python\n(.*?)```/s.exec(page)![1]!)

for (const [program, flag] of [
  ['python3', '--version'],
  ['openssl', 'version'],
] as const) {
  await run(program, [flag]).catch(() => {
    throw new Error(
      `The check by hand in docs/register.md needs ${program}: apt-get install ${program.replace(/\d$/, '3')}`,
    )
  })
}

/** What the script on the page prints about a receipt; rejects when it does not find it genuine. */
async function byHand(receipt: string): Promise<string> {
  const file = join(folder, 'receipt.tlog-proof')
  await writeFile(file, receipt)
  return (await run('python3', [script, file, formatVkey(aSigner().vkey)])).stdout
}

test('the script in docs/register.md finds receipts genuine, at every kind of place', async () => {
  for (const [index, size] of [
    [0, 1],
    [3, 7],
    [6, 7],
    [0, 8],
    [256, 300],
  ] as const) {
    assert.match(await byHand(await aReceipt(index, size)), /Genuine: parcel-sealed 2026-01-31T09:30:00.000Z/)
  }
})

test('it makes the leaf of a body with every kind of character and value', async () => {
  const body = { 'é\u0001"\\/\n\u007f\u2028': ['😀', -5, true, null, {}], a: { c: 'd', b: '' } }
  assert.match(await byHand(await aReceipt(2, 5, someEvidence({ body }))), /Genuine/)
})

test('it refuses receipts that are not genuine', async () => {
  const receipt = await aReceipt()
  const extra = /extra (.*)/.exec(receipt)![1]!
  const forged = Buffer.from(Buffer.from(extra, 'base64').toString().replace('1234', '4321')).toString('base64')
  const wrong = [
    receipt.replace(extra, forged),
    receipt.replace('index 3', 'index 2'),
    receipt.replace('\n7\n', '\n8\n'),
    await aReceipt(3, 7, someEvidence(), aSigner('register.example.gov.uk', 1, 8)),
    await aReceipt(3, 7, someEvidence(), aSigner(), 'other.example'),
  ]
  for (const other of wrong) await assert.rejects(byHand(other))
})

import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Json } from '#core/kit/canonical-json'
import { orThrow } from '#core/kit/outcome'
import { formatVkey, keyTypes, openNote } from '#core/register/note'
import { parseProof } from '#core/register/proof'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'
import { cosign } from '#core/register/witness'
import { keepOnce } from '#edge/keeper/keeper'
import { receiptFor } from '#edge/keeper/receipt'
import { recordEvent } from '#edge/keeper/record'
import { tileFolder } from '#edge/keeper/tiles'
import { freshDatabase } from '#test/database'

const run = promisify(execFile)
const signer = aSigner()
const { db } = (await freshDatabase({ after })).open('owner')
const page = await readFile(join(import.meta.dirname, '../../docs/register.md'), 'utf8')
const blockOf = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)![1]!
let folder: string
let keeper: Parameters<typeof keepOnce>[0]

before(async () => {
  for (const [program, flag] of [
    ['python3', '--version'],
    ['openssl', 'version'],
  ] as const) {
    await run(program, [flag]).catch(() => {
      throw new Error(`The check by hand in docs/register.md needs ${program}: on Debian, apt-get install ${program}.`)
    })
  }
  folder = await mkdtemp(join(tmpdir(), 'safehand-by-hand-'))
  keeper = { db, tiles: tileFolder(join(folder, 'register')), signer }
})
after(() => rm(folder, { recursive: true }))

/** Follows the page, command by command, as a person would. Rejects at the first that fails. */
async function byHand(receipt: string, key = formatVkey(signer.vkey)): Promise<string> {
  const at = await mkdtemp(join(folder, 'check-'))
  await writeFile(join(at, 'check.py'), blockOf('python'))
  await writeFile(join(at, 'receipt.tlog-proof'), receipt)
  const { status, stdout, stderr } = spawnSync('sh', ['-e', '-c', blockOf('bash')], {
    cwd: at,
    env: { ...process.env, KEY: key },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stdout + stderr)
  return stdout
}

const record = (body: Json) => db.transaction().execute((tx) => recordEvent(tx, 'token-made', body))

/** The receipt of an event with this body, from a register of the real keeper. */
async function aRealReceipt(body: Json, others = 5) {
  const { eventId } = await record(body)
  for (let i = 0; i < others; i++) await record({ i })
  orThrow(await keepOnce(keeper))
  return { eventId, receipt: orThrow(await receiptFor(db, keeper, eventId)) }
}

test('the script is at most forty lines long', () => {
  assert.ok(blockOf('python').trimEnd().split('\n').length <= 40)
})

test('a receipt of the real keeper is found genuine by the page alone', async () => {
  const said = await byHand((await aRealReceipt({ sizeBytes: 1234, marking: 'OFFICIAL' })).receipt)
  assert.match(said, /^token-made .*"sizeBytes": 1234/)
  assert.match(said, /Signature Verified Successfully/)
})

test('so is one whose event was erased afterwards, as long as somebody kept it', async () => {
  const { eventId, receipt } = await aRealReceipt({ name: 'somebody' })
  await db.updateTable('registerEvents').set({ salt: null, body: null }).where('id', '=', eventId).execute()
  const gone = await receiptFor(db, keeper, eventId)
  assert.equal(!gone.ok && gone.problem.slug, 'proof-erased')
  assert.match(await byHand(receipt), /"somebody"[^]*Signature Verified Successfully/)
})

test('and one with the lines of witnesses and of a key that came later', async () => {
  const receipt = await aReceipt()
  const { text } = orThrow(openNote(orThrow(parseProof(receipt)).checkpoint, [signer.vkey]))
  const line = await cosign(text, 1_800_000_000, aSigner('witness.example', keyTypes.ed25519Cosignature, 3))
  const next = await cosign(text, 1_800_000_000, aSigner(signer.vkey.name, keyTypes.ed25519, 9))
  assert.match(await byHand(receipt + line + next), /Verified/)
})

test('at every kind of place, with every kind of character', async () => {
  for (const [index, size] of [
    [0, 1],
    [3, 7],
    [6, 7],
    [0, 8],
    [256, 300],
  ] as const)
    assert.match(await byHand(await aReceipt(index, size)), /Verified/)
  const body = { 'é\u0001"\\/\n\u007f\u2028': ['😀', -5, true, null, {}], a: { c: 'd', b: '' } }
  assert.match(await byHand(await aReceipt(2, 5, someEvidence({ body }))), /Verified/)
})

test('receipts that are not genuine are refused, each by one command or the other', async () => {
  const { receipt } = await aRealReceipt({ sizeBytes: 1234 })
  const extra = /extra (.*)/.exec(receipt)![1]!
  const forged = Buffer.from(Buffer.from(extra, 'base64').toString().replace('1234', '4321')).toString('base64')
  const size = Number(/\n\n[^\n]+\n(\d+)\n/.exec(receipt)![1])
  const ending = /(.)(.{5}=+)\n$/.exec(receipt)!
  const python = /(AssertionError: (this is|the event does not stand)|StopIteration)/
  const openssl = /Signature Verification Failure/
  const wrong: [string, RegExp][] = [
    [receipt.replace(extra, forged), python],
    [receipt.replace(/index (\d+)/, (_, n: string) => `index ${Number(n) + 1}`), python],
    [receipt.replace(`\n${size}\n`, `\n${size * 4}\n`), python],
    [receipt.replace('tlog-proof@v1', 'tlog-proof@v2'), python],
    [await aReceipt(3, 7, someEvidence(), signer, 'other.example'), python],
    [await aReceipt(3, 7, someEvidence(), aSigner(signer.vkey.name, 1, 8)), python],
    [receipt.replace(ending[0], `${ending[1] === 'A' ? 'B' : 'A'}${ending[2]}\n`), openssl],
  ]
  for (const [other, why] of wrong) await assert.rejects(byHand(other), why)
  // A key with the same id and another content, as a forger who may write the key would have it.
  const [name, id] = formatVkey(signer.vkey).split('+')
  const other = formatVkey(aSigner('x', 1, 8).vkey)
    .split('+')
    .slice(2)
    .join('+')
  const swapped = `${name}+${id}+${other}`
  await assert.rejects(byHand(receipt, swapped), openssl)
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { concat, toBase64, uint64be } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { cosignedMessage } from '#core/register/cosignature'
import { formatVkey, keyTypes, openNote } from '#core/register/note'
import { trustPolicyFor } from '#core/register/policy'
import { parseProof } from '#core/register/proof'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'
import { runSafehand } from '#shell/cli/safehand'
import { verify } from '#shell/cli/commands/verify'

const folder = await mkdtemp(join(tmpdir(), 'safehand-verify-'))
after(() => rm(folder, { recursive: true }))
const key = formatVkey(aSigner().vkey)
const receipt = await aReceipt()

async function saved(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

async function run(positionals: string[], values: Record<string, string>, json = false) {
  const lines = { out: '', err: '' }
  const io = {
    out: (text: string) => void (lines.out += `${text}\n`),
    err: (text: string) => void (lines.err += `${text}\n`),
    isTerminal: false,
    env: {},
  }
  const code = await verify.run({ positionals, values, json, io })
  return { code, ...lines }
}

test('a receipt is genuine under its key, and the reader is told that nobody witnessed it', async () => {
  const { code, out } = await run([await saved('good', receipt)], { key })
  assert.equal(code, 0)
  assert.match(out, /^Genuine\.\nRegister  register\.example\.gov\.uk, event 3 of 7\nEvent     parcel-sealed\n/)
  assert.match(out, /UNWITNESSED/)
})

test('the verdict is also given as JSON', async () => {
  const file = await saved('good', receipt)
  const good = JSON.parse((await run([file], { key }, true)).out) as Record<string, unknown>
  assert.deepEqual([good.genuine, good.event, good.isUnwitnessed], [true, 'parcel-sealed', true])
  const bad = await run([await saved('bad', receipt.replace('\n7\n', '\n8\n'))], { key }, true)
  assert.equal(bad.code, 1)
  assert.equal((JSON.parse(bad.out) as { problem: string }).problem, 'note-signature-wrong')
})

test('a policy that asks for a witness refuses a receipt without, and names the witness of one with', async () => {
  const witness = aSigner('witness.example', keyTypes.ed25519Cosignature, 3)
  const trust = await saved('policy', `log ${key}\nwitness neighbour ${formatVkey(witness.vkey)}\nquorum neighbour\n`)
  const without = await run([await saved('good', receipt)], { trust })
  assert.equal(without.code, 1)
  assert.match(without.err, /Too few of the witnesses/)
  const { text } = orThrow(openNote(orThrow(parseProof(receipt)).checkpoint, [aSigner().vkey]))
  const signature = concat(witness.vkey.id, uint64be(1), await witness.sign(cosignedMessage(1, text)))
  const cosigned = await saved('cosigned', `${receipt}\u2014 witness.example ${toBase64(signature)}\n`)
  const withOne = await run([cosigned], { trust })
  assert.equal(withOne.code, 0)
  assert.match(withOne.out, /Witnesses neighbour/)
  assert.doesNotMatch(withOne.out, /UNWITNESSED/)
})

test('what is wrong with the key, the policy or the file is said in a sentence', async () => {
  const good = await saved('good', receipt)
  const cases: [string, Record<string, string>, RegExp][] = [
    [good, { key: 'nonsense' }, /not the key of a register/],
    [good, { trust: await saved('nonsense', 'trust everyone') }, /Line 1: trust is not known/],
    [good, { trust: join(folder, 'missing') }, /There is no such file/],
    [join(folder, 'missing'), { key }, /There is no such file/],
    [folder, { key }, /cannot be read/],
    [await saved('binary', new Uint8Array([255, 254])), { key }, /It is not text/],
    [await saved('long', 'x'.repeat(limits.receiptBytes + 1)), { key }, /It is too long/],
    [await saved('longest', 'x'.repeat(limits.receiptBytes)), { key }, /not a whole receipt/],
    [await saved('shorter', 'x'.repeat(limits.receiptBytes - 1)), { key }, /not a whole receipt/],
    [await saved('empty', ''), { key }, /not a whole receipt/],
  ]
  for (const [file, values, sentence] of cases) {
    const { code, err } = await run([file], values)
    assert.equal(code, 1, file)
    assert.match(err, sentence)
    assert.doesNotMatch(err, /Error|at .*\.ts/)
  }
})

test('called wrongly, it says how it is called', async () => {
  const good = await saved('good', receipt)
  for (const [files, values] of [
    [[], { key }],
    [[good, good], { key }],
    [[good], {}],
    [[good], { key, trust: good }],
  ] as const) {
    const { code, err } = await run([...files], { ...values })
    assert.equal(code, 2)
    assert.match(err, /safehand verify FILE --key KEY/)
  }
})

test('what a receipt says cannot move the cursor or turn the direction of text', async () => {
  const hostile = await aReceipt(0, 1, someEvidence({ body: 'a\u001b[2J\u009b\u202eb\u0007' }))
  for (const more of [[], ['--json']]) {
    const lines: string[] = []
    const io = { out: (text: string) => void lines.push(text), err: assert.fail, env: {} }
    assert.equal(await runSafehand(['verify', await saved('hostile', hostile), '--key', key, ...more], io), 0)
    assert.doesNotMatch(lines.join().replaceAll('\n', ''), /\p{C}/u)
    if (more.length > 0) assert.equal((JSON.parse(lines[0]!) as { body: string }).body, 'a\u001b[2J\u009b\u202eb\u0007')
  }
})

test('the whole command answers with its exit code, and needs no server', async () => {
  const file = await saved('good', receipt)
  const main = join(import.meta.dirname, '../../../main.ts')
  const trust = await saved('trust', trustPolicyFor(aSigner().vkey))
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'verify', file, '--trust', trust])
  assert.match(stdout, /^Genuine/)
  const wrong = promisify(execFile)(process.execPath, [main, 'verify', await saved('bad', 'x'), '--trust', trust])
  await assert.rejects(wrong, { code: 1 })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concat, toBase64, toHex, uint64be, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { checkpointText, parseCheckpoint } from '#core/register/checkpoint'
import { cosignedMessage } from '#core/register/cosignature'
import { encodeEvidence, leafOf, parseEvidence } from '#core/register/event'
import { emptyRoot } from '#core/register/merkle'
import { formatVkey, keyTypes, openNote } from '#core/register/note'
import { parseTrustPolicy, trustPolicyFor } from '#core/register/policy'
import { formatProof, parseProof } from '#core/register/proof'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'
import { verifyReceipt } from '#core/register/verify'

const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'accepted' : outcome.problem.slug)
const trusted = orThrow(parseTrustPolicy(trustPolicyFor(aSigner().vkey)))
const receipt = await aReceipt()

test('a leaf is canonical JSON with a commitment in the body’s place', () => {
  assert.equal(
    new TextDecoder().decode(leafOf(someEvidence())),
    '{"at":"2026-01-31T09:30:00.000Z","commitment":"akUpBxxPZheOhebN0/xEdII7djWfmnH2fAEhs6oRd4c=","event":"parcel-sealed","handle":"0123456789abcdef0123456789abcdef","v":1}',
  )
})

test('a leaf depends on every part of the evidence and on nothing else', () => {
  const leaf = toHex(leafOf(someEvidence()))
  assert.equal(toHex(leafOf(someEvidence({ body: { sizeBytes: 1234, parcel: 'p1' } }))), leaf)
  const changes = [
    { event: 'parcel-opened' },
    { handle: 'f'.repeat(32) },
    { at: '2026-01-31T09:30:00.001Z' },
    { salt: new Uint8Array(32) },
    { body: { parcel: 'p1', sizeBytes: 1235 } },
    { body: null },
  ]
  for (const change of changes) assert.notEqual(toHex(leafOf(someEvidence(change))), leaf)
})

test('evidence that does not keep to its format makes no leaf', () => {
  const long = 'a'.repeat(limits.eventNameCharacters)
  assert.ok(leafOf(someEvidence({ event: long.slice(1) })))
  assert.ok(leafOf(someEvidence({ event: long })))
  const wrong = [
    { event: `${long}a` },
    { event: 'Sealed' },
    { event: '' },
    { event: 'a--b' },
    { event: 'a\n' },
    { handle: 'T-2026-1' },
    { at: '2026-01-31' },
    { salt: new Uint8Array(31) },
    { body: { sizeMiB: 1.5 } },
  ]
  for (const change of wrong) assert.throws(() => leafOf(someEvidence(change)), RangeError)
})

test('a leaf stays below its limit whatever its body', () => {
  const leaf = leafOf(
    someEvidence({ event: 'a'.repeat(limits.eventNameCharacters), body: 'x'.repeat(limits.eventBodyBytes) }),
  )
  assert.ok(leaf.length <= limits.leafBytes)
})

test('evidence is read back only from its one canonical text', () => {
  const bytes = encodeEvidence(someEvidence())
  assert.deepEqual(orThrow(parseEvidence(bytes)), someEvidence())
  const text = new TextDecoder().decode(bytes)
  const others = [
    ` ${text}`,
    text.replace('"v":1', '"v":2'),
    text.replace('"v":1', '"more":0,"v":1'),
    text.replace('"v":1', '"v":1,"v":1'),
    text.replace('"body":{', '"body":{"sizeBytes":1,'),
    text.replace('1234', '1.5'),
    text.replace('1234', '1234.0'),
    '[]',
    'null',
    '{}',
    '',
  ]
  for (const other of others) assert.equal(refusal(parseEvidence(utf8(other))), 'proof-malformed', other)
})

test('a checkpoint is read back, and one that is not whole is refused', () => {
  const text = checkpointText({ origin: 'register.example.gov.uk', size: 0, root: emptyRoot() })
  assert.equal(orThrow(parseCheckpoint(text)).size, 0)
  assert.equal(orThrow(parseCheckpoint(`${text}extension\n`)).size, 0)
  const wrong = [
    '',
    '\n',
    text.slice(0, -1),
    `${text}\n`,
    `\n${text}`,
    text.replace('\n0\n', '\n00\n'),
    text.replace('\n0\n', '\n-1\n'),
    text.replace('\n0\n', '\n1e3\n'),
    text.replace('\n0\n', '\n9007199254740992\n'),
    text.replace('U=', 'V='),
    text.replace('47DE', ''),
  ]
  for (const other of wrong) assert.equal(refusal(parseCheckpoint(other)), 'checkpoint-malformed', other)
  assert.equal(orThrow(parseCheckpoint(text.replace('\n0\n', '\n9007199254740991\n'))).size, Number.MAX_SAFE_INTEGER)
})

test('a proof is read back, and one that is not whole is refused', () => {
  assert.equal(formatProof(orThrow(parseProof(receipt))), receipt)
  const hash = toBase64(new Uint8Array(32))
  const make = (middle: string) => `c2sp.org/tlog-proof@v1\n${middle}\n\ncheckpoint`
  const hashes = (count: number) => make(['index 0', ...Array<string>(count).fill(hash)].join('\n'))
  assert.deepEqual(orThrow(parseProof(make('index 0'))), { index: 0, hashes: [], checkpoint: 'checkpoint' })
  for (const count of [62, 63]) assert.equal(orThrow(parseProof(hashes(count))).hashes.length, count)
  const wrong = [
    '',
    make(''),
    make('index 01'),
    make('index -1'),
    make('index'),
    make(`index 0\n${hash.slice(4)}`),
    make('index 0\nx'),
    make('extra x\nindex 0'),
    make('index 0\nextra eA=='),
    make('extra eA==\nextra eA==\nindex 0'),
    make('extra eB==\nindex 0'),
    hashes(64),
    make('index 0').replace('v1', 'v2'),
    make('index 0').replaceAll('\n', '\r\n'),
    `\n${make('index 0')}`,
  ]
  for (const other of wrong) assert.equal(refusal(parseProof(other)), 'proof-malformed', other)
})

test('a receipt is at most 256 KiB long', () => {
  const padded = (length: number) => `c2sp.org/tlog-proof@v1\nindex 0\n\n${'x'.repeat(length - 32)}`
  for (const more of [-1, 0]) assert.equal(refusal(parseProof(padded(limits.receiptBytes + more))), 'accepted')
  assert.equal(refusal(parseProof(padded(limits.receiptBytes + 1))), 'proof-malformed')
})

test('a receipt verifies with nothing but the key, and says that nobody witnessed it', () => {
  assert.deepEqual(orThrow(verifyReceipt(receipt, trusted)), {
    event: 'parcel-sealed',
    at: '2026-01-31T09:30:00.000Z',
    body: { parcel: 'p1', sizeBytes: 1234 },
    origin: 'register.example.gov.uk',
    index: 3,
    size: 7,
    witnesses: [],
    isUnwitnessed: true,
  })
})

test('receipts verify at every place of registers of every size to 9', async () => {
  for (let size = 1; size <= 9; size++) {
    for (let index = 0; index < size; index++) {
      assert.equal(refusal(verifyReceipt(await aReceipt(index, size), trusted)), 'accepted', `${index} of ${size}`)
    }
  }
})

test('a receipt with any byte changed is refused', () => {
  const bytes = utf8(receipt)
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Uint8Array.from(bytes)
      changed[at]! ^= change
      assert.notEqual(refusal(verifyReceipt(new TextDecoder().decode(changed), trusted)), 'accepted')
    }),
    { numRuns: 500 },
  )
})

test('a receipt cut short or lengthened anywhere is refused', () => {
  for (let at = 0; at < receipt.length; at++) {
    assert.notEqual(refusal(verifyReceipt(receipt.slice(0, at), trusted)), 'accepted')
    assert.notEqual(refusal(verifyReceipt(`${receipt.slice(0, at)}x${receipt.slice(at)}`, trusted)), 'accepted')
  }
})

test('each way of being wrong has its own problem', async () => {
  const proof = orThrow(parseProof(receipt))
  const { extra: _extra, ...bare } = proof
  const otherEvidence = { ...proof, extra: encodeEvidence(someEvidence({ body: { parcel: 'p2', sizeBytes: 1234 } })) }
  const cases: [string, string][] = [
    ['nonsense', 'proof-malformed'],
    [formatProof(bare), 'proof-without-evidence'],
    [formatProof({ ...proof, extra: utf8('{}') }), 'proof-malformed'],
    [formatProof({ ...proof, checkpoint: 'nonsense' }), 'note-malformed'],
    [await aReceipt(3, 7, someEvidence(), aSigner('register.example.gov.uk', 1, 8)), 'note-signature-unknown'],
    [receipt.replace('\n7\n', '\n8\n'), 'note-signature-wrong'],
    [await aReceipt(3, 7, someEvidence(), aSigner(), 'other.example'), 'proof-origin-wrong'],
    [formatProof(otherEvidence), 'proof-not-included'],
    [formatProof({ ...proof, index: 2 }), 'proof-not-included'],
  ]
  for (const [text, slug] of cases) assert.equal(refusal(verifyReceipt(text, trusted)), slug)
})

test('a signed text that is no checkpoint is refused', async () => {
  const signature = orThrow(parseProof(await aReceipt(0, 1, someEvidence(), aSigner(), 'a\nb'))).checkpoint
  assert.equal(
    refusal(verifyReceipt(formatProof({ ...orThrow(parseProof(receipt)), checkpoint: signature }), trusted)),
    'checkpoint-malformed',
  )
})

test('a policy with a quorum accepts a receipt only with enough witnesses', async () => {
  const witness = aSigner('witness.example', keyTypes.ed25519Cosignature, 3)
  const policy = orThrow(
    parseTrustPolicy(
      `log ${formatVkey(aSigner().vkey)}\nwitness neighbour ${formatVkey(witness.vkey)}\nquorum neighbour\n`,
    ),
  )
  assert.equal(refusal(verifyReceipt(receipt, policy)), 'proof-not-witnessed')
  const text = orThrow(openNote(orThrow(parseProof(receipt)).checkpoint, trusted.logs)).text
  const signature = concat(
    witness.vkey.id,
    uint64be(1_800_000_000),
    await witness.sign(cosignedMessage(1_800_000_000, text)),
  )
  const cosigned = `${receipt}\u2014 witness.example ${toBase64(signature)}\n`
  const verified = orThrow(verifyReceipt(cosigned, policy))
  assert.deepEqual([verified.witnesses, verified.isUnwitnessed], [['neighbour'], false])
  const withoutLog = orThrow(parseTrustPolicy(`witness neighbour ${formatVkey(witness.vkey)}\nquorum neighbour\n`))
  assert.equal(refusal(verifyReceipt(cosigned, withoutLog)), 'note-signature-unknown')
})

test('any text at all is refused as a receipt', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (garbage) => {
      assert.notEqual(refusal(verifyReceipt(garbage, trusted)), 'accepted')
      assert.notEqual(refusal(verifyReceipt(`c2sp.org/tlog-proof@v1\nindex 0\n\n${garbage}`, trusted)), 'accepted')
      assert.notEqual(refusal(parseCheckpoint(garbage)), 'accepted')
    }),
  )
})

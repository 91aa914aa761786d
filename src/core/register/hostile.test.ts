import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8, type Bytes } from '#core/kit/bytes'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { problems } from '#core/kit/problems'
import { parseCheckpoint } from '#core/register/checkpoint'
import { parseCosignature } from '#core/register/cosignature'
import { parseEvidence } from '#core/register/event'
import { formatVkey, keyTypes, openNote, parseNote, parseVkey } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { parseProof } from '#core/register/proof'
import { aReceipt, aSigner, aSubmission, leafHashes } from '#core/register/small-register'
import { parseBundle } from '#core/register/tile'
import { openTrusted, verifyReceipt } from '#core/register/verify'
import { cosign, mayCosign, openSubmission, takeCosignature } from '#core/register/witness'

const log = aSigner()
const witness = aSigner('witness.example', keyTypes.ed25519Cosignature, 3)
const leaves = leafHashes(40)
const receipt = await aReceipt(5, 40)
const note = orThrow(parseProof(receipt)).checkpoint
const { text } = orThrow(parseNote(note))
const line = await cosign(text, 1_800_000_000, witness)
const policyText = `# whom we trust\nlog ${formatVkey(log.vkey)}\nwitness w ${formatVkey(witness.vkey)} https://w.example\ngroup g any w\nquorum g\n`
const policy = orThrow(parseTrustPolicy(policyText))
const submission = await aSubmission(leaves, 13)
const latest = { origin: log.vkey.name, size: 13, root: new Uint8Array(32) as Bytes }

/** Everything that reads what others wrote, each with something valid of its kind. */
const readers: Record<string, { valid: string; read: (input: string) => Outcome<unknown> }> = {
  key: { valid: formatVkey(witness.vkey), read: parseVkey },
  note: { valid: note + line, read: (input) => openNote(input, [log.vkey, witness.vkey]) },
  checkpoint: { valid: text, read: parseCheckpoint },
  'signed checkpoint': { valid: note + line, read: (input) => openTrusted(input, policy) },
  proof: { valid: receipt, read: parseProof },
  receipt: { valid: receipt + line, read: (input) => verifyReceipt(input, policy) },
  evidence: {
    valid: new TextDecoder().decode(orThrow(parseProof(receipt)).extra),
    read: (input) => parseEvidence(utf8(input)),
  },
  policy: { valid: policyText, read: parseTrustPolicy },
  submission: {
    valid: submission,
    read: (input) => {
      const opened = openSubmission(input, [log.vkey])
      return opened.ok ? mayCosign(opened.value, latest) : opened
    },
  },
  'answer of a witness': { valid: line, read: (input) => takeCosignature(text, input, witness.vkey) },
}

const garbage = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc
    .array(
      fc.constantFrom(
        '\n',
        '\n\n',
        '\u2014 ',
        ' ',
        '+',
        '=',
        'A',
        '0',
        '-1',
        'old ',
        'index ',
        'extra ',
        'log ',
        'quorum none',
        '\u0000',
        '\ud800',
        '\r\n',
        '9007199254740993',
        '__proto__',
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join('')),
)

/** Something valid that was cut, doubled, mixed, or had characters of it replaced, in one to four places. */
const mutated = (valid: string) =>
  fc
    .array(
      fc.tuple(
        fc.constantFrom('cut', 'double', 'replace', 'insert'),
        fc.nat({ max: valid.length }),
        fc.nat({ max: 80 }),
        garbage,
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((changes) =>
      changes.reduce((all, [how, at, length, other]) => {
        const [before, middle, end] = [all.slice(0, at), all.slice(at, at + length), all.slice(at + length)]
        return (
          before +
          { cut: '', double: middle + middle, replace: other.slice(0, length), insert: other + middle }[how] +
          end
        )
      }, valid),
    )

for (const [what, { valid, read }] of Object.entries(readers)) {
  test(`whatever is given as a ${what} is read or named as a problem, and nothing is thrown`, () => {
    const seen = new Set<string>()
    const isNamed = (input: string) => {
      const outcome = read(input)
      if (outcome.ok) return
      seen.add(outcome.problem.slug)
      assert.ok(Object.hasOwn(problems, outcome.problem.slug))
      assert.doesNotMatch(outcome.problem.detail ?? '', /undefined|\[object|Error:/)
    }
    fc.assert(fc.property(garbage, isNamed), { numRuns: 300 })
    fc.assert(fc.property(mutated(valid), isNamed), { numRuns: 400 })
    assert.ok(seen.size > 0, 'something was refused')
  })
}

test('nothing that was changed verifies as another receipt than it was', () => {
  const whole = receipt + line
  const was = orThrow(verifyReceipt(whole, policy))
  fc.assert(
    fc.property(mutated(whole), (input) => {
      const outcome = verifyReceipt(input, policy)
      if (outcome.ok) assert.deepEqual(outcome.value, was)
    }),
    { numRuns: 500 },
  )
})

test('any bytes at all are a cosignature, a bundle, or nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), (bytes) => {
      const own = new Uint8Array(bytes) as Bytes
      const cosignature = parseCosignature(own)
      if (cosignature) assert.ok(Number.isSafeInteger(cosignature.seconds))
      const bundle = parseBundle(own)
      assert.ok(bundle.ok || bundle.problem.slug === 'bundle-malformed')
    }),
  )
})

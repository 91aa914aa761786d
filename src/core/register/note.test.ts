import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toBase64, toHex, uint64be, concat, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { cosignedMessage, parseCosignature } from '#core/register/cosignature'
import { formatVkey, keyTypes, makeVkey, openNote, parseNote, parseVkey, signNote } from '#core/register/note'
import { aSigner } from '#core/register/small-register'

const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'accepted' : outcome.problem.slug)

const TEXT = 'register.example.gov.uk\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n'
const signer = aSigner()
const note = await signNote(TEXT, signer)

/** The example in the documentation of Go's sumdb/note. */
const goKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const goNote =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n" +
  '\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'

test('a note and a key made by another program are accepted', () => {
  const vkey = orThrow(parseVkey(goKey))
  assert.equal(formatVkey(vkey), goKey)
  assert.deepEqual(orThrow(openNote(goNote, [vkey])).signedBy, [vkey])
})

test('a note opens with the key that signed it', () => {
  assert.equal(orThrow(openNote(note, [signer.vkey])).text, TEXT)
})

test('a key survives being written down, also where its base64 holds a plus sign', () => {
  for (let byte = 0; byte < 60; byte++) {
    const { vkey } = aSigner('a.example', keyTypes.ed25519, byte)
    assert.deepEqual(orThrow(parseVkey(formatVkey(vkey))), vkey)
  }
})

test('a key that is not whole or not its own is refused', () => {
  const text = formatVkey(signer.vkey)
  const [name, id, key] = [signer.vkey.name, toHex(signer.vkey.id), text.split('+').slice(2).join('+')]
  const odd = (type: number, bytes: number) => formatVkey(makeVkey(name, type, new Uint8Array(bytes)))
  const wrong = [
    '',
    name,
    `${name}+${id}`,
    `+${id}+${key}`,
    `${name}+00000000+${key}`,
    goKey.replace('c74f20a3', 'C74F20A3'),
    `other+${id}+${key}`,
    `${name}+${id}+`,
    `${name}+${id}+${key}=`,
    `${text}\n`,
    ` ${text}`,
    `a b+${id}+${key}`,
    odd(2, 32),
    odd(6, 1312),
    odd(1, 31),
    odd(1, 33),
  ]
  for (const vkey of wrong) assert.equal(refusal(parseVkey(vkey)), 'vkey-malformed', vkey)
})

const line = (name: string, bytes: Uint8Array) => `\u2014 ${name} ${toBase64(bytes)}\n`
const unknown = line('other.example', new Uint8Array(68))

test('malformed notes are refused', () => {
  const signature = note.slice(TEXT.length + 1)
  const cases: Record<string, string> = {
    nothing: '',
    'no signatures': TEXT,
    'an empty list of signatures': `${TEXT}\n`,
    'no newline at the end': note.slice(0, -1),
    'an empty line at the end': `${note}\n`,
    'an empty line between signatures': `${note}\n\n`,
    'text that does not end in a newline': `text${signature}`,
    'a signature line with another dash': note.replace('\u2014', '-'),
    'two spaces': note.replace(' ', '  '),
    'something after the signature': note.replace(/\n$/, ' x\n'),
    'no name': `${TEXT}\n\u2014  ${toBase64(new Uint8Array(68))}\n`,
    'a plus sign in the name': `${TEXT}\n${line('a+b', new Uint8Array(68))}`,
    'a narrow space in the name': `${TEXT}\n${line('a\u202fb', new Uint8Array(68))}`,
    'only a key id': `${TEXT}\n${line('a', new Uint8Array(4))}`,
    'base64 without padding': note.replace(/=+\n$/, '\n'),
    'base64 with another last digit': `${TEXT}\n\u2014 a AAAAAAB=\n`,
    'a carriage return': note.replace('\n', '\r\n'),
    'a control character': `\u0007${note}`,
    'a tab': `\t${note}`,
    'half a character': `\ud800${note}`,
  }
  for (const [what, text] of Object.entries(cases))
    assert.equal(refusal(openNote(text, [signer.vkey])), 'note-malformed', what)
})

test('the signatures begin after the last empty line', async () => {
  const text = 'first\n\nsecond\n'
  assert.equal(orThrow(openNote(await signNote(text, signer), [signer.vkey])).text, text)
})

test('keys that are not known are passed over, but one known key must have signed', () => {
  const many = note + unknown.repeat(32)
  assert.deepEqual(orThrow(openNote(many, [signer.vkey])).signedBy, [signer.vkey])
  assert.equal(refusal(openNote(`${TEXT}\n${unknown}`, [signer.vkey])), 'note-signature-unknown')
  assert.equal(refusal(openNote(note, [])), 'note-signature-unknown')
  assert.equal(refusal(openNote(note, [aSigner('register.example.gov.uk', 1, 8).vkey])), 'note-signature-unknown')
})

test('a known key whose signature is false rejects the note, whatever else is right', async () => {
  const other = aSigner('other.example', 1, 9)
  const forged = note + line('other.example', concat(other.vkey.id, new Uint8Array(64)))
  assert.equal(refusal(openNote(forged, [signer.vkey, other.vkey])), 'note-signature-wrong')
  const altered = note.replace('\n0\n', '\n1\n')
  assert.equal(refusal(openNote(altered, [signer.vkey])), 'note-signature-wrong')
  const short = `${TEXT}\n${line(signer.vkey.name, concat(signer.vkey.id, new Uint8Array(63)))}`
  assert.equal(refusal(openNote(short, [signer.vkey])), 'note-signature-wrong')
})

test('a note is at most 64 KiB long', () => {
  const padded = (length: number) => {
    const end = note.slice(TEXT.length)
    return `${'x'.repeat(length - end.length - 1)}\n${end}`
  }
  assert.ok(parseNote(padded(limits.noteBytes - 1)).ok)
  assert.ok(parseNote(padded(limits.noteBytes)).ok)
  assert.ok(!parseNote(padded(limits.noteBytes + 1)).ok)
})

test('a witness signs the time and the whole checkpoint', async () => {
  const witness = aSigner('witness.example', keyTypes.ed25519Cosignature, 3)
  const seconds = 1_800_000_000
  const signature = concat(uint64be(seconds), await witness.sign(cosignedMessage(seconds, TEXT)))
  const cosigned = note + line('witness.example', concat(witness.vkey.id, signature))
  assert.deepEqual(orThrow(openNote(cosigned, [signer.vkey, witness.vkey])).signedBy, [signer.vkey, witness.vkey])
  assert.equal(parseCosignature(signature)!.seconds, seconds)

  const later = concat(uint64be(seconds + 1), signature.subarray(8))
  const altered = note + line('witness.example', concat(witness.vkey.id, later))
  assert.equal(refusal(openNote(altered, [witness.vkey])), 'note-signature-wrong')
  const plain = note + line('witness.example', concat(witness.vkey.id, await witness.sign(utf8(TEXT))))
  assert.equal(refusal(openNote(plain, [witness.vkey])), 'note-signature-wrong')
})

test('a cosignature without a time that can be counted is none', () => {
  assert.equal(parseCosignature(new Uint8Array(7)), undefined)
  assert.equal(parseCosignature(new Uint8Array(72).fill(255)), undefined)
})

test('any text at all is a note, a key, or refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (garbage) => {
      assert.notEqual(refusal(openNote(garbage, [signer.vkey])), 'accepted')
      assert.notEqual(refusal(openNote(`${garbage}\n\n${garbage}\n`, [signer.vkey])), 'accepted')
      assert.equal(refusal(parseVkey(garbage)), 'vkey-malformed')
    }),
  )
})

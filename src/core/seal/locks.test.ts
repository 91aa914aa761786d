import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Encrypter } from 'age-encryption'
import { fromBase64, toBase64, toHex, utf8 } from '#core/kit/bytes'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { openAge, sealWhole } from '#core/seal/age-file'
import { flowOf, wholeOf } from '#core/seal/flow'
import { checkRecipient, identityFrom, identityFromPasskey, makeLock, openLock, recipientOf } from '#core/seal/locks'
import { inPieces, parcelId } from '#core/seal/parcel.fixture'
import { newPhrase } from '#core/seal/passphrase'
import { receiptKey, statementBytes, statementText, verifyEd25519, type ReceiptStatement } from '#core/seal/receipt-key'
import { digestForms, fileDigest, randomBytes, webTools } from '#core/seal/tools'

const tools = await webTools()
const sha256 = async (bytes: Uint8Array) => toHex(await tools.sha256(bytes))
const slugOf = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.problem.slug)

const secret = {
  parcelIdentity: identityFrom(new Uint8Array(32).fill(1), true),
  parcelId,
  manifestSha256: 'ab'.repeat(32),
}

test('a sender opens her own lock and makes another for someone else', async () => {
  const identity = identityFrom(new Uint8Array(32).fill(2), true)
  const own = orThrow(
    await makeLock(
      { kind: 'sender', recipientId: null, to: { recipient: await recipientOf(identity) } },
      secret,
      tools,
    ),
  )
  const opened = orThrow(await openLock(fromBase64(own.age), { identity }, { parcelId, lockId: own.id }, tools))
  const phrase = newPhrase(randomBytes)
  const added = orThrow(await makeLock({ kind: 'passphrase', recipientId: 'r', to: { phrase } }, opened, tools))
  const again = orThrow(await openLock(fromBase64(added.age), { phrase }, { parcelId, lockId: added.id }, tools))
  assert.equal(again.parcelIdentity, secret.parcelIdentity)
  assert.equal(again.manifestSha256, secret.manifestSha256)
  assert.notEqual(added.receiptPublicKey, own.receiptPublicKey)
  assert.equal(toBase64(again.receipt.publicKey), added.receiptPublicKey)
})

test('a lock is read only in its one spelling', async () => {
  const identity = identityFrom(new Uint8Array(32).fill(2), true)
  const recipient = await recipientOf(identity)
  const lock = orThrow(await makeLock({ kind: 'key', recipientId: 'r', to: { recipient } }, secret, tools))
  const opened = orThrow(await openAge(flowOf(fromBase64(lock.age)), { identity }, tools))
  const text = new TextDecoder().decode(await wholeOf(opened.plain))
  const opens = async (changed: string) =>
    slugOf(
      await openLock(await sealWhole(utf8(changed), { recipient }), { identity }, { parcelId, lockId: lock.id }, tools),
    )
  assert.equal(await opens(text), 'ok')
  assert.equal(await opens(text.replace('lock 1', 'lock 2')), 'lock-version')
  assert.equal(await opens(text.replace('# kind key', '# kind passphrase')), 'keys-mixed')
  const bad = [
    text.replace('# kind key', '# kind other'),
    `${text}\n`,
    text.trimEnd(),
    `# note\n${text}`,
    text.replace('# kind key\n', ''),
    text.replace(/(receipt .*).=\n/, '$1/=\n'),
    text.replace('SECRET', 'PUBLIC'),
    text.replace(/.\n$/, 'Q\n'),
    text.toLowerCase(),
    '',
  ]
  for (const changed of bad) assert.equal(await opens(changed), 'lock-malformed', changed)
})

test('only a whole age recipient of the right strength gets a lock', async () => {
  const [hybrid, plain] = await Promise.all(
    [true, false].map(async (pq) => recipientOf(identityFrom(new Uint8Array(32).fill(7), pq))),
  )
  assert.equal(slugOf(checkRecipient(hybrid!, true)), 'ok')
  assert.equal(slugOf(checkRecipient(plain!, false)), 'ok')
  assert.equal(slugOf(checkRecipient(plain!, true)), 'keys-mixed')
  assert.equal(slugOf(checkRecipient(hybrid!, false)), 'keys-mixed')
  for (const bad of [
    '',
    'age1',
    plain!.slice(0, -1),
    hybrid!.replace(/.$/, 'q'),
    `${plain} `,
    plain!.toUpperCase(),
    'age1tag1qqqq',
    'ssh-ed25519 AAAA',
  ]) {
    assert.equal(slugOf(checkRecipient(bad, false)), 'recipient-key-malformed', bad.slice(0, 20))
  }
  const mismatch = await makeLock(
    { kind: 'key', recipientId: 'r', to: { phrase: newPhrase(randomBytes) } },
    secret,
    tools,
  )
  assert.equal(slugOf(mismatch), 'lock-malformed')
})

test('a passkey stands for one hybrid and one plain key that have nothing in common', () => {
  const prf = new Uint8Array(32).fill(5)
  assert.equal(identityFromPasskey(prf, true), identityFromPasskey(prf, true))
  assert.match(identityFromPasskey(prf, true), /^AGE-SECRET-KEY-PQ-1/)
  assert.notEqual(identityFromPasskey(prf, true).slice(-20), identityFromPasskey(prf, false).slice(-20))
})

test('a lock may be as large as its limit and no larger', async () => {
  const open = async (size: number) =>
    slugOf(
      await openLock(
        new Uint8Array(size),
        { phrase: Array(7).fill('zoo').join(' ') },
        { parcelId, lockId: parcelId },
        tools,
      ),
    )
  assert.equal(await open(limits.lockBytes - 1), 'sealed-malformed')
  assert.equal(await open(limits.lockBytes), 'sealed-malformed')
  assert.equal(await open(limits.lockBytes + 1), 'lock-malformed')
})

// age files

test('the work a phrase may cost has a limit, and sealing stays below it', async () => {
  const encrypter = new Encrypter()
  encrypter.setPassphrase('words')
  encrypter.setScryptWorkFactor(10)
  const sealed = new TextDecoder('latin1').decode(await encrypter.encrypt('x'))
  const withCost = (logN: number) =>
    Uint8Array.from(sealed.replace(/^(-> scrypt \S+) 10$/m, `$1 ${logN}`), (letter) => letter.charCodeAt(0))
  const open = async (logN: number) => slugOf(await openAge(flowOf(withCost(logN)), { phrase: 'words' }, tools))
  assert.equal(await open(limits.scryptLogNMax - 1), 'phrase-wrong')
  assert.equal(await open(limits.scryptLogNMax), 'phrase-wrong')
  assert.equal(await open(limits.scryptLogNMax + 1), 'sealed-too-costly')
  const ours = new TextDecoder('latin1').decode(await sealWhole(utf8('x'), { phrase: 'words' }))
  assert.match(ours, new RegExp(`^-> scrypt \\S+ ${limits.scryptLogN}$`, 'm'))
})

test('a header may be as long as its limit and no longer', async () => {
  const start = 'age-encryption.org/v1\n'
  const end = `--- ${'A'.repeat(43)}\n`
  const withHeader = (size: number) => {
    const filler = size - start.length - end.length
    return utf8(`${start}-> x ${'y'.repeat(filler - 7)}\n\n${end}`)
  }
  const open = async (size: number) =>
    slugOf(await openAge(inPieces(withHeader(size), 1_000), { identity: secret.parcelIdentity }, tools))
  assert.equal(await open(limits.ageHeaderBytes - 1), 'sealed-for-another')
  assert.equal(await open(limits.ageHeaderBytes), 'sealed-for-another')
  assert.equal(await open(limits.ageHeaderBytes + 1), 'sealed-malformed')
})

test('the digest of a file is its SHA-256 up to a size, and above it goes by slices; both are said by the version', async () => {
  const mib = 2 ** 20
  assert.deepEqual(digestForms, {
    1: { wholeBytes: 64 * mib, sliceBytes: 64 * mib },
    2: { wholeBytes: 16 * mib, sliceBytes: mib / 2 },
  })
  const bytes = new Uint8Array(64 * mib + 1).map((_, i) => i ^ (i >> 9))
  for (const version of [1, 2] as const) {
    const { wholeBytes, sliceBytes } = digestForms[version]
    for (const size of [0, 1, wholeBytes - 1, wholeBytes, wholeBytes + 1, wholeBytes + sliceBytes + 1]) {
      const file = bytes.subarray(0, size)
      const slices = Array.from({ length: Math.ceil(file.length / sliceBytes) }, (_, n) =>
        tools.sha256(file.subarray(n * sliceBytes, (n + 1) * sliceBytes)),
      )
      const expected = file.length <= wholeBytes ? file : Buffer.concat(await Promise.all(slices))
      // Pieces that are a slice, pieces with slices in them, and pieces that fit nothing.
      for (const pieceBytes of [sliceBytes, 8 * mib, 1_000_003]) {
        const digest = fileDigest(file.length, tools, version)
        for await (const piece of inPieces(file, pieceBytes)) await digest.update(piece)
        assert.equal(toHex(await digest.finish()), await sha256(expected), `${version}: ${size} by ${pieceBytes}`)
      }
    }
  }
})

// Receipts

const statement: ReceiptStatement = {
  version: 1,
  parcelRoot: 'ab'.repeat(32),
  lockId: parcelId,
  acknowledged: { purpose: 'p', limits: 'l', handling: 'h' },
  checkpoint: 'exampleshire.example/register\n4\nAAAA\n',
}

test('a statement is read only in its one spelling and within its limits', () => {
  const { bytes } = orThrow(statementBytes(statementText(statement)))
  assert.equal(new TextDecoder().decode(bytes), `safehand/receipt/v1\0${statementText(statement)}`)
  for (const change of [{ version: 2 }, { parcelRoot: 'x' }, { lockId: 'x' }, { acknowledged: {} }, { more: 1 }]) {
    assert.equal(
      slugOf(statementBytes(canonicalJson({ ...statement, ...change } as unknown as Json))),
      'receipt-malformed',
    )
  }
  assert.equal(slugOf(statementBytes(` ${statementText(statement)}`)), 'receipt-malformed')
  for (const [more, slug] of [
    [-1, 'ok'],
    [0, 'ok'],
    [1, 'receipt-malformed'],
  ] as const) {
    const checkpoint = 'c'.repeat(limits.checkpointCharacters + more)
    assert.equal(slugOf(statementBytes(statementText({ ...statement, checkpoint }))), slug)
  }
})

test('a receipt key follows from its seed and signs what WebCrypto verifies', async () => {
  const key = receiptKey(new Uint8Array(32).fill(4))
  const signature = await key.sign(utf8('said'))
  const imported = await crypto.subtle.importKey('raw', key.publicKey, 'Ed25519', false, ['verify'])
  assert.equal(
    await crypto.subtle.verify('Ed25519', imported, signature as Uint8Array<ArrayBuffer>, utf8('said')),
    true,
  )
  assert.equal(verifyEd25519(signature, utf8('said'), key.publicKey), true)
  assert.equal(verifyEd25519(signature, utf8('sad'), key.publicKey), false)
  assert.equal(verifyEd25519(signature.subarray(1), utf8('said'), key.publicKey), false)
})

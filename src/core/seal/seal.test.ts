import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBase64, fromHex } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { rootSignedBytes } from '#core/seal/parcel'
import { aFile, aFolder, aKeyLock, contentsOf, opens, sealedOk, sha256Of } from '#core/seal/parcel.fixture'
import { receiptKey, statementBytes, verifyEd25519 } from '#core/seal/receipt-key'
import { nodeTools } from '#edge/seal/node-tools'

const large = new Uint8Array(65 * 2 ** 20).map((_, i) => (i * 7) ^ (i >> 13))
const sources = [
  aFolder('Fallakte Müller'),
  aFile('Fallakte Müller/läge – 日本語 🗂.txt', 'äöü'),
  aFile('Fallakte Müller/empty', ''),
  aFile(`${'long/'.repeat(40)}name.txt`, 'deep'),
  aFile('large.bin', large),
  aFile('letter.txt'),
]
const expected = new Map(
  await Promise.all(
    sources.map(async (source): Promise<[string, string]> => {
      if (source.type === 'folder') return [source.path, 'folder']
      return [source.path, await sha256Of(source.read())]
    }),
  ),
)

for (const pq of [true, false]) {
  test(`a parcel of mixed files opens with every kind of lock, ${pq ? 'post-quantum' : 'X25519'}`, async () => {
    const keys = await Promise.all((['sender', 'key', 'automatic'] as const).map(async (kind) => aKeyLock(kind, pq)))
    const phrase = { kind: 'passphrase' as const, recipientId: 'r', to: { phrase: 'abandon zoo zoo zoo zoo zoo able' } }
    const sealed = await sealedOk({
      pq,
      sources,
      partSizeBytes: 8 * 2 ** 20,
      locks: [...keys.map((key) => key.request), phrase],
    })
    assert.deepEqual(
      sealed.parcel.locks.map((lock) => lock.kind),
      ['sender', 'key', 'automatic', 'passphrase'],
    )
    const secrets = [...keys.map(({ identity }) => ({ identity })), { phrase: 'ABAN zoo-zoo Zoo, zoo zoo able' }]
    for (const [lock, secret] of secrets.entries()) {
      const parcel = orThrow(await opens(sealed, { lock, secret }))
      assert.deepEqual(await contentsOf(parcel), expected)
      assert.equal(parcel.isWhole(), true)
    }
  })
}

test('a parcel sealed by the command line opens in the browser, and the other way round', async () => {
  const tools = nodeTools
  assert.deepEqual(await contentsOf(orThrow(await opens(await sealedOk({ sources, tools })))), expected)
  assert.deepEqual(await contentsOf(orThrow(await opens(await sealedOk({ sources }), { tools }))), expected)
})

test('one file is opened by range and is verified', async () => {
  const sealed = await sealedOk({ sources })
  const parcel = orThrow(await opens(sealed))
  for (const [path, digest] of expected) {
    if (digest === 'folder') continue
    assert.equal(await sha256Of(orThrow(parcel.openFile(path))), digest, path)
  }
  assert.equal(parcel.isWhole(), true)
  assert.equal(parcel.openFile('nothing.txt').ok, false)
})

test('a receipt is signed by the lock and by the recipient once every file is out, and not before', async () => {
  const sealed = await sealedOk({ sources: [aFile('one'), aFile('two')] })
  const own = receiptKey(new Uint8Array(32).fill(9))
  const said = { acknowledged: { purpose: 'p', limits: 'l', handling: 'h' }, checkpoint: '', sign: own.sign }
  const lockIds = sealed.parcel.locks.map(({ id }) => id)
  const parcel = orThrow(await opens(sealed))
  await sha256Of(orThrow(parcel.openFile('one')))
  const early = await parcel.receipt({ ...said, lockIds })
  assert.equal(!early.ok && early.problem.slug, 'parcel-not-opened')
  await contentsOf(parcel)
  const receipt = orThrow(await parcel.receipt({ ...said, lockIds }))
  const { statement, bytes } = orThrow(statementBytes(receipt.statement))
  assert.equal(statement.parcelRoot, sealed.parcel.parcelRoot)
  const { receiptPublicKey } = sealed.parcel.locks[0]!
  assert.equal(verifyEd25519(fromBase64(receipt.receiptSignature), bytes, fromBase64(receiptPublicKey)), true)
  assert.equal(verifyEd25519(fromBase64(receipt.recipientSignature), bytes, own.publicKey), true)
  assert.equal(verifyEd25519(fromBase64(receipt.recipientSignature), bytes, fromBase64(receiptPublicKey)), false)
})

test('the sending device signs the parcel root', async () => {
  const device = receiptKey(new Uint8Array(32).fill(3))
  const { parcel } = await sealedOk({ sign: device.sign })
  const signed = rootSignedBytes(fromHex(parcel.parcelRoot))
  assert.equal(verifyEd25519(fromBase64(parcel.signature!), signed, device.publicKey), true)
})

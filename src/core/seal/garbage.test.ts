import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromBase64, utf8 } from '#core/kit/bytes'
import { orThrow, ProblemError } from '#core/kit/outcome'
import { checkPath } from '#core/seal/entry-names'
import { flowOf } from '#core/seal/flow'
import { checkRecipient, identityFrom, makeLock, openLock, recipientOf } from '#core/seal/locks'
import { parseManifest } from '#core/seal/parcel'
import { aManifest, parcelId } from '#core/seal/parcel.fixture'
import { readPhrase } from '#core/seal/passphrase'
import { statementBytes, verifyEd25519 } from '#core/seal/receipt-key'
import { readTar, type IndexEntry } from '#core/seal/tar-index'
import { webTools } from '#core/seal/tools'

const tools = await webTools()
const secret = {
  parcelIdentity: identityFrom(new Uint8Array(32).fill(1), true),
  parcelId,
  manifestSha256: 'ab'.repeat(32),
}

test('garbage into any parser is a named problem, never a surprise', async () => {
  const json = fc.jsonValue({ maxDepth: 3 }).map((value) => utf8(JSON.stringify(value)))
  const mangled = fc
    .tuple(fc.nat(700), fc.nat(255))
    .map(([at, value]) => aManifest().map((byte, i) => (i === at ? value : byte)))
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), json, mangled), (bytes) => void parseManifest(bytes)))
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (text) =>
        void [
          readPhrase(text),
          statementBytes(text),
          checkPath(text, 0),
          checkRecipient(text, true),
          checkRecipient(`age1pq1${text}`, true),
        ],
    ),
  )
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (a, b, c) => verifyEd25519(a, b, c) === false),
  )
  const identity = identityFrom(new Uint8Array(32).fill(2), false)
  const lock = orThrow(
    await makeLock(
      { kind: 'key', recipientId: 'r', to: { recipient: await recipientOf(identity) } },
      { ...secret, parcelIdentity: identity },
      tools,
    ),
  )
  const lockBytes = fromBase64(lock.age)
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array(),
        fc
          .tuple(fc.nat(lockBytes.length - 1), fc.integer({ min: 1, max: 255 }))
          .map(([at, bits]) => lockBytes.map((byte, i) => (i === at ? byte ^ bits : byte))),
      ),
      async (bytes) => {
        assert.equal((await openLock(bytes, { identity }, { parcelId, lockId: lock.id }, tools)).ok, false)
      },
    ),
  )
  const index: IndexEntry[] = [
    { path: 'a', type: 'file', sizeBytes: 3, modifiedSeconds: 0, digest: 'ab'.repeat(32), offset: 512 },
  ]
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), async (tar) => {
      const reading = async () =>
        Array.fromAsync(readTar(flowOf(tar), { index, version: 2 }, tools, () => assert.fail('verified')))
      await assert.rejects(reading, ProblemError)
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { type Outcome } from '#core/kit/outcome'
import { newUuid, parcelRoot, parseManifest, type Manifest } from '#core/seal/parcel'
import { aManifest } from '#core/seal/parcel.fixture'
import { webTools } from '#core/seal/tools'

const tools = await webTools()
const sha256 = async (bytes: Uint8Array) => toHex(await tools.sha256(bytes))
const slugOf = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.problem.slug)

test('a manifest is read only in its one spelling', () => {
  assert.equal(slugOf(parseManifest(aManifest())), 'ok')
  const text = new TextDecoder().decode(aManifest())
  for (const other of [
    ` ${text}`,
    text.replace('{', '{ '),
    text.replace('"pq":true', '"pq":true,"pq":true'),
    `\ufeff${text}`,
    'null',
    '[]',
    '1',
    '',
  ]) {
    assert.equal(slugOf(parseManifest(utf8(other))), 'manifest-malformed', other.slice(0, 20))
  }
})

test('a manifest that contradicts itself or breaks a limit is refused', () => {
  const { partSizeBytesMax, textCharacters, lineCharacters, referenceCharacters, parcelPartsMax } = limits
  const bad: Partial<Record<keyof Manifest, unknown>>[] = [
    { version: 0 },
    { version: '1' },
    { parcelId: 'x' },
    { pq: 1 },
    { parts: [] },
    { contentSizeBytes: 11 },
    { contentSizeBytes: 0, parts: [] },
    { keepUntil: 'soon' },
    { index: {} },
    { partSizeBytes: 0 },
    { index: [{}] },
    { index: [{ path: 'a', type: 'link', sizeBytes: 0, modifiedSeconds: 0, digest: null, offset: 512 }] },
    { index: [{ path: 'a', type: 'folder', sizeBytes: 1, modifiedSeconds: 0, digest: null, offset: 512 }] },
    { index: [{ path: 'a', type: 'file', sizeBytes: 1, modifiedSeconds: 0, digest: null, offset: 512 }] },
  ]
  for (const change of bad)
    assert.equal(slugOf(parseManifest(aManifest(change))), 'manifest-malformed', JSON.stringify(change))
  const wrongOffset = [{ path: 'a', type: 'file', sizeBytes: 0, modifiedSeconds: 0, digest: '0'.repeat(64), offset: 0 }]
  assert.equal(slugOf(parseManifest(aManifest({ index: wrongOffset }))), 'content-differs')
  for (const [more, slug] of [
    [-1, 'ok'],
    [0, 'ok'],
    [1, 'manifest-malformed'],
  ] as const) {
    assert.equal(slugOf(parseManifest(aManifest({ message: 'm'.repeat(textCharacters + more) }))), slug)
    assert.equal(slugOf(parseManifest(aManifest({ marking: 'm'.repeat(lineCharacters + more) }))), slug)
    assert.equal(slugOf(parseManifest(aManifest({ reference: 'm'.repeat(referenceCharacters + more) }))), slug)
    assert.equal(
      slugOf(parseManifest(aManifest({ partSizeBytes: partSizeBytesMax + more, parts: ['0'.repeat(64)] }))),
      slug,
    )
    const count = parcelPartsMax + more
    assert.equal(
      slugOf(
        parseManifest(
          aManifest({ partSizeBytes: 1, contentSizeBytes: count, parts: Array(count).fill('0'.repeat(64)) }),
        ),
      ),
      slug,
    )
  }
})

test('the parcel root is the hash its description says', async () => {
  const manifestSha256 = 'aa'.repeat(32)
  const parts = ['bb'.repeat(32), 'cc'.repeat(32)]
  const lockIds = ['ffffffff-ffff-4fff-8fff-ffffffffffff', '00000000-0000-4000-8000-000000000000']
  const bytes = `${toHex(utf8('safehand/parcel-root/v1\0'))}${manifestSha256}0000000000000002${parts.join('')}0000000000000002${lockIds.toReversed().join('').replaceAll('-', '')}`
  const root = parcelRoot({ manifestSha256, parts, lockIds })
  assert.equal(root, await sha256(Buffer.from(bytes, 'hex')))
  assert.notEqual(root, parcelRoot({ manifestSha256, parts: parts.toReversed(), lockIds }))
  assert.equal(root, parcelRoot({ manifestSha256, parts, lockIds: lockIds.toReversed() }))
})

test('ids are random version 4 UUIDs', () => {
  assert.equal(
    newUuid(() => new Uint8Array(16).fill(255)),
    'ffffffff-ffff-4fff-bfff-ffffffffffff',
  )
})

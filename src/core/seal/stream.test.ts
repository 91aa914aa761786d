import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { inflateSync } from 'node:zlib'
import * as vectors from 'cctv-age'
import { armor } from 'age-encryption'
import { ProblemError } from '#core/kit/outcome'
import { type ProblemSlug } from '#core/kit/problems'
import { openAge, type Secret } from '#core/seal/age-file'
import { sodiumCipher, webCipher, webTools, type SealTools } from '#core/seal/tools'
import { sealedChunkBytes, type PayloadCipher } from '#core/seal/stream'
import { nodeTools } from '#edge/seal/node-tools'

const classes: Partial<Record<ProblemSlug, string>> = {
  'sealed-malformed': 'header failure',
  'sealed-too-costly': 'header failure',
  'sealed-header-altered': 'HMAC failure',
  'sealed-for-another': 'no match',
  'phrase-wrong': 'no match',
  'sealed-altered': 'payload failure',
  'sealed-truncated': 'payload failure',
}

interface Vector {
  name: string
  expect: string
  payload: string | undefined
  armored: boolean
  secrets: Secret[]
  file: Uint8Array
}

function readVector([name, bytes]: [string, Uint8Array]): Vector {
  const end = Buffer.from(bytes).indexOf('\n\n')
  const lines = Buffer.from(bytes.subarray(0, end)).toString().split('\n')
  const all = (key: string) =>
    lines.filter((line) => line.startsWith(`${key}: `)).map((line) => line.slice(key.length + 2))
  const rest = bytes.subarray(end + 2)
  return {
    name,
    expect: all('expect')[0]!,
    payload: all('payload')[0],
    armored: all('armored')[0] === 'yes',
    secrets: [...all('identity').map((identity) => ({ identity })), ...all('passphrase').map((phrase) => ({ phrase }))],
    file: all('compressed')[0] === 'zlib' ? inflateSync(rest) : rest,
  }
}

/** The outcome class of the vectors' own words, and the hash of everything that was released. */
async function outcomeOf(vector: Vector, pieces: (bytes: Uint8Array) => AsyncIterable<Uint8Array>, tools: SealTools) {
  let file = vector.file
  if (vector.armored) {
    try {
      file = armor.decode(Buffer.from(vector.file).toString('latin1'))
    } catch {
      return { expect: 'armor failure', payload: undefined }
    }
  }
  let expect = 'header failure'
  for (const secret of vector.secrets.length > 0 ? vector.secrets : [{ phrase: 'none' }]) {
    const opened = await openAge(pieces(file), secret, tools)
    if (!opened.ok) {
      expect = classes[opened.problem.slug] ?? opened.problem.slug
      if (expect === 'no match') continue
      return { expect, payload: undefined }
    }
    const hash = createHash('sha256')
    try {
      for await (const plain of opened.value.plain) hash.update(plain)
      expect = 'success'
    } catch (error) {
      assert(error instanceof ProblemError)
      expect = classes[error.problem.slug] ?? error.problem.slug
    }
    return { expect, payload: hash.digest('hex') }
  }
  return { expect, payload: undefined }
}

const inPieces = (size: number) =>
  async function* (bytes: Uint8Array) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }

/** Byte by byte; of a larger file, only the surroundings of its first and last chunk edges go that slowly. */
async function* byteByByte(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length;) {
    const isOuter = at < 3 * sealedChunkBytes || at > bytes.length - 3 * sealedChunkBytes
    const isNearEdge = isOuter && (at % sealedChunkBytes < 2_500 || at > bytes.length - 100)
    const size = bytes.length < 2 ** 14 || isNearEdge ? 1 : 997
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const all = Object.entries(vectors as unknown as Record<string, Uint8Array>)
  .filter(([, bytes]) => bytes instanceof Uint8Array)
  .map(readVector)

async function agrees(pieces: (bytes: Uint8Array) => AsyncIterable<Uint8Array>, tools: SealTools) {
  for (const vector of all) {
    const seen = await outcomeOf(vector, pieces, tools)
    assert.equal(seen.expect, vector.expect, vector.name)
    if (seen.payload !== undefined) assert.equal(seen.payload, vector.payload, vector.name)
  }
}

test('there are 143 age vectors', () => assert.equal(all.length, 143))
test('every age vector has its outcome when opened whole', async () => agrees(inPieces(Infinity), nodeTools))
test('every age vector has its outcome when it arrives in pieces', async () => agrees(inPieces(1_000), nodeTools))
test('every age vector has its outcome when it arrives byte by byte', async () => agrees(byteByByte, nodeTools))

const ciphers: Record<string, PayloadCipher> = { 'the browser cipher': webCipher, 'the libsodium cipher': sodiumCipher }
for (const [name, cipher] of Object.entries(ciphers)) {
  test(`every age vector has its outcome with ${name}`, async () =>
    agrees(inPieces(65_000), { ...(await webTools()), cipher }))
}

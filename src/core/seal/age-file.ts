import { Decrypter, Encrypter, type Identity } from 'age-encryption'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, utf8, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, ProblemError, type Outcome } from '#core/kit/outcome'
import { ByteReader, type ByteFlow } from '#core/seal/flow'
import { openPayload } from '#core/seal/stream'
import { type SealTools } from '#core/seal/tools'

/** What opens an age file: a phrase, or an age identity (its text, a private CryptoKey, or an object that unwraps). */
export type Secret = { phrase: string } | { identity: string | CryptoKey | Identity }

export const nonceBytes = 16

/** The key of a payload from its file's key and the nonce that precedes it. */
const payloadKey = (fileKey: Uint8Array, nonce: Uint8Array): Bytes =>
  hkdf(sha256, fileKey, nonce, utf8('payload'), 32) as Bytes

/** Three hyphens, a space and 32 bytes in base64 without padding. */
const macLine = /\n--- [A-Za-z0-9+/]{43}\n$/

/** The text that opens every age file up to its MAC line, and its kinds of recipient ('X25519', 'scrypt', …). */
export interface AgeHeader {
  bytes: Bytes
  stanzas: string[]
}

/**
 * Takes the header off an age file, however its bytes arrive.
 *
 * @returns the header, or `sealed-malformed` when none ends within the limit
 */
export async function takeHeader(reader: ByteReader): Promise<Outcome<AgeHeader>> {
  for (let seen = 1_024; ; seen *= 2) {
    const start = await reader.peek(Math.min(seen, limits.ageHeaderBytes))
    const sizeBytes = headerSize(start)
    if (sizeBytes !== undefined) {
      const bytes = (await reader.take(sizeBytes)).slice()
      const text = new TextDecoder('latin1').decode(bytes)
      if (!macLine.test(text)) return fail('sealed-malformed')
      return ok({ bytes, stanzas: [...text.matchAll(/^-> ([^ \n]*)/gm)].map((match) => match[1]!) })
    }
    if (start.length < seen) return fail('sealed-malformed')
  }
}

/** The header ends with the first line that begins with three hyphens, which no other line may begin with. */
function headerSize(bytes: Uint8Array): number | undefined {
  for (let line = bytes.indexOf(0x0a) + 1; line > 0; line = bytes.indexOf(0x0a, line) + 1) {
    if (bytes[line] !== 0x2d || bytes[line + 1] !== 0x2d || bytes[line + 2] !== 0x2d) continue
    const end = bytes.indexOf(0x0a, line) + 1
    return end === 0 ? undefined : end
  }
  return undefined
}

/**
 * The file key that a header wraps.
 *
 * @returns the key, or `sealed-for-another` (`phrase-wrong` for a phrase), `sealed-header-altered`,
 *   `sealed-too-costly` for a phrase of more than 2^18 scrypt rounds, `sealed-malformed`
 */
export async function unwrapFileKey(header: AgeHeader, secret: Secret): Promise<Outcome<Uint8Array>> {
  const decrypter = new Decrypter()
  // Asked before the phrase is tried, because the work it would cost is chosen by whoever wrote the file.
  decrypter.addIdentity({
    unwrapFileKey(stanzas) {
      const costs = stanzas.filter(({ args }) => args[0] === 'scrypt').map(({ args }) => Number(args[2]))
      if (costs.some((logN) => logN > limits.scryptLogNMax)) throw new ProblemError(fail('sealed-too-costly').problem)
      return null
    },
  })
  try {
    if ('phrase' in secret) decrypter.addPassphrase(secret.phrase)
    else decrypter.addIdentity(secret.identity)
    return ok(await decrypter.decryptHeader(header.bytes))
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    const message = error instanceof Error ? error.message : ''
    // The library tells its reasons apart by these sentences only; the cctv-age vectors hold them in place.
    if (message.startsWith('no identity matched'))
      return fail('phrase' in secret ? 'phrase-wrong' : 'sealed-for-another')
    if (message === 'invalid header HMAC') return fail('sealed-header-altered')
    return fail('sealed-malformed')
  }
}

export interface OpenedAge {
  header: AgeHeader
  /** Header and nonce together: what precedes the first chunk. */
  prefixBytes: number
  streamKey: Bytes
}

/** Reads what precedes an age file's payload and finds the payload's key. Problems as `unwrapFileKey`. */
export async function openPrefix(reader: ByteReader, secret: Secret): Promise<Outcome<OpenedAge>> {
  const header = await takeHeader(reader)
  if (!header.ok) return header
  const fileKey = await unwrapFileKey(header.value, secret)
  if (!fileKey.ok) return fileKey
  const nonce = await reader.take(nonceBytes)
  if (nonce.length < nonceBytes) return fail('sealed-malformed')
  const streamKey = payloadKey(fileKey.value, nonce)
  return ok({ header: header.value, prefixBytes: header.value.bytes.length + nonceBytes, streamKey })
}

/**
 * Opens any age file as a flow: only authentic bytes come out, and anything wrong with the payload ends it with a
 * ProblemError.
 *
 * @returns the kinds of recipient and the plain bytes, or why the header did not open (see `unwrapFileKey`)
 */
export async function openAge(
  sealed: ByteFlow,
  secret: Secret,
  tools: SealTools,
): Promise<Outcome<{ stanzas: string[]; plain: AsyncGenerator<Bytes> }>> {
  const reader = new ByteReader(sealed)
  const opened = await openPrefix(reader, secret)
  if (!opened.ok) {
    await reader.close()
    return opened
  }
  const { header, streamKey } = opened.value
  return ok({ stanzas: header.stanzas, plain: openPayload(await tools.cipher(streamKey), reader.rest()) })
}

/** Seals a small thing whole, to an age recipient or a phrase. */
export async function sealWhole(plain: Bytes, to: { recipient: string } | { phrase: string }): Promise<Bytes> {
  return (await encrypterFor(to).encrypt(plain)) as Bytes
}

/** The beginning of an age file for one recipient, and the key of the payload that must follow it. */
export async function newPrefix(recipient: string, tools: SealTools): Promise<{ prefix: Bytes; streamKey: Bytes }> {
  const encrypter = encrypterFor({ recipient })
  let fileKey = new Uint8Array()
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = key.slice()
      return []
    },
  })
  // An empty file is a header, a nonce and one tag. Its nonce is dropped for ours: another stream, another key.
  const empty = await encrypter.encrypt(new Uint8Array())
  const nonce = tools.randomBytes(nonceBytes)
  return { prefix: concat(empty.subarray(0, -32), nonce), streamKey: payloadKey(fileKey, nonce) }
}

function encrypterFor(to: { recipient: string } | { phrase: string }): Encrypter {
  const encrypter = new Encrypter()
  if ('phrase' in to) {
    encrypter.setScryptWorkFactor(limits.scryptLogN)
    encrypter.setPassphrase(to.phrase)
  } else encrypter.addRecipient(to.recipient)
  return encrypter
}

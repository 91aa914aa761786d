import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { fromBase64, fromUtf8, sameBytes, toBase64, utf8, type Bytes } from '#core/kit/bytes'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'

/** Salt of a commitment; fresh for each event, or its body could be guessed. */
export const SALT_BYTES = 32

/** All that is known of an event. The register publishes a commitment to `body`; destroying body and salt erases it. */
export interface Evidence {
  /** What happened: lower-case words joined by hyphens. */
  event: string
  /** 32 hexadecimal digits made for this event alone, so that erased events cannot be linked. */
  handle: string
  /** Instant in UTC with milliseconds, as in 2026-01-31T09:30:00.000Z. */
  at: string
  salt: Bytes
  body: Json
}

const isEvidence = ({ event, handle, at, salt }: Evidence): boolean =>
  event.length <= limits.eventNameCharacters &&
  /^[a-z0-9]+(-[a-z0-9]+)*$/.test(event) &&
  /^[0-9a-f]{32}$/.test(handle) &&
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(at) &&
  salt.length === SALT_BYTES

/** HMAC-SHA-256 with the salt as key: says nothing of the body to who lacks the salt, and fits no other body. */
export const commitment = (salt: Uint8Array, body: Json): Bytes =>
  hmac(sha256, salt, utf8(`safehand/leaf/v1\0${canonicalJson(body)}`)) as Bytes

/**
 * The register's entry for an event: canonical JSON with the commitment in the body's place.
 *
 * @throws RangeError when the evidence does not keep to its format
 */
export function leafOf(evidence: Evidence): Bytes {
  if (!isEvidence(evidence)) throw new RangeError(`The event ${evidence.event} does not keep to the format`)
  const { event, handle, at, salt, body } = evidence
  return utf8(canonicalJson({ at, commitment: toBase64(commitment(salt, body)), event, handle, v: 1 }))
}

/** Evidence as a receipt carries it. */
export const encodeEvidence = ({ event, handle, at, salt, body }: Evidence): Bytes =>
  utf8(canonicalJson({ at, body, event, handle, salt: toBase64(salt), v: 1 }))

/** Evidence from a receipt, or the problem `proof-malformed`. Only the one canonical text is accepted. */
export function parseEvidence(bytes: Uint8Array): Outcome<Evidence> {
  try {
    const { at, body, event, handle, salt } = JSON.parse(fromUtf8(bytes)) as Record<string, string>
    const evidence: Evidence = {
      at: `${at}`,
      body: body!,
      event: `${event}`,
      handle: `${handle}`,
      salt: fromBase64(`${salt}`),
    }
    if (isEvidence(evidence) && sameBytes(encodeEvidence(evidence), bytes)) return ok(evidence)
  } catch {
    // Not UTF-8, not JSON, or not of the shape: all the same to the reader.
  }
  return fail('proof-malformed', { detail: 'What it says about the event cannot be read.' })
}

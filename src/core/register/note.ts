import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, fromBase64, sameBytes, toBase64, toHex, utf8, type Bytes } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { cosignedMessage, parseCosignature } from '#core/register/cosignature'

/** Kinds of key this build verifies. @source C2SP signed-note 1.0.0, tlog-cosignature 1.0.1 */
export const keyTypes = { ed25519: 1, ed25519Cosignature: 4 } as const

const ED25519_KEY_BYTES = 32
const ED25519_SIGNATURE_BYTES = 64

/** A public key that someone trusts under a name. */
export interface Vkey {
  name: string
  /** The first four bytes of a hash over name, type and key: a hint, not a fingerprint. */
  id: Bytes
  type: number
  publicKey: Bytes
}

/** One signature line of a note. */
export interface NoteSignature {
  name: string
  keyId: Bytes
  signature: Bytes
}

/** What can sign notes: the private key stays behind `sign`. */
export interface NoteSigner {
  vkey: Vkey
  sign: (message: Bytes) => Promise<Uint8Array>
}

/** Base64 to bytes, or undefined where it is not canonical. */
export function base64OrNothing(text: string): Bytes | undefined {
  try {
    return fromBase64(text)
  } catch {
    return undefined
  }
}

/** Whether a key may have this name. */
export const isName = (name: string): boolean =>
  name !== '' && name.isWellFormed() && !/[\p{White_Space}\p{Cc}+]/u.test(name)

/** The key under this name, with its id. @source C2SP signed-note 1.0.0 */
export function makeVkey(name: string, type: number, publicKey: Bytes): Vkey {
  const id = sha256(concat(utf8(`${name}\n`), Uint8Array.of(type), publicKey)).slice(0, 4) as Bytes
  return { name, id, type, publicKey }
}

/** The one-line text of a key. */
export const formatVkey = ({ name, id, type, publicKey }: Vkey): string =>
  `${name}+${toHex(id)}+${toBase64(concat(Uint8Array.of(type), publicKey))}`

/** A key from its one-line text, or the problem `vkey-malformed`. */
export function parseVkey(text: string): Outcome<Vkey> {
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/.exec(text) ?? []
  const key = base64OrNothing(encoded ?? '')
  if (name === undefined || !isName(name) || !key) return fail('vkey-malformed')
  const vkey = makeVkey(name, key[0] ?? 0, key.slice(1))
  if (toHex(vkey.id) !== id) return fail('vkey-malformed', { detail: 'The key does not fit its own name and id.' })
  if (!Object.values<number>(keyTypes).includes(vkey.type) || vkey.publicKey.length !== ED25519_KEY_BYTES) {
    return fail('vkey-malformed', { detail: 'This kind of key is not known here.' })
  }
  return ok(vkey)
}

/** A note taken apart, nothing verified yet; or the problem `note-malformed`. */
export function parseNote(note: string): Outcome<{ text: string; signatures: NoteSignature[] }> {
  const malformed = fail('note-malformed')
  if (note.length > limits.noteBytes || !note.isWellFormed()) return malformed
  // oxlint-disable-next-line no-control-regex -- the format forbids control characters
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) return malformed
  const at = note.lastIndexOf('\n\n')
  if (at < 0 || !note.endsWith('\n') || at + 2 === note.length) return malformed
  const signatures: NoteSignature[] = []
  for (const line of note.slice(at + 2, -1).split('\n')) {
    const [, name = '', encoded = ''] = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line) ?? []
    const bytes = base64OrNothing(encoded)
    if (!isName(name) || !bytes || bytes.length < 5) return malformed
    signatures.push({ name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) })
  }
  return ok({ text: note.slice(0, at + 1), signatures })
}

/** Ed25519 as RFC 8032 has it, so that we refuse whatever another verifier may refuse. */
function ed25519Verifies(publicKey: Bytes, message: Bytes, signature: Bytes): boolean {
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false
  }
}

/** Whether this key made this signature over a note's text. */
export function verifySignature(vkey: Vkey, text: string, signature: Bytes): boolean {
  if (vkey.type === keyTypes.ed25519) return ed25519Verifies(vkey.publicKey, utf8(text), signature)
  const cosignature = vkey.type === keyTypes.ed25519Cosignature ? parseCosignature(signature) : undefined
  if (!cosignature) return false
  return ed25519Verifies(vkey.publicKey, cosignedMessage(cosignature.seconds, text), cosignature.signature)
}

/**
 * Opens a note: keys that we do not know are passed over, a known key whose signature is wrong rejects all of it.
 *
 * @returns the signed text and the keys that signed it (at least one), or the problem `note-malformed`,
 *   `note-signature-wrong` or `note-signature-unknown`
 * @source C2SP signed-note 1.0.0
 */
export function openNote(note: string, known: readonly Vkey[]): Outcome<{ text: string; signedBy: Vkey[] }> {
  const parsed = parseNote(note)
  if (!parsed.ok) return parsed
  const { text, signatures } = parsed.value
  const signedBy = new Set<Vkey>()
  for (const line of signatures) {
    for (const vkey of known.filter((key) => isBy(line, key))) {
      if (!verifySignature(vkey, text, line.signature))
        return fail('note-signature-wrong', { detail: `Signed as ${line.name}.` })
      signedBy.add(vkey)
    }
  }
  return signedBy.size > 0 ? ok({ text, signedBy: [...signedBy] }) : fail('note-signature-unknown')
}

/** Whether a signature line says that this key made it. */
export const isBy = ({ name, keyId }: NoteSignature, vkey: Vkey): boolean =>
  name === vkey.name && sameBytes(keyId, vkey.id)

/** A signature as a line of a note. */
export const formatSignature = ({ name, keyId, signature }: NoteSignature): string =>
  `\u2014 ${name} ${toBase64(concat(keyId, signature))}\n`

/** A note with this text, signed. `text` ends in a newline. */
export async function signNote(text: string, { vkey, sign }: NoteSigner): Promise<string> {
  const signature = (await sign(utf8(text))) as Bytes
  return `${text}\n${formatSignature({ name: vkey.name, keyId: vkey.id, signature })}`
}

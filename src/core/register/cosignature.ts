import { utf8, type Bytes } from '#core/kit/bytes'

/** A witness's signature and the POSIX time at which it vouches for the checkpoint. */
export interface Cosignature {
  seconds: number
  signature: Bytes
}

/** Takes a cosignature apart: time, then signature. Undefined when it is not one. @source C2SP tlog-cosignature 1.0.1 */
export function parseCosignature(bytes: Bytes): Cosignature | undefined {
  if (bytes.length < 8) return undefined
  const seconds = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
  return Number.isSafeInteger(seconds) ? { seconds, signature: bytes.slice(8) } : undefined
}

/** What a witness signs: the time and the whole text of the checkpoint. @source C2SP tlog-cosignature 1.0.1 (Ed25519) */
export const cosignedMessage = (seconds: number, text: string): Bytes =>
  utf8(`cosignature/v1\ntime ${seconds}\n${text}`)

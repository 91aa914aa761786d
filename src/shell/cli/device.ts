import { hostname } from 'node:os'
import { fromBase64, toBase64 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { identityFromPasskey, recipientOf } from '#core/seal/locks'
import { receiptKey, type Sign } from '#core/seal/receipt-key'
import { randomBytes } from '#core/seal/tools'
import type { Api } from '#shell/cli/api'
import { readOwn, writeOwn } from '#shell/cli/own-files'

/** This account on this machine, as a device of its person. */
export interface Device {
  /** Ed25519 public key, base64. */
  signingKey: string
  sign: Sign
  /** The age identity that opens the sender's own locks. */
  identity(pq: boolean): string
  /** The age recipient of the sender's own lock. */
  senderRecipient(pq: boolean): Promise<string>
}

const file = 'device.json'

/** The device's keys, made when they are first needed, and enrolled with this server (which is no change if they are). */
export async function enrolDevice(api: Api, env: NodeJS.ProcessEnv): Promise<Device> {
  const known = await readOwn<{ signingSeed: string; senderSecret: string }>(env, file)
  const keys = known ?? { signingSeed: toBase64(randomBytes(32)), senderSecret: toBase64(randomBytes(32)) }
  if (!known) await writeOwn(env, file, keys)
  const { publicKey, sign } = receiptKey(fromBase64(keys.signingSeed))
  const signingKey = toBase64(publicKey)
  const identity = (pq: boolean) => identityFromPasskey(fromBase64(keys.senderSecret), pq)
  const label = `Command line on ${hostname()}`.slice(0, limits.nameCharacters)
  // Without the recipient, which a person confirms in a browser: to what it seals itself it gives itself a lock.
  await api.post('/api/devices', { signingKey, label }, { again: true })
  return { signingKey, sign, identity, senderRecipient: (pq) => recipientOf(identity(pq)) }
}

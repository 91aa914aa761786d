import { randomBytes } from 'node:crypto'
import { utf8 } from '#core/kit/bytes'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { assert } from '#core/kit/outcome'
import { leafOf, SALT_BYTES } from '#core/register/event'
import type { EventName } from '#edge/keeper/event-names'
import { sendUnwaited } from '#edge/store/context'
import { newId, type Tx } from '#edge/store/database'

const HANDLE_BYTES = 16

const insert = `insert into register_events (id, name, transfer_id, at, handle, salt, body, leaf)
  values ($1, $2, $3, $4, $5, $6, $7, $8)`

/** The transfer that an event's body names. */
export const transferOf = (body: Json): string | null =>
  typeof body === 'object' && body !== null && 'transfer' in body ? ((body.transfer as string | null) ?? null) : null

/**
 * Records that something happened: the one way into the register.
 *
 * In the transaction of the change itself, so that neither exists without the other. The body says who did what; the
 * register publishes only a commitment to it. One event per recipient, so that no receipt tells of another.
 *
 * @param body - whole numbers only, at most `eventBodyBytes` as JSON
 * @param about - the transfer whose timeline shows it, which the body names too; the instant, if not now
 * @returns the event's id, with which a receipt is asked for; the event is sent, and stands when the transaction does
 */
export async function recordEvent(
  tx: Tx,
  name: EventName,
  body: Json,
  about: { transferId?: string; at?: Date } = {},
): Promise<{ eventId: string }> {
  const at = about.at ?? new Date()
  const random = randomBytes(HANDLE_BYTES + SALT_BYTES)
  const handle = random.toString('hex', 0, HANDLE_BYTES)
  const salt = new Uint8Array(random.subarray(HANDLE_BYTES))
  const text = canonicalJson(body)
  // What is signed says it too: an event that was moved to another transfer is found.
  assert(transferOf(body) === (about.transferId ?? null), `the event ${name} says which transfer it is about`)
  assert(utf8(text).length <= limits.eventBodyBytes, `the event ${name} says too much`)
  const leaf = leafOf({ event: name, at: at.toISOString(), handle, salt, body })
  const id = newId()
  await sendUnwaited(tx, insert, [id, name, about.transferId ?? null, at, handle, salt, text, leaf])
  return { eventId: id }
}

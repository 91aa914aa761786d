/** Letting this browser open what its person sends from elsewhere: the form carries the keys, and is confirmed as any other. */
import { toBase64 } from '#core/kit/bytes'
import { recipientOf } from '#core/seal/locks'
import { ownKey } from '#shell/islands/shared/device-key'
import { browserName, part } from '#shell/islands/shared/page-parts'
import { senderKeyName } from '#shell/islands/shared/sender-key'

const form = part<HTMLFormElement>(document, '[data-device-reads]')
const pq = form.dataset.pq === 'yes'
const key = await ownKey(senderKeyName({ personId: form.dataset.person!, pq })).catch(() => undefined)
if (key) {
  const given = {
    signingKey: toBase64(key.publicKey),
    senderRecipient: await recipientOf(await key.identity(pq)),
    label: browserName(),
  }
  for (const [name, value] of Object.entries(given)) part<HTMLInputElement>(form, `[name=${name}]`).value = value
  form.hidden = false
}

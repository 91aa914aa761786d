/** Letting this browser open what its person sends from elsewhere: the form carries the keys, and is confirmed as any other. */
import { toBase64 } from '#core/kit/bytes'
import { ownKey, type DeviceKey } from '#shell/islands/shared/device-key'
import { browserName, part } from '#shell/islands/shared/page-parts'
import { senderKeyName } from '#shell/islands/shared/sender-key'

const form = part<HTMLFormElement>(document, '[data-device-reads]')
const pq = form.dataset.pq === 'yes'
const key = await ownKey(senderKeyName({ personId: form.dataset.person!, pq })).catch(() => undefined)
if (key) {
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void giveKeys(key)
  })
  form.hidden = false
}

/** Puts the keys into the form and sends it. What makes them of the device's secret is fetched only now. */
async function giveKeys(own: DeviceKey): Promise<void> {
  const { recipientOf } = await import('#core/seal/locks')
  const given = {
    signingKey: toBase64(own.publicKey),
    senderRecipient: await recipientOf(await own.identity(pq)),
    label: browserName(),
  }
  for (const [name, value] of Object.entries(given)) part<HTMLInputElement>(form, `[name=${name}]`).value = value
  form.submit()
}

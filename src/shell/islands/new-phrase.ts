/** New words for a recipient, made in the browser that sealed the parcel. */
import type { SealAsk, SealNews } from '#shell/islands/seal-worker'
import { withSealings } from '#shell/islands/shared/begun-sealing'
import { knownKey } from '#shell/islands/shared/device-key'
import { part, showProblem } from '#shell/islands/shared/page-parts'
import { senderKeyName } from '#shell/islands/shared/sender-key'
import { jsonAnswered, saidOf } from '#shell/islands/shared/server'
import { showTelling, watchStanding, type Standing } from '#shell/islands/shared/telling'
import { startWorker } from '#shell/islands/shared/workers'

const root = part(document, '[data-parcel-panel]')
const transferId = root.dataset.transfer!
const holder = { personId: root.dataset.person!, pq: root.dataset.pq === 'yes' }
const cards = new Map<string, (now: Standing) => void>()

function makeWords(recipientId: string, button: HTMLButtonElement): void {
  button.disabled = true
  const worker = startWorker('seal')
  const ask: SealAsk = { kind: 'relock', order: { ...holder, transferId, recipientId } }
  worker.addEventListener('message', ({ data: news }: MessageEvent<SealNews>) => {
    worker.terminate()
    button.disabled = false
    if (news.kind === 'relocked' && news.phrase !== undefined) void showWords(recipientId, news.phrase)
    else if (news.kind === 'relocked') part(root, '[data-no-key]').hidden = false
    else
      showProblem(part(root, '[data-problem]'), news.kind === 'refused' ? news.said : saidOf({ slug: 'unavailable' }))
  })
  worker.postMessage(ask)
}

/** Puts the card with the new words in the place of what the page said of this recipient. */
async function showWords(recipientId: string, phrase: string): Promise<void> {
  const { recipients } = await jsonAnswered<{ recipients: Standing[] }>((signal) =>
    fetch(`/api/transfers/${transferId}/parcel`, { signal }),
  )
  const who = recipients.find(({ id }) => id === recipientId)!
  const place = part(root, `[data-standing="${recipientId}"]`)
  place.className = ''
  place.replaceChildren()
  if (cards.size === 0) watchStanding(transferId, (all) => all.forEach((now) => cards.get(now.id)?.(now)))
  cards.set(recipientId, showTelling(place, transferId, who, phrase))
  const heading = part(place, '[data-name]')
  heading.tabIndex = -1
  heading.focus()
}

async function begin(): Promise<void> {
  const canMake = (await knownKey(senderKeyName(holder)).catch(() => undefined)) !== undefined
  const places = root.querySelectorAll<HTMLElement>('[data-new-words]')
  for (const place of places) {
    place.hidden = !canMake
    const button = part<HTMLButtonElement>(place, 'button')
    button.addEventListener('click', () => makeWords(button.dataset.recipient!, button))
  }
  const lacking = root.querySelector<HTMLElement>('[data-no-key]')
  if (lacking) lacking.hidden = canMake || places.length === 0
}

void begin()
// Everything has arrived: the keys that were kept to go on with it have done their work, whatever ended the page that had them.
void withSealings(async (store) => store?.forget(transferId)).catch(() => undefined)

/** Telling a recipient the seven words. They are in this page's memory and nowhere else; leaving the page ends them. */
import { part, showProblem, textElement, warnBeforeLeaving } from '#shell/islands/shared/page-parts'
import { jsonAnswered, jsonTo, Refused, untilAnswered, type OnWaiting, type Said } from '#shell/islands/shared/server'

/** How a recipient stands, as the server tells it. */
export interface Standing {
  id: string
  name: string
  telephone: string | null
  mailboxProved: boolean
  opened: boolean
  notForMe: boolean
}

const pollMs = 4_000
let untold = 0

warnBeforeLeaving(() => untold > 0)

/**
 * Shows a card for one recipient: when to ring, the words, and how they were told.
 *
 * @param phrase - null when no words are needed
 * @returns what to call whenever the recipient's standing is known anew
 */
export function showTelling(
  place: HTMLElement,
  transferId: string,
  who: Standing,
  phrase: string | null,
): (now: Standing) => void {
  const card = part<HTMLTemplateElement>(document, 'template[data-telling]').content.cloneNode(true) as DocumentFragment
  const root = part(card, '[data-recipient]')
  root.dataset.recipient = who.id
  makeUnique(root, who.id)
  part(root, '[data-name]').textContent = who.name
  if (phrase === null) {
    part(root, '[data-state]').textContent = 'No words needed: their link and their mailbox are enough.'
    part(root, '[data-reveal]').hidden = true
    part(root, '[data-once]').hidden = true
  } else {
    untold += 1
    part(root, '[data-phrase]').replaceChildren(...phrase.split(' ').map((word) => textElement('li', '', word)))
    part(root, '[data-reveal] button').addEventListener('click', () => reveal(root))
    listenForTold(root, transferId, who.id)
  }
  place.append(card)
  const note = (now: Standing) => noteStanding(root, now, phrase !== null)
  note(who)
  return note
}

/** Ids and the attributes that name them, so that several cards can lie on one page. */
function makeUnique(root: HTMLElement, suffix: string): void {
  for (const name of ['id', 'for', 'aria-labelledby', 'aria-describedby', 'name']) {
    for (const element of root.querySelectorAll(`[${name}]`)) {
      if (name !== 'name' || element.getAttribute('type') === 'radio')
        element.setAttribute(name, `${element.getAttribute(name)}-${suffix}`)
    }
  }
}

function reveal(root: HTMLElement): void {
  part(root, '[data-reveal]').hidden = true
  part(root, '[data-words]').hidden = false
  part(root, '[data-phrase]').focus()
}

function noteStanding(root: HTMLElement, now: Standing, hasWords: boolean): void {
  const state = part(root, '[data-state]')
  const say = (text: string) => {
    if (state.textContent !== text) state.textContent = text
  }
  const ring = part(root, '[data-ring]')
  const isWaiting = hasWords && now.mailboxProved && !now.opened && !now.notForMe && root.dataset.told === undefined
  const wasHidden = ring.hidden
  ring.hidden = !isWaiting
  if (now.opened) return say('Opened. They have signed for it.')
  if (now.notForMe) return say('They say that it is not for them. They can no longer open it.')
  if (!hasWords) return
  if (!now.mailboxProved) return say('We will tell you when to ring.')
  say('They have proved their mailbox.')
  if (!isWaiting) return
  const telephone = part<HTMLAnchorElement>(root, '[data-telephone]')
  telephone.hidden = now.telephone === null
  telephone.textContent = now.telephone
  telephone.href = `tel:${(now.telephone ?? '').replace(/[^+\d]/g, '')}`
  if (wasHidden) {
    part(root, '[data-reveal]').hidden = true
    part(root, '[data-words]').hidden = false
  }
}

const howWords: Record<string, string> = {
  telephone: 'by telephone',
  'in-person': 'in person',
  text: 'by text from a work phone',
  letter: 'by letter',
}

function listenForTold(root: HTMLElement, transferId: string, recipientId: string): void {
  const form = part<HTMLFormElement>(root, 'form[data-told]')
  const number = part<HTMLInputElement>(form, '[data-number]')
  form.addEventListener('change', () => {
    part(form, '[data-number-group]').hidden = !['telephone', 'text'].includes(howOf(form))
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const button = event.submitter
    const isMissed = button?.hasAttribute('data-missed') ?? false
    const how = isMissed ? 'not-reached' : howOf(form)
    const given = number.value.trim()
    const body = isMissed
      ? { how }
      : { ...(how ? { how } : {}), ...(given && how !== 'in-person' ? { number: given } : {}) }
    tellServer(`/api/transfers/${transferId}/recipients/${recipientId}/told`, body).then(
      () => noteTold(root, how),
      (said: Said) => showProblem(part(root, '[data-problem]'), said),
    )
  })
}

const howOf = (form: HTMLFormElement): string =>
  form.querySelector<HTMLInputElement>('input[type=radio]:checked')?.value ?? ''

async function tellServer(url: string, body: unknown): Promise<void> {
  try {
    await untilAnswered(jsonTo(url, body))
  } catch (error) {
    if (error instanceof Refused) throw error.said
    throw error
  }
}

function noteTold(root: HTMLElement, how: string): void {
  part(root, '[data-problem]').replaceChildren()
  const done = part(root, '[data-told-done]')
  const time = new Date().toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
  if (how === 'not-reached') {
    done.textContent = `Not reached at ${time}. We will remind you in two hours. The words stay on this page while it is open.`
    return
  }
  if (root.dataset.told === undefined) untold -= 1
  root.dataset.told = how
  done.textContent = `Told ${howWords[how]} at ${time}. It is on the record.`
  for (const each of ['ring', 'words', 'once']) part(root, `[data-${each}]`).hidden = true
}

/** Asks again and again how each recipient stands, for as long as the page is open and whoever signs in meanwhile. */
export function watchStanding(
  transferId: string,
  onStanding: (all: Standing[]) => void,
  onWaiting: OnWaiting = () => {},
): void {
  const title = document.title
  const look = async () => {
    const { recipients } = await jsonAnswered<{ recipients: Standing[] }>(
      (signal) => fetch(`/api/transfers/${transferId}/parcel`, { signal }),
      onWaiting,
    )
    onStanding(recipients)
    const isRinging = document.querySelector('[data-ring]:not([hidden])') !== null
    document.title = isRinging ? `Ring now – ${title}` : title
  }
  const again = () =>
    void look().then(
      () => setTimeout(again, pollMs),
      () => undefined,
    )
  again()
}

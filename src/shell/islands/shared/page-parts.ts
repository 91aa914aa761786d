import type { Said } from '#shell/islands/shared/server'

/** The element a page promises to its island. A missing one is our own mistake and stops the island. */
export function part<T extends Element = HTMLElement>(within: ParentNode, selector: string): T {
  const found = within.querySelector<T>(selector)
  if (!found) throw new Error(`The page has no ${selector}`)
  return found
}

/** An element that holds text. Never markup: names and messages are other people's words. */
export function textElement<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text: string,
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  element.className = className
  element.textContent = text
  return element
}

/** Shows one of the page's steps, hides the others, and moves the reader to its heading. */
export function showStep(root: HTMLElement, name: string): void {
  for (const step of root.querySelectorAll<HTMLElement>('[data-step]')) step.hidden = step.dataset.step !== name
  const heading = part(root, `[data-step="${name}"] h1`)
  heading.tabIndex = -1
  heading.focus()
}

/** A link that belongs to a problem: where to put it right. */
export interface WayOut {
  text: string
  href: string
}

/** Shows a problem as GOV.UK does, its sentences for fields linked to them, and moves the reader to it. */
export function showProblem(
  place: HTMLElement,
  said: Pick<Said, 'title' | 'next' | 'detail' | 'fields'>,
  wayOut?: WayOut,
): void {
  const summary = textElement('div', 'govuk-error-summary', '')
  summary.tabIndex = -1
  const alert = textElement('div', '', '')
  alert.setAttribute('role', 'alert')
  const body = textElement('div', 'govuk-error-summary__body', '')
  const list = textElement('ul', 'govuk-list govuk-error-summary__list', '')
  for (const [field, sentence] of Object.entries(said.fields ?? {}))
    list.append(lineOf({ text: sentence, href: `#${field}` }))
  if (!said.fields) {
    if (said.detail) body.append(textElement('p', 'govuk-body', said.detail))
    body.append(textElement('p', 'govuk-body', said.next))
  }
  if (wayOut) list.append(lineOf(wayOut))
  if (list.childElementCount > 0) body.append(list)
  alert.append(textElement('h2', 'govuk-error-summary__title', said.title), body)
  summary.append(alert)
  place.replaceChildren(summary)
  summary.focus()
  summary.scrollIntoView({ block: 'nearest' })
}

function lineOf({ text, href }: WayOut): HTMLLIElement {
  const line = document.createElement('li')
  const link = textElement('a', 'govuk-link', text)
  link.href = href
  line.append(link)
  return line
}

/** Asks before the page is left while `isNeeded` says that something would be lost. */
export const warnBeforeLeaving = (isNeeded: () => boolean): void =>
  addEventListener('beforeunload', (event) => {
    if (isNeeded()) event.preventDefault()
  })

/** What a person calls this browser, for the list of her devices. */
export function browserName(): string {
  const agent = navigator.userAgent
  const browser = ['Edg', 'Firefox', 'Chrome', 'Safari'].find((name) => agent.includes(`${name}/`)) ?? 'Browser'
  const system = ['Windows', 'Android', 'iPhone', 'Mac', 'Linux'].find((name) => agent.includes(name)) ?? 'this device'
  return `${browser === 'Edg' ? 'Edge' : browser} on ${system}`
}

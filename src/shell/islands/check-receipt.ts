/** Checks a receipt in the browser. Nothing is sent anywhere: this script asks the network for nothing. */
import { canonicalJson } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import type { Outcome } from '#core/kit/outcome'
import { problems } from '#core/kit/problems'
import { parseVkey } from '#core/register/note'
import { parseTrustPolicy, trustPolicyFor, type TrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'

const form = document.querySelector<HTMLFormElement>('[data-check-receipt]')
const verdict = document.querySelector<HTMLElement>('[data-verdict]')
const receiptField = form?.querySelector<HTMLTextAreaElement>('textarea[name=receipt]')
const keyField = form?.querySelector<HTMLInputElement | HTMLTextAreaElement>('[name=key]')
const fileField = form?.querySelector<HTMLInputElement>('input[type=file]')

/** Shows lines of text as paragraphs, the first as a heading. Text only: a receipt is somebody else's words. */
function show(isGenuine: boolean, lines: string[]): void {
  if (!verdict) return
  verdict.dataset.verdict = isGenuine ? 'genuine' : 'refused'
  verdict.replaceChildren(
    ...lines.map((line, i) => {
      const element = document.createElement(i === 0 ? 'h2' : 'p')
      element.className = i === 0 ? 'govuk-heading-m' : 'govuk-body'
      element.textContent = line
      return element
    }),
  )
  verdict.focus()
}

/** A key alone, or a whole trust policy: people paste what they were given. */
function trustOf(text: string): Outcome<TrustPolicy> {
  const vkey = parseVkey(text)
  if (vkey.ok) return parseTrustPolicy(trustPolicyFor(vkey.value))
  return text.includes('\n') || text.startsWith('log ') ? parseTrustPolicy(text) : vkey
}

/** A form and a mail change how lines end, and drop the last newline; the format has one way only. */
const asSaved = (text: string): string => `${text.replaceAll('\r\n', '\n').trim()}\n`

function check(): void {
  const trusted = trustOf(keyField?.value.trim() ?? '')
  const receipt = asSaved(receiptField?.value ?? '')
  const verified = trusted.ok ? verifyReceipt(receipt, trusted.value) : trusted
  if (!verified.ok) {
    const { title, next } = problems[verified.problem.slug]
    show(false, [title, ...(verified.problem.detail === undefined ? [] : [verified.problem.detail]), next])
    return
  }
  const { event, at, body, origin, index, size, witnesses, isUnwitnessed } = verified.value
  show(true, [
    'This receipt is genuine',
    `${event}, ${at}`,
    `In the register ${origin}: event ${index} of ${size}.`,
    canonicalJson(body),
    isUnwitnessed
      ? 'UNWITNESSED: only the keeper of this register vouches that it shows everybody the same.'
      : `Witnessed by ${witnesses.join(', ')}.`,
  ])
}

async function take(file: File | undefined): Promise<void> {
  if (!file || !receiptField) return
  if (file.size > limits.receiptBytes) {
    const { title, next } = problems['proof-malformed']
    show(false, [title, next])
    return
  }
  receiptField.value = await file.text()
}

form?.addEventListener('submit', (event) => {
  event.preventDefault()
  check()
})
fileField?.addEventListener('change', () => void take(fileField.files?.[0]))
form?.addEventListener('dragover', (event) => event.preventDefault())
form?.addEventListener('drop', (event) => {
  event.preventDefault()
  void take(event.dataTransfer?.files[0])
})

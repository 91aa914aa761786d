/** The recipient's page: carries the link's token, makes this browser's key, opens the parcel, and saves what is in it. */
import { limits } from '#core/kit/limits'
import type { Bytes } from '#core/kit/bytes'
import type { DownloadAsk, DownloadNews } from '#shell/islands/download-worker'
import type { OpenAsk, OpenNews } from '#shell/islands/open-worker'
import { sizeWords } from '#shell/islands/shared/amounts'
import { visibleName } from '#shell/islands/shared/chosen'
import { ownKeyField } from '#shell/islands/shared/recipient-key'
import type { Described, Inside, OpenOrder } from '#shell/islands/shared/opening'
import { part, showProblem, showStep, textElement, warnBeforeLeaving } from '#shell/islands/shared/page-parts'
import { Refused, saidOf, untilAnswered, type Said } from '#shell/islands/shared/server'
import { downloadAddress, registerDownloads, startWorker } from '#shell/islands/shared/workers'

/** The words of this island, in the page's language; `problems` holds those that differ from the English ones. */
interface Words {
  opening: string
  checking: string
  saving: string
  ready: string
  waiting: string
  saved: string
  stopped: string
  missingPhrase: string
  missingKey: string
  keepOpen: string
  of: string
  problemTitle: string
  emptyFolder: string
  save: string
  problems: Record<string, { title: string; next: string }>
}

const root = part(document, '[data-collect]')
const recipientId = root.dataset.collect!
const words = JSON.parse(root.dataset.words!) as Words
/** The page's language; where the browser has no Welsh, numbers and dates fall back to how they are written here. */
const language = document.documentElement.lang === 'cy' ? ['cy', 'en-GB'] : ['en-GB']
const problem = part(root, '[data-problem]')

/** Shows a problem in the page's language. Details exist in English only and are left out of other languages. */
const refuse = (said: Said): void => showProblem(problem, words.problems[said.slug] ?? said)

/**
 * The token lies behind the link's '#', which browsers never send. It is taken out of the address, so that neither
 * history nor a shared screen shows it, and kept for as long as this tab is open.
 */
function carryToken(): void {
  const name = `token/${recipientId}`
  const given = /^#([A-Za-z0-9_-]{16,64})$/.exec(location.hash)?.[1]
  if (given) {
    sessionStorage.setItem(name, given)
    history.replaceState(null, '', location.pathname + location.search)
  }
  const token = given ?? sessionStorage.getItem(name)
  for (const field of root.querySelectorAll<HTMLInputElement>('input[name=token]')) field.value = token ?? ''
  for (const each of root.querySelectorAll<HTMLElement>('[data-needs-token]')) each.hidden = token === null
  for (const each of root.querySelectorAll<HTMLElement>('[data-without-token]')) each.hidden = token !== null
}

/**
 * Puts this browser's public key into the form that acknowledges; its private half will sign the receipt. Whoever presses
 * before it is made waits for it: without it the terms would have to be read again.
 */
function offerKey(field: HTMLInputElement): void {
  const form = field.form!
  const untilMade = (event: SubmitEvent) => {
    event.preventDefault()
    const submit = () => form.requestSubmit(event.submitter)
    void made.then(submit, submit)
  }
  form.addEventListener('submit', untilMade)
  const made = ownKeyField(recipientId)
    .then((key) => void (field.value = key))
    .finally(() => form.removeEventListener('submit', untilMade))
}

interface OpenPage {
  parcel: Described & { collectingKey: string | null }
  form: HTMLFormElement
  worker: Worker
}

let isBusy = false
warnBeforeLeaving(() => isBusy)

function say(text: string): void {
  part(root, '[data-status]').textContent = text
}

function showProgress(label: string, doneBytes?: number, totalBytes?: number): void {
  const bar = part<HTMLProgressElement>(root, '[data-bar]')
  part(root, '[data-progress]').hidden = false
  if (doneBytes === undefined || totalBytes === undefined) bar.removeAttribute('value')
  else bar.value = totalBytes === 0 ? 1 : doneBytes / totalBytes
  const amounts = totalBytes
    ? `: ${sizeWords(doneBytes ?? 0, language)} ${words.of} ${sizeWords(totalBytes, language)}`
    : ''
  part(root, '[data-phase]').textContent = label + amounts
}

const hideProgress = () => void (part(root, '[data-progress]').hidden = true)

/** What the person typed or chose to open the lock with, or a problem with it. */
async function enteredSecret({ form, parcel }: OpenPage): Promise<OpenOrder['secret'] | undefined> {
  if (parcel.lockKind === 'automatic') return { identity: '' }
  if (parcel.lockKind === 'passphrase') {
    const phrase = part<HTMLTextAreaElement>(form, '#phrase').value
    if (phrase.trim() !== '') return { phrase }
    showProblem(problem, { title: words.problemTitle, next: '', fields: { phrase: words.missingPhrase } })
    return undefined
  }
  const file = part<HTMLInputElement>(form, '#keyFile').files?.[0]
  const text = file && file.size < limits.lockBytes ? await file.text() : part<HTMLTextAreaElement>(form, '#key').value
  const identity = /AGE-SECRET-KEY-(PQ-)?1[02-9AC-HJ-NP-Z]+/.exec(text.toUpperCase())?.[0]
  if (identity) return { identity }
  showProblem(problem, { title: words.problemTitle, next: '', fields: { key: words.missingKey } })
  return undefined
}

let fetched: Promise<Pick<OpenOrder, 'lockAge' | 'manifestAge'> & { identity: string | null }> | undefined

/** The sealed lock and manifest. Fetched once: another try of the phrase needs no other. */
async function fetchSealed() {
  const get = (what: string) => untilAnswered((signal) => fetch(`/api/collect/${recipientId}/${what}`, { signal }))
  const [lock, manifest] = await Promise.all([get('lock'), get('manifest')])
  const bytes = async (answer: Response): Promise<Bytes> => new Uint8Array(await answer.arrayBuffer())
  return {
    lockAge: await bytes(lock),
    identity: lock.headers.get('safehand-identity'),
    manifestAge: await bytes(manifest),
  }
}

async function openParcel(page: OpenPage): Promise<void> {
  problem.replaceChildren()
  const secret = await enteredSecret(page)
  if (!secret || isBusy) return
  isBusy = true
  showProgress(words.opening)
  fetched ??= fetchSealed()
  const { lockAge, manifestAge, identity } = await fetched
  const order: OpenOrder = {
    recipientId,
    parcel: page.parcel,
    lockAge,
    manifestAge,
    secret: identity === null ? secret : { identity },
  }
  const ask: OpenAsk = { kind: 'open', order }
  page.worker.onmessage = ({ data }: MessageEvent<OpenNews>) => heed(data, page, order)
  page.worker.postMessage(ask)
}

let isLarge = false

function heed(news: DownloadNews, page: OpenPage, order: OpenOrder): void {
  if (news.kind === 'opened') {
    isLarge = !news.isHeld
    showInside(news.inside, page, order)
    showProgress(words.checking)
  } else if (news.kind === 'progress')
    showProgress(isLarge ? words.saving : words.checking, news.doneBytes, news.totalBytes)
  else if (news.kind === 'waiting') part(root, '[data-waiting]').hidden = !news.isWaiting
  else if (news.kind === 'bytes') saveBlob(news.name, news.blob)
  else if (news.kind === 'ready' || news.kind === 'saved') free(news.kind === 'ready' ? words.ready : words.saved)
  else if (news.kind === 'confirmed') void showReceipt()
  else if (news.kind === 'stopped') free(words.stopped)
  else if (news.kind === 'refused') {
    free(isLarge ? words.stopped : '')
    refuse(news.said)
  }
}

/** What was going on is over, well or not. */
function free(text: string): void {
  isBusy = false
  hideProgress()
  say(text)
  for (const button of root.querySelectorAll<HTMLButtonElement>('[data-save]')) button.disabled = false
}

const rowsMax = 500

/** Everything here is the sender's words: text only. */
function showInside({ details, entries, isSigned }: Inside, page: OpenPage, order: OpenOrder): void {
  for (const [name, value] of Object.entries(details)) {
    const place = root.querySelector<HTMLElement>(`[data-detail=${name}]`)
    if (!place || value === null || value === '') continue
    place.textContent =
      name === 'keepUntil' ? new Date(value).toLocaleDateString(language, { dateStyle: 'long' }) : value
    place.closest<HTMLElement>('[data-row]')!.hidden = false
  }
  part(root, isSigned ? '[data-signed]' : '[data-unsigned]').hidden = false
  const saver = (path: string | null) => (event: Event) => {
    if (isBusy) return
    isBusy = true
    for (const button of root.querySelectorAll<HTMLButtonElement>('[data-save]')) button.disabled = true
    say(isLarge ? words.keepOpen : '')
    problem.replaceChildren()
    save(path, page, order).catch((error: unknown) => {
      free('')
      if (error instanceof DOMException && error.name === 'AbortError') return
      refuse(saidOf({ slug: 'unavailable' }))
      throw error
    })
    event.preventDefault()
  }
  const files = entries.filter(({ type }) => type === 'file')
  part(root, '[data-files]').replaceChildren(
    ...entries.slice(0, rowsMax).map(({ path, type, sizeBytes }) => {
      const row = document.createElement('li')
      const name = textElement('bdi', 'sh-files__name', visibleName(type === 'folder' ? `${path}/` : path))
      row.append(
        name,
        textElement('span', 'sh-files__size', type === 'folder' ? words.emptyFolder : sizeWords(sizeBytes, language)),
      )
      if (type === 'file' && files.length > 1) row.append(saveButton(path, saver(path)))
      return row
    }),
    ...(entries.length > rowsMax ? [textElement('li', '', `… ${entries.length - rowsMax}`)] : []),
  )
  const all = part<HTMLButtonElement>(root, '[data-save-all]')
  const only = part<HTMLButtonElement>(root, '[data-save-only]')
  const single = entries.length === 1 ? files[0] : undefined
  all.hidden = single !== undefined
  only.hidden = single === undefined
  all.addEventListener('click', saver(null))
  only.addEventListener('click', saver(single?.path ?? null))
  showStep(root, 'inside')
}

function saveButton(path: string, onClick: (event: Event) => void): HTMLButtonElement {
  const button = textElement('button', 'sh-link-button', words.save)
  button.type = 'button'
  button.disabled = true
  button.dataset.save = ''
  button.append(textElement('span', 'govuk-visually-hidden', ` ${visibleName(path)}`))
  button.addEventListener('click', onClick)
  return button
}

interface Picker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>
}

/** Small parcels are held already. Large ones go straight to disk, by the picker or by the service worker. */
async function save(path: string | null, page: OpenPage, order: OpenOrder): Promise<void> {
  const ask = (to?: FileSystemFileHandle) =>
    page.worker.postMessage({ kind: 'save', path, ...(to ? { to } : {}) } satisfies OpenAsk)
  if (!isLarge) return ask()
  const suggestedName = path?.split('/').pop() ?? `${order.parcel.reference}.zip`
  const to = await (window as Picker).showSaveFilePicker?.({ suggestedName })
  showProgress(words.saving)
  const worker = to ? undefined : await registerDownloads().then(activeWorker, () => undefined)
  return worker ? download(path, page, order, worker) : ask(to)
}

/** The service worker calls every five seconds; this long without a word it has been ended, and its download with it. */
const quietTicksMax = 5
const tickMs = 5_000
/** Ticks are counted, not time: while a dialog or sleep holds the page up, what the worker says waits as well. */
let quietTicks = 0
let listening: ReturnType<typeof setInterval> | undefined

/** Has the service worker save it, and answers it for as long as the page is open. */
async function download(path: string | null, page: OpenPage, order: OpenOrder, worker: ServiceWorker): Promise<void> {
  const { port1, port2 } = new MessageChannel()
  const id = crypto.randomUUID()
  quietTicks = 0
  clearInterval(listening)
  listening = setInterval(() => {
    quietTicks += 1
    if (quietTicks < quietTicksMax) return
    clearInterval(listening)
    if (isBusy) heed({ kind: 'refused', said: saidOf({ slug: 'download-ended' }) }, page, order)
  }, tickMs)
  port1.onmessage = ({ data }: MessageEvent<DownloadNews>) => {
    quietTicks = 0
    if (data.kind === 'are-you-here') worker.postMessage({ kind: 'here' } satisfies DownloadAsk)
    else if (data.kind === 'prepared') begin(data.id)
    else heed(data, page, order)
  }
  worker.postMessage({ kind: 'prepare', id, order, path } satisfies DownloadAsk, [port2])
}

function begin(downloadId: string): void {
  const frame = document.createElement('iframe')
  frame.hidden = true
  frame.title = words.saving
  frame.src = downloadAddress(downloadId)
  document.body.append(frame)
}

async function activeWorker(registration: ServiceWorkerRegistration): Promise<ServiceWorker> {
  const coming = registration.installing ?? registration.waiting
  if (!coming) return registration.active!
  await new Promise<void>((resolve, reject) => {
    coming.addEventListener('statechange', () => {
      if (coming.state === 'activated') resolve()
      if (coming.state === 'redundant') reject(new Error('The browser has given the service worker up'))
    })
  })
  return coming
}

function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

/** Shows the receipt as soon as the register has taken it in. */
async function showReceipt(): Promise<void> {
  part(root, '[data-receipt]').hidden = false
  root.querySelector('[data-not-me]')?.remove()
  await untilAnswered((signal) => fetch(`/api/collect/${recipientId}/receipt`, { signal }))
  part(root, '[data-receipt-making]').hidden = true
  part(root, '[data-receipt-ready]').hidden = false
}

/** Opening needs the key whose public half was acknowledged with: another browser reads the terms again first. */
async function prepareToOpen(form: HTMLFormElement): Promise<void> {
  const parcel = JSON.parse(form.dataset.parcel!) as OpenPage['parcel']
  if (parcel.collectingKey !== (await ownKeyField(recipientId))) {
    location.replace(`${location.pathname}?step=read`)
    return
  }
  const page: OpenPage = { parcel, form, worker: startWorker('open') }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    openParcel(page).catch((error: unknown) => {
      fetched = undefined
      free('')
      refuse(error instanceof Refused ? error.said : saidOf({ slug: 'unavailable' }))
    })
  })
  form.hidden = false
  if ((root.dataset.opened ?? '') !== '') void showReceipt()
}

carryToken()
const keyField = root.querySelector<HTMLInputElement>('input[name=key]')
if (keyField) offerKey(keyField)
const openForm = root.querySelector<HTMLFormElement>('form[data-parcel]')
if (openForm) void prepareToOpen(openForm)

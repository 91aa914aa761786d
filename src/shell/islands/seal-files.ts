/** Choosing files, sealing and sending them, then telling the words: all in one page, which alone ever holds the words. */
import { limits } from '#core/kit/limits'
import type { SealAsk, SealNews } from '#shell/islands/seal-worker'
import { paceOf, sizeWords, timeLeftWords } from '#shell/islands/shared/amounts'
import { arrivedOf, listDigest, withSealings, type KeptSealing } from '#shell/islands/shared/begun-sealing'
import {
  checkNames,
  filesOfDrop,
  filesOfInput,
  Selection,
  visibleName,
  type Chosen,
} from '#shell/islands/shared/chosen'
import {
  browserName,
  part,
  showProblem,
  showStep,
  textElement,
  warnBeforeLeaving,
  type WayOut,
} from '#shell/islands/shared/page-parts'
import type { Addressee, Anew } from '#shell/islands/shared/sealing'
import { jsonAnswered, saidOf, type Said, type Waiting } from '#shell/islands/shared/server'
import { showTelling, watchStanding, type Standing } from '#shell/islands/shared/telling'
import { startWorker } from '#shell/islands/shared/workers'

const root = part(document, '[data-seal]')
const form = part<HTMLFormElement>(root, '[data-choose]')
const problem = part(root, '[data-problem]')
const transferId = root.dataset.transfer!
const selection = new Selection()
let worker: Worker | undefined
/** What was begun before in this browser and can be gone on with. */
let begun: KeptSealing | undefined

warnBeforeLeaving(() => worker !== undefined)

function add(chosen: Chosen[]): void {
  problem.replaceChildren()
  const twice = selection.add(chosen)
  showChosen()
  if (twice.length > 0) {
    const next = `Rename one of them, or put them into different folders: ${twice.slice(0, 5).map(visibleName).join(', ')}`
    showProblem(problem, { title: 'Two different files have the same name', next })
  }
}

function showChosen(): void {
  const { rows, fileCount, sizeBytes } = selection
  part(root, '[data-chosen]').hidden = rows.length === 0
  part(root, '[data-files]').replaceChildren(
    ...rows.map(({ name, isFolder, fileCount: count, sizeBytes: size }) => {
      const files = isFolder ? `${count} ${count === 1 ? 'file' : 'files'}, ` : ''
      const row = document.createElement('li')
      const remove = textElement('button', 'sh-link-button', 'Remove')
      remove.type = 'button'
      remove.append(textElement('span', 'govuk-visually-hidden', ` ${visibleName(name)}`))
      remove.addEventListener('click', () => {
        selection.remove(name)
        showChosen()
        part(root, selection.fileCount > 0 ? '[data-chosen]' : '[data-pick]').focus()
      })
      row.append(
        textElement('bdi', 'sh-files__name', visibleName(isFolder ? `${name}/` : name)),
        textElement('span', 'sh-files__size', `${files}${sizeWords(size)}`),
        remove,
      )
      return row
    }),
  )
  const words = `${fileCount} ${fileCount === 1 ? 'file' : 'files'}, ${sizeWords(sizeBytes)}`
  part(root, '[data-total]').textContent = rows.length > 0 ? words : ''
  void showWhetherSame()
}

/** Says before anything is sent whether these are the files that were begun with. */
async function showWhetherSame(): Promise<void> {
  const all = selection.all
  const isSame = begun !== undefined && (await listDigest(all)) === begun.files
  const other = 'These are not the same files as before. If you send these, we start again.'
  const words = isSame ? 'These are the same files as before. Only what is missing is sent.' : other
  part(root, '[data-same]').textContent = begun !== undefined && all.length > 0 ? words : ''
}

/** Finds what was begun before, and tells how much of it has arrived. */
async function showBegun(): Promise<void> {
  begun = await withSealings(async (store) => {
    const kept = await store?.find(transferId).catch(() => undefined)
    if (!kept) return undefined
    const { state, parts } = await arrivedOf(kept.parcelId, showWaiting)
    if (state !== 'sealing') {
      await store?.forget(transferId)
      return undefined
    }
    const arrivedBytes = parts.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
    const at = new Date(kept.begunAt).toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short' })
    part(root, '[data-begun-at]').textContent = at
    part(root, '[data-begun-arrived]').textContent =
      `${sizeWords(Math.min(arrivedBytes, kept.totalBytes))} of ${sizeWords(kept.totalBytes)} has arrived.`
    return kept
  })
  part(root, '[data-begun]').hidden = begun === undefined
  void showWhetherSame()
}

/** What is wrong with the form, in the sentences of its fields; undefined when nothing is. */
function faults(): Said | undefined {
  const fields: Record<string, string> = {}
  const { message, availableDays, daysMax } = entered()
  if (selection.fileCount === 0) fields.files = 'Choose at least one file'
  if (message.length > limits.textCharacters)
    fields.message = `The message must be ${limits.textCharacters} characters or fewer`
  if (!(availableDays >= 1 && availableDays <= daysMax))
    fields.availableDays = `Enter a number of days from 1 to ${daysMax}`
  if (Object.keys(fields).length > 0) return { slug: 'form-incomplete', title: 'There is a problem', next: '', fields }
  const named = checkNames(selection.all)
  return named.ok ? undefined : saidOf(named.problem)
}

function entered() {
  const days = part<HTMLInputElement>(form, '#availableDays').value.trim()
  return {
    message: part<HTMLTextAreaElement>(form, '#message').value.trim(),
    availableDays: /^\d{1,3}$/.test(days) ? Number(days) : Number.NaN,
    daysMax: Number(root.dataset.daysMax),
  }
}

function sealAndSend(): void {
  const wrong = faults()
  if (wrong) return showProblem(problem, wrong)
  problem.replaceChildren()
  showStep(root, 'sealing')
  const { message, availableDays } = entered()
  const watch = progressWatch()
  for (const name of ['anew', 'kept']) part(root, `[data-${name}]`).hidden = true
  worker = startWorker('seal')
  worker.addEventListener('message', ({ data: news }: MessageEvent<SealNews>) => {
    if (news.kind === 'progress') watch.progress(news.doneBytes, news.totalBytes)
    else if (news.kind === 'checking') watch.checking(news.checkedBytes, news.arrivedBytes)
    else if (news.kind === 'waiting') showWaiting(news.waiting)
    else if (news.kind === 'begun') part(root, '[data-kept]').hidden = !news.isKept
    else if (news.kind === 'anew') showAnew(news.why)
    else if (news.kind === 'sent') void showSent(news.addressees, news.keepsKey)
    else stop(news.kind === 'refused' ? news.said : saidOf({ slug: 'unavailable' }))
  })
  worker.addEventListener('error', () => stop(saidOf({ slug: 'unavailable' })))
  const ask: SealAsk = {
    kind: 'seal',
    order: {
      transferId,
      personId: root.dataset.person!,
      pq: root.dataset.pq === 'yes',
      files: selection.all,
      message,
      availableDays,
      deviceLabel: browserName(),
    },
  }
  worker.postMessage(ask)
}

/** Goes back to the files, with what went wrong if something did. Nothing was sent: the parcel was never completed. */
function stop(said?: Said): void {
  worker?.terminate()
  worker = undefined
  showWaiting(undefined)
  showStep(root, 'choose')
  void showBegun()
  if (said) showProblem(problem, said, wayOutOf(said))
}

function wayOutOf({ slug, clause }: Said): WayOut | undefined {
  const at = `/transfers/${transferId}`
  if (slug === 'transfer-closed') return { text: 'Go to this transfer', href: at }
  const isDecided = clause !== undefined || ['gates-open', 'method-not-allowed', 'recipient-missing'].includes(slug)
  return isDecided ? { text: 'See the decision and what is allowed', href: `${at}/decision` } : undefined
}

function showWaiting(waiting: Waiting): void {
  part(root, '[data-signed-out]').hidden = waiting !== 'sign-in'
  part(root, '[data-waiting]').hidden = waiting !== 'connection'
  part(root, '[data-pace]').hidden = waiting !== undefined
}

const anewWords: Record<Anew, string> = {
  'other-files': 'These are not the same files. We start again.',
  changed: 'A file is not the same as before. We start again.',
  gone: 'What had arrived cannot be gone on with. We start again.',
}

function showAnew(why: Anew): void {
  part(root, '[data-anew]').textContent = anewWords[why]
  part(root, '[data-anew]').hidden = false
}

function progressWatch() {
  let pace: ReturnType<typeof paceOf> | undefined
  let aloudTenth = 0
  return {
    progress(doneBytes: number, totalBytes: number) {
      pace ??= paceOf(totalBytes)
      const now = pace.note(doneBytes, performance.now())
      const share = doneBytes / totalBytes
      part<HTMLProgressElement>(root, '[data-bar]').value = Math.round(share * 1000)
      part(root, '[data-phase]').textContent =
        share < 1 ? `${sizeWords(doneBytes)} of ${sizeWords(totalBytes)}` : 'Finishing'
      if (now && share < 1)
        part(root, '[data-pace]').textContent =
          `${sizeWords(now.bytesPerSecond)} a second, ${timeLeftWords(now.secondsLeft)}`
      // Read aloud at each tenth only, or nothing else could be heard.
      const tenth = Math.floor(share * 10)
      if (tenth > aloudTenth) part(root, '[data-aloud]').textContent = `${tenth * 10} per cent`
      aloudTenth = Math.max(aloudTenth, tenth)
    },
    checking(checkedBytes: number, arrivedBytes: number) {
      part(root, '[data-pace]').textContent =
        checkedBytes < arrivedBytes
          ? `Comparing with what has arrived: ${sizeWords(checkedBytes)} of ${sizeWords(arrivedBytes)}`
          : ''
    },
  }
}

/** The parcel is complete. The page stays, because only it has the words; a reload shows the transfer instead. */
async function showSent(addressees: Addressee[], keepsKey: boolean): Promise<void> {
  worker?.terminate()
  worker = undefined
  history.replaceState(null, '', `/transfers/${transferId}`)
  document.title = 'Sealed and sent – Safehand'
  document.querySelector('.govuk-back-link')?.remove()
  part(root, '[data-keyless]').hidden = keepsKey
  showStep(root, 'sent')
  const { recipients } = await jsonAnswered<{ recipients: Standing[] }>(
    (signal) => fetch(`/api/transfers/${transferId}/parcel`, { signal }),
    showWaiting,
  )
  const cards = new Map(
    recipients.map((who) => [
      who.id,
      showTelling(
        part(root, '[data-tell]'),
        transferId,
        who,
        addressees.find(({ id }) => id === who.id)?.phrase ?? null,
      ),
    ]),
  )
  watchStanding(transferId, (all) => all.forEach((now) => cards.get(now.id)?.(now)), showWaiting)
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  sealAndSend()
})
part(root, '[data-stop]').addEventListener('click', () => stop())
for (const kind of ['files', 'folder']) {
  const input = part<HTMLInputElement>(form, `[data-input=${kind}]`)
  const button = part<HTMLButtonElement>(form, `[data-pick=${kind}]`)
  button.addEventListener('click', () => input.click())
  button.hidden = kind === 'folder' && !('webkitdirectory' in input)
  input.addEventListener('change', () => {
    add(filesOfInput(input.files ?? []))
    input.value = ''
  })
}
const drop = part(form, '[data-drop]')
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault()
    drop.classList.toggle('sh-drop--over', name === 'dragenter' || name === 'dragover')
  })
}
// A file let go beside the drop zone would otherwise replace this page.
for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault())
drop.addEventListener('drop', (event) => {
  if (event.dataTransfer) void filesOfDrop(event.dataTransfer.items).then(add)
})
form.hidden = false
void showBegun()

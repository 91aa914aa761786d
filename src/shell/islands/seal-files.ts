/** Choosing files, sealing and sending them, then telling the words: all in one page, which alone ever holds the words. */
import { limits } from '#core/kit/limits'
import type { SealAsk, SealNews } from '#shell/islands/seal-worker'
import { paceOf, sizeWords, timeLeftWords } from '#shell/islands/shared/amounts'
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
} from '#shell/islands/shared/page-parts'
import type { Addressee } from '#shell/islands/shared/sealing'
import { saidOf, untilAnswered, type Said } from '#shell/islands/shared/server'
import { showTelling, watchStanding, type Standing } from '#shell/islands/shared/telling'
import { startWorker } from '#shell/islands/shared/workers'

const root = part(document, '[data-seal]')
const form = part<HTMLFormElement>(root, '[data-choose]')
const problem = part(root, '[data-problem]')
const transferId = root.dataset.transfer!
const selection = new Selection()
let worker: Worker | undefined

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
  worker = startWorker('seal')
  worker.addEventListener('message', ({ data: news }: MessageEvent<SealNews>) => {
    if (news.kind === 'progress') watch.progress(news.doneBytes, news.totalBytes)
    else if (news.kind === 'waiting') watch.waiting(news.isWaiting)
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
  showStep(root, 'choose')
  if (!said) return
  const isDecided =
    said.clause !== undefined || ['gates-open', 'method-not-allowed', 'recipient-missing'].includes(said.slug)
  showProblem(
    problem,
    said,
    isDecided ? { text: 'See the decision and what is allowed', href: `/transfers/${transferId}/decision` } : undefined,
  )
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
    waiting(isWaiting: boolean) {
      part(root, '[data-waiting]').hidden = !isWaiting
      part(root, '[data-pace]').hidden = isWaiting
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
  const answer = await untilAnswered((signal) => fetch(`/api/transfers/${transferId}/parcel`, { signal }))
  const { recipients } = (await answer.json()) as { recipients: Standing[] }
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
  watchStanding(transferId, (all) => all.forEach((now) => cards.get(now.id)?.(now)))
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

/**
 * The service worker that saves files too large for memory: it fetches the sealed content itself, opens it, and hands
 * it to the browser's own downloads while the page stays open. It answers for addresses under `download/` only.
 *
 * Firefox ends a service worker that no event has reached for 30 s and takes what it had of a download for the whole.
 * So the page answers a call every few seconds, which keeps the worker; where it is silent, the worker breaks the
 * download off itself while it still can: an error is the only end that browsers do not take for a finished file.
 */
import type { Bytes } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import {
  confirm,
  open,
  saidOfError,
  savingOf,
  type Opened,
  type OpenOrder,
  type Saving,
} from '#shell/islands/shared/opening'
import type { OpenNews } from '#shell/islands/open-worker'
import { nowAndThen } from '#shell/islands/shared/progress'
import { saidOf } from '#shell/islands/shared/server'

/** What the page asks, and its answer to a call. */
export type DownloadAsk = { kind: 'prepare'; id: string; order: OpenOrder; path: string | null } | { kind: 'here' }
export type DownloadNews = OpenNews | { kind: 'prepared'; id: string } | { kind: 'are-you-here' } | { kind: 'stopped' }

/** Timers here run on where the page's are slowed down (hidden tabs), so it is the worker that calls. */
const callMs = 5_000
/** Calls without an answer after which the page is gone: 20 s. */
const callsMax = 4

interface ServiceWorkerEvent extends Event {
  waitUntil(work: Promise<unknown>): void
}
interface AskEvent extends ServiceWorkerEvent {
  data: DownloadAsk
  /** The page that asks. */
  source: { id: string }
  ports: MessagePort[]
}
interface FetchEvent extends ServiceWorkerEvent {
  request: Request
  respondWith(answer: Response): void
}

/** A page, and the parcel that it has open here: files saved one after the other add up to the whole parcel. */
interface Held {
  opened: Opened
  /** By the port that came with what it asked first. */
  tell: (news: DownloadNews) => void
  unanswered: number
  /** Aborted when the page is gone. */
  gone: AbortController
}
interface Prepared extends Saving {
  held: Held
}

const heldByPage = new Map<string, Held>()
const preparedById = new Map<string, Prepared>()

async function prepare(
  pageId: string,
  { id, order, path }: Extract<DownloadAsk, { kind: 'prepare' }>,
  tell: Held['tell'],
): Promise<void> {
  const held = heldByPage.get(pageId) ?? {
    opened: orThrow(await open(order, (waiting) => tell({ kind: 'waiting', isWaiting: waiting !== undefined }))),
    tell,
    unanswered: 0,
    gone: new AbortController(),
  }
  if (!heldByPage.has(pageId)) callUntilGone(pageId, held)
  const onBytes = nowAndThen((doneBytes, totalBytes) => held.tell({ kind: 'progress', doneBytes, totalBytes }))
  const saving = savingOf(held.opened, path, onBytes)
  preparedById.set(id, { ...saving, held })
  held.tell({ kind: 'prepared', id })
}

function callUntilGone(pageId: string, held: Held): void {
  heldByPage.set(pageId, held)
  const calling = setInterval(() => {
    held.unanswered += 1
    if (held.unanswered < callsMax) return held.tell({ kind: 'are-you-here' })
    clearInterval(calling)
    heldByPage.delete(pageId)
    held.gone.abort()
  }, callMs)
}

const refuse = (tell: Held['tell']) => (error: unknown) =>
  tell({ kind: 'refused', said: saidOfError(error) ?? saidOf({ slug: 'unavailable' }) })

/** The browser's download of what was prepared: always an attachment of no type, never shown. */
function answer(prepared: Prepared): Response {
  const { name, sizeBytes } = prepared
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`)
  const headers = {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename*=UTF-8''${encoded}`,
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
    'content-length': String(sizeBytes),
  }
  return new Response(watched(prepared), { headers })
}

async function saved({ opened, tell }: Held): Promise<void> {
  tell({ kind: 'saved' })
  if (!opened.parcel.isWhole()) return
  await confirm(opened, () => {})
  tell({ kind: 'confirmed' })
}

/** The stream itself, telling how it ends. An error stays an error, so that a cut download is never taken for whole. */
function watched({ stream, held }: Prepared): ReadableStream<Bytes> {
  const reader = stream.getReader()
  const { signal } = held.gone
  const over = new AbortController()
  const stop = async () => {
    over.abort()
    held.tell({ kind: 'stopped' })
    await reader.cancel().catch(() => undefined)
  }
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        const isGone = () => {
          controller.error(signal.reason)
          void stop()
        }
        signal.addEventListener('abort', isGone, { signal: over.signal })
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (signal.aborted) return
          if (!done) return controller.enqueue(value)
          over.abort()
          controller.close()
        } catch (error) {
          over.abort()
          controller.error(error)
          return refuse(held.tell)(error)
        }
        await saved(held).catch(refuse(held.tell))
      },
      cancel: stop,
    },
    { highWaterMark: 1 },
  )
}

addEventListener('install', () => void (self as unknown as { skipWaiting(): Promise<void> }).skipWaiting())
addEventListener('message', (event) => {
  const asked = event as unknown as AskEvent
  const { data, source } = asked
  const port = asked.ports[0]
  if (data.kind === 'here') {
    const held = heldByPage.get(source.id)
    if (held) held.unanswered = 0
  } else if (port) {
    const tell: Held['tell'] = (news) => port.postMessage(news)
    asked.waitUntil(prepare(source.id, data, tell).catch(refuse(tell)))
  }
})
addEventListener('fetch', (event) => {
  const asked = event as unknown as FetchEvent
  const id = /\/download\/([0-9a-f-]{36})$/.exec(new URL(asked.request.url).pathname)?.[1]
  const prepared = id === undefined ? undefined : preparedById.get(id)
  if (id === undefined || !prepared) return
  preparedById.delete(id)
  asked.respondWith(answer(prepared))
})

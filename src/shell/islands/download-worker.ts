/**
 * The service worker that saves files too large for memory: it fetches the sealed content itself, opens it, and hands
 * it to the browser's own downloads while the page stays open. It answers for addresses under `download/` only.
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
import { saidOf, type OnWaiting } from '#shell/islands/shared/server'

/** What the page asks; it pings every ten seconds too, because an idle service worker is ended and its downloads cut. */
export type DownloadAsk = { kind: 'prepare'; id: string; order: OpenOrder; path: string | null } | { kind: 'ping' }
export type DownloadNews = OpenNews | { kind: 'prepared' } | { kind: 'stopped' }

interface ServiceWorkerEvent extends Event {
  waitUntil(work: Promise<unknown>): void
}
interface AskEvent extends ServiceWorkerEvent {
  data: DownloadAsk
  ports: MessagePort[]
}
interface FetchEvent extends ServiceWorkerEvent {
  request: Request
  respondWith(answer: Response): void
}

interface Prepared extends Saving {
  opened: Opened
  tell: (news: DownloadNews) => void
}

/** By lock: files saved one after the other add up to a parcel that has been opened whole. */
const openedByLock = new Map<string, Opened>()
const preparedById = new Map<string, Prepared>()

async function prepare(
  { id, order, path }: Extract<DownloadAsk, { kind: 'prepare' }>,
  port: MessagePort,
): Promise<void> {
  const tell = (news: DownloadNews) => port.postMessage(news)
  const { lockId } = order.parcel
  const onWaiting: OnWaiting = (waiting) => tell({ kind: 'waiting', isWaiting: waiting !== undefined })
  const opened = openedByLock.get(lockId) ?? orThrow(await open(order, onWaiting))
  openedByLock.set(lockId, opened)
  const saving = savingOf(opened, path, (doneBytes, totalBytes) => tell({ kind: 'progress', doneBytes, totalBytes }))
  preparedById.set(id, { ...saving, opened, tell })
  tell({ kind: 'prepared' })
}

const refuse = (tell: Prepared['tell']) => (error: unknown) =>
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
    ...(sizeBytes === null ? {} : { 'content-length': String(sizeBytes) }),
  }
  return new Response(watched(prepared), { headers })
}

async function saved(opened: Opened, tell: Prepared['tell']): Promise<void> {
  tell({ kind: 'saved' })
  if (!opened.parcel.isWhole()) return
  await confirm(opened, () => {})
  tell({ kind: 'confirmed' })
}

/** The stream itself, telling how it ends. An error stays an error, so that a cut download is never taken for whole. */
function watched({ stream, opened, tell }: Prepared): ReadableStream<Bytes> {
  const reader = stream.getReader()
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          controller.close()
        } catch (error) {
          controller.error(error)
          return refuse(tell)(error)
        }
        await saved(opened, tell).catch(refuse(tell))
      },
      async cancel() {
        tell({ kind: 'stopped' })
        await reader.cancel()
      },
    },
    { highWaterMark: 1 },
  )
}

addEventListener('install', () => void (self as unknown as { skipWaiting(): Promise<void> }).skipWaiting())
addEventListener('message', (event) => {
  const asked = event as unknown as AskEvent
  const port = asked.ports[0]
  if (asked.data.kind !== 'prepare' || !port) return
  asked.waitUntil(prepare(asked.data, port).catch(refuse((news) => port.postMessage(news))))
})
addEventListener('fetch', (event) => {
  const asked = event as unknown as FetchEvent
  const id = /\/download\/([0-9a-f-]{36})$/.exec(new URL(asked.request.url).pathname)?.[1]
  const prepared = id === undefined ? undefined : preparedById.get(id)
  if (id === undefined || !prepared) return
  preparedById.delete(id)
  asked.respondWith(answer(prepared))
})

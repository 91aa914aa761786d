import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A line to a server on this machine that a browser is told to use as its proxy, so that addresses stay as they are. */
export interface SlowProxy {
  url: string
  /** How fast the sealed content comes, all its requests together; everything else comes as fast as it can. */
  bytesPerSecond: number
  /** Bytes of sealed content that have passed. */
  contentBytes: number
  /** The `Range` of each request for sealed content. */
  ranges: string[]
  /** Whether requests for sealed content are broken off; the line stays up for everything else. */
  isCut: boolean
  /** Whether they get no answer instead, as from a line that died without a word. */
  isSilent: boolean
  /** Breaks off what is under way now. */
  cut(): void
}

export async function startSlowProxy(t: { after(clean: () => Promise<void>): void }): Promise<SlowProxy> {
  const underWay = new Set<ServerResponse>()
  const proxy: SlowProxy = {
    url: '',
    bytesPerSecond: Infinity,
    contentBytes: 0,
    ranges: [],
    isCut: false,
    isSilent: false,
    cut: () => underWay.forEach((answer) => answer.destroy()),
  }

  async function slowly(from: IncomingMessage, to: ServerResponse): Promise<void> {
    for await (const piece of from as AsyncIterable<Buffer>) {
      proxy.contentBytes += piece.length
      if (!to.write(piece)) await once(to, 'drain')
      const waitMs = (piece.length * 1_000 * underWay.size) / proxy.bytesPerSecond
      if (waitMs > 0) await delay(waitMs)
    }
    to.end()
  }

  const server = createServer((asked, answer) => {
    const { pathname } = new URL(asked.url!)
    const isContent = pathname.endsWith('/content')
    if (isContent) {
      proxy.ranges.push(asked.headers.range ?? '')
      underWay.add(answer)
      answer.on('close', () => underWay.delete(answer))
      if (proxy.isSilent) return
      if (proxy.isCut) return void answer.destroy()
    }
    const upstream = request(asked.url!, { method: asked.method, headers: asked.headers }, (response) => {
      answer.writeHead(response.statusCode!, response.headers)
      if (isContent) slowly(response, answer).catch(() => answer.destroy())
      else response.pipe(answer)
    })
    upstream.on('error', () => answer.destroy())
    answer.on('close', () => upstream.destroy())
    asked.pipe(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.after(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return proxy
}

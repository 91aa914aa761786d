/** What Safehand is compared with: a server that keeps a file as it comes and gives it back, and a page that uses it. */
import { build } from 'esbuild'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { writeFlow } from '#shell/cli/file-bytes'

export interface PlainServer {
  url: string
  /** What was said last: when a file was on disk, in milliseconds, or what a worker took. Waits for it, and forgets it. */
  said(): Promise<number>
  end(): void
}

const page = `<!doctype html><title>Plain</title><input type=file>
<button id=put>Put</button><a id=get href=/file download=plain.bin>Get</a><button id=seal>Seal</button><button id=bare>Bare</button>
<script>
  const file = () => document.querySelector('input').files[0]
  document.querySelector('#put').onclick = () => fetch('/file', { method: 'PUT', body: file() })
  for (const act of ['seal', 'bare'])
    document.querySelector('#' + act).onclick = () => {
      const worker = new Worker('/worker.js')
      worker.onmessage = ({ data }) => fetch('/said', { method: 'POST', body: String(data) })
      worker.postMessage({ act, file: file() })
    }
</script>`

/** Serves on loopback. The file lies in `folder`. */
export async function plainServer(folder: string): Promise<PlainServer> {
  const path = join(folder, 'put')
  const root = join(import.meta.dirname, '../..')
  const built = await build({
    entryPoints: [join(import.meta.dirname, 'sealing-worker.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2023',
    alias: { '#core': join(root, 'src/core') },
  })
  let heard: number | undefined
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'PUT') {
      const file = await open(path, 'w')
      await writeFlow(file, request, 0)
      await file.sync()
      await file.close()
      heard = Date.now()
      response.writeHead(204).end()
    } else if (request.method === 'POST') {
      heard = Number((await request.toArray()).join(''))
      response.writeHead(204).end()
    } else if (request.url === '/file') {
      response.writeHead(200, {
        'content-length': (await stat(path)).size,
        'content-type': 'application/octet-stream',
      })
      createReadStream(path, { highWaterMark: 2 ** 20 }).pipe(response)
    } else if (request.url === '/worker.js')
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(built.outputFiles[0]!.text)
    else response.writeHead(200, { 'content-type': 'text/html' }).end(page)
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    async said() {
      for (;;) {
        const value = heard
        heard = undefined
        if (value !== undefined) return value
        await wait(10)
      }
    },
    end: () => server.close(),
  }
}

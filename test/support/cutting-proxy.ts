import { mkdtemp, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const socketName = '.s.PGSQL.5432'

/**
 * Stands between us and a Postgres behind a socket folder, to cut the connection at the next commit: `before` the server
 * hears of it, or `after` it committed and before we hear of that.
 */
export async function startCuttingProxy(t: { after(clean: () => Promise<void>): void }, url: string) {
  const proxy = { url: '', cutAtCommit: null as 'before' | 'after' | null }
  const behind = new URL(url).searchParams.get('host')!
  const folder = await mkdtemp(join(tmpdir(), 'safehand-proxy-'))
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(join(behind, socketName))
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => [client, upstream].forEach((each) => each.destroy()))
    }
    let isCommitting = false
    client.on('data', (bytes) => {
      isCommitting = proxy.cutAtCommit !== null && bytes.includes('commit')
      if (!isCommitting || proxy.cutAtCommit === 'after') upstream.write(bytes)
      else cut()
    })
    upstream.on('data', (bytes) => (isCommitting ? cut() : client.write(bytes)))
    const cut = (): void => {
      proxy.cutAtCommit = null
      client.destroy()
    }
  })
  server.listen(join(folder, socketName))
  await once(server, 'listening')
  proxy.url = url.replace(encodeURIComponent(behind), encodeURIComponent(folder))
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await rm(folder, { recursive: true, force: true })
  })
  return proxy
}

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What passes between clients and a server. */
export interface CountingProxy {
  /** Where clients connect, instead of to the server. */
  port: number
  /** Bytes from clients, and to them, so far. */
  up: number
  down: number
  /** Called with what has just come from a client, and is not passed on before it comes back. */
  onUp: (bytes: Buffer) => void
  /** The same of what comes from the server. */
  onDown: (bytes: Buffer) => void
  /** While it is true, what comes is lost and nobody is told; a connection that lost something stays dead. */
  isDead: boolean
}

/** Stands before a server on this machine, counts what passes, and tells of it. */
export async function startCountingProxy(
  t: { after(clean: () => Promise<void>): void },
  port: number,
): Promise<CountingProxy> {
  const proxy = { port: 0, up: 0, down: 0, onUp: () => {}, onDown: () => {}, isDead: false } as CountingProxy
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, 'localhost')
    let isDead = false
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.on('data', (bytes) => {
        isDead ||= proxy.isDead
        if (isDead) return
        proxy[socket === client ? 'up' : 'down'] += bytes.length
        proxy[socket === client ? 'onUp' : 'onDown'](bytes)
        if (!other.write(bytes)) socket.pause()
      })
      other.on('drain', () => socket.resume())
    }
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  proxy.port = (server.address() as AddressInfo).port
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return proxy
}

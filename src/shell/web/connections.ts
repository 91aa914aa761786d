import type { Server } from 'node:http'
import { isIPv4, type BlockList } from 'node:net'
import { limits } from '#core/kit/limits'
import { networkOf } from '#edge/web/rates'

/**
 * Bounds what connections can hold. No network may have all of them, so that whoever opens hundreds and says nothing
 * keeps nobody else out; a trusted proxy speaks for many, and bounds its own clients.
 */
export function limitConnections(server: Server, proxies: BlockList): void {
  server.maxConnections = limits.connections
  const held = new Map<string, number>()
  server.on('connection', (socket) => {
    // Gone before we looked: it holds nothing.
    if (socket.remoteAddress === undefined) return
    const network = networkOf(socket.remoteAddress)
    const isOld = isIPv4(network)
    if (proxies.check(isOld ? network : socket.remoteAddress, isOld ? 'ipv4' : 'ipv6')) return
    const count = (held.get(network) ?? 0) + 1
    if (count > limits.connectionsPerAddress) {
      socket.destroy()
      return
    }
    held.set(network, count)
    socket.once('close', () => {
      const left = held.get(network)! - 1
      if (left === 0) held.delete(network)
      else held.set(network, left)
    })
  })
}

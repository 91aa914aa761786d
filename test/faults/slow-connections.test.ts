/** Connections that say nothing, or say it slowly, on real sockets: somebody real must not notice. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setImmediate as rest } from 'node:timers/promises'
import { limits } from '#core/kit/limits'
import { formTokenOf } from '#features/people/sessions'
import { aHouse, Browser } from '#test/house'
import { aReadyTransfer, digestHeader, newestCode, sealForTest } from '#test/sending'
import { remote } from '../journeys/support.ts'

const { app, house } = await aHouse({ after })
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as AddressInfo
const url = `http://127.0.0.1:${port}`

const held = new Set<Socket>()
after(() => held.forEach((socket) => socket.destroy()))

/** A connection from one address of this machine, which says so much and then waits. */
async function hold(localAddress: string, says = ''): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  held.add(socket)
  socket.on('error', () => {})
  socket.once('close', () => held.delete(socket))
  await once(socket, 'connect')
  if (says) socket.write(says)
  return socket
}
const many = (count: number, localAddress: string, says?: string) =>
  Promise.all(Array.from({ length: count }, () => hold(localAddress, says)))

const isOpen = async (socket: Socket) => {
  socket.write('GET /genuine HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [answer] = await Promise.race([once(socket, 'data'), once(socket, 'close')])
  return answer instanceof Buffer
}

/** Signs in with a code, as a person does, and loads home. */
async function signIn(email: string): Promise<void> {
  const as = new Browser(remote(url))
  assert.equal((await as.call('POST', '/sign-in', { email })).statusCode, 303)
  await as.post('/api/sign-in/code', { code: await newestCode(as, email) })
  assert.equal((await as.call('GET', '/', undefined, { accept: 'text/html' })).statusCode, 200)
}

test('five hundred idle connections, a hundred slow bodies and a hundred slow headers keep nobody from signing in', async () => {
  await many(500, '127.0.0.2')
  const slowForm =
    'POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nemail='
  const slowPart =
    'PUT /api/parcels/0192f0c1-2222-7333-8444-555566667777/parts/0 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 8388608\r\n\r\nx'
  const slow = [
    ...(await many(50, '127.0.0.3', slowForm)),
    ...(await many(50, '127.0.0.3', slowPart)),
    ...(await many(100, '127.0.0.4', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')),
  ]
  const dripping = setInterval(() => slow.forEach((socket) => socket.writable && socket.write('a')), 50)
  try {
    await signIn('priya.nair@exampleshire.example')
    assert.ok(held.size >= 600, `${held.size} are still held`)
  } finally {
    clearInterval(dripping)
    held.forEach((socket) => socket.destroy())
  }
})

test('no network may have more than its share, and what it lets go it may have again', async () => {
  const from = '127.0.0.5'
  const share = await many(limits.connectionsPerAddress - 1, from)
  const last = await hold(from)
  assert.ok(await isOpen(last), 'at the share')
  const over = await hold(from)
  if (!over.closed) await once(over, 'close')
  assert.ok(await isOpen(await hold('127.0.0.6')), 'another network has its own')
  await signIn('tom.fletcher@exampleshire.example')
  const [gone] = share
  gone!.destroy()
  await once(gone!, 'close')
  let again = await hold(from)
  while (!(await isOpen(again))) again = await hold(from)
  held.forEach((socket) => socket.destroy())
})

test('a request that never ends is ended by us', async () => {
  const [name, limit] = ['headersTimeout', app.server.headersTimeout] as const
  assert.equal(limit, limits.headersMs)
  app.server[name] = 1
  const slow = await hold('127.0.0.7', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  const [answer] = (await once(slow, 'data')) as [Buffer]
  app.server[name] = limit
  assert.match(answer.toString(), /^HTTP\/1\.1 4\d\d .*problem\+json/s)
})

test('a part that cannot be kept is answered, and who sends for ever is broken off', async () => {
  const sender = await Browser.of(app, 'Sian Pritchard')
  const { parcelId } = await sealForTest(sender, await aReadyTransfer(sender))
  const header = `PUT /api/parcels/${parcelId}/parts/0 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n`
  const about = `Content-Digest: ${digestHeader('0'.repeat(64))}\r\nCookie: safehand=${sender.token}\r\nSafehand-Form-Token: ${formTokenOf(sender.token!)}\r\n`
  house.blobs.failNext('put', 'before')
  const endless = await hold('127.0.0.8', `${header}${about}Content-Length: 1000000000000\r\n\r\n`)
  const [answer] = (await once(endless, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 503 .*problems\/unavailable/s)
  const comes = (name: string) => new Promise((resolve) => endless.once(name, resolve))
  const closed = comes('close')
  while (!endless.destroyed) {
    if (endless.write(Buffer.alloc(1024 * 1024))) await rest()
    else await Promise.race([comes('drain'), closed])
  }
  // What the kernel holds between the two ends is on its way still.
  assert.ok(endless.bytesWritten < limits.partSizeBytes + 16 * 1024 * 1024, `${endless.bytesWritten} bytes were taken`)
})

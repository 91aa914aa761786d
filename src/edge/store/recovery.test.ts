import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { openDatabase } from '#edge/store/database'
import { untilRecovered } from '#edge/store/recovery'

const held = new Set<Socket>()

/** What Postgres says to whoever connects, and no more. */
async function saying(t: { after(clean: () => Promise<void>): void }, ...answers: Buffer[]): Promise<string> {
  const server = createServer((socket) => {
    held.add(socket)
    socket.on('error', () => {})
    const answer = answers.shift()!
    // Whoever is refused is left; whoever is let in stays.
    socket.once('data', () => (answer[0] === refusal ? socket.end(answer) : socket.write(answer)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    held.forEach((socket) => socket.destroy())
    server.close()
  })
  return `postgresql://somebody@127.0.0.1:${(server.address() as AddressInfo).port}/safehand`
}

const refusal = 'E'.charCodeAt(0)
function message(kind: string, body: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(kind), length, Buffer.from(body, 'latin1')])
}
const refused = (code: string) => message('E', `SFATAL\0C${code}\0Mno\0\0`)
const letIn = Buffer.concat([message('R', '\0\0\0\0'), message('Z', 'I')])

const recovering = '57P03'

test('a database that recovers is waited for, whosever it is', async (t) => {
  for (const isOurs of [true, false]) {
    const store = openDatabase({ url: await saying(t, refused(recovering), refused(recovering), letIn), role: 'owner' })
    await untilRecovered(store, isOurs)
    held.forEach((socket) => socket.destroy())
    await store.close()
  }
})

test('what waiting does not help is said at once', async (t) => {
  const store = openDatabase({ url: await saying(t, refused('28P01'), letIn), role: 'owner' })
  t.after(() => store.close())
  await assert.rejects(untilRecovered(store, true), { code: '28P01' })
})

test('nobody at an address is said at once of somebody else’s server, and waited for of our own', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const url = `postgresql://somebody@127.0.0.1:${port}/safehand`
  const theirs = openDatabase({ url, role: 'owner' })
  t.after(() => theirs.close())
  await assert.rejects(untilRecovered(theirs, false), { code: 'ECONNREFUSED' })
  const ours = openDatabase({ url, role: 'owner' })
  const waiting = untilRecovered(ours, true)
  const back = createServer((socket) => {
    held.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => socket.write(letIn))
  }).listen(port, '127.0.0.1')
  await waiting
  held.forEach((socket) => socket.destroy())
  back.close()
  await ours.close()
})

after(() => held.forEach((socket) => socket.destroy()))

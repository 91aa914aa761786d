import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import { outgoing } from '#edge/web/outgoing'

const pieceBytes = 512 * 1024
const count = 40

/** A server that sends random pieces, and what became of them. */
async function serving(t: TestContext, failsAt = Infinity) {
  const sent = { pieces: [] as Uint8Array[], sha256: createHash('sha256'), isClosed: false }
  async function* pieces() {
    try {
      for (let n = 0; n < count; n += 1) {
        if (n === failsAt) throw new Error('The disk is gone')
        const piece = Buffer.allocUnsafeSlow(pieceBytes).fill(randomBytes(1_021))
        sent.pieces.push(piece)
        sent.sha256.update(piece)
        yield piece
      }
    } finally {
      sent.isClosed = true
    }
  }
  const app = Fastify()
  app.get('/', (_request, reply) => reply.header('content-length', count * pieceBytes).send(outgoing(pieces())))
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const asked = get({ host: '127.0.0.1', port, agent: false })
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return { sent, answer }
}

test('every byte leaves as it was, to a slow reader too, and its memory is freed behind it', async (t) => {
  const { sent, answer } = await serving(t)
  const came = createHash('sha256')
  let cameBytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    came.update(piece)
    cameBytes += piece.length
    await wait(1)
    // What has not left is not freed; what is read ahead is little.
    assert.ok(sent.pieces.length * pieceBytes - cameBytes < 32 * pieceBytes)
  }
  assert.equal(answer.complete, true)
  assert.equal(came.digest('hex'), sent.sha256.digest('hex'))
  await wait(50)
  assert.deepEqual(new Set(sent.pieces.map(({ length }) => length)), new Set([0]))
})

test('a reader that goes away lets what is read be closed', async (t) => {
  const { sent, answer } = await serving(t)
  await once(answer, 'readable')
  answer.destroy()
  for (let tries = 0; !sent.isClosed && tries < 500; tries += 1) await wait(10)
  assert.equal(sent.isClosed, true)
  assert.ok(sent.pieces.length < count)
})

test('what cannot be read to its end breaks the answer off', async (t) => {
  const { answer } = await serving(t, 5)
  await assert.rejects(Array.fromAsync(answer), { code: 'ECONNRESET' })
  assert.equal(answer.complete, false)
})

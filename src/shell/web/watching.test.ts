import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { test, after } from 'node:test'
import Fastify from 'fastify'
import { logging, watchRequests } from '#shell/web/watching'
import { acknowledge, admit, bytesOf } from '#test/collecting'
import { aHouse } from '#test/house'
import { aSentParcel } from '#test/sending'

const { app, browser } = await aHouse({ after })

/** What a family counts, all series together that have these labels. */
const counted = (name: string, wanted: Record<string, string>) =>
  app
    .requestFamilies()
    .find((family) => family.name === name)!
    .samples.filter(({ labels = {} }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)

test('the sealed bytes of a parcel are counted on their way up and down', async () => {
  const sender = await browser('Priya Nair')
  const parcel = await aSentParcel(sender)
  const recipient = await browser()
  await admit(recipient, sender, parcel)
  await acknowledge(recipient, parcel)
  const content = await bytesOf(recipient, `/api/collect/${parcel.recipients[0]}/content`)
  assert.equal(
    counted('safehand_sealed_bytes_total', { direction: 'up', route: '/api/parcels/:parcel/parts/:n' }),
    content.length,
  )
  assert.equal(
    counted('safehand_sealed_bytes_total', { direction: 'down', route: '/api/collect/:recipient/content' }),
    content.length,
  )
})

test('a problem is counted by its name, on a page that is shown again too', async () => {
  const stranger = await browser()
  const before = counted('safehand_problems_total', { problem: 'form-incomplete' })
  await stranger.call('POST', '/api/sign-in', { email: 'nobody' })
  await stranger.call('POST', '/sign-in', 'email=nobody', {
    accept: 'text/html',
    'content-type': 'application/x-www-form-urlencoded',
  })
  assert.equal(counted('safehand_problems_total', { problem: 'form-incomplete' }) - before, 2)
})

test('what an error says, and an address with its query, stay out of the log', async () => {
  let log = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      log += chunk
      done()
    },
  })
  const options = logging()
  const server = Fastify({ ...options, logger: { ...options.logger, level: 'trace', stream } })
  watchRequests(server)
  const error = () =>
    Object.assign(new Error('mair@millbrook.example is not known\n    at mair@millbrook'), { code: 'EX' })
  server.get('/throws/:who', () => Promise.reject(error()))
  server.get('/breaks/:who', (_request, reply) => {
    const begun = Readable.from(
      (async function* () {
        yield 'begun'
        throw error()
      })(),
    )
    return reply.send(begun)
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as AddressInfo
  for (const path of ['/throws/mair?q=mair', '/breaks/mair?q=mair', '/nothing/mair?q=mair', '/%zz/mair'])
    await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'user-agent': 'mair' } })
      .then((answer) => answer.text())
      .catch(() => {})
  await server.close()
  assert.match(log, /"msg":"broken off"/)
  assert.match(log, /"route":"\/throws\/:who","method":"GET","status":500/)
  assert.doesNotMatch(log, /mair/)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { judge } from '#edge/watch/health'
import { standingOf } from '#edge/watch/standing'
import { openDatabase } from '#edge/store/database'
import { root } from '#test/guide'
import { aHouse } from '#test/house'
import { freePort, serving, start } from '#test/serving'

const folder = await mkdtemp(join(tmpdir(), 'safehand-running-'))
after(() => rm(folder, { recursive: true }))

let runs = 0
/** A demonstration in a folder of its own. */
async function demonstration(t: TestContext, settings: Record<string, string> = {}) {
  const port = await freePort()
  const data = join(folder, String(++runs))
  const args = ['src/main.ts', 'serve', '--demonstration', '--data', data, '--port', String(port)]
  const options = { cwd: root, env: { ...process.env, ...settings } }
  return {
    port,
    data,
    url: `http://localhost:${port}`,
    begin: () => serving(t, process.execPath, args, options),
    args,
    options,
  }
}
const isStopped = (data: string) => !existsSync(join(data, 'postgres/data/postmaster.pid'))

test('health, metrics and logs tell how it goes, and of nobody', async (t) => {
  const metricsPort = await freePort()
  const at = await demonstration(t, { SAFEHAND_LOG: 'info', SAFEHAND_METRICS: `127.0.0.1:${metricsPort}` })
  const server = await at.begin()
  const health = async () => {
    const answer = await fetch(`${at.url}/health`)
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  assert.deepEqual(await health(), { status: 200, body: { status: 'well' } })

  const planted = ['planted-query', 'planted-path', 'planted-agent', 'planted-body', '198.51.100.77', 'planted-cookie']
  const headers = {
    'user-agent': 'planted-agent',
    'x-forwarded-for': '198.51.100.77',
    cookie: 'safehand=planted-cookie',
    accept: 'text/html',
  }
  const page = await (await fetch(`${at.url}/transfers/planted-path?q=planted-query`, { headers })).text()
  const lost = await (await fetch(`${at.url}/nowhere/planted-path?q=planted-query`, { headers })).text()
  await fetch(`${at.url}/api/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"email":"planted-body"}',
  })
  const reference = /quote this reference: ([0-9a-f]{10})/.exec(lost)?.[1]
  assert.ok(reference, lost)
  assert.doesNotMatch(page + lost, /planted-(query|agent|cookie)/)

  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  assert.equal((await fetch(`${at.url}/metrics`)).status, 404)
  assert.match(metrics, /^safehand_requests_total\{route="\/health",method="GET",class="2xx"\} 1$/m)
  assert.match(metrics, /^safehand_problems_total\{problem="not-found"\} \d+$/m)
  assert.match(metrics, /^safehand_database_up 1$/m)
  assert.match(metrics, /^safehand_register_events\{state="published"\} \d+$/m)
  assert.match(metrics, /^safehand_event_loop_lag_seconds 0\.\d+$/m)

  // Somebody else's checkpoint: the keeper signs nothing until its own is back.
  const checkpoint = join(at.data, 'register/checkpoint')
  const own = await readFile(checkpoint)
  await writeFile(checkpoint, 'no checkpoint of ours\n')
  let ill = await health()
  while (ill.status === 200) {
    await delay(200)
    ill = await health()
  }
  assert.equal(ill.status, 503)
  assert.deepEqual(ill.body.fields, { register: 'Nothing is signed: keeper-differs.' })
  await writeFile(checkpoint, own)
  while ((await health()).status !== 200) await delay(200)

  server.child.kill('SIGTERM')
  assert.deepEqual(await server.ended, [0, null])
  const lines = server
    .said()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const line = lines.find(({ requestId }) => requestId === reference)!
  assert.deepEqual([line.route, line.method, line.status, line.problem], ['none', 'GET', 404, 'not-found'])
  assert.ok(lines.some(({ part, what }) => part === 'register' && JSON.stringify(what).includes('keeper-differs')))
  for (const word of [...planted, 'Priya', '127.0.0.1']) {
    // One line of the server's own says where it listens.
    const log = lines.filter(({ msg }) => !String(msg).startsWith('Server listening'))
    assert.ok(!JSON.stringify(log).includes(word), `${word} is in the log`)
    assert.ok(!metrics.includes(word), `${word} is in the metrics`)
  }
})

test('a database that hangs, or is gone, is the part that is ill', async (t) => {
  const { house } = await aHouse(t)
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const hanging = openDatabase({ url: `postgresql://nobody@127.0.0.1:${port}/none` })
  assert.deepEqual(Object.keys(judge(await standingOf({ ...house, system: hanging.db }))), ['database'])
  silent.close()
  const gone = openDatabase({ url: 'postgresql:///none?host=/nowhere' })
  assert.deepEqual(Object.keys(judge(await standingOf({ ...house, system: gone.db }))), ['database'])
  await Promise.all([hanging.close(), gone.close()])
})

/** Begins to send a form and stops in the middle. */
async function halfARequest(port: number) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let answer = ''
  socket.on('data', (text) => (answer += text)).on('error', () => {})
  const form = 'email=nobody%40exampleshire.example'
  socket.write(
    `POST /sign-in HTTP/1.1\r\nhost: localhost:${port}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${form.length}\r\n\r\n${form.slice(0, 9)}`,
  )
  // Long enough for the server to have read it: one that has not would simply not be waited for.
  await delay(300)
  const closed = once(socket, 'close')
  return { finish: () => socket.write(form.slice(9)), closed, answer: () => answer }
}

/** Waits until it takes no request any more. */
async function untilClosed(url: string): Promise<void> {
  const answers = () =>
    fetch(url).then(
      () => true,
      () => false,
    )
  while (await answers()) await delay(50)
}

test('told to end, it lets a request under way finish, takes no other, and stops its database', async (t) => {
  const at = await demonstration(t)
  const server = await at.begin()
  const request = await halfARequest(at.port)
  server.child.kill('SIGTERM')
  await untilClosed(at.url)
  assert.equal(server.child.exitCode, null)
  request.finish()
  await request.closed
  assert.match(request.answer(), /^HTTP\/1\.1 \d{3} [^]*\r\n\r\n\{.*\}$/)
  assert.deepEqual(await server.ended, [0, null])
  assert.ok(isStopped(at.data))
})

test('told twice, it waits for no request, and still stops its database', { timeout: 20_000 }, async (t) => {
  const at = await demonstration(t)
  const server = await at.begin()
  const request = await halfARequest(at.port)
  server.child.kill('SIGTERM')
  await untilClosed(at.url)
  server.child.kill('SIGTERM')
  await request.closed
  assert.equal(request.answer(), '')
  assert.deepEqual(await server.ended, [0, null])
  assert.ok(isStopped(at.data))
})

test('told to end while it starts, it leaves no database behind', async (t) => {
  const at = await demonstration(t)
  const server = start(t, process.execPath, at.args, at.options)
  while (isStopped(at.data)) await delay(10)
  server.child.kill('SIGTERM')
  assert.deepEqual(await server.ended, [0, null])
  assert.ok(isStopped(at.data))
})

test('where another listens already it says so, and leaves no database behind', async (t) => {
  const at = await demonstration(t)
  const other = createServer().listen(at.port, '127.0.0.1')
  await once(other, 'listening')
  const server = start(t, process.execPath, at.args, at.options)
  assert.deepEqual(await server.ended, [1, null])
  assert.match(server.said(), /Something else answers at port \d+ already\. Choose another with --port\./)
  assert.ok(isStopped(at.data))
  other.close()
})

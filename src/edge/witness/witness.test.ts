import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { parseCheckpoint } from '#core/register/checkpoint'
import { leafHash } from '#core/register/merkle'
import { formatVkey, openNote, parseVkey, signNote } from '#core/register/note'
import { aSigner, aSubmission, leafHashes } from '#core/register/small-register'
import { takeCosignature } from '#core/register/witness'
import { serveWitness } from '#edge/witness/serve'
import { logIdOf, openWitness } from '#edge/witness/store'

const log = aSigner()
const leaves = leafHashes(400)
const first = (size: number) => leaves.slice(0, size)
/** Another register of the same name and key, as only its keeper could sign it. */
const fork = (size: number) => [...first(size - 1), leafHash(new Uint8Array(9))]
const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'done' : outcome.problem.slug)
const textOf = (submission: string) => submission.slice(submission.indexOf('\n\n') + 2).split('\n\n')[0] + '\n'

async function aFolder(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-witness-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function aWitness(t: TestContext, folder?: string, requestMs?: number) {
  const at = folder ?? (await aFolder(t))
  const witness = orThrow(await openWitness(at, 'witness.example/w1', [log.vkey]))
  const errors: Error[] = []
  const where = { host: '127.0.0.1', port: 0, ...(requestMs && { requestMs }) }
  const served = await serveWitness(witness, where, (error) => errors.push(error))
  const close = async () => {
    await served.close()
    await witness.close()
  }
  t.after(close)
  const post = async (body: string | Uint8Array<ArrayBuffer>, path = '/add-checkpoint') => {
    const response = await fetch(served.url + path, { method: 'POST', body })
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
  }
  return { ...served, folder: at, witness, post, errors, close }
}

test('a witness answers as the specification says', async (t) => {
  const { post, url, witness } = await aWitness(t)
  const asked = await aSubmission(first(5))
  const good = await post(asked)
  assert.equal(good.status, 200)
  assert.equal(orThrow(takeCosignature(textOf(asked), good.text, witness.vkey)), good.text)

  const conflict = await post(await aSubmission(first(9), 3))
  assert.deepEqual(conflict, { status: 409, type: 'text/x.tlog.size', text: '5\n' })
  assert.deepEqual(await post(await aSubmission(fork(5), 5)), { status: 409, type: 'text/x.tlog.size', text: '5\n' })
  assert.equal((await post(asked.replace('old 0', 'old 5'))).status, 200)
  const statuses: [string, number][] = [
    ['nonsense', 400],
    [await aSubmission(first(4), 5), 400],
    [await aSubmission(first(9), 5, aSigner(log.vkey.name, 1, 8)), 403],
    [await aSubmission(first(9), 0, aSigner('other.example')), 404],
    [(await aSubmission(first(9), 5)).replace(/\n.*\n/, '\n'), 422],
    [await aSubmission([...fork(5), ...leaves.slice(5, 9)], 5), 422],
    [await aSubmission(first(9), 5), 200],
  ]
  for (const [body, status] of statuses) assert.equal((await post(body)).status, status, body)

  const shown = await fetch(`${url}/${logIdOf(log.vkey.name)}/checkpoint`)
  assert.equal(shown.headers.get('content-type'), 'text/plain; charset=utf-8')
  const { text, signedBy } = orThrow(openNote(await shown.text(), [log.vkey, witness.vkey]))
  assert.equal(orThrow(parseCheckpoint(text)).size, 9)
  assert.deepEqual(signedBy, [log.vkey, witness.vkey])
})

test('whatever else is asked is not found, and what is no text is refused', async (t) => {
  const { post, url } = await aWitness(t)
  for (const path of [
    '/',
    '/checkpoint',
    `/${logIdOf(log.vkey.name)}/checkpoint`,
    '/../key.pem/checkpoint',
    '/key.pem',
    '/add-checkpoint',
  ])
    assert.equal((await fetch(url + path)).status, 404, path)
  assert.equal((await post('', '/add-checkpoint/')).status, 404)
  assert.equal((await post(Uint8Array.of(255, 254))).status, 400)
  assert.equal((await post('')).status, 400)
})

test('a request has at most 72 KiB', async (t) => {
  const { post } = await aWitness(t)
  const asked = await aSubmission(first(5))
  const bytes = new TextEncoder().encode(asked).length
  const padded = (total: number) => asked + 'x'.repeat(total - bytes)
  assert.equal((await post(padded(limits.witnessRequestBytes - 1))).status, 400)
  assert.equal((await post(padded(limits.witnessRequestBytes))).status, 400)
  assert.equal((await post(padded(limits.witnessRequestBytes + 1))).status, 413)
})

test('a checkpoint that would be too long to be read back with the cosignature is refused', async (t) => {
  const { witness } = await aWitness(t)
  const text = textOf(await aSubmission(first(5)))
  const short = await signNote(text, log)
  const line = (await witness.add(await aSubmission(first(5)))) as { ok: true; value: string }
  const room = limits.noteBytes - short.length - line.value.length - 1
  const longer = async (by: number) => `old 5\n\n${await signNote(`${text}${'x'.repeat(by)}\n`, log)}`
  assert.equal(refusal(await witness.add(await longer(room - 1))), 'done')
  assert.equal(refusal(await witness.add(await longer(room))), 'done')
  assert.equal(refusal(await witness.add(await longer(room + 1))), 'witness-request-malformed')
})

test('of requests that arrive at once, one for each size is signed and none is forgotten', async (t) => {
  const { post, witness } = await aWitness(t)
  assert.equal((await post(await aSubmission(first(10)))).status, 200)
  const sizes = Array.from({ length: 24 }, (_, i) => 11 + (i % 12) * 30)
  const answers = await Promise.all(
    sizes.map(async (size) => ({ size, ...(await post(await aSubmission(first(size), 10))) })),
  )
  const signed = answers.filter(({ status }) => status === 200)
  assert.equal(signed.length, 1)
  assert.ok(answers.every(({ status, text }) => status === 200 || (status === 409 && text === `${signed[0]!.size}\n`)))
  const note = new TextDecoder().decode(await witness.latest(logIdOf(log.vkey.name)))
  assert.match(note, new RegExp(`\n${signed[0]!.size}\n`))
})

test('an answer that was lost is asked for again from the size that is named', async (t) => {
  const { post } = await aWitness(t)
  await post(await aSubmission(first(5)))
  await post(await aSubmission(first(7), 5))
  assert.equal((await post(await aSubmission(first(7), 5))).text, '7\n')
  assert.equal((await post(await aSubmission(first(7), 7))).status, 200)
})

test('what cannot be written down is not signed', async (t) => {
  const { post, folder, errors } = await aWitness(t)
  const path = join(folder, logIdOf(log.vkey.name))
  await writeFile(path, 'a file where the folder should be')
  assert.equal((await post(await aSubmission(first(5)))).status, 500)
  assert.equal(errors.length, 1)
  await rm(path)
  assert.equal((await post(await aSubmission(first(5)))).status, 200)
})

test('a witness that begins again remembers, and keeps its name and key', async (t) => {
  const before = await aWitness(t)
  await before.post(await aSubmission(first(5)))
  await before.close()
  const after = await aWitness(t, before.folder)
  assert.deepEqual(after.witness.vkey, before.witness.vkey)
  assert.equal((await after.post(await aSubmission(fork(5), 0))).text, '5\n')
  assert.equal((await after.post(await aSubmission(first(6), 5))).status, 200)
})

test('one folder has one witness at a time, with one name', async (t) => {
  const { folder, close } = await aWitness(t)
  assert.equal(refusal(await openWitness(folder, undefined, [])), 'data-folder-in-use')
  await close()
  assert.equal(refusal(await openWitness(folder, 'other.example', [])), 'setting-wrong')
  assert.equal(refusal(await openWitness(await aFolder(t), undefined, [])), 'setting-wrong')
  assert.equal(refusal(await openWitness(await aFolder(t), 'a b', [])), 'setting-wrong')
  await orThrow(await openWitness(folder, undefined, [])).close()
})

test('a witness whose key or memory is not its own does not begin', async (t) => {
  const { folder, post, close } = await aWitness(t)
  await post(await aSubmission(first(5)))
  await close()
  const begin = async () => refusal(await openWitness(folder, undefined, [log.vkey]))
  const path = join(folder, logIdOf(log.vkey.name), 'checkpoint')
  const note = await readFile(path, 'utf8')
  for (const wrong of [note.replace('\n5\n', '\n6\n'), '', note.slice(0, note.lastIndexOf('\u2014'))]) {
    await writeFile(path, wrong)
    assert.equal(await begin(), 'setting-wrong')
  }
  await writeFile(path, note)
  await rm(join(folder, 'key.pem'))
  assert.equal(await begin(), 'setting-wrong', 'a new key would sign what the old one refused')
})

test('who sends slowly is cut off, and others are answered meanwhile', async (t) => {
  const { url, post } = await aWitness(t, undefined, 500)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write('POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nold')
  assert.equal((await post(await aSubmission(first(5)))).status, 200)
  socket.resume()
  await once(socket, 'close')
})

test('at most 200 connections are held', async (t) => {
  const { url } = await aWitness(t)
  const sockets: Socket[] = []
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  /** Whether one more connection is answered; it stays open. */
  const isAnswered = async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const answered = once(socket, 'data').then(() => true)
    return Promise.race([answered, once(socket, 'close').then(() => false)])
  }
  for (let n = 1; n < limits.witnessConnections - 1; n++) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    sockets.push(socket)
    await once(socket, 'connect')
  }
  assert.equal(await isAnswered(), true, 'the 199th')
  assert.equal(await isAnswered(), true, 'the 200th')
  assert.equal(await isAnswered(), false, 'the 201st')
})

test('a witness killed at any instant has not forgotten what it answered', async (t) => {
  const folder = await aFolder(t)
  const main = join(import.meta.dirname, '../../main.ts')
  const args = [
    main,
    'witness',
    '--data',
    folder,
    '--name',
    'witness.example',
    '--log',
    formatVkey(log.vkey),
    '--port',
    '0',
    '--json',
  ]
  let signed = 0
  for (let life = 0; life < 6; life++) {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const { url, vkey } = JSON.parse(line) as { url: string; vkey: string }
    orThrow(parseVkey(vkey))
    const post = (body: string) => fetch(`${url}/add-checkpoint`, { method: 'POST', body })
    if (signed > 0) {
      assert.equal((await post(await aSubmission(fork(signed), signed))).status, 409)
    }
    const named = Number(await (await post(await aSubmission(first(400), 0))).text().catch(() => '0')) || 0
    assert.ok(named >= signed, `${named} after ${signed}`)
    signed = Math.max(signed, named)
    const exited = once(child, 'exit')
    void rest(20 + Math.random() * 60).then(() => child.kill('SIGKILL'))
    for (let size = signed + 1; size < 400; size++) {
      const response = await post(await aSubmission(first(size), size - 1)).catch(() => undefined)
      if (response?.status !== 200) break
      signed = size
    }
    await exited
  }
  assert.ok(signed > 6, 'something was signed in every life')
})

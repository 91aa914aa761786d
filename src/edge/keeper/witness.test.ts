import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { limits } from '#core/kit/limits'
import { orThrow, type Problem } from '#core/kit/outcome'
import { formatVkey, keyTypes } from '#core/register/note'
import { parseTrustPolicy, type TrustPolicy } from '#core/register/policy'
import { aSigner } from '#core/register/small-register'
import { verifyReceipt } from '#core/register/verify'
import { latestCheckpoint } from '#edge/keeper/head'
import { keepOnce, startKeeper, type KeeperParts } from '#edge/keeper/keeper'
import { receiptFor, waitForReceipt } from '#edge/keeper/receipt'
import { recordEvent } from '#edge/keeper/record'
import { rotate } from '#edge/keeper/rotate'
import { tileFolder } from '#edge/keeper/tiles'
import { cosignedCheckpoints, gatherFrom, readWitnesses } from '#edge/keeper/witness'
import type { Db } from '#edge/store/database'
import { serveWitness } from '#edge/witness/serve'
import { openWitness } from '#edge/witness/store'
import { freshDatabase, startTestServer } from '../../../test/support/database.ts'

if (!process.env.SAFEHAND_TEST_DATABASE) {
  const server = await startTestServer()
  after(() => server.stop())
}

const signer = aSigner()
const key = formatVkey(signer.vkey)
const key4 = (byte: number) => formatVkey(aSigner(`w${byte}.example`, keyTypes.ed25519Cosignature, byte).vkey)

async function aFolder(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-witnesses-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function aRegister(t: TestContext) {
  const { db } = (await freshDatabase(t)).open('owner')
  return { db, tiles: tileFolder(await aFolder(t)), signer }
}

const record = async (db: Db, n = 1) =>
  db.transaction().execute(async (tx) => {
    const ids: string[] = []
    for (let i = 0; i < n; i++) ids.push((await recordEvent(tx, 'token-made', { i })).eventId)
    return ids
  })

async function aWitness(t: TestContext, name: string, logs = [signer.vkey]) {
  const witness = orThrow(await openWitness(await aFolder(t), `${name}.example`, logs))
  const served = await serveWitness(witness, { host: '127.0.0.1', port: 0 }, (error) => assert.fail(error))
  let isClosed = false
  const close = async () => {
    if (isClosed) return
    isClosed = true
    await served.close()
    await witness.close()
  }
  t.after(close)
  return { line: `witness ${name} ${formatVkey(witness.vkey)} ${served.url}/`, close }
}

/** A server that is no witness, at an address of its own. */
async function aServer(t: TestContext, handle: RequestListener) {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const policyOf = (...lines: string[]) => orThrow(parseTrustPolicy([`log ${key}`, ...lines, ''].join('\n')))

async function gather(
  t: TestContext,
  register: Pick<KeeperParts, 'db' | 'tiles' | 'signer' | 'closedTiles'>,
  policy: TrustPolicy,
) {
  const told: Problem[] = []
  const gathering = gatherFrom({ ...register, trust: policy }, (problem) => told.push(problem))
  t.after(() => gathering.stop())
  const keepAndLook = async () => {
    orThrow(await keepOnce(register))
    await gathering.look()
  }
  return { ...gathering, told, keepAndLook }
}

test('what is published is cosigned, and checkpoint and receipts carry it', async (t) => {
  const register = await aRegister(t)
  const [a, b] = [await aWitness(t, 'a'), await aWitness(t, 'b')]
  const policy = policyOf(a.line, b.line, 'group both all a b', 'quorum both')
  const { keepAndLook, told } = await gather(t, register, policy)
  for (let i = 0; i < 3; i++) {
    const [id] = await record(register.db, 200)
    await keepAndLook()
    const receipt = orThrow(await receiptFor(register.db, { ...register, trust: policy }, id!))
    const verified = orThrow(verifyReceipt(receipt, policy))
    assert.deepEqual([verified.witnesses, verified.size], [['a', 'b'], (i + 1) * 200])
    assert.equal((await latestCheckpoint(register.db))!.split('\u2014').length, 4)
  }
  assert.deepEqual(told, [])
  assert.equal((await cosignedCheckpoints(register.db)).length, 1)
})

test('a receipt ends in the newest checkpoint that enough have signed, as long as it covers the event', async (t) => {
  const register = await aRegister(t)
  const a = await aWitness(t, 'a')
  const policy = policyOf(a.line, 'quorum a')
  const { keepAndLook } = await gather(t, register, policy)
  const keeper = { ...register, trust: policy }
  const [early] = await record(register.db, 3)
  await keepAndLook()
  const [late] = await record(register.db, 4)
  orThrow(await keepOnce(register))
  const sizeOf = async (id: string) =>
    orThrow(verifyReceipt(orThrow(await receiptFor(register.db, keeper, id)), policyOf('quorum none'))).size
  assert.equal(await sizeOf(early!), 3)
  assert.equal(await sizeOf(late!), 7)
  const refused = verifyReceipt(orThrow(await receiptFor(register.db, keeper, late!)), policy)
  assert.deepEqual(!refused.ok && refused.problem, { slug: 'proof-not-witnessed', detail: 'a has not signed.' })
  // The tiles of the earlier size may be gone: those of the newest show it as well.
  assert.equal(orThrow(verifyReceipt(orThrow(await receiptFor(register.db, keeper, early!)), policy)).size, 3)
  await keepAndLook()
  assert.equal(await sizeOf(early!), 7)
})

test('a witness that is down is told of once, holds up no other, and is asked again', async (t) => {
  const register = await aRegister(t)
  const [a, b] = [await aWitness(t, 'a'), await aWitness(t, 'b')]
  const { keepAndLook, told } = await gather(t, register, policyOf(a.line, b.line, 'group one any a b', 'quorum one'))
  await b.close()
  for (let i = 0; i < 3; i++) {
    await record(register.db)
    await keepAndLook()
    assert.deepEqual(
      (await cosignedCheckpoints(register.db))[0]?.witnesses.map((one) => one.split('+')[0]),
      ['a.example'],
    )
  }
  assert.deepEqual(
    told.map(({ slug }) => slug),
    ['witness-silent'],
  )
  assert.match(told[0]!.detail!, /^b at http/)
})

test('the keeper neither waits for a witness that never answers nor leaves it behind when it stops', async (t) => {
  const register = await aRegister(t)
  const url = await aServer(t, () => {})
  const policy = policyOf(`witness slow ${key4(5)} ${url}`, 'quorum slow')
  const told: unknown[] = []
  const keeper = startKeeper({ ...register, trust: policy, restMs: 20, report: (what) => told.push(what) })
  for (let i = 0; i < 3; i++) {
    const [id] = await record(register.db)
    keeper.nudge()
    orThrow(await waitForReceipt(register.db, keeper, id!, 5_000))
  }
  await keeper.stop()
  assert.deepEqual(told, [])
})

test('a keeper that runs gathers by itself', async (t) => {
  const register = await aRegister(t)
  const a = await aWitness(t, 'a')
  const trust = policyOf(a.line, 'quorum a')
  const keeper = startKeeper({ ...register, trust, restMs: 20, report: (what) => assert.fail(JSON.stringify(what)) })
  const [id] = await record(register.db)
  keeper.nudge()
  for (;;) {
    const receipt = await receiptFor(register.db, keeper, id!)
    if (receipt.ok && verifyReceipt(receipt.value, trust).ok) break
    await rest(50)
  }
  await keeper.stop()
})

test('whatever a witness answers wrongly is refused and told of, and never kept', async (t) => {
  const register = await aRegister(t)
  const answers: Record<string, [number, string]> = {
    html: [200, '<html>'],
    nothing: [200, ''],
    other: [200, '\u2014 w.example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n'],
    binary: [409, 'x'],
    leading: [409, '01\n'],
    ahead: [409, '99\n'],
    same: [409, '0\n'],
    never: [422, ''],
    broken: [500, ''],
    moved: [302, ''],
    long: [200, 'x'.repeat(limits.noteBytes + 1)],
  }
  const url = await aServer(t, (request, response) => {
    const [status, body] = answers[request.url!.split('/')[1]!]!
    response.writeHead(status, { location: '/elsewhere' }).end(body)
  })
  const names = Object.keys(answers)
  const lines = names.map((name, i) => `witness ${name} ${key4(10 + i)} ${url}/${name}`)
  const { keepAndLook, told } = await gather(t, register, policyOf(...lines, 'quorum none'))
  await record(register.db, 5)
  await keepAndLook()
  assert.deepEqual(await cosignedCheckpoints(register.db), [])
  const said = Object.fromEntries(
    told.map(({ slug, detail }) => [detail!.split(' ')[0], [slug, detail!.split(': ')[1]]]),
  )
  assert.deepEqual(Object.keys(said).toSorted(), names.toSorted())
  assert.deepEqual(said.ahead, ['witness-refuses', 'It has seen 99 events, and only 5 are published here.'])
  assert.deepEqual(said.same, ['witness-refuses', 'It has seen another register of 0 events.'])
  assert.equal(said.moved![0], 'witness-silent')
  assert.equal(said.long![0], 'witness-silent')
})

test('the end of a register that was closed is cosigned too, and its receipts carry it', async (t) => {
  const register = await aRegister(t)
  const next = aSigner(`${signer.vkey.name}/2`, keyTypes.ed25519, 8)
  const a = await aWitness(t, 'a', [signer.vkey, next.vkey])
  const policy = policyOf(`log ${formatVkey(next.vkey)}`, a.line, 'quorum a')
  const [old] = await record(register.db, 3)
  await (await gather(t, register, policy)).keepAndLook()
  const last = (await record(register.db, 2))[1]!
  orThrow(await rotate({ ...register, next }))
  const after = { ...register, signer: next, tiles: tileFolder(await aFolder(t)), closedTiles: () => register.tiles }
  const [young] = await record(after.db, 1)
  const { keepAndLook, told } = await gather(t, after, policy)
  await keepAndLook()
  await keepAndLook()
  assert.deepEqual(told, [])
  for (const [id, size] of [
    [old!, 6],
    [last, 6],
    [young!, 1],
  ] as const) {
    const verified = orThrow(
      verifyReceipt(orThrow(await receiptFor(after.db, { ...after, trust: policy }, id)), policy),
    )
    assert.deepEqual([verified.size, verified.witnesses], [size, ['a']])
  }
  const closed = await after.db.selectFrom('closedRegisters').select('checkpoint').executeTakeFirstOrThrow()
  assert.equal(closed.checkpoint.split('\u2014').length, 3, 'one line of the register and one of the witness')
})

test('the file of witnesses must say where each answers, and may name this register alone', async (t) => {
  const path = join(await aFolder(t), 'witnesses')
  const read = async (text: string) => {
    await writeFile(path, text)
    const outcome = await readWitnesses(path, signer.vkey)
    return outcome.ok ? 'done' : outcome.problem.detail!
  }
  const one = `witness a ${key4(1)} https://a.example/w`
  assert.equal(await read(`log ${key}\n${one}\nquorum a\n`), 'done')
  assert.equal(await read(`${one}\nquorum a\n`), 'done')
  assert.match(
    await read(`log ${formatVkey(aSigner('other.example', 1, 9).vkey)}\n${one}\nquorum a\n`),
    /other registers/,
  )
  assert.match(await read(`witness a ${key4(1)}\nquorum a\n`), /the line of a/)
  assert.match(await read(`witness a ${key4(1)} file:///etc\nquorum a\n`), /the line of a/)
  assert.match(await read('witness'), /Line 1/)
  assert.equal((await readWitnesses(`${path}x`, signer.vkey)).ok, false)
  const many = (count: number) =>
    `${Array.from({ length: count }, (_, i) => `witness w${i} ${key4(i + 1)} http://w.example`).join('\n')}\nquorum none\n`
  assert.equal(await read(many(limits.witnesses - 1)), 'done')
  assert.equal(await read(many(limits.witnesses)), 'done')
  assert.match(await read(many(limits.witnesses + 1)), /more than 32/)
})

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { orThrow, type Problem } from '#core/kit/outcome'
import { parseCheckpoint } from '#core/register/checkpoint'
import { formatVkey, openNote } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'
import { latestCheckpoint } from '#edge/keeper/head'
import { keepOnce } from '#edge/keeper/keeper'
import { receiptFor } from '#edge/keeper/receipt'
import { recordEvent } from '#edge/keeper/record'
import { tileFolder } from '#edge/keeper/tiles'
import { gatherFrom } from '#edge/keeper/witness'
import { serveWitness } from '#edge/witness/serve'
import { openWitness } from '#edge/witness/store'
import { runSafehand } from '#shell/cli/safehand'
import { freshDatabase, startTestServer } from '#test/database'

// One server for the file when it is run by itself.
if (!process.env.SAFEHAND_TEST_DATABASE) {
  const server = await startTestServer()
  after(() => server.stop())
}

const signer = aSigner()
const key = formatVkey(signer.vkey)

/** Two registers of one name and key, and a witness that both ask; each has its own past. */
async function aDeceiver(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-equivocation-'))
  t.after(() => rm(folder, { recursive: true }))
  const witness = orThrow(await openWitness(join(folder, 'witness'), 'witness.example', [signer.vkey]))
  const served = await serveWitness(witness, { host: '127.0.0.1', port: 0 }, (error) => assert.fail(error))
  t.after(async () => {
    await served.close()
    await witness.close()
  })
  const text = `log ${key}\nwitness neighbour ${formatVkey(witness.vkey)} ${served.url}\nquorum neighbour\n`
  const policy = orThrow(parseTrustPolicy(text))
  const trust = join(folder, 'trust')
  await writeFile(trust, text)
  const aKeeper = async (name: string) => {
    const { db } = (await freshDatabase(t)).open('owner')
    const at = join(folder, name)
    const keeper = { db, tiles: tileFolder(at), signer, trust: policy }
    const told: Problem[] = []
    const { look } = gatherFrom(keeper, (problem) => told.push(problem))
    let files = 0
    const save = async (what: string) => {
      const path = join(folder, `${name}-${files++}`)
      await writeFile(path, what)
      return path
    }
    return {
      at,
      told,
      /** Records events, signs, publishes and asks the witness; gives the receipt of the last, as a file. */
      async add(events: number) {
        const ids = await db.transaction().execute(async (tx) => {
          const all: string[] = []
          for (let i = 0; i < events; i++) all.push((await recordEvent(tx, 'token-made', { name, i })).eventId)
          return all
        })
        orThrow(await keepOnce(keeper))
        await look()
        return save(orThrow(await receiptFor(db, keeper, ids.at(-1)!)))
      },
      async checkpoint() {
        const note = (await latestCheckpoint(db))!
        const { size } = orThrow(parseCheckpoint(orThrow(openNote(note, [signer.vkey])).text))
        return { size, isWitnessed: openNote(note, [witness.vkey]).ok, file: await save(note) }
      },
    }
  }
  return { one: await aKeeper('one'), other: await aKeeper('other'), trust }
}

async function safehand(...args: string[]) {
  const said: string[] = []
  const io = { out: (text: string) => void said.push(text), err: (text: string) => void said.push(text), env: {} }
  return { code: await runSafehand(args, io), said: said.join('\n') }
}

test('of two registers of one size the witness signs one, and the receipt of the other is refused', async (t) => {
  const { one, other, trust } = await aDeceiver(t)
  const [good, forged] = [await one.add(5), await other.add(5)]
  assert.deepEqual(one.told, [])
  assert.deepEqual(
    other.told.map(({ slug, detail }) => [slug, detail!.split(': ')[1]]),
    [['witness-refuses', 'It has seen another register of 5 events.']],
  )
  assert.match((await safehand('verify', good, '--trust', trust)).said, /^Genuine\.[^]*Witnesses neighbour/)
  const refused = await safehand('verify', forged, '--trust', trust)
  assert.equal(refused.code, 1)
  assert.match(refused.said, /Too few of the witnesses[^]*neighbour has not signed\./)
  // Whoever asks for no witness is deceived, and is told that nobody vouched.
  assert.match((await safehand('verify', forged, '--key', key)).said, /^Genuine\.[^]*UNWITNESSED/)
  const both = await safehand('verify', '--consistent', good, forged, '--key', key)
  assert.equal(both.code, 1)
  assert.match(both.said, /^FORKED/)
})

test('a larger register with another past is refused by the witness and shown by the tiles', async (t) => {
  const { one, other, trust } = await aDeceiver(t)
  const good = await one.add(5)
  const forged = await other.add(8)
  assert.match(other.told[0]!.detail!, /: It answered 422\.$/)
  assert.equal((await other.checkpoint()).isWitnessed, false)
  assert.equal((await safehand('verify', forged, '--trust', trust)).code, 1)
  const undecided = await safehand('verify', '--consistent', good, forged, '--key', key)
  assert.deepEqual([undecided.code, undecided.said.slice(0, 9)], [1, 'NOT SHOWN'])
  const shown = await safehand('verify', '--consistent', good, forged, '--key', key, '--tiles', other.at, '--json')
  assert.deepEqual(JSON.parse(shown.said), { consistent: false, relation: 'fork' })
  const wrongTiles = await safehand('verify', '--consistent', good, forged, '--key', key, '--tiles', one.at)
  assert.equal(wrongTiles.code, 1)
  assert.match(wrongTiles.said, /^NOT SHOWN/)
})

test('a smaller register with another past is refused too: the witness has seen more', async (t) => {
  const { one, other, trust } = await aDeceiver(t)
  await one.add(5)
  const forged = await other.add(3)
  assert.match(other.told[0]!.detail!, /It has seen 5 events, and only 3 are published here\.$/)
  assert.equal((await safehand('verify', forged, '--trust', trust)).code, 1)
})

test('an honest register is consistent with itself as it grows, by folder and by address', async (t) => {
  const { one, trust } = await aDeceiver(t)
  await one.add(300)
  const before = await one.checkpoint()
  await one.add(1)
  const later = await one.checkpoint()
  await one.add(300)
  const server = createServer((request, response) => {
    readFile(join(one.at, request.url!)).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  assert.deepEqual([before.size, later.size, later.isWitnessed], [300, 301, true])
  for (const files of [
    [before.file, later.file],
    [later.file, before.file],
    [later.file, later.file],
  ]) {
    for (const where of [one.at, address]) {
      const { code, said } = await safehand('verify', '--consistent', ...files, '--trust', trust, '--tiles', where)
      assert.equal(code, 0, said)
    }
  }
})

test('checkpoints of strangers, of two registers, and what is none are refused with a sentence', async (t) => {
  const { one } = await aDeceiver(t)
  const file = await one.add(2)
  const stranger = formatVkey(aSigner('register.example.gov.uk', 1, 8).vkey)
  assert.match((await safehand('verify', '--consistent', file, file, '--key', stranger)).said, /not signed with a key/)
  assert.match(
    (await safehand('verify', '--consistent', file, import.meta.filename, '--key', key)).said,
    /cannot be read/,
  )
  const folder = await mkdtemp(join(tmpdir(), 'safehand-two-'))
  t.after(() => rm(folder, { recursive: true }))
  const [second, two] = [join(folder, 'second'), join(folder, 'trust')]
  const another = aSigner('other.example', 1, 9)
  await writeFile(second, await aReceipt(0, 2, someEvidence(), another))
  await writeFile(two, `log ${key}\nlog ${formatVkey(another.vkey)}\nquorum none\n`)
  assert.match(
    (await safehand('verify', '--consistent', file, second, '--trust', two)).said,
    /They are of two registers/,
  )
  assert.equal((await safehand('verify', '--consistent', file, '--key', key)).code, 2)
  assert.equal((await safehand('verify', file, '--key', key, '--tiles', one.at)).code, 2)
})

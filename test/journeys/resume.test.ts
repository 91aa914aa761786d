/**
 * The command line in a process of its own, killed at random moments while it sends and collects, and run again until it
 * ends. `FAULT_SEED` makes the same choices again.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { startCountingProxy } from '#test/counting-proxy'
import { numbersFrom } from '../faults/server.ts'
import { aCommandLine, amir, confirmed, sensitive, treeOf, why } from './command-line.ts'

const MiB = 1024 * 1024
const seed = Number(process.env.FAULT_SEED ?? randomBytes(4).readUInt32BE())
const next = numbersFrom(seed)
const main = join(import.meta.dirname, '../../src/main.ts')

const line = await aCommandLine({ after })
const { server, folder, data, cli, tokenOf, newestLink, prove, aCaseFile } = line
const token = await tokenOf('priya.nair@exampleshire.example')
const proxy = await startCountingProxy({ after }, Number(new URL(server.url).port))
const through = (url: string) => url.replace(/localhost:\d+/, `localhost:${proxy.port}`)
const own = (home: string) => join(folder, home, '.config', 'safehand')
const workOf = async (home: string) =>
  (await readdir(own(home))).filter((name) => /^(send-|collecting-|input)/.test(name))

interface Ended {
  code: number | null
  out: Buffer
  err: string
  json: { transferId: string; reference: string; files: number; phrases: { phrase: string }[]; problem: string }
}

/** Runs a command in a process. @param kill - is told what kills it */
async function run(
  args: string[],
  { home = 'priya', input = new Uint8Array(), kill = (_kill: () => void) => {} } = {},
): Promise<Ended> {
  await mkdir(join(folder, home), { recursive: true })
  const child = spawn(process.execPath, [main, ...args], {
    cwd: join(folder, home),
    env: { HOME: join(folder, home), SAFEHAND_SERVER: through(server.url), SAFEHAND_TOKEN: token },
  })
  kill(() => child.kill('SIGKILL'))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [out, err] = await Promise.all([buffer(child.stdout), text(child.stderr)])
  const said = out.toString()
  const json = (args.includes('--json') && said.startsWith('{') ? JSON.parse(said) : {}) as Ended['json']
  Object.assign(proxy, { onUp: () => {}, onDown: () => {} })
  return { code: await ended, out, err, json }
}

/** Kills a command once so many bytes have passed since it began. */
const afterBytes = (way: 'up' | 'down', count: number) => (kill: () => void) => {
  const begun = proxy[way]
  proxy[way === 'up' ? 'onUp' : 'onDown'] = () => proxy[way] - begun >= count && kill()
}

/** Runs a command again and again, killed after a random count of bytes, until it ends by itself. */
async function untilItEnds(
  args: string[],
  {
    home,
    way,
    most,
    check = async () => {},
  }: { home: string; way: 'up' | 'down'; most: number; check?: () => Promise<void> },
) {
  for (let kills = 0; kills < 40; kills += 1) {
    const ended = await run(args, { home, kill: afterBytes(way, 1 + next() * most) })
    await check()
    if (ended.code !== null) return { ...ended, kills }
  }
  throw new Error(`It makes no progress (FAULT_SEED=${seed})`)
}

const sendArgs = (paths: string[], ...more: string[]) => [
  ...['send', ...paths, '--to', amir, ...why, ...sensitive, ...confirmed],
  ...['--json', ...more],
]
const collectArgs = (link: string, words: string, out: string) => [
  ...['collect', through(link), '--yes', '--words', words],
  ...['--out', out],
]

test(`killed again and again while it sends and while it collects, everything arrives as it was (FAULT_SEED=${seed})`, async () => {
  const source = await aCaseFile('killed')
  for (const [name, size] of [
    ['a.bin', 12 * MiB],
    ['b.bin', 1],
    ['c.bin', 34 * MiB + 7],
    ['d.bin', 3 * MiB],
  ] as const)
    await writeFile(join(source, name), randomBytes(size))
  const size = 49 * MiB
  const begun = proxy.up
  const sent = await untilItEnds(sendArgs([source]), { home: 'priya', way: 'up', most: 30 * MiB })
  assert.equal(sent.code, 0, sent.err)
  assert.ok(sent.kills > 0, 'it was killed')
  assert.ok(proxy.up - begun <= size + (sent.kills + 1) * (3 * limits.partSizeBytes + MiB), 'little is sent twice')
  assert.deepEqual(await workOf('priya'), [], 'keys and journal are gone')

  const link = await newestLink(amir)
  await prove(through(link), amir, 'amir')
  const target = join(folder, 'out of killed')
  const whole = new Set(await treeOf(source))
  const nothingHalf = async () => {
    const found = (await stat(target).catch(() => undefined)) ? await treeOf(target) : []
    const named = found.filter((each) => !/\.part [0-9a-f]+$|^killed folder$|receipt/.test(each))
    for (const each of named) assert.ok(whole.has(each.replace(/^killed\//, '')), each)
  }
  const down = proxy.down
  const words = sent.json.phrases[0]!.phrase
  const args = [...collectArgs(link, words, target), '--json']
  const collected = await untilItEnds(args, { home: 'amir', way: 'down', most: 25 * MiB, check: nothingHalf })
  assert.equal(collected.code, 0, collected.err)
  assert.ok(collected.kills > 0, 'it was killed')
  assert.ok(proxy.down - down <= size + (collected.kills + 1) * 12 * MiB, 'little is fetched twice')
  assert.deepEqual(await treeOf(join(target, 'killed')), await treeOf(source))
  assert.deepEqual(await workOf('amir'), [])
  assert.deepEqual(
    (await readdir(target, { recursive: true })).filter((name) => name.includes('.part')),
    [],
  )
  const checked = await cli(['fsck', '--data', data])
  assert.equal(checked.code, 0, checked.out + checked.err)
})

test('killed when the parcel is complete, before the words are shown, it makes new ones and sends nothing twice', async () => {
  const source = await aCaseFile('complete')
  const args = sendArgs([source])
  const lost = await run(args, {
    kill: (kill) => {
      let isSaid = false
      proxy.onUp = (bytes) => void (isSaid ||= /^POST \/api\/parcels\/\S+\/complete /.test(bytes.toString('latin1')))
      proxy.onDown = () => isSaid && kill()
    },
  })
  assert.deepEqual([lost.code, lost.out.length], [null, 0])
  const [state] = (await workOf('priya')).filter((name) => name.endsWith('.json'))
  const again = await run(args)
  assert.equal(again.code, 0, again.err)
  assert.match(again.err, /^It had been sent, by a command that was ended before it showed the words\./)
  assert.equal(state, `send-${again.json.transferId}.json`, 'it is the same transfer')
  const link = await newestLink(amir)
  await prove(through(link), amir, 'amir')
  const target = join(folder, 'out of complete')
  const collected = await run(collectArgs(link, again.json.phrases[0]!.phrase, target), { home: 'amir' })
  assert.equal(collected.code, 0, collected.err)
  assert.deepEqual(await treeOf(join(target, 'complete')), await treeOf(source))
  assert.deepEqual(await workOf('priya'), [])
})

test('a file that was changed behind its size and time is sealed anew, under other keys', async () => {
  const path = join(folder, 'changing.bin')
  await writeFile(path, randomBytes(40 * MiB))
  const time = new Date('2026-01-01T00:00:00Z')
  await utimes(path, time, time)
  const args = sendArgs([path])
  const killed = await run(args, { kill: afterBytes('up', 30 * MiB) })
  assert.equal(killed.code, null)
  const stateOf = async () => {
    const name = (await workOf('priya')).find((each) => each.endsWith('.json'))!
    assert.equal((await stat(join(own('priya'), name))).mode & 0o777, 0o600)
    return JSON.parse(await readFile(join(own('priya'), name), 'utf8')) as { sealing: Record<string, string> }
  }
  const before = await stateOf()
  const file = await open(path, 'r+')
  await file.write(Buffer.from('changed'), 0, 7, MiB)
  await file.close()
  await utimes(path, time, time)
  const killedAgain = await run(args, { kill: afterBytes('up', 12 * MiB) })
  assert.match(killedAgain.err, /^Going on with SH-[^]*What is sent has changed since it was begun\. It begins anew/)
  const now = await stateOf()
  for (const key of ['parcelIdentity', 'prefix', 'streamKey'])
    assert.notEqual(now.sealing[key], before.sealing[key], key)
  const sent = await run(args)
  assert.equal(sent.code, 0, sent.err)
  assert.match(sent.err, /^Going on with SH-\d{4}-\d{6}\.\n$/)
  const link = await newestLink(amir)
  await prove(through(link), amir, 'amir')
  const piped = await run(collectArgs(link, sent.json.phrases[0]!.phrase, '-'), { home: 'amir' })
  assert.equal(piped.code, 0, piped.err)
  assert.ok(piped.out.equals(await readFile(path)))
})

test('what comes through a pipe is sent as one file, goes on after a kill, and comes out through a pipe', async () => {
  const input = randomBytes(33 * MiB)
  const args = sendArgs(['-'], '--as', 'extract.csv')
  const killed = await run(args, { input, kill: afterBytes('up', 28 * MiB) })
  assert.equal(killed.code, null)
  assert.deepEqual(
    (await workOf('priya')).filter((name) => name.startsWith('input')),
    [],
    'nothing that was piped is left',
  )
  const begun = proxy.up
  const sent = await run(args, { input })
  assert.equal(sent.code, 0, sent.err)
  assert.match(sent.err, /^Going on with /)
  assert.ok(proxy.up - begun < 33 * MiB, 'what had arrived is not sent again')

  const link = await newestLink(amir)
  await prove(through(link), amir, 'amir')
  const words = sent.json.phrases[0]!.phrase
  const stopped = await run(collectArgs(link, words, '-'), { home: 'amir', kill: afterBytes('down', 10 * MiB) })
  assert.equal(stopped.code, null)
  const receipts = async () =>
    (await readdir(join(folder, 'amir'))).filter((name) => name.startsWith(sent.json.reference))
  assert.deepEqual(await receipts(), [], 'no receipt before the last byte')
  const collected = await run(collectArgs(link, words, '-'), { home: 'amir' })
  assert.equal(collected.code, 0, collected.err)
  assert.ok(collected.out.equals(input))
  assert.match(collected.err, /Collected: 1 file written\nReceipt: /)
  assert.equal((await receipts()).length, 1)
})

test('a reader that goes away gets no receipt signed, and only a single file goes to standard output', async () => {
  const path = join(folder, 'unread.bin')
  await writeFile(path, randomBytes(5 * MiB))
  const sent = await line.send(path, amir)
  await prove(through(sent.link), amir, 'amir')
  const child = spawn(process.execPath, [main, ...collectArgs(sent.link, sent.words, '-')], {
    cwd: join(folder, 'amir'),
    env: { HOME: join(folder, 'amir') },
  })
  child.stdout.once('data', () => child.stdout.destroy())
  const [err, code] = await Promise.all([
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ])
  assert.equal(code, 1, err)
  assert.match(err, /This could not be done: .*EPIPE/)
  assert.doesNotMatch(err, /Receipt/)

  const many = await line.send(await aCaseFile('many'), amir)
  await prove(through(many.link), amir, 'amir')
  const refused = await run(collectArgs(many.link, many.words, '-'), { home: 'amir' })
  assert.deepEqual([refused.code, refused.out.length], [1, 0])
  assert.match(refused.err, /Only a parcel with one file can be written to standard output\.\nIt has 2\./)
})

test('a beginning that the disk did not keep is fetched again; a file that somebody put in its place is not overwritten', async () => {
  const source = join(folder, 'spoilt')
  await mkdir(source)
  await writeFile(join(source, 'one.bin'), randomBytes(20 * MiB))
  const sent = await line.send(source, amir)
  await prove(through(sent.link), amir, 'amir')
  const target = join(folder, 'out of spoilt')
  const args = collectArgs(sent.link, sent.words, target)
  const killed = await run(args, { home: 'amir', kill: afterBytes('down', 15 * MiB) })
  assert.equal(killed.code, null)
  const [partial] = (await readdir(join(target, 'spoilt'))).filter((name) => name.endsWith('.part'))
  const file = await open(join(target, 'spoilt', partial!), 'r+')
  await file.write(Buffer.alloc(4_096), 0, 4_096, 0)
  await file.close()
  await writeFile(join(target, 'spoilt', 'one.bin'), 'something else')
  const refused = await run(args, { home: 'amir' })
  assert.match(refused.err, /There is something of this name already\./)
  assert.equal(await readFile(join(target, 'spoilt', 'one.bin'), 'utf8'), 'something else')
  await writeFile(join(target, 'spoilt', 'one.bin'), randomBytes(20 * MiB))
  assert.match((await run(args, { home: 'amir' })).err, /There is something of this name already\./)
  await rm(join(target, 'spoilt', 'one.bin'))
  const mistyped = await run(collectArgs(sent.link, 'zoo zoo zoo zoo zoo zoo zoo', target), { home: 'amir' })
  assert.match(mistyped.err, /^This phrase does not open this parcel\./)
  const collected = await run(args, { home: 'amir' })
  assert.equal(collected.code, 0, collected.err)
  assert.deepEqual(await treeOf(join(target, 'spoilt')), await treeOf(source))
})

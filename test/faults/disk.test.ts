/**
 * Disks that are full or cannot be written, two servers on one folder, and what a Postgres that was killed leaves. What
 * a container without rights cannot do is done another real way, and which way it was is said.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, statfs, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as rest } from 'node:timers/promises'
import { Client } from 'pg'
import { orThrow } from '#core/kit/outcome'
import { startEmbedded } from '#edge/store/embedded'
import { acknowledge, admit, openAll } from '#test/collecting'
import { Browser } from '#test/house'
import { aFile, aReadyTransfer, bytesHeaders, putPart, sealForTest, sergeant, type SealedHere } from '#test/sending'
import { childrenOf, isAway, Server } from './server.ts'

/** Mounts a small file system of its own over a folder; false where that is not allowed. */
async function mounted(server: Server, folder: string, sizeMb: number): Promise<boolean> {
  await mkdir(folder, { recursive: true })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m,mode=0755`, 'tmpfs', folder], {
    stdio: 'ignore',
  })
  if (status === 0) server.onEnd(() => void spawnSync('umount', ['-l', folder]))
  return status === 0
}
const remount = (folder: string, options: string) => execFileSync('mount', ['-o', `remount,${options}`, folder])

/** Lets no file of a process grow past a size; `unlimited` lets them again. Its own account may, whatever else may not. */
function limitFiles(pid: number, bytes: number | 'unlimited') {
  const { uid, gid } = statSync(`/proc/${pid}`)
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`], { uid, gid })
}

/** A parcel on its way, from the first question to what is to be sent. */
async function aParcel(
  server: Server,
  sizeBytes: number,
): Promise<{ sender: Browser; parcel: SealedHere; content: Buffer }> {
  const sender = await Browser.of(server.app, 'Priya Nair')
  const content = randomBytes(sizeBytes)
  const file = {
    ...aFile('report.bin', ''),
    sizeBytes,
    read: async function* () {
      yield new Uint8Array(content)
    },
  }
  return { sender, content, parcel: await sealForTest(sender, await aReadyTransfer(sender), [file]) }
}

const part = ({ sender, parcel }: { sender: Browser; parcel: SealedHere }, n = 0) =>
  putPart(sender, parcel.parcelId, n, parcel.content[n]!.bytes, parcel.content[n]!.sha256)

const partsKept = async ({ sender, parcel }: { sender: Browser; parcel: SealedHere }) =>
  (await sender.get<{ parts: unknown[] }>(`/api/parcels/${parcel.parcelId}/parts`)).parts.length

/** Sends the rest of a parcel, and lets it be collected: what came out is what went in. */
async function finish(server: Server, { sender, parcel, content }: Awaited<ReturnType<typeof aParcel>>) {
  for (const [n] of parcel.content.entries()) assert.equal((await part({ sender, parcel }, n)).statusCode, 204)
  const { manifestAge, manifestSha256 } = parcel.sealed
  const manifest = await sender.call(
    'PUT',
    `/api/parcels/${parcel.parcelId}/manifest`,
    Buffer.from(manifestAge),
    bytesHeaders(manifestSha256),
  )
  assert.equal(manifest.statusCode, 204)
  await sender.post(`/api/parcels/${parcel.parcelId}/complete`, parcel.completion)
  const recipient = await admit(new Browser(server.app), sender, parcel, sergeant.email)
  await acknowledge(recipient, parcel)
  const { files } = await openAll(recipient, parcel)
  assert.ok(content.equals(files.get('report.bin')!))
}

const slugOf = (answer: { body: string }) => /problems\/([a-z-]+)/.exec(answer.body)?.[1]
const full = { status: 507, slug: 'storage-full' }

test('a full disk of bytes: a sentence, nothing half kept, and on it goes when there is room', async (t) => {
  const server = await Server.begin(t)
  const work = await aParcel(server, 6_000_000)
  const blobs = join(server.dataFolder, 'blobs')
  await server.killServer()
  await rename(blobs, `${blobs}-before`)
  const isMounted = await mounted(server, blobs, 4)
  if (isMounted) t.diagnostic('a file system of its own, full')
  else {
    await rm(blobs, { recursive: true })
    await rename(`${blobs}-before`, blobs)
    t.diagnostic('no right to mount: the largest file the process may write')
  }
  await server.start()
  if (!isMounted) limitFiles(server.pid, 4_000_000)
  for (const _ of [1, 2, 3]) {
    const answer = await part(work)
    assert.deepEqual({ status: answer.statusCode, slug: slugOf(answer) }, full)
    assert.equal(await partsKept(work), 0)
  }
  assert.ok((await server.fsck()).isSound, 'nothing is left of what was refused')
  if (isMounted) remount(blobs, 'size=64m')
  else limitFiles(server.pid, 'unlimited')
  await finish(server, work)
  const check = await server.fsck()
  assert.ok(check.isSound, check.text)
})

test('a folder of bytes that cannot be written: a sentence, and on it goes when it can', async (t) => {
  const server = await Server.begin(t)
  const work = await aParcel(server, 100_000)
  // A place on which nobody may write, whoever they are, is in every Linux.
  const arriving = join(server.dataFolder, 'blobs/arriving')
  await rename(arriving, `${arriving}-before`)
  await symlink('/proc/self', arriving)
  const answer = await part(work)
  assert.deepEqual([answer.statusCode, slugOf(answer)], [503, 'unavailable'])
  assert.equal(await partsKept(work), 0)
  await unlink(arriving)
  await rename(`${arriving}-before`, arriving)
  await finish(server, work)
})

test('a register that cannot be published: work goes on, receipts wait, and come when it can', async (t) => {
  const server = await Server.begin(t)
  limitFiles(server.pid, 1)
  const sender = await Browser.of(server.app, 'Priya Nair')
  const ids: string[] = []
  for (let i = 0; i < 5; i += 1) ids.push((await sender.post<{ id: string }>('/api/transfers')).id)
  const sizeOf = async () => Number((await (await fetch(`${server.url}/register/checkpoint`)).text()).split('\n')[1])
  const before = await sizeOf()
  await rest(1_500)
  assert.equal(await sizeOf(), before, 'nothing is shown before its tiles are there')
  limitFiles(server.pid, 'unlimited')
  while ((await sizeOf()) < before + ids.length) await rest(50)
  const check = await server.fsck()
  assert.ok(check.isSound, check.text)
})

/** Starts transfers until that fails for good; which of them were acknowledged, and how the others were refused. */
async function startUntilFull(server: Server, sender: Browser) {
  const acknowledged: string[] = []
  const refused = new Map<string, number>()
  for (let failures = 0; failures < 20 && !server.hasEnded;) {
    try {
      const answer = await sender.call('POST', '/api/transfers', {})
      if (answer.statusCode === 200) acknowledged.push(answer.json<{ id: string }>().id)
      else {
        failures += 1
        const what = `${answer.statusCode} ${slugOf(answer)}`
        refused.set(what, (refused.get(what) ?? 0) + 1)
        await rest(20)
      }
    } catch (error) {
      if (!isAway(error)) throw error
      failures += 1
      await rest(20)
    }
  }
  return { acknowledged, refused }
}

test('a full disk of Postgres: refused with a sentence or not answered, never acknowledged and lost', async (t) => {
  const server = await Server.begin(t)
  const sender = await Browser.of(server.app, 'Priya Nair')
  const postgres = join(server.dataFolder, 'postgres')
  await server.killAll()
  await rename(postgres, `${postgres}-before`)
  const isMounted = await mounted(server, postgres, 160)
  if (isMounted) {
    execFileSync('cp', ['-a', `${postgres}-before/.`, postgres])
    await server.start()
    const { bfree, bsize } = await statfs(postgres)
    await writeFile(join(postgres, 'filler'), Buffer.alloc(Math.max(0, bfree * bsize - 100_000)))
    t.diagnostic('a file system of its own, full')
  } else {
    await rm(postgres, { recursive: true })
    await rename(`${postgres}-before`, postgres)
    await server.start()
    const postmaster = (await server.postgres())!
    for (const pid of [...(await childrenOf(postmaster)), postmaster]) limitFiles(pid, 200_000)
    t.diagnostic('no right to mount: the largest file Postgres may write')
  }
  const { acknowledged, refused } = await startUntilFull(server, sender)
  for (const what of refused.keys()) assert.ok(['507 storage-full', '503 unavailable'].includes(what), what)
  t.diagnostic(
    `${acknowledged.length} acknowledged; refused: ${JSON.stringify([...refused])}; the process ${server.hasEnded ? 'ended' : 'went on'}`,
  )
  if (server.hasEnded) assert.match(server.said, /The database is gone and does not come back/)
  await server.killAll()
  if (isMounted) await unlink(join(postgres, 'filler'))
  await server.start()
  await server.asking(async (db) => {
    const known = new Set((await db.selectFrom('transfers').select('id').execute()).map(({ id }) => id))
    for (const id of acknowledged) assert.ok(known.has(id), 'an acknowledged transfer is gone')
  })
  await sender.post('/api/transfers')
  const check = await server.fsck()
  assert.ok(check.isSound, check.text)
})

test('a second server on a data folder is refused with a sentence, and the first does not notice', async (t) => {
  const server = await Server.begin(t)
  const sender = await Browser.of(server.app, 'Priya Nair')
  const { id } = await sender.post<{ id: string }>('/api/transfers')
  const seconds = await Promise.all([server.startSecond(), server.startSecond()])
  for (const second of seconds) {
    assert.equal(second.code, 1)
    assert.match(second.said, /^Safehand is already running on this data folder\.$/m)
  }
  await sender.get(`/api/transfers/${id}`)
  assert.ok((await server.fsck()).isSound)
})

test('a postmaster.pid that names another’s living Postgres, or is cut short, stops no start and harms nobody', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-pids-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const begin = async (name: string) => orThrow(await startEmbedded({ folder: join(folder, name) }))
  const ask = async (url: string) => {
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query('select 1')
    await client.end()
  }
  const first = await begin('first')
  const pidFile = join(first.dataFolder, 'postmaster.pid')
  const text = await readFile(pidFile, 'utf8')
  await first.stop()
  const other = await begin('other')
  try {
    const lines = text.split('\n')
    for (const left of [
      text.replace(/^\d+/, String(other.pid())),
      lines[0]!,
      `${lines.slice(0, 3).join('\n')}\n`,
      '1\n',
      '-1\n',
      '\0\0\0',
    ]) {
      await writeFile(pidFile, left)
      const again = await begin('first')
      await ask(again.connectionString)
      await ask(other.connectionString)
      await again.stop()
    }
  } finally {
    await other.stop()
  }
})

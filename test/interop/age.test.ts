import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { fromBase64, utf8 } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { openAge } from '#core/seal/age-file'
import { wholeOf } from '#core/seal/flow'
import { newPhrase } from '#core/seal/passphrase'
import { aFile, aFolder, aKeyLock, sealedOk } from '#core/seal/parcel.fixture'
import { entryHeader } from '#core/seal/tar-index'
import { nodeTools } from '#edge/seal/node-tools'

const run = promisify(execFile)
let folder: string

before(async () => {
  for (const program of ['age', 'age-keygen', 'tar', 'script']) {
    const found = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
    assert.ok(found, `This test needs the program '${program}': on Debian, apt-get install age tar bsdutils.`)
  }
  folder = await mkdtemp(join(tmpdir(), 'safehand-age-'))
})
after(async () => rm(folder, { recursive: true, force: true }))

const sources = [
  aFolder('Fallakte Müller'),
  aFile('Fallakte Müller/läge – 日本語 🗂.txt', 'äöü'),
  aFile('Fallakte Müller/empty', ''),
  aFile(`${'long/'.repeat(40)}name.txt`, 'deep'),
  aFile(
    'large.bin',
    new Uint8Array(3_000_000).map((_, i) => i % 251),
  ),
]

/** `age` asks for a phrase on a terminal only, so it gets one, and the phrase twice when it seals. */
function ageOnTerminal(args: string, phrase: string) {
  const { status, stdout } = spawnSync('script', ['-qec', `age ${args}`, '/dev/null'], {
    cwd: folder,
    input: `${phrase}\n${phrase}\n`,
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(status, 0, stdout)
}

async function unpacks(content: Uint8Array, keyFile: string) {
  const target = join(folder, 'unpacked')
  await rm(target, { recursive: true, force: true })
  await mkdir(target)
  await writeFile(join(folder, 'content.age'), content)
  await run(
    'sh',
    ['-c', `age -d -i "$1" content.age > content.tar && tar x -f content.tar -C unpacked`, 'sh', keyFile],
    {
      cwd: folder,
    },
  )
  for (const source of sources) {
    if (source.type === 'folder') continue
    const bytes = await readFile(join(target, source.path))
    assert.deepEqual(bytes, Buffer.from(await wholeOf(source.read())), source.path)
  }
  assert.deepEqual((await readdir(join(target, 'Fallakte Müller'))).length, 2)
}

test('age and tar open an X25519 parcel with a registered key', async () => {
  const key = await aKeyLock('key', false)
  const { parcel, content } = await sealedOk({ pq: false, sources, locks: [key.request] })
  await writeFile(join(folder, 'lock.age'), fromBase64(parcel.locks[0]!.age))
  await writeFile(join(folder, 'own.key'), `${key.identity}\n`)
  await run('sh', ['-c', 'age -d -i own.key lock.age > parcel.key'], { cwd: folder })
  await unpacks(content, 'parcel.key')
  await writeFile(join(folder, 'manifest.age'), parcel.manifestAge)
  const { stdout } = await run('age', ['-d', '-i', 'parcel.key', 'manifest.age'], { cwd: folder })
  assert.equal(JSON.parse(stdout).index.length, sources.length)
})

test('age and tar open an X25519 parcel with the seven words', async () => {
  const phrase = newPhrase(nodeTools.randomBytes)
  const locks = [{ kind: 'passphrase' as const, recipientId: 'r', to: { phrase } }]
  const { parcel, content } = await sealedOk({ pq: false, sources, locks })
  await writeFile(join(folder, 'lock.age'), fromBase64(parcel.locks[0]!.age))
  ageOnTerminal('-d -o parcel.key lock.age', phrase)
  await unpacks(content, 'parcel.key')
})

test('tar reads the header of a file above 8 GiB as it was written', async () => {
  const entry = { path: 'vast.bin', type: 'file' as const, sizeBytes: 9 * 2 ** 30, modifiedSeconds: 0 }
  const header = entryHeader(entry)
  await writeFile(join(folder, 'vast.tar'), header)
  await run('truncate', ['-s', String(header.length + entry.sizeBytes + 1_024), join(folder, 'vast.tar')])
  const { stdout } = await run('tar', ['tvf', join(folder, 'vast.tar')])
  assert.match(stdout, /\b9663676416\b.*vast\.bin/)
})

test('we open what age sealed to an X25519 key and to a phrase', async () => {
  const key = await aKeyLock('key', false)
  const plain = new Uint8Array(2_000_003).map((_, i) => i % 253)
  await writeFile(join(folder, 'plain'), plain)
  const digest = createHash('sha256').update(plain).digest('hex')
  const opens = async (secret: Parameters<typeof openAge>[1]) => {
    const opened = orThrow(await openAge(createReadStream(join(folder, 'sealed.age')), secret, nodeTools))
    assert.equal(
      createHash('sha256')
        .update(await wholeOf(opened.plain))
        .digest('hex'),
      digest,
    )
  }
  assert('recipient' in key.request.to)
  await run('age', ['-r', key.request.to.recipient, '-o', 'sealed.age', 'plain'], { cwd: folder })
  await opens({ identity: key.identity })
  await rm(join(folder, 'sealed.age'))
  const phrase = newPhrase(nodeTools.randomBytes)
  ageOnTerminal('-p -o sealed.age plain', phrase)
  await opens({ phrase })
})

test('age refuses a lock with a wrong key, as we do', async () => {
  const [key, other] = await Promise.all([aKeyLock('key', false), aKeyLock('key', false)])
  const { parcel } = await sealedOk({ pq: false, locks: [key.request] })
  await writeFile(join(folder, 'lock.age'), fromBase64(parcel.locks[0]!.age))
  await writeFile(join(folder, 'own.key'), utf8(`${other.identity}\n`))
  await assert.rejects(run('age', ['-d', '-i', 'own.key', 'lock.age'], { cwd: folder }), /no identity matched/)
})

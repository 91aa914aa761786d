import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { aCommandLine, amir, confirmed, lena, sensitive, treeOf, why, type Person } from './command-line.ts'

for (const program of ['age', 'age-keygen', 'tar']) {
  const isThere = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
  assert.ok(isThere, `This test needs the program '${program}': on Debian, apt-get install age tar.`)
}
const line = await aCommandLine({ after })
const { server, folder, cli, tokenOf, mails, newestLink, newestCode, send, prove, aCaseFile, desk } = line

test('a folder with a large file goes to an officer outside and comes out as it was, with a receipt that verifies', async () => {
  const source = await aCaseFile('Fallakte Müller')
  await writeFile(join(source, 'recording.bin'), randomBytes(100 * 1024 * 1024))
  const progress: string[] = []
  const { code, out, err } = await cli(
    ['send', source, '--to', amir, ...why, ...sensitive, ...confirmed, '--message', 'See page 2'],
    { onStatus: (line) => void progress.push(line) },
  )
  assert.equal(code, 0, err)
  assert.match(out, /Safehand parcel: you can use this/)
  assert.match(out, /\(D13\)/)
  assert.match(out, /Sent: SH-\d{4}-\d{6}, 104\.9 MB|Sent: SH-\d{4}-\d{6}, 105 MB/)
  const words = /Seven words for Sergeant Amir Khan:\n\n {4}((?:[a-z]+ ){6}[a-z]+)\n/.exec(out)![1]!
  assert.match(out, /By telephone \(01632 960 101\)/)
  assert.match(progress.join('\n'), /Sealing and sending █+░* \d+ % of 105 MB, .* left/)
  assert.equal(progress.at(-1), '')
  assert.ok(!JSON.stringify(await mails(amir)).includes(words))
  assert.equal(spawnSync('grep', ['-raF', words, server.folder]).status, 1, 'the words are nowhere on the server')

  const link = await newestLink(amir)
  const target = join(folder, 'collected')
  assert.equal((await cli(['collect', link], { home: 'amir' })).code, 1)
  const answers = new Map([
    ['Code:', await newestCode(amir)],
    ['Have you', 'yes'],
    ['The seven', words.toUpperCase()],
  ])
  const said: string[] = []
  const say = (question: string) => answers.get([...answers.keys()].find((start) => question.startsWith(start))!)!
  const collected = await cli(['collect', link, '--out', target, '--code', answers.get('Code:')!], {
    home: 'amir',
    say: (question) => (said.push(question), say(question)),
  })
  assert.equal(collected.code, 0, collected.err)
  assert.ok((await mails('priya.nair@exampleshire.example')).some(({ subject }) => subject.startsWith('Ring now')))
  assert.deepEqual(
    said.map((question) => question.slice(0, 9)),
    ['Have you ', 'The seven'],
  )
  for (const shown of [
    /From {6}Priya Nair, Exampleshire County Council/,
    /Sealed by a device of the sender’s/,
    /Purpose {3}Strategy meeting/,
    /Limits {4}For the meeting only/,
    /Message {3}See page 2/,
  ])
    assert.match(collected.out, shown)
  assert.deepEqual(await treeOf(join(target, 'Fallakte Müller')), await treeOf(source))

  const receipt = /Receipt: (.*\.tlog-proof)/.exec(collected.out)![1]!
  const { vkey } = (await (await fetch(`${server.url}/api/register/check`)).json()) as { vkey: string }
  const verified = await cli(['verify', receipt, '--key', vkey])
  assert.match(verified.out, /^Genuine\.\n[^]*parcel-opened/)
  assert.equal((await stat(join(folder, 'amir', '.config', 'safehand'))).mode & 0o777, 0o700)
  for (const name of await readdir(join(folder, 'amir', '.config', 'safehand'))) {
    assert.equal((await stat(join(folder, 'amir', '.config', 'safehand', name))).mode & 0o777, 0o600)
  }

  const again = await cli(['collect', link, '--out', target, '--yes', '--words', words], { home: 'amir' })
  assert.equal(again.code, 1)
  assert.match(again.err, /^There is something of this name already\./)
  assert.deepEqual(
    (await readdir(target)).filter((name) => name.endsWith('.part')),
    [],
  )
})

test('wrong words, words of another parcel, a replayed code and the link of somebody else open nothing', async () => {
  const source = await aCaseFile('small')
  const first = await send(source, amir)
  const second = await send(source, amir)
  await prove(second.link, amir, 'amir')
  const collect = (words: string, more: Person = {}) =>
    cli(['collect', second.link, '--out', join(folder, 'nothing'), '--yes', '--words', words], {
      home: 'amir',
      ...more,
    })
  assert.match((await collect('zoo zoo zoo')).err, /^The phrase has seven words\.\n3 words were entered\./)
  assert.match(
    (await collect('zoo zoo zoo zoo zoo zoo xyzzyx')).err,
    /^One of the words is not in the list of words\.\nIt is word 7\./,
  )
  assert.match((await collect(first.words)).err, /^This phrase does not open this parcel\./)

  let asked = 0
  const say = () => `${first.words}${' '.repeat((asked += 1))}`
  const guessed = await cli(['collect', second.link, '--yes'], { home: 'amir', say })
  assert.deepEqual([guessed.code, asked], [1, 3])

  const code = await newestCode(amir)
  const replayed = await cli(['collect', second.link, '--code', code], { home: 'stranger' })
  assert.equal(replayed.code, 1)
  assert.match(replayed.err, /^This code can no longer be used\./)

  const other = await send(source, lena, [...sensitive, ...confirmed, '--reason', 'deliver-a-service'])
  const mixed = other.link.replace(/#.*/, second.link.slice(second.link.indexOf('#')))
  const stolen = await cli(['collect', mixed], { home: 'stranger' })
  assert.match(stolen.err, /^This link does not work\./)
  const unknown = second.link.replace(/collect\/[^#]*/, 'collect/00000000-0000-4000-8000-000000000000')
  assert.match((await cli(['collect', unknown], { home: 'stranger' })).err, /^This link does not work\./)
  assert.match(
    (await cli(['collect', 'http://safehand.example.gov.uk/collect/nothing'])).err,
    /^This link does not work\./,
  )
  assert.match(
    (await cli(['collect', second.link.replace('http://localhost', 'http://safehand.example.gov.uk')])).err,
    /must begin with https/,
  )

  assert.equal((await collect('-', { input: `${second.words}\n` })).code, 0)
  assert.deepEqual(await treeOf(join(folder, 'nothing', 'small')), await treeOf(source))
})

test('somebody else’s transfer, an ended token and a made-up one are refused', async () => {
  const source = await aCaseFile('foreign')
  const begun = await cli(['send', source, '--to', amir, ...why, ...sensitive, '--json'])
  assert.deepEqual([begun.code, begun.json.problem], [1, 'gates-open'])
  const tom = await tokenOf('tom.fletcher@exampleshire.example')
  const transfer = begun.json.transferId
  const foreign = await cli(['send', source, '--transfer', transfer, ...sensitive, '--json'], {
    env: { SAFEHAND_TOKEN: tom },
  })
  assert.deepEqual([foreign.code, foreign.json.problem], [1, 'not-found'])
  const nobody = await cli(['send', source, '--to', amir, ...why, '--json'], {
    env: { SAFEHAND_TOKEN: 'a'.repeat(43) },
  })
  assert.deepEqual([nobody.code, nobody.json.problem], [1, 'sign-in-needed'])
  const own = await cli(['send', source, '--transfer', transfer, ...confirmed, '--json'])
  assert.equal(own.code, 0, own.err)
})

test('what is not allowed is refused with its reason and the nearest yes, and an open question with its choices', async () => {
  const source = await aCaseFile('refused')
  const refused = await cli(['send', source, '--to', lena, ...why, '--reason', 'criminal-justice', ...sensitive])
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^This cannot be sent this way\.\n[^]*\(D2\)[^]*(Ask first|You can use instead)/)
  assert.match(refused.err, /To go on with this transfer, add --transfer [0-9a-f-]{36}$/)
  const open = await cli(['send', source, '--to', amir, ...why])
  assert.match(
    open.err,
    /^A question has no answer yet\.\nHow sensitive is it\? Add --answer council-class=public\|controlled\|restricted\|not-sure/,
  )
  const wrong = await cli(['send', source, '--to', amir, ...why, '--class', 'secret', '--personal', 'yes'])
  assert.match(wrong.err, /^A question has no answer yet\.\nHow sensitive/)
  const unknown = await cli(['send', source, '--to', 'nobody@elsewhere.example', ...why, ...sensitive])
  assert.match(unknown.err, /^This person is not in the directory\./)
  const asked: string[] = []
  const answered = await cli(['send', source, '--to', amir, ...why, ...confirmed, '--json'], {
    say: (question) => (asked.push(question), question.startsWith('How sensitive') ? '3' : '1'),
  })
  assert.equal(answered.code, 0, answered.err)
  assert.equal(asked.length, 2)
})

test('somebody new is added, at an organisation that is new too', async () => {
  const source = await aCaseFile('newcomer')
  const newcomer = [
    '--kind',
    'organisation',
    '--name',
    'Ada Quill',
    '--organisation',
    'Quillshire District Council',
    '--sector',
    'council',
  ]
  const sent = await send(source, 'ada@quillshire.example', [
    '--class',
    'controlled',
    '--personal',
    'no',
    ...confirmed,
    ...newcomer,
  ])
  assert.equal(sent.code, 0, sent.out)
  const resident = await send(source, 'resident@elsewhere.example', [
    '--class',
    'controlled',
    '--personal',
    'yes',
    ...confirmed,
    '--kind',
    'individual',
    '--name',
    'Robin Vale',
  ])
  assert.equal(resident.code, 0, resident.out)
})

test('a link, a missing file, a name that hides something and a file that changes while it is sealed stop the sending', async () => {
  const source = await aCaseFile('stopped')
  const refusal = async (path: string) =>
    (await cli(['send', path, '--to', amir, ...why, ...sensitive, ...confirmed])).err
  await symlink('/etc/passwd', join(source, 'passwords'))
  assert.match(await refusal(source), /^Something here cannot be sent\.\n.*passwords is a link/)
  await rm(join(source, 'passwords'))
  assert.match(
    await refusal(join(source, 'missing')),
    /^The file cannot be read\.\n.*missing: There is no such file or folder\./,
  )
  await writeFile(join(source, 'letter\u202Efdp.exe'), '')
  assert.match(await refusal(source), /^A file name has hidden characters in it\.\nIt is .*letter/)
  await rm(join(source, 'letter\u202Efdp.exe'))

  const growing = join(source, 'growing.log')
  await writeFile(growing, randomBytes(160 * 1024 * 1024))
  let appended: Promise<void> | undefined
  const onStatus = () => void (appended ??= appendFile(growing, 'one more line'))
  const sent = await send(source, amir, [...sensitive, ...confirmed], { onStatus })
  await appended
  assert.deepEqual([sent.code, sent.json.problem], [1, 'file-changed'])
  assert.match(sent.json.detail, /growing\.log$/)
  const retried = await cli(['send', source, '--transfer', sent.json.transferId, '--json'])
  assert.equal(retried.code, 0, retried.out)
})

/** Does something once, when the progress of a command has come to a fifth. */
const atAFifth = (work: () => void) => {
  let isDone = false
  return (line: string) => {
    if (isDone || Number(/(\d+) % of/.exec(line)?.[1] ?? 0) < 20) return
    isDone = true
    work()
  }
}

test('a server that is killed while a parcel is sent, and while it is collected, changes nothing', async () => {
  const source = await aCaseFile('interrupted')
  await writeFile(join(source, 'large.bin'), randomBytes(100 * 1024 * 1024))
  const restarts: Promise<void>[] = []
  const restart = () => void restarts.push(server.kill().then(() => server.start()))
  const sent = await send(source, amir, [...sensitive, ...confirmed], { onStatus: atAFifth(restart) })
  assert.equal(sent.code, 0, sent.out)
  await Promise.all(restarts)
  await prove(sent.link, amir, 'amir')
  const target = join(folder, 'uninterrupted')
  const collected = await cli(['collect', sent.link, '--out', target, '--yes', '--words', sent.words], {
    home: 'amir',
    onStatus: atAFifth(restart),
  })
  assert.equal(collected.code, 0, collected.err)
  await Promise.all(restarts)
  assert.equal(restarts.length, 2)
  assert.deepEqual(await treeOf(join(target, 'interrupted')), await treeOf(source))
})

test('age and tar open what is saved, with the recipient’s own registered key, where older tools are provided for', async (t) => {
  const older = await aCommandLine(t, { SAFEHAND_LOCKS: 'x25519' })
  const keyFile = join(folder, 'amir.key')
  execFileSync('age-keygen', ['-o', keyFile], { stdio: 'ignore' })
  const ageRecipient = execFileSync('age-keygen', ['-y', keyFile], { encoding: 'utf8' }).trim()
  await older.desk(amir, ({ id, organisationId, name: fullName }) => ({
    path: `/api/organisations/${organisationId}/people/${id}`,
    body: { fullName, email: amir, partnerLogin: false, cjsmAccount: false, active: true, ageRecipient },
  }))

  const source = await older.aCaseFile('for age')
  const sent = await older.send(source, amir)
  assert.equal(sent.code, 0, sent.err)
  assert.deepEqual(sent.json.phrases, [])
  assert.match(JSON.stringify(sent.json.keys), /"Sergeant Amir Khan","fingerprint":"([0-9a-f]{4} ){7}[0-9a-f]{4}"/)
  await older.prove(sent.link, amir, 'amir')
  const saved = join(folder, 'ciphertext')
  assert.equal((await older.cli(['collect', sent.link, '--yes', '--ciphertext', saved], { home: 'amir' })).code, 0)
  await mkdir(join(saved, 'out'))
  const command =
    'age -d -i "$1" lock.age > parcel.key && age -d -i parcel.key content.age | tar x -C out && age -d -i parcel.key manifest.age'
  const manifest = execFileSync('sh', ['-c', command, 'sh', keyFile], { cwd: saved, encoding: 'utf8' })
  assert.equal((JSON.parse(manifest) as { purpose: string }).purpose, 'Strategy meeting')
  assert.deepEqual(await treeOf(join(saved, 'out', 'for age')), await treeOf(source))

  const target = join(folder, 'by key')
  const without = await older.cli(['collect', sent.link, '--yes', '--out', target], { home: 'amir' })
  assert.match(without.err, /^This key does not open it\.\nName the file of your key with --identity\./)
  const collected = await older.cli(['collect', sent.link, '--yes', '--out', target, '--identity', keyFile, '--json'], {
    home: 'amir',
  })
  assert.deepEqual([collected.code, collected.json.files], [0, 2])
})

test('email with a link and code needs no words, and words are not asked for', async () => {
  await desk(lena, ({ organisationId }) => ({
    path: `/api/organisations/${organisationId}/profile`,
    body: { tls: 'refused', tlsEvidence: 'A report that it could not be delivered', tlsCheckedOn: '2026-01-12' },
  }))
  const source = await aCaseFile('automatic')
  const options = ['--class', 'controlled', '--personal', 'yes', '--reason', 'deliver-a-service', ...confirmed]
  const sent = await send(source, lena, [...options, '--method', 'encrypted_email'])
  assert.equal(sent.code, 0, sent.out)
  assert.deepEqual(sent.json.phrases, [])
  await prove(sent.link, lena, 'lena')
  const target = join(folder, 'by mail')
  const collected = await cli(['collect', sent.link, '--yes', '--out', target], { home: 'lena' })
  assert.equal(collected.code, 0, collected.err)
  assert.deepEqual(await treeOf(join(target, 'automatic')), await treeOf(source))
})

test('an installation is made once, brought forward, and has nobody but its administrator', async () => {
  const data = join(folder, 'real')
  const env = { SAFEHAND_SERVER: '', SAFEHAND_TOKEN: '' }
  const init = [
    'init',
    '--data',
    data,
    '--organisation',
    'Exampleshire County Council',
    '--domain',
    'exampleshire.example',
    '--name',
    'Ines Duarte',
    '--email',
    'ines.duarte@exampleshire.example',
  ]
  assert.equal((await cli(['init', '--data', data], { env })).code, 2)
  const wrong = await cli([...init.slice(0, -1), 'ines.duarte@elsewhere.example'], { env })
  assert.match(wrong.err, /Enter an address in one of our own domains/)
  await assert.rejects(stat(data), 'nothing half-made is left behind')
  const made = await cli(init, { env })
  assert.equal(made.code, 0, made.err)
  assert.match(made.out, /Made for Exampleshire County Council:[^]*safehand serve --data/)
  assert.equal((await stat(`${data}-keys/register.pem`)).mode & 0o777, 0o600)
  const pem = await readFile(`${data}-keys/register.pem`, 'utf8')
  const twice = await cli(init, { env })
  assert.match(twice.err, /^A setting is not right\.\n.* is in use\./)
  assert.equal(await readFile(`${data}-keys/register.pem`, 'utf8'), pem)
  assert.deepEqual((await cli(['migrate', '--data', data, '--json'], { env })).json.ran, [])
  assert.equal((await cli(['token', '--data', data, '--person', 'ines.duarte@exampleshire.example'], { env })).code, 0)
  assert.match(
    (await cli(['token', '--data', data, '--person', 'nobody@exampleshire.example'], { env })).err,
    /No member of staff has/,
  )
  assert.match((await cli(['outbox', '--data', data], { env })).err, /Only a demonstration’s mails can be shown/)
  assert.match((await cli(['migrate', '--data', join(folder, 'none')], { env })).err, /There is no Safehand in/)
})

test('every command says what it does, and answers 2 when it is called wrongly', async () => {
  const overview = await cli(['--help'])
  const names = [...overview.out.matchAll(/^ {2}(\w+) /gm)].map((match) => match[1]!)
  assert.deepEqual(names, [
    'serve',
    'init',
    'migrate',
    'backup',
    'restore',
    'erase',
    'keeper',
    'send',
    'collect',
    'verify',
    'witness',
    'fsck',
    'rulebook',
    'token',
    'digest',
    'outbox',
  ])
  for (const name of names) {
    const help = await cli([name, '--help'])
    assert.deepEqual([help.code, help.out.includes(`safehand ${name}`)], [0, true], name)
    assert.equal((await cli([name, '--no-such-option'])).code, 2, name)
  }
  for (const wrong of [
    ['nonsense'],
    ['send'],
    ['send', '.'],
    ['send', '.', '--to', amir, '--purpose', 'x', '--days', '29'],
    ['collect'],
    ['digest'],
    ['token'],
  ]) {
    assert.equal((await cli(wrong)).code, 2, wrong.join(' '))
  }
  assert.match(
    (await cli(['send', folder, '--to', amir, ...why], { env: { SAFEHAND_SERVER: 'http://elsewhere.example' } })).err,
    /must begin with https/,
  )
})

test('the digest of a file is its SHA-256, above 16 MiB that of its slices’', async () => {
  const small = join(folder, 'digested')
  await writeFile(small, 'abc')
  const ofSmall = createHash('sha256').update('abc').digest('hex')
  assert.equal((await cli(['digest', small])).out, `${ofSmall}  ${small}`)
  const large = join(folder, 'large')
  const slices = [...Array<Buffer>(32).fill(Buffer.alloc(512 * 1024)), Buffer.alloc(1)]
  await writeFile(large, Buffer.concat(slices))
  const hashes = slices.map((slice) => createHash('sha256').update(slice).digest())
  const digest = createHash('sha256').update(Buffer.concat(hashes)).digest('hex')
  assert.deepEqual((await cli(['digest', large, '--json'])).json, [{ file: large, digest }])
  assert.match((await cli(['digest', join(folder, 'absent')])).err, /There is no such file/)
})

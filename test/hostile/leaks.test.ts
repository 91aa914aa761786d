import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { runSafehand } from '#shell/cli/safehand'
import { withInstalled } from '#shell/cli/installed'
import type { Store } from '#edge/store/database'
import { Browser } from '#test/house'
import { aWatchedServer, overHttp } from './server.ts'

/** What is only ever the parcel's, whose owners are the sender and the recipient. */
const sealed = {
  'a file name': 'zwfilename-caseconference.txt',
  'a file': 'zwcontent the child was seen at the address',
  'the message': 'zwmessage please ring before five',
}
/** What the record may hold, and nothing else. */
const personal = {
  'the recipient’s name': 'Zacharia Quillfeather',
  'the recipient’s address': 'zwquill@quillfeather.example',
  'the purpose': 'zwpurpose strategy meeting about a family',
  'the limits': 'zwlimits not to be passed on',
  'the case': 'zwcase-77',
  'what went wrong': 'zwproblem it went astray',
  'the sender’s name': 'Priya Nair',
  'the sender’s address': 'priya.nair@exampleshire.example',
}
type Markers = Record<string, string>

const folder = await mkdtemp(join(tmpdir(), 'safehand-leaks-'))
after(() => rm(folder, { recursive: true, force: true }))
const server = await aWatchedServer({ after }, { SAFEHAND_LOG: 'trace' })
const urls: string[] = []
const wire = overHttp(server.port, (url) => urls.push(url))
const shown: string[] = []
const plainFetch = globalThis.fetch
globalThis.fetch = (input, init) => {
  urls.push(input instanceof Request ? input.url : String(input))
  return plainFetch(input, init)
}
after(async () => void (globalThis.fetch = plainFetch))

async function cli(home: string, args: string[], env: Markers = {}) {
  const [lines, complaints]: string[][] = [[], []]
  const io = {
    out: (text: string) => void lines!.push(text),
    err: (text: string) => void complaints!.push(text),
    env: { HOME: join(folder, home), SAFEHAND_SERVER: server.url, ...env },
  }
  const code = await runSafehand(args, io)
  return { code, text: lines!.join('\n'), complaints: complaints!.join('\n') }
}

interface Mail {
  to: string
  subject: string
  text: string
  links: { url: string }[]
}
const mails = async (anyone: Browser) => (await anyone.get<{ mails: Mail[] }>('/api/demonstration/outbox')).mails
const code = (mail: Mail) => /^ *([0-9A-Z]{4}[ -]?[0-9A-Z]{4})$/m.exec(mail.text)![1]!

/** Signs in by a mailed code, as outside a demonstration. */
async function byCode(secrets: Markers): Promise<Browser> {
  const sender = await Browser.of(wire, 'Priya Nair')
  await sender.post('/api/sign-out')
  await sender.post('/api/sign-in', { email: personal['the sender’s address'] })
  secrets['a sign-in code'] = code((await mails(sender))[0]!)
  await sender.post('/api/sign-in/code', { code: secrets['a sign-in code'] })
  return sender
}

const why = [
  '--purpose',
  personal['the purpose'],
  '--limits',
  personal['the limits'],
  '--case',
  personal['the case'],
  '--reason',
  'deliver-a-service',
  '--class',
  'controlled',
  '--personal',
  'yes',
  '--message',
  sealed['the message'],
]
const to = [
  '--to',
  personal['the recipient’s address'],
  '--kind',
  'individual',
  '--name',
  personal['the recipient’s name'],
]

/** Everything there is to a parcel: sent, told, opened, reported; and one that is refused. Answers the secrets there were. */
async function journey(): Promise<Markers> {
  const secrets: Markers = { ...sealed }
  const sender = await byCode(secrets)
  const { token } = await sender.post<{ token: string }>('/api/account/tokens', { label: 'This test' })
  secrets['an API token'] = token
  const source = join(folder, 'source')
  await mkdir(source)
  await writeFile(join(source, sealed['a file name']), `${sealed['a file']}\n`.repeat(50))
  const account = { SAFEHAND_TOKEN: token }
  const sent = await cli(
    'sender',
    [
      'send',
      join(source, sealed['a file name']),
      ...to,
      ...why,
      '--confirm',
      'known:Spoke to them',
      '--left-out',
      'none',
      '--json',
    ],
    account,
  )
  assert.equal(sent.code, 0, sent.complaints)
  const { transferId, phrases } = JSON.parse(sent.text) as { transferId: string; phrases: { phrase: string }[] }
  secrets['the seven words'] = phrases[0]!.phrase
  const refused = await cli(
    'sender',
    [
      'send',
      source,
      ...to,
      ...why,
      '--confirm',
      'known:x',
      '--left-out',
      'none',
      '--days',
      '28',
      '--method',
      'standard_email',
    ],
    account,
  )
  assert.equal(refused.code, 1)
  shown.push(refused.complaints)

  const link = (await mails(sender)).flatMap((mail) => mail.links).find(({ url }) => url.includes('/collect/'))!.url
  secrets['a link’s token'] = new URL(link).hash.slice(1)
  assert.equal((await cli('recipient', ['collect', link])).code, 1)
  secrets['a code'] = code((await mails(sender))[0]!)
  const wrong = await cli('recipient', [
    'collect',
    link,
    '--code',
    secrets['a code'],
    '--yes',
    '--words',
    'abandon '.repeat(7),
    '--out',
    join(folder, 'out'),
  ])
  assert.equal(wrong.code, 1)
  shown.push(wrong.complaints)
  const opened = await cli('recipient', [
    'collect',
    link,
    '--yes',
    '--words',
    secrets['the seven words'],
    '--out',
    join(folder, 'out'),
  ])
  assert.equal(opened.code, 0, opened.complaints)

  const { recipients } = await sender.get<{ recipients: { id: string }[] }>(`/api/transfers/${transferId}`)
  await sender.post(`/api/transfers/${transferId}/recipients/${recipients[0]!.id}/told`, {
    how: 'telephone',
    number: '01632 960 777',
  })
  await sender.post(`/api/transfers/${transferId}/problem`, {
    kind: 'other',
    whatHappened: personal['what went wrong'],
  })
  for (const name of [
    '/',
    '/account',
    ...['', '/decision', '/record', '/recall', '/problem'].map((page) => `/transfers/${transferId}${page}`),
    `/collect/${recipients[0]!.id}`,
    `/collect/${recipients[0]!.id}?lang=cy`,
  ]) {
    const page = await sender.call('GET', name, undefined, { accept: 'text/html' })
    shown.push(...(/<title>([^]*?)<\/title>/.exec(page.body) ?? []).slice(1))
  }
  shown.push(...(await mails(sender)).map(({ subject }) => subject))
  const kept = JSON.parse(
    await readFile(
      join(folder, 'recipient/.config/safehand', (await readdir(join(folder, 'recipient/.config/safehand')))[0]!),
      'utf8',
    ),
  ) as { cookie: string }
  secrets['a cookie'] = kept.cookie.split('=')[1]!
  return secrets
}

/** A marker as it would stand in text, in hexadecimal and in base64. */
const spellings = (marker: string) => [
  marker,
  Buffer.from(marker).toString('hex'),
  Buffer.from(marker).toString('base64').replace(/=+$/, '').slice(0, -1),
]
const foundIn = (bytes: Buffer | string, markers: Markers): string[] =>
  Object.entries(markers).flatMap(([name, marker]) =>
    spellings(marker).some((spelling) => bytes.includes(spelling)) ? [name] : [],
  )

/** Every file below a folder, with its path from there. */
async function filesOf(top: string): Promise<[string, Buffer][]> {
  const entries = (await readdir(top, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  return Promise.all(
    entries.map(async (entry): Promise<[string, Buffer]> => [
      relative(top, join(entry.parentPath, entry.name)),
      await readFile(join(entry.parentPath, entry.name)),
    ]),
  )
}

/** Which tables of the database hold which of the markers. */
async function tablesWith({ db }: Store, markers: Markers): Promise<Record<string, string[]>> {
  const { rows: tables } = await sql<{
    name: string
  }>`select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`.execute(
    db,
  )
  const found: Record<string, string[]> = {}
  for (const { name } of tables) {
    const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.raw(name)} t`.execute(db)
    const inside = foundIn(rows.map(({ row }) => row).join('\n'), markers)
    if (inside.length > 0) found[name] = inside.toSorted()
  }
  return found
}

const secrets = await journey()
await server.stop()
const names = Object.keys

test('what was shown in passing holds no secret and nobody’s data: addresses asked for, titles, subjects, refusals', () => {
  assert.deepEqual(foundIn(urls.join('\n'), { ...secrets, ...personal }), [])
  assert.ok(urls.length > 50)
  assert.deepEqual(foundIn(shown.join('\n'), { ...secrets, ...personal }), [])
})

test('the server said nothing of it, however much it was asked to say', () => {
  assert.deepEqual(foundIn(server.said(), { ...secrets, ...personal }), [])
  assert.match(server.said(), /"level":(10|20|30)/)
})

test('whoever steals the data folder finds no words, no content, no name of a file, and no key to anybody’s session', async () => {
  const files = await filesOf(server.dataFolder)
  // A demonstration keeps its mails for the outbox page; they hold the codes and links that were mailed.
  const mailed = ['a sign-in code', 'a code', 'a link’s token']
  const unmailed = Object.fromEntries(Object.entries(secrets).filter(([name]) => !mailed.includes(name)))
  assert.equal(names(unmailed).length, 6)
  for (const [path, bytes] of files) {
    assert.deepEqual(foundIn(bytes, unmailed), [], path)
    assert.deepEqual(foundIn(path, { ...secrets, ...personal }), [], path)
    if (!path.startsWith('postgres/data/')) assert.deepEqual(foundIn(bytes, { ...secrets, ...personal }), [], path)
  }
  assert.ok(
    files.some(([path]) => path.startsWith('register/tile/')) &&
      files.some(([path]) => path.startsWith('blobs/')) &&
      files.some(([path]) => path === 'postgres/postgres.log'),
  )
})

test('personal data is in the tables of the record, secrets in the outbox alone, and neither in any job', async () => {
  const io = { out: () => {}, err: () => {}, env: {} }
  const found = await withInstalled({ values: { data: server.dataFolder }, io }, (store) =>
    tablesWith(store, { ...secrets, ...personal }),
  )
  assert.deepEqual(found, {
    'public.incidents': ['what went wrong'],
    'public.outgoing_mail': [
      'a code',
      'a link’s token',
      'a sign-in code',
      'the recipient’s address',
      'the sender’s address',
    ],
    'public.people': ['the sender’s address', 'the sender’s name'],
    // Whom a parcel was meant for is said when they are added, so that a changed address is found; what they signed names
    // purpose and limits. Erasing the bodies erases all of it.
    'public.register_events': ['the limits', 'the purpose', 'the recipient’s address', 'the recipient’s name'],
    'public.recipients': ['the limits', 'the purpose', 'the recipient’s address', 'the recipient’s name'],
    // The demonstration's own list of a team's members.
    'public.team_mailboxes': ['the sender’s name'],
    'public.transfers': ['the case', 'the limits', 'the purpose'],
  })
})

test('the command line’s own folders hold its own keys and nothing of the parcel', async () => {
  const { 'a cookie': _own, ...others } = secrets
  for (const home of ['sender', 'recipient']) {
    const files = await filesOf(join(folder, home))
    assert.ok(files.length > 0)
    for (const [path, bytes] of files)
      assert.deepEqual(
        [...foundIn(bytes, { ...others, ...personal }), ...foundIn(path, { ...others, ...personal })],
        [],
        path,
      )
  }
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { mailDelivery } from '#edge/mail/deliver'
import { aHouse, Browser } from '#test/house'
import { aSentParcel, newestCode, newestToken, sergeant } from '#test/sending'
import { startRelay } from '#test/smtp'
import { effort } from './effort.ts'
import { combiningFlood, hostileTexts } from './strings.ts'
import { aWorld } from './world.ts'

const { house, app } = await aHouse({ after })
const { callers } = await aWorld(app)
const by = (role: string): Browser => callers.get(role)!

/** The texts, several in one where they fit, so that a field of 120 characters has all of them in a few rounds. */
const texts = [...hostileTexts, combiningFlood(20), '', 'A'.repeat(80)].reduce<string[]>(
  (rounds, text) => {
    const last = rounds.at(-1)!
    return last.length + text.length < 90 ? [...rounds.slice(0, -1), last + text] : [...rounds, text]
  },
  [''],
)

/** Everything that was accepted, as it was given. What is about a person begins with p, what things are called with t. */
const given = new Set<string>()
const marked = (kind: 'p' | 't', round: number, text: string) => `${kind}zq${round}.${text}.qz`
/** What a form with room for less strange text takes of it. */
const plainer = (text: string) => text.toWellFormed().replace(/[\p{Cc}\u2028\u2029]/gu, '')

type Body = Record<string, unknown>

/** Posts a body of hostile texts, as it is or else without what no field takes; answers what came back. */
async function put(
  role: string,
  url: string,
  round: number,
  body: (text: (kind: 'p' | 't') => string) => Body,
): Promise<Body> {
  for (const text of [texts[round]!, plainer(texts[round]!)]) {
    const tried: string[] = []
    const whole = body((kind) => tried[tried.push(marked(kind, round, text)) - 1]!)
    const made = await by(role)
      .post<Body>(url, whole)
      .catch((error: unknown) => {
        if (!String(error).includes(': 422 ')) throw error
      })
    if (!made) continue
    for (const each of tried) given.add(each)
    return made
  }
  return assert.fail(`${url} took nothing of ${JSON.stringify(texts[round])}`)
}

type Named = { id: string; isOwn: boolean }
const { organisations } = await by('governance').get<{ organisations: Named[] }>('/api/organisations')
const own = organisations.find(({ isOwn }) => isOwn)!.id

/** One of everything that people write, all of it hostile. */
async function everything(round: number): Promise<void> {
  const write = (role: string, url: string, body: Parameters<typeof put>[3]) => put(role, url, round, body)
  await write('administrator', `/api/organisations/${own}`, (text) => ({
    name: text('t'),
    sector: 'council',
    domains: 'exampleshire.example',
  }))
  const partner = (
    await write('service desk', '/api/organisations', (text) => ({
      name: text('t'),
      sector: 'voluntary',
      domains: `n${round}.example`,
      postalAddress: text('t'),
    }))
  ).id
  const at = `/api/organisations/${String(partner)}`
  const person = (
    await write('service desk', `${at}/people`, (text) => ({
      fullName: text('p'),
      jobTitle: text('p'),
      department: text('p'),
      email: `ada@n${round}.example`,
      language: round % 2 ? 'cy' : 'en',
    }))
  ).id
  const mailbox = (
    await write('service desk', `${at}/mailboxes`, (text) => ({
      name: text('t'),
      owner: text('p'),
      members: text('p'),
      address: `team@n${round}.example`,
    }))
  ).id
  await write('service desk', `${at}/mailboxes/${String(mailbox)}/check`, (text) => ({
    listVersion: 1,
    note: text('p'),
  }))
  await write('administrator', `/api/organisations/${own}/staff`, (text) => ({
    fullName: text('p'),
    jobTitle: text('p'),
    department: text('p'),
    email: `staff${round}@exampleshire.example`,
    roles: ['sender'],
    language: 'en',
    cjsmAccount: false,
    active: true,
  }))
  await write('governance', '/api/agreements', (text) => ({
    kind: 'contract',
    title: text('t'),
    organisations: [partner],
    purposes: ['protect-someone'],
    information: text('p'),
    startsOn: '2026-01-01',
    endsOn: '2027-12-31',
  }))
  await write('service desk', '/api/grants', (text) => ({
    method: 'post',
    to: 'role',
    role: 'sender',
    reason: text('p'),
    startsOn: '2026-01-01',
    endsOn: '2026-12-31',
  }))
  await write('sender', '/api/account/tokens', (text) => ({ label: text('t') }))
  await write('sender', '/api/devices', (text) => ({
    signingKey: Buffer.alloc(32, round + 1).toString('base64'),
    label: text('t'),
  }))

  const { id, reference } = await by('sender').post<{ id: string; reference: string }>('/api/transfers')
  const transfer = `/api/transfers/${id}`
  await by('sender').post(`${transfer}/who`, { to: `person:${String(person)}` })
  await by('sender').post(`${transfer}/ask/sensitivity`, { 'council-class': 'not-sure', personal: 'yes' })
  await write('sender', `${transfer}/ask/what`, (text) => ({
    artefact: 'file',
    size: 'at-most-12000000',
    informationWords: text('p'),
  }))
  await write('sender', `${transfer}/ask/why`, (text) => ({
    purpose: 'protect-someone',
    urgency: 'at-risk-now',
    purposeWords: text('p'),
    limitsWords: text('p'),
  }))
  await write('sender', `${transfer}/emergency`, (text) => ({ whatCouldHappen: text('p'), whyNow: text('p') }))
  await write('sender', `${transfer}/advice`, (text) => ({ role: 'information-governance', question: text('p') }))
  const { open } = await by('governance').get<{ open: Named[] }>('/api/advice')
  await write('governance', `/api/advice/${open.at(-1)!.id}/answer`, (text) => ({ answer: text('p') }))
  const certified = await by('governance').get<{ open: Named[] }>('/api/certifications')
  await write('governance', `/api/certifications/${certified.open.at(-1)!.id}/review`, (text) => ({
    outcome: 'upheld',
    words: text('p'),
  }))
  await write('governance', '/api/exceptions', (text) => ({
    reference,
    fact: 'exception-agreement',
    ground: 'emergency',
    reason: text('p'),
  }))
  const { recipients } = await by('sender').get<{ recipients: Named[] }>(`${transfer}/decision`)
  await write('sender', `${transfer}/recipients/${recipients[0]!.id}/confirm`, (text) => ({
    authorised: 'yes',
    how: 'other',
    detail: text('p'),
  }))
  const { id: problem } = await write('sender', `${transfer}/problem`, (text) => ({
    kind: 'other',
    whatHappened: text('p'),
  }))
  await write('manager', `/api/problems-reported/${String(problem)}/record`, (text) => ({ words: text('p') }))
  await write('sender', `${transfer}/stop`, (text) => ({ reason: text('p') }))
}
for (const round of texts.keys()) {
  // The short form takes a third of the texts, another each time.
  if (!effort.isFull && round % 3 !== effort.seed % 3) continue
  // How often one person may do a thing is another test's.
  await house.db.deleteFrom('rates').execute()
  await everything(round)
}

const entities: Record<string, string> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&#92;': '\\',
  '&amp;': '&',
  '&#96;': '`',
}
const decoded = (html: string) => html.replace(/&(?:lt|gt|quot|amp|#39|#92|#96);/g, (entity) => entities[entity]!)

/** Every text on a page is there as text: nothing of it became an element, an attribute, an address or a template. */
function checkHtml(where: string, html: string): number {
  const zones = html.match(/[pt]zq\d+\.[^]*?\.qz/g) ?? []
  for (const zone of zones) {
    assert.doesNotMatch(zone, /[<>"']/, where)
    assert.ok(given.has(decoded(zone)), `${where} shows ${JSON.stringify(zone)}`)
  }
  assert.doesNotMatch(html, /(?:href|src|action|formaction|style|on\w+)="[^"]*[pt]zq\d+\./, where)
  assert.doesNotMatch(
    /<title>[^]*?<\/title>/.exec(html)?.[0] ?? '',
    /pzq\d+\./,
    `${where}: somebody’s words in a title`,
  )
  return zones.length
}

/** Every page that can be come to from the home page and the lists. */
async function walk(role: string): Promise<{ pages: number; zones: number }> {
  const queue = [
    '/',
    '/account',
    '/organisations',
    '/agreements',
    '/advice',
    '/certifications',
    '/exceptions',
    '/grants',
    '/demonstration',
    '/demonstration/outbox',
  ]
  const seen = new Set(queue)
  let zones = 0
  for (const path of queue) {
    const page = await by(role).call('GET', path, undefined, { accept: 'text/html' })
    assert.ok(page.statusCode < 500, path)
    for (const value of Object.values(page.headers)) assert.doesNotMatch(String(value), /[pt]zq\d+\./, path)
    zones += checkHtml(`${role}: ${path}`, page.body)
    for (const [, next] of page.body.matchAll(/href="(\/[^"#]*)"/g)) {
      if (seen.has(next!) || next!.startsWith('/assets/') || seen.size > 600) continue
      seen.add(next!)
      queue.push(next!)
    }
  }
  return { pages: queue.length, zones }
}

test('on every page, as everybody, what people wrote is text and nothing else', async (t) => {
  for (const role of callers.keys()) {
    const { pages, zones } = await walk(role)
    t.diagnostic(`${role}: ${pages} pages, ${zones} hostile texts`)
    if (role === 'sender' || role === 'governance') assert.ok(zones > 100)
  }
})

test('a recipient reads it as text in both languages', async () => {
  const sender = by('sender')
  const { transferId, recipients } = await aSentParcel(sender)
  const round = 0
  const words = {
    purposeWords: marked('p', round, plainer(texts[round]!)),
    limitsWords: marked('p', round, plainer(texts[round]!)),
  }
  for (const each of Object.values(words)) given.add(each)
  await house.db.updateTable('transfers').set(words).where('id', '=', transferId).execute()
  const recipient = new Browser(app)
  const at = `/collect/${recipients[0]!}`
  await recipient.post(`/api${at}/code`, { token: await newestToken(recipient, sergeant.email) })
  await recipient.post(`/api${at}/prove`, { code: await newestCode(recipient, sergeant.email) })
  for (const language of ['en', 'cy']) {
    const page = await recipient.call('GET', `${at}?lang=${language}`, undefined, { accept: 'text/html' })
    assert.ok(checkHtml(language, page.body) >= 2)
  }
})

test('in mails it is text too: no header, no element and no address comes of it', async (t) => {
  const relay = await startRelay(t)
  const mails = await house.db
    .selectFrom('outgoingMail')
    .select(['id', 'subject', 'text', 'html', 'links'])
    .where('state', '=', 'held')
    .execute()
  assert.ok(mails.some(({ subject }) => subject.includes('tzq')))
  for (const { subject, text, html, links } of mails) {
    assert.doesNotMatch(subject, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|pzq\d+\./u)
    assert.doesNotMatch(`${text}${html}`, /pzq\d+\./, 'nothing about a person is mailed')
    for (const zone of html!.match(/tzq\d+\.[^]*?\.qz/g) ?? []) assert.doesNotMatch(zone, /[<>"']/)
    assert.doesNotMatch(JSON.stringify(links), /[pt]zq\d+\./)
  }
  const deliver = mailDelivery(house.db, { smtpUrl: relay.url, from: 'safehand@exampleshire.example' })
  const hostile = mails.filter(({ subject }) => subject.includes('tzq')).slice(0, 40)
  for (const { id } of hostile) await deliver(id)
  assert.equal(relay.mails.length, hostile.length)
  const known =
    /^(from|to|subject|message-id|date|mime-version|content-type|content-language|content-transfer-encoding|auto-submitted|x-auto-response-suppress|references|in-reply-to|require-recipient-valid-since|precedence|tls-required)$/i
  for (const { raw, to } of relay.mails) {
    const head = raw.slice(0, raw.indexOf('\n\n')).replace(/\n[ \t]/g, ' ')
    for (const line of head.split('\n')) assert.match(line.slice(0, line.indexOf(':')), known, line)
    assert.match(to, /^RCPT TO:<[^<>\s]+>$/)
  }
})

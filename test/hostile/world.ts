/** Everybody who may call, and things at every stage of their lives for the calls to be about. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { aVersion, draftsUrl, itsCases, keepDraft } from '#test/drafting'
import { aFile, aReadyTransfer, aSentParcel, newestCode, newestToken, sealAndUpload, sergeant } from '#test/sending'
import { Browser } from '#test/house'
import type { FastifyInstance } from 'fastify'
import type { Pool } from './bodies.ts'

export interface World {
  callers: Map<string, Browser>
  pool: Pool
}

/** Roles by the person of the demonstration who holds them. */
const people = {
  sender: 'Priya Nair',
  'other sender': 'Tom Fletcher',
  manager: 'Martin Ashdown',
  'asset owner': 'Dilys Rowan',
  'service desk': 'Grace Oduya',
  governance: 'Helen Marsh',
  'protection officer': 'Omar Siddiq',
  records: 'Rhiannon Bell',
  auditor: 'Peter Lang',
  administrator: 'Ines Duarte',
} as const

/** The recipient of a parcel that is sent, who has proved the mailbox and acknowledged. */
export async function admitted(app: FastifyInstance, recipientId: string): Promise<Browser> {
  const recipient = new Browser(app)
  const at = `/api/collect/${recipientId}`
  await recipient.post(`${at}/code`, { token: await newestToken(recipient, sergeant.email) })
  await recipient.post(`${at}/prove`, { code: await newestCode(recipient, sergeant.email) })
  const key = Buffer.alloc(32, 9).toString('base64')
  await recipient.post(`${at}/acknowledge`, { purpose: 'yes', limits: 'yes', handling: 'yes', key })
  return recipient
}

/** Signs everybody in and makes one of everything. People and organisations that this itself needs are left out of the pool. */
export async function aWorld(app: FastifyInstance): Promise<World> {
  const callers = new Map<string, Browser>([['stranger', new Browser(app)]])
  for (const [role, name] of Object.entries(people)) callers.set(role, await Browser.of(app, name))
  const sender = callers.get('sender')!
  const { id: draft } = await sender.post<{ id: string }>('/api/transfers')
  const { id: foreign } = await callers.get('other sender')!.post<{ id: string }>('/api/transfers')
  const ready = await aReadyTransfer(sender)
  const begun = await sealAndUpload(sender, await aReadyTransfer(sender), [aFile('report.txt')])
  const sent = await aSentParcel(sender)
  callers.set('recipient', await admitted(app, sent.recipients[0]!))
  const { id: problem } = await sender.post<{ id: string }>(`/api/transfers/${sent.transferId}/problem`, {
    kind: 'other',
    whatHappened: 'It was left open.',
  })
  const { id: token } = await sender.post<{ id: string }>('/api/account/tokens', { label: 'A token' })
  return {
    callers,
    pool: {
      transfer: [draft, ready, begun.transferId, sent.transferId, foreign],
      parcel: [begun.parcelId, sent.parcelId],
      recipient: sent.recipients,
      who: [...begun.recipients, ...sent.recipients],
      recipientId: sent.recipients,
      problem: [problem],
      token: [token],
      // Whose browser is signed out is nobody for the rest of the batch.
      browser: [],
      ...answers,
      ...(await stages(callers)),
    },
  }
}

/** The directory's and the approvers' things. Each world has its own, so that what one spoils the next does not need. */
async function stages(callers: ReadonlyMap<string, Browser>): Promise<Pool> {
  const by = (role: string) => callers.get(role)!
  interface Made {
    id: string
  }
  const { organisations } = await by('service desk').get<{ organisations: (Made & { isOwn: boolean })[] }>(
    '/api/organisations',
  )
  const about = randomBytes(6).toString('hex')
  const own = organisations.find(({ isOwn }) => isOwn)!
  const partner = await by('service desk').post<Made>('/api/organisations', {
    name: `Partner ${about}`,
    sector: 'voluntary',
    domains: `p${about}.example`,
  })
  const at = `/api/organisations/${partner.id}`
  const person = await by('service desk').post<Made>(`${at}/people`, {
    fullName: 'Ada Example',
    email: `ada@p${about}.example`,
    language: 'cy',
  })
  const colleague = await by('administrator').post<Made>(`/api/organisations/${own.id}/staff`, {
    fullName: 'Bea Example',
    email: `bea.${about}@exampleshire.example`,
    roles: ['sender'],
    language: 'en',
    cjsmAccount: false,
    active: true,
  })
  const mailbox = await by('service desk').post<Made>(`${at}/mailboxes`, {
    name: 'Referrals',
    owner: 'Ada Example',
    members: 'Ada Example',
    address: `team@p${about}.example`,
  })
  const agreement = await by('governance').post<Made>('/api/agreements', {
    kind: 'information-sharing-agreement',
    title: 'An agreement',
    organisations: [partner.id],
    purposes: ['protect-someone'],
    information: 'Reports',
    startsOn: '2026-01-01',
    endsOn: '2027-01-01',
  })
  const { id: unsure } = await by('sender').post<Made>('/api/transfers')
  const to = [`person:${person.id}`, `team:${mailbox.id}`, 'individual', 'colleague', 'not-sure', 'someone-individual']
  await by('sender').post(`/api/transfers/${unsure}/who`, { to: to[0] })
  await by('sender').post(`/api/transfers/${unsure}/ask/sensitivity`, { 'council-class': 'not-sure', personal: 'yes' })
  await by('sender').post(`/api/transfers/${unsure}/emergency`, { whatCouldHappen: 'Harm', whyNow: 'Tonight' })
  await by('sender').post(`/api/transfers/${unsure}/advice`, {
    role: 'information-governance',
    question: 'Which class?',
  })
  const { open: asked } = await by('governance').get<{ open: Made[] }>('/api/advice')
  const { open: certified } = await by('governance').get<{ open: Made[] }>('/api/certifications')
  const starts = { startsOn: '2026-01-01', endsOn: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) }
  const grant = await by('service desk').post<Made>('/api/grants', {
    method: 'post',
    to: 'role',
    role: 'sender',
    reason: 'For letters',
    ...starts,
  })
  const { drafts } = await by('governance').get<{ drafts: Made[] }>(draftsUrl)
  return {
    // So many may be open and no more: worlds share one.
    draft: [drafts[0]?.id ?? (await keepDraft(by('governance'), aVersion('6.0.0')))],
    organisation: [partner.id],
    own: [own.id],
    organisations: [partner.id],
    person: [person.id, colleague.id],
    mailbox: [mailbox.id],
    agreement: [agreement.id],
    advice: asked.map(({ id }) => id),
    certification: certified.map(({ id }) => id),
    grant: [grant.id],
    to,
  }
}

/** Answers of the questions, and names that fields and addresses take. */
const answers: Pool = {
  method: [
    'managed_transfer',
    'encrypted_email',
    'standard_email',
    'post',
    'telephone',
    'by_hand',
    'public_page',
    'constructor',
    '__proto__',
  ],
  rulebook: ['council', 'nobody', '__proto__'],
  cases: [itsCases],
  page: ['sensitivity', 'what', 'why', 'size', '__proto__'],
  n: ['0', '1', '2', '-1', '131071', '131072', '999999999', '1e3', '0x1', '00', ' 1', '\u0661'],
  '*': ['0/000', '0/000.p/1', 'entries/000.p/3', '8/x001/000', '99/000', '../checkpoint', '0/000.p/999'],
  words: ['Harbour', 'Ada Example', '%', '_', '\\'],
  published: ['yes', 'no', 'not-sure'],
  artefact: ['file', 'conversation', 'paper', 'not-sure'],
  size: ['at-most-12000000', 'not-sure'],
  'council-class': ['public', 'controlled', 'restricted', 'not-sure'],
  personal: ['yes', 'no', 'not-sure'],
  'internal-use-only': ['yes', 'no'],
  purpose: ['protect-someone', 'deliver-a-service', 'other'],
  urgency: ['at-risk-now', 'today', 'no-rush'],
  settles: ['council-class=controlled', 'council-class=', '=', 'constructor=x', '__proto__=x'],
  time: ['16:40', '23:59'],
  slug: ['not-found', 'not-allowed', 'nowhere', '__proto__'],
  asset: ['../package.json', 'test/house.ts', '.env'],
  // A rulebook's next version.
  text: [
    readFileSync(new URL('../../rulebooks/council.yaml', import.meta.url), 'utf8').replace(
      /^version:.*/m,
      'version: 9.0.0',
    ),
  ],
  event: ['1', '2', '0', '-1', '9223372036854775808'],
}

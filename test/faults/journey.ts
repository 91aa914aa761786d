/** The life of a transfer as its people drive it, in steps that a person says again when no answer came. */
import { orThrow } from '#core/kit/outcome'
import { mailDelivery } from '#edge/mail/deliver'
import { destroyParcel, tidy } from '#features/parcels/keeping'
import { acknowledge, bytesOf, openAll } from '#test/collecting'
import type { CutProcess } from '#test/cuts'
import { day, type Browser, type TestHouse } from '#test/house'
import { aFile, bytesHeaders, sealForTest, type SealedHere } from '#test/sending'

/** Whom the journeys send to: a school whose mail is not encrypted on its way, so that its locks are automatic. */
export const school = 'office@millbrook.example'

/** Whoever a step is done as, in the process that runs now, and what they know by then. */
export interface Traveller {
  process: CutProcess
  base: TestHouse
  smtpUrl: string
  sender: Browser
  recipient: Browser
  transferId: string
  /** What is sent, under the name of a report. */
  content: Buffer
  sealed: SealedHere
  statement: Record<string, string>
  receipt: string
}

export interface Step {
  name: string
  run: (traveller: Traveller) => Promise<void>
  /** Problems that say it was done the first time, though no answer came. */
  done?: string[]
}

const at = ({ transferId }: Traveller) => `/api/transfers/${transferId}`
const recipientOf = ({ sealed }: Traveller) => sealed.recipients[0]!

const keep: Step = {
  name: 'keep the register',
  run: async ({ process }) => orThrow(await process.house.keeper.once()),
}

/** Everything that is said before anything is sent. */
export const prepare: Step[] = [
  {
    name: 'start',
    run: async (t) => void (t.transferId = (await t.sender.post<{ id: string }>('/api/transfers')).id),
  },
  {
    name: 'recipient',
    done: ['recipient-twice'],
    async run(t) {
      const { found } = await t.sender.post<{ found: { kind: string; id: string; email: string }[] }>(
        `${at(t)}/who/search`,
        { q: 'Jo' },
      )
      const who = found.find(({ email }) => email === school)!
      await t.sender.post(`${at(t)}/who`, { to: `${who.kind}:${who.id}` })
    },
  },
  {
    name: 'how sensitive',
    run: async (t) =>
      void (await t.sender.post(`${at(t)}/ask/sensitivity`, { 'council-class': 'restricted', personal: 'yes' })),
  },
  {
    name: 'what',
    run: async (t) =>
      void (await t.sender.post(`${at(t)}/ask/what`, {
        artefact: 'file',
        size: 'at-most-12000000',
        informationWords: 'Child protection report',
        caseReference: 'CP-1',
      })),
  },
  {
    name: 'why',
    run: async (t) =>
      void (await t.sender.post(`${at(t)}/ask/why`, {
        purpose: 'protect-someone',
        purposeWords: 'To protect a child',
        limitsWords: 'Not to be passed on',
        urgency: 'no-rush',
      })),
  },
  {
    name: 'confirm',
    async run(t) {
      const { recipients } = await t.sender.get<{ recipients: { id: string }[] }>(`${at(t)}/decision`)
      const said = { authorised: 'yes', how: 'switchboard', detail: 'Rang the school' }
      await t.sender.post(`${at(t)}/recipients/${recipients[0]!.id}/confirm`, said)
    },
  },
  { name: 'method', run: async (t) => void (await t.sender.post(`${at(t)}/method`, { method: 'encrypted_email' })) },
]

/** Sealing and sending. */
export const send: Step[] = [
  {
    name: 'begin the parcel',
    async run(t) {
      const report = {
        ...aFile('report.txt', ''),
        sizeBytes: t.content.length,
        read: async function* () {
          yield new Uint8Array(t.content)
        },
      }
      t.sealed = await sealForTest(t.sender, t.transferId, [report])
    },
  },
  {
    name: 'part',
    async run({ sender, sealed }) {
      for (const [n, { bytes, sha256 }] of sealed.content.entries())
        await succeed(sender.call('PUT', `/api/parcels/${sealed.parcelId}/parts/${n}`, bytes, bytesHeaders(sha256)))
    },
  },
  {
    name: 'manifest',
    async run({ sender, sealed: { parcelId, sealed } }) {
      const manifest = Buffer.from(sealed.manifestAge)
      const headers = bytesHeaders(sealed.manifestSha256)
      await succeed(sender.call('PUT', `/api/parcels/${parcelId}/manifest`, manifest, headers))
    },
  },
  {
    name: 'complete',
    run: async ({ sender, sealed }) =>
      void (await sender.post(`/api/parcels/${sealed.parcelId}/complete`, sealed.completion)),
  },
]

async function succeed(answer: ReturnType<Browser['call']>): Promise<void> {
  const { statusCode, body } = await answer
  if (statusCode >= 400) throw new Error(`${statusCode} ${body}`)
}

/** The mails to the recipient about this parcel, newest first, as a demonstration shows them. */
async function mailsOf({ sender, sealed }: Traveller) {
  const { mails } = await sender.get<{
    mails: { to: string; subject: string; text: string; links: { url: string }[] }[]
  }>(`/api/demonstration/outbox?to=${encodeURIComponent(school)}`)
  return mails.filter(({ subject }) => subject.includes(sealed.reference))
}

/** Collecting, to the receipt's being asked for. */
export const collect: Step[] = [
  {
    name: 'code and mailbox',
    async run(t) {
      const page = await t.recipient.get<{ parcel?: object }>(`/api/collect/${recipientOf(t)}`)
      if (page.parcel) return
      const link = (await mailsOf(t)).flatMap(({ links }) => links).find(({ url }) => url.includes('/collect/'))!
      await t.recipient.post(`/api/collect/${recipientOf(t)}/code`, { token: new URL(link.url).hash.slice(1) })
      const code = (await mailsOf(t)).flatMap(({ text }) => /^ *([0-9A-Z]{8})$/m.exec(text)?.[1] ?? [])[0]!
      await t.recipient.post(`/api/collect/${recipientOf(t)}/prove`, { code })
    },
  },
  { name: 'acknowledge', run: async (t) => void (await acknowledge(t.recipient, t.sealed)) },
  {
    name: 'release and open',
    async run(t) {
      const { files, said } = await openAll(t.recipient, { ...t.sealed, phrases: new Map() })
      if (!t.content.equals(files.get('report.txt') ?? Buffer.alloc(0))) throw new Error('Other bytes came out')
      t.statement = said
    },
  },
  {
    name: 'download whole',
    run: async (t) => void (await bytesOf(t.recipient, `/api/collect/${recipientOf(t)}/content`)),
  },
  {
    name: 'opened',
    run: async (t) => void (await t.recipient.post(`/api/collect/${recipientOf(t)}/opened`, t.statement)),
  },
]

const deliver: Step = {
  name: 'hand mails over',
  async run({ process: { house }, base, smtpUrl }) {
    const held = await base.house.db
      .selectFrom('outgoingMail')
      .select('id')
      .where('state', '=', 'held')
      .orderBy('id')
      .execute()
    const handOver = mailDelivery(house.db, { smtpUrl, from: house.config.mailFrom })
    for (const { id } of held) await handOver(id)
  },
}

/** What the recipient keeps. */
export const receipt: Step = {
  name: 'receipt',
  run: async (t) =>
    void (t.receipt = String(Buffer.from(await bytesOf(t.recipient, `/api/collect/${recipientOf(t)}/receipt`)))),
}

const wait = (days: number): Step => ({
  name: `${days} days pass`,
  run: async ({ base }) => base.advance(days * day),
})

const clean: Step = { name: 'tidy', run: ({ process }) => tidy(process.house) }

/** From the first question to the last byte that is removed. */
export const mainJourney: Step[] = [
  ...prepare,
  ...send,
  keep,
  ...collect,
  keep,
  receipt,
  deliver,
  wait(14.5),
  clean,
  keep,
]

/** What happens before the second journey. */
export const before: Step[] = [...prepare, ...send, keep]

/** What else may become of a parcel that is sent: another lock, an extension, a recall. */
export const otherJourney: Step[] = [
  {
    name: 'another lock',
    async run({ sender, sealed }) {
      const lock = { id: crypto.randomUUID(), recipientId: sealed.recipients[0], kind: 'passphrase' }
      const rest = { receiptPublicKey: Buffer.alloc(32).toString('base64'), age: Buffer.alloc(100).toString('base64') }
      await sender.post(`/api/parcels/${sealed.parcelId}/locks`, { ...lock, ...rest })
    },
  },
  {
    name: 'told',
    run: async (t) =>
      void (await t.sender.post(`${at(t)}/recipients/${recipientOf(t)}/told`, {
        how: 'telephone',
        number: '01632 960 211',
      })),
  },
  {
    name: 'extend',
    done: ['parcel-days'],
    run: async (t) => void (await t.sender.post(`${at(t)}/extend`, { days: 20 })),
  },
  { name: 'recall', done: ['transfer-closed'], run: async (t) => void (await t.sender.post(`${at(t)}/recall`)) },
  { name: 'destroy', run: ({ process, sealed }) => destroyParcel(process.house, sealed.parcelId) },
]

/** The end of a day whose parcels are gone. */
export const dayEnd: Step[] = [wait(2), clean]

/** A recipient who is taken off. */
export const withdrawal: Step[] = [
  {
    name: 'withdraw',
    done: ['not-found'],
    run: async (t) => void (await t.sender.post(`${at(t)}/recipients/${recipientOf(t)}/withdraw`)),
  },
]

/** What happens before a recipient can refuse. */
export const beforeRefusal: Step[] = [...before, collect[0]!]

/** A recipient who says that it is not for them. */
export const refusal: Step[] = [
  {
    name: 'not for me',
    done: ['parcel-not-for-you'],
    run: async (t) => void (await t.recipient.post(`/api/collect/${recipientOf(t)}/not-for-me`)),
  },
]

/** The end that comes to every parcel. */
export const end: Step[] = [wait(14.5), clean]

/** A recipient who does not come: chasers, and an end that nobody waited for. */
export const neglect: Step[] = [wait(2.1), clean, wait(12.2), clean]

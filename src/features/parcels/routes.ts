import type { Readable } from 'node:stream'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { receiptFor } from '#edge/keeper/receipt'
import { base64Field, choice, fields, id, integer, line, list, optional, telephone, text } from '#edge/web/fields'
import { outgoing } from '#edge/web/outgoing'
import { action, raw, screen, type Route, type Visit } from '#edge/web/route'
import { ownOrganisation } from '#features/organisations/queries'
import { openGates } from '#features/transfers/gates'
import { shownRecipients, transferById } from '#features/transfers/queries'
import { transferOf } from '#features/transfers/transfer'
import {
  acknowledge,
  collectable,
  confirmOpened,
  describeParcel,
  mailCode,
  notForMe,
  proveMailbox,
  readContent,
  readManifest,
  releaseLock,
} from '#features/parcels/collecting'
import { addLock, extend, recall, standing, tellPhrase, withdrawRecipient } from '#features/parcels/keeping'
import { parcelOf, senderLocks } from '#features/parcels/queries'
import {
  beginParcel,
  completeParcel,
  digestOf,
  listParts,
  putManifest,
  putPart,
  type Completion,
  type LockGiven,
} from '#features/parcels/sealing'
import { collectWords } from '#features/parcels/words'

const sha256 = (title: string) => line(title, 64)
const lockFields = fields({
  id: id('the lock’s id'),
  recipientId: optional(id('the recipient')),
  kind: choice('the kind of lock', ['passphrase', 'sender', 'key', 'automatic'] as const),
  receiptPublicKey: base64Field('the receipt key', limits.publicKeyBytes),
  age: base64Field('the lock', limits.lockBytes),
})
const asLock = (given: Omit<LockGiven, 'recipientId'> & { recipientId?: string }): LockGiven => ({
  ...given,
  recipientId: given.recipientId ?? null,
})

/** Whether a parcel was begun and not completed. */
const isUnfinished = ({ state }: { state: string }) => state === 'sealing' || state === 'abandoned'

const sealPage = screen({
  path: '/transfers/:transfer/seal',
  who: 'signed-in',
  summary: 'Choose files, seal and send',
  view: 'parcels/views/seal',
  pageOnly: true,
  load: async (visit) => {
    const transfer = await transferOf(visit)
    if (!transfer.ok) return transfer
    const parcel = await parcelOf(visit.house.db, transfer.value.id)
    if (parcel && !isUnfinished(parcel))
      return ok({ title: 'This has been sent', transfer: transfer.value, isSent: true })
    const open = await openGates(visit.house, transfer.value)
    if (!open.ok) return open
    if (open.value.length > 0) return fail('gates-open', { detail: open.value.map((gate) => gate.says).join(' ') })
    return ok({
      title: 'Choose files and send',
      transfer: transfer.value,
      recipients: await shownRecipients(visit.house.db, transfer.value.id),
      daysMax: limits.parcelDaysMax,
      days: limits.parcelDays,
      pq: visit.house.config.postQuantum,
      islands: ['seal-files'],
      seals: true,
      backUrl: `/transfers/${transfer.value.id}/decision`,
    })
  },
})

const sealing: Route[] = [
  raw({
    method: 'POST',
    path: '/api/transfers/:transfer/parcel',
    who: 'signed-in',
    summary: 'Begin a parcel, or go on with one: the decision is taken again with what was measured',
    rates: ['uploads-begun'],
    body: fields({
      sizeBytes: integer('the size in bytes', 0, limits.parcelBytes),
      fileCount: integer('the number of files', 1, limits.parcelEntriesMax),
      availableDays: integer('how many days', 1, limits.parcelDaysMax, {
        wrong: `Parcels may be kept for 1 to ${limits.parcelDaysMax} days`,
      }),
      parcelId: optional(id('the parcel to go on with')),
    }),
    handle: (visit, request) => beginParcel(visit.house, visit.actor, visit.params.transfer!, request.body as never),
  }),
  raw({
    method: 'PUT',
    path: '/api/parcels/:parcel/parts/:n',
    who: 'signed-in',
    summary: 'Send one part of the sealed content, with its Content-Digest',
    finishes: true,
    streamBytes: limits.partSizeBytes,
    handle: (visit, request) =>
      putPart(
        visit.house,
        visit.actor,
        {
          parcelId: visit.params.parcel!,
          n: /^\d{1,9}$/.test(visit.params.n!) ? Number(visit.params.n) : -1,
          digest: digestOf(request.headers['content-digest']),
        },
        request.body as Readable,
      ),
  }),
  raw({
    method: 'GET',
    path: '/api/parcels/:parcel/parts',
    who: 'signed-in',
    summary: 'The parts that have arrived',
    finishes: true,
    handle: (visit) => listParts(visit.house, visit.actor, visit.params.parcel!),
  }),
  raw({
    method: 'PUT',
    path: '/api/parcels/:parcel/manifest',
    who: 'signed-in',
    summary: 'Send the sealed manifest, with its Content-Digest',
    finishes: true,
    streamBytes: limits.manifestBytes,
    handle: (visit, request) =>
      putManifest(
        visit.house,
        visit.actor,
        visit.params.parcel!,
        digestOf(request.headers['content-digest']),
        request.body as Readable,
      ),
  }),
  raw({
    method: 'POST',
    path: '/api/parcels/:parcel/complete',
    who: 'signed-in',
    summary: 'Complete a parcel: locks, root and signature; the recipients’ mails go',
    finishes: true,
    bodyBytes: limits.completionBytes,
    body: fields({
      contentSizeBytes: integer('the size of the content', 1, limits.parcelBytes),
      parts: list('the parts', sha256('a digest'), limits.parcelPartsMax),
      manifestSha256: sha256('the manifest’s digest'),
      parcelRoot: sha256('the parcel’s root'),
      locks: list('the locks', lockFields, limits.parcelLocks),
      signingKey: optional(base64Field('the signing key', limits.publicKeyBytes)),
      signature: optional(base64Field('the signature', 64)),
    }),
    handle: (visit, request) => {
      const body = request.body as Omit<Completion, 'locks'> & {
        locks: (Omit<LockGiven, 'recipientId'> & { recipientId?: string })[]
      }
      return completeParcel(visit.house, visit.actor, visit.params.parcel!, { ...body, locks: body.locks.map(asLock) })
    },
  }),
  raw({
    method: 'GET',
    path: '/api/transfers/:transfer/parcel',
    who: 'signed-in',
    summary: 'How a parcel and each recipient stand, and the sender’s own locks',
    handle: async (visit) => {
      const transfer = await transferOf(visit)
      if (!transfer.ok) return transfer
      const parcel = await parcelOf(visit.house.db, transfer.value.id)
      if (!parcel) return fail('not-found')
      const locks = await senderLocks(visit.house.db, parcel.id)
      return ok({
        parcelId: parcel.id,
        state: parcel.state,
        pq: parcel.pq,
        manifestSha256: parcel.manifestSha256,
        recipients: await standing(visit.house, transfer.value.id),
        senderLocks: locks.map((lock) => ({ id: lock.id, age: Buffer.from(lock.age!).toString('base64') })),
      })
    },
  }),
  raw({
    method: 'POST',
    path: '/api/parcels/:parcel/locks',
    who: 'signed-in',
    summary: 'Give a recipient a new lock; the old one is destroyed and a new link mailed',
    body: lockFields,
    handle: (visit, request) => addLock(visit, visit.params.parcel!, asLock(request.body as never)),
  }),
]

const toTransfer = (_result: unknown, visit: Visit) => `/transfers/${visit.params.transfer}`

const keeping: Route[] = [
  action({
    path: '/transfers/:transfer/recipients/:who/told',
    who: 'signed-in',
    summary: 'Record how the seven words were told, or that the person was not reached',
    fields: fields({
      how: choice('how you told them', ['telephone', 'in-person', 'text', 'letter', 'not-reached'] as const),
      number: optional(telephone('the number')),
      note: optional(line('a note')),
      remindInHours: optional(integer('when to remind you', 1, limits.remindHoursMax)),
    }),
    run: (visit, body) =>
      (body.how === 'telephone' || body.how === 'text') && !body.number
        ? Promise.resolve(fail('form-incomplete', { fields: { number: 'Enter the number you used' } }))
        : tellPhrase(visit, body),
    then: toTransfer,
  }),
  action({
    path: '/transfers/:transfer/recipients/:who/withdraw',
    who: 'signed-in',
    summary: 'Take a recipient off a parcel',
    fields: fields({}),
    run: withdrawRecipient,
    then: toTransfer,
  }),
  screen({
    path: '/transfers/:transfer/recall',
    who: 'signed-in',
    summary: 'Before a parcel is recalled',
    view: 'parcels/views/recall',
    pageOnly: true,
    load: async (visit) => {
      const transfer = await transferOf(visit)
      return transfer.ok
        ? ok({ title: 'Recall this parcel?', transfer: transfer.value, backUrl: `/transfers/${transfer.value.id}` })
        : transfer
    },
  }),
  action({
    path: '/transfers/:transfer/recall',
    who: 'signed-in',
    summary: 'Recall a parcel: nobody can open it any more',
    fields: fields({}),
    run: recall,
    then: toTransfer,
  }),
  action({
    path: '/transfers/:transfer/extend',
    who: 'signed-in',
    summary: 'Let a parcel be collected for longer, at most 28 days from when it was sent',
    fields: fields({ days: integer('the number of days from when it was sent', 1, limits.parcelDaysMax + 1) }),
    run: (visit, body) => extend(visit, body.days),
    then: toTransfer,
  }),
]

/** The recipient's page: which of its steps is shown depends on what this browser has proved. */
async function collectModel(visit: Visit): Promise<Outcome<{ title: string }>> {
  const w = collectWords[visit.language]
  const frame = {
    title: w.title,
    t: w,
    recipientId: visit.params.recipient,
    islands: ['open-parcel'],
    seals: true,
  }
  if (!visit.recipient) {
    const organisation = (await ownOrganisation(visit.house.db)).name
    return ok({ ...frame, step: visit.query.step === 'code' ? 'code' : 'start', organisation })
  }
  const live = await collectable(visit.house.db, visit.recipient.recipientId)
  if (!live.ok) return live
  const parcel = await describeParcel(visit)
  if (!parcel.ok) return parcel
  return ok({
    ...frame,
    step: parcel.value.acknowledged && visit.query.step !== 'read' ? 'open' : 'read',
    parcel: parcel.value,
  })
}

const collectPage = screen({
  path: '/collect/:recipient',
  who: 'anyone',
  summary: 'A recipient’s parcel',
  view: 'parcels/views/collect',
  load: collectModel,
})
const toCollect = (_result: unknown, visit: Visit) => `/collect/${visit.params.recipient}`

const collecting: Route[] = [
  collectPage,
  action({
    path: '/collect/:recipient/code',
    who: 'anyone',
    summary: 'Mail a code to the recipient; needs the token of the mailed link',
    fields: fields({
      token: line('the link from the email', 64, { missing: 'Open this page from the link in the email' }),
    }),
    again: collectPage,
    rates: ['links-asked'],
    run: (visit, body) => mailCode(visit, body.token),
    then: (_result, visit) => `/collect/${visit.params.recipient}?step=code`,
  }),
  action({
    path: '/collect/:recipient/prove',
    who: 'anyone',
    summary: 'Prove the mailbox with the mailed code, in the browser that asked',
    fields: fields({ code: line('the code') }),
    again: screen({ ...collectPage, load: (visit) => collectModel({ ...visit, query: { step: 'code' } } as Visit) }),
    rates: ['wrong-codes'],
    run: (visit, body) => proveMailbox(visit, body.code),
    then: toCollect,
  }),
  action({
    path: '/collect/:recipient/acknowledge',
    who: 'recipient',
    summary: 'Acknowledge purpose, limits and handling, with this browser’s public key',
    fields: fields({
      purpose: choice('to confirm the purpose', ['yes'] as const, {
        missing: 'Confirm that you have read the purpose',
      }),
      limits: choice('to confirm the limits', ['yes'] as const, { missing: 'Confirm that you have read the limits' }),
      handling: choice('to confirm the handling', ['yes'] as const, {
        missing: 'Confirm that you have read how to handle it',
      }),
      key: base64Field('this browser’s key', limits.publicKeyBytes),
    }),
    again: collectPage,
    run: (visit, body) => acknowledge(visit, body.key),
    then: toCollect,
  }),
  action({
    path: '/collect/:recipient/not-for-me',
    who: 'recipient',
    summary: 'Say that this parcel is not for you: it stops, and the sender is told',
    fields: fields({}),
    run: notForMe,
    then: toCollect,
  }),
  raw({
    method: 'GET',
    path: '/api/collect/:recipient/lock',
    who: 'recipient',
    summary: 'The recipient’s lock, after they have acknowledged',
    handle: async (visit, _request, reply) => {
      const lock = await releaseLock(visit)
      if (!lock.ok) return lock
      void reply.type('application/octet-stream')
      // Only for an automatic lock: the identity that opens this copy, and no other.
      if (lock.value.identity) void reply.header('safehand-identity', lock.value.identity)
      return ok(Buffer.from(lock.value.age))
    },
  }),
  raw({
    method: 'GET',
    path: '/api/collect/:recipient/manifest',
    who: 'recipient',
    summary: 'The sealed manifest',
    handle: async (visit, _request, reply) => {
      const manifest = await readManifest(visit)
      if (!manifest.ok) return manifest
      void reply.type('application/octet-stream').header('content-length', manifest.value.sizeBytes)
      return ok(manifest.value.stream)
    },
  }),
  raw({
    method: 'GET',
    path: '/api/collect/:recipient/content',
    who: 'recipient',
    summary: 'The sealed content, or a range of it',
    handle: async (visit, request, reply) => {
      const content = await readContent(visit, request.headers.range)
      if (!content.ok) return content
      const { range, sizeBytes, stream } = content.value
      if (request.headers.range)
        void reply.status(206).header('content-range', `bytes ${range.start}-${range.end - 1}/${sizeBytes}`)
      void reply
        .type('application/octet-stream')
        .header('accept-ranges', 'bytes')
        .header('content-length', range.end - range.start)
      return ok(outgoing(stream))
    },
  }),
  raw({
    method: 'POST',
    path: '/api/collect/:recipient/opened',
    who: 'recipient',
    summary: 'The recipient’s signed statement that they opened the parcel',
    body: fields({
      statement: text('the statement', limits.statementCharacters),
      receiptSignature: base64Field('the signature of the receipt key', 64),
      collectingSignature: base64Field('the signature of this browser’s key', 64),
    }),
    handle: (visit, request) => confirmOpened(visit, request.body as never),
  }),
  raw({
    method: 'GET',
    path: '/api/collect/:recipient/receipt',
    who: 'recipient',
    summary: 'The recipient’s receipt, a tlog-proof',
    handle: async (visit, _request, reply) => {
      const live = await collectable(visit.house.db, visit.recipient.recipientId)
      if (!live.ok) return live
      if (!live.value.recipient.receiptEventId) return fail('parcel-not-opened')
      visit.house.keeper.nudge()
      const receipt = await receiptFor(visit.house.db, visit.house.keeper, live.value.recipient.receiptEventId)
      if (!receipt.ok) return receipt
      void reply
        .type('text/plain; charset=utf-8')
        .header('content-disposition', `attachment; filename="${live.value.transfer.reference}-receipt.tlog-proof"`)
      return ok(receipt.value)
    },
  }),
]

/** What a parcel adds to its transfer's page. */
export async function panel(visit: Visit, transferId: string) {
  const parcel = await parcelOf(visit.house.db, transferId)
  if (!parcel || isUnfinished(parcel)) return undefined
  const transfer = (await transferById(visit.house.db, transferId))!
  return {
    view: 'parcels/views/panel',
    model: {
      parcel,
      transfer,
      recipients: await shownRecipients(visit.house.db, transferId),
      daysMax: limits.parcelDaysMax,
    },
    islands: ['new-phrase'],
  }
}

export const routes: Route[] = [sealPage, ...sealing, ...keeping, ...collecting]

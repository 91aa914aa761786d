import Type, { type TProperties } from 'typebox'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { Policy } from '#core/policy/stack'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction, type Tx } from '#edge/store/database'
import { choice, email, fields, isId, line, optional, telephone, text, yesNo } from '#edge/web/fields'
import { action, raw, screen, type Route, type Visit } from '#edge/web/route'
import { askAdvice, certifyEmergency } from '#features/approvals/approvals'
import { addContact, organisationOfAddress, saveOrganisation, searchDirectory } from '#features/organisations/directory'
import { sectors } from '#features/organisations/words'
import { keepDecision } from '#features/transfers/decision'
import { onward } from '#features/transfers/gates'
import {
  agreementModel,
  askModel,
  decisionModel,
  recordModel,
  transferModel,
  whoModel,
} from '#features/transfers/models'
import { askable, factsOfPage, nextPath, notSure, readAnswers } from '#features/transfers/questions'
import {
  insertConfirmation,
  insertRecipient,
  insertTransfer,
  lockTransfer,
  personDetails,
  recipientById,
  teamDetails,
  transferById,
  updateRecipient,
  updateTransfer,
  type TransferRow,
} from '#features/transfers/queries'
import { readableTransfer, transferOf } from '#features/transfers/transfer'

const at = (path: string) => `/transfers/:transfer${path}`

/** A page of the sender's own transfer. */
const page = (
  path: string,
  summary: string,
  view: string,
  load: (visit: Visit, transfer: TransferRow) => Promise<Outcome<{ title: string }>>,
) =>
  screen({
    path: at(path),
    who: 'signed-in',
    summary,
    view: `transfers/views/${view}`,
    load: async (visit) => {
      const transfer = await transferOf(visit)
      if (!transfer.ok) return transfer
      const model = await load(visit, transfer.value)
      return model.ok ? ok({ transfer: transfer.value, ...model.value }) : model
    },
  })

/**
 * Changes the sender's own open transfer, in one transaction; then takes the decision again if no question is left, and
 * answers where she goes next.
 */
export function change(
  visit: Visit,
  work: (tx: Tx, transfer: TransferRow) => Promise<Outcome<unknown>>,
): Promise<Outcome<{ next: string }>> {
  const { house, actor, params } = visit
  return inTransaction(house.db, async (tx) => {
    const known = await transferOf(visit)
    if (!known.ok) return known
    const transfer = (await lockTransfer(tx, params.transfer!))!
    if (transfer.senderId !== actor.id || !['draft', 'ready', 'asking'].includes(transfer.state))
      return fail('transfer-closed')
    const done = await work(tx, transfer)
    if (!done.ok) return done
    const fresh = (await transferById(tx, transfer.id))!
    const next = await nextPath({ ...house, db: tx }, fresh)
    if (!next.ok) return next
    if (next.value.endsWith('/decision')) {
      const kept = await keepDecision(tx, house, fresh)
      if (!kept.ok) return kept
      const on = await onward({ ...house, db: tx }, fresh)
      return on.ok ? ok({ next: on.value }) : on
    }
    return ok({ next: next.value })
  })
}

const toNext = (result: { next: string }) => result.next

const start = action({
  path: '/transfers',
  who: 'signed-in',
  summary: 'Start sharing something',
  fields: fields({}),
  run: ({ house, actor, now }) =>
    inTransaction(house.db, async (tx) => {
      const made = await insertTransfer(tx, { senderId: actor.id, now })
      await recordEvent(
        tx,
        'transfer-started',
        { transfer: made.id, reference: made.reference, by: actor.id },
        { transferId: made.id },
      )
      return ok(made)
    }),
  then: (made) => `/transfers/${made.id}/who`,
})

const whoPage = page('/who', 'Who is it for?', 'who', (visit, transfer) => whoModel(visit, transfer))

// By POST, so that no name stands in an address or a log.
const searchWho = raw({
  method: 'POST',
  path: at('/who/search'),
  who: 'signed-in',
  summary: 'Find someone in the directory',
  body: fields({ q: optional(line('a name', limits.nameCharacters)) }),
  handle: async (visit, request, reply) => {
    const transfer = await transferOf(visit)
    if (!transfer.ok) return transfer
    const model = await whoModel(visit, transfer.value, (request.body as { q?: string }).q)
    return model.ok ? ok(reply.page('transfers/views/who', { transfer: transfer.value, ...model.value })) : model
  },
})

/** Adds someone from the directory as a recipient. */
async function addFromDirectory(
  tx: Tx,
  visit: Visit,
  transfer: TransferRow,
  kind: string,
  subject: string,
): Promise<Outcome<unknown>> {
  const person = kind === 'person' && isId(subject) ? await personDetails(tx, subject) : undefined
  const team = kind === 'team' && isId(subject) ? await teamDetails(tx, subject) : undefined
  const found = person ?? team
  if (!found) return fail('form-incomplete', { fields: { to: 'Choose somebody from the directory' } })
  const added = await insertRecipient(tx, {
    transferId: transfer.id,
    personId: person?.id ?? null,
    mailboxId: team?.id ?? null,
    organisationId: found.organisationId,
    kind: team ? 'team' : found.organisationId ? 'person' : 'individual',
    fullName: person?.fullName ?? team!.name,
    email: person?.email ?? team!.address,
    jobTitle: person?.jobTitle ?? null,
    department: person?.department ?? null,
    telephone: person?.telephone ?? person?.switchboard ?? null,
    language: person?.language ?? 'en',
    createdAt: visit.now,
  })
  if (!added) return fail('recipient-twice')
  await recordEvent(tx, 'recipient-added', { transfer: transfer.id, recipient: added.id }, { transferId: transfer.id })
  const recipientKind = !found.organisationId
    ? 'individual'
    : person?.isOwn || team?.isOwn
      ? 'colleague'
      : 'organisation'
  await updateTransfer(tx, transfer.id, { recipientKind, ...unchosen })
  return ok()
}

const chooseWho = action({
  path: at('/who'),
  who: 'signed-in',
  summary: 'Say who it is for: `person:ID`, `team:ID`, or a kind of recipient',
  fields: fields({ to: line('who it is for', limits.lineCharacters, { missing: 'Choose who it is for' }) }),
  again: whoPage,
  run: async (visit, { to }) => {
    const [kind, subject] = to.split(':')
    if (to === 'someone-individual' || to === 'someone-organisation')
      return ok({ next: `/transfers/${visit.params.transfer}/someone?kind=${to.slice(8)}` })
    return change(visit, async (tx, transfer) => {
      if (subject !== undefined) return addFromDirectory(tx, visit, transfer, kind!, subject)
      if (!['colleague', 'individual', notSure].includes(to))
        return fail('form-incomplete', { fields: { to: 'Choose who it is for' } })
      await updateTransfer(tx, transfer.id, {
        recipientKind: to,
        ...(to === notSure ? { notSure: [...new Set([...transfer.notSure, 'audience'])] } : {}),
      })
      return ok()
    })
  },
  then: toNext,
})

const someonePage = page('/someone', 'Someone new', 'someone', async ({ house, query }) =>
  ok({
    title: query.kind === 'organisation' ? 'Someone in another organisation' : 'A member of the public',
    kind: query.kind === 'organisation' ? 'organisation' : 'individual',
    organisations: await searchDirectoryOrganisations(house.db),
    sectors,
  }),
)

const someone = action({
  path: at('/someone'),
  who: 'signed-in',
  summary: 'Add someone new as a recipient',
  fields: fields({
    kind: choice('a kind of person', ['individual', 'organisation'] as const),
    fullName: line('their name', limits.nameCharacters),
    email: email('their email address'),
    telephone: optional(telephone('their telephone number')),
    jobTitle: optional(line('their job title', limits.nameCharacters)),
    language: optional(choice('a language', ['en', 'cy'] as const)),
    organisation: optional(line('an organisation', limits.nameCharacters)),
    newOrganisation: optional(line('the name of the organisation', limits.nameCharacters)),
    sector: optional(choice('a kind of organisation', Object.keys(sectors))),
  }),
  again: screen({ ...someonePage, load: (visit) => someonePage.load({ ...visit, query: visit.query }) }),
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      if (body.kind === 'individual') {
        const added = await insertRecipient(tx, {
          transferId: transfer.id,
          kind: 'individual',
          fullName: body.fullName,
          email: body.email,
          telephone: body.telephone ?? null,
          language: body.language ?? 'en',
          createdAt: visit.now,
        })
        if (!added) return fail('recipient-twice')
        await recordEvent(
          tx,
          'recipient-added',
          { transfer: transfer.id, recipient: added.id },
          { transferId: transfer.id },
        )
        await updateTransfer(tx, transfer.id, {
          recipientKind: 'individual',
          ...(transfer.recipientKind === 'individual' ? {} : unchosen),
        })
        return ok()
      }
      const by = { byId: visit.actor.id, now: visit.now }
      const owner = await organisationOfAddress(tx, body.email)
      const organisationId = owner?.id ?? (await chosenOrganisation(tx, body, by))
      if (typeof organisationId !== 'string') return organisationId
      const contact = await addContact(
        tx,
        organisationId,
        {
          fullName: body.fullName,
          email: body.email,
          ...(body.jobTitle ? { jobTitle: body.jobTitle } : {}),
          ...(body.telephone ? { telephone: body.telephone, telephoneKind: 'direct' as const } : {}),
          language: body.language ?? 'en',
        },
        by,
      )
      return contact.ok ? addFromDirectory(tx, visit, transfer, 'person', contact.value.id) : contact
    }),
  then: toNext,
})

/** The id of the organisation she chose or named; or the problem. */
async function chosenOrganisation(
  tx: Tx,
  body: { organisation?: string; newOrganisation?: string; sector?: string },
  by: { byId: string; now: Date },
) {
  if (body.organisation && body.organisation !== 'new') return body.organisation
  if (!body.newOrganisation)
    return fail('form-incomplete', { fields: { newOrganisation: 'Enter the name of the organisation' } })
  if (!body.sector) return fail('form-incomplete', { fields: { sector: 'Choose a kind of organisation' } })
  const saved = await saveOrganisation(tx, { name: body.newOrganisation, sector: body.sector as never }, by)
  return saved.ok ? saved.value.id : saved
}

async function searchDirectoryOrganisations(db: Parameters<typeof searchDirectory>[0]) {
  return db
    .selectFrom('organisations')
    .where('isOwn', '=', false)
    .select(['id', 'name'])
    .orderBy('name')
    .limit(limits.organisationChoices)
    .execute()
}

/** A changed fact undoes the choice of a method: she sees the new decision first. */
const unchosen = { method: null, state: 'draft' }

/** The questions' routes, whose fields are the vocabulary's own facts. */
function askRoutes(policy: Policy): Route[] {
  const answers: TProperties = Object.fromEntries(
    askable(policy).map((fact) => [fact, optional(line(fact, limits.nameCharacters))]),
  )
  const askPage = page('/ask/:page', 'A page of questions', 'ask', (visit, transfer) =>
    askModel(visit, transfer, visit.params.page!),
  )
  const answer = action({
    path: at('/ask/:page'),
    who: 'signed-in',
    summary: 'Answer a page of questions; `not-sure` is always an answer',
    fields: Type.Object(
      {
        ...answers,
        informationWords: optional(line('what it is', limits.lineCharacters)),
        caseReference: optional(line('the case reference', limits.referenceCharacters)),
        purposeWords: optional(text('why you are sharing it')),
        limitsWords: optional(text('any limits')),
      },
      { additionalProperties: false },
    ),
    again: askPage,
    run: (visit, body) => {
      const given = body as Record<string, string | undefined>
      const read = readAnswers(policy, visit.params.page!, given)
      if (!read.ok) return Promise.resolve(read)
      return change(visit, async (tx, transfer) => {
        const asked = factsOfPage(visit.params.page!)
        const kept = Object.fromEntries(Object.entries(transfer.facts).filter(([fact]) => !asked.includes(fact)))
        const facts = { ...kept, ...read.value.facts }
        const unsure = [...transfer.notSure.filter((fact) => !asked.includes(fact)), ...read.value.notSure]
        const words = Object.fromEntries(
          ['informationWords', 'caseReference', 'purposeWords', 'limitsWords'].flatMap((name) =>
            given[name] ? [[name, given[name]]] : [],
          ),
        )
        await updateTransfer(tx, transfer.id, { facts: JSON.stringify(facts), notSure: unsure, ...words, ...unchosen })
        await recordEvent(
          tx,
          'facts-given',
          { transfer: transfer.id, facts: facts as never, notSure: unsure },
          { transferId: transfer.id },
        )
        return ok()
      })
    },
    then: toNext,
  })
  return [askPage, answer]
}

const emergencyPage = page('/emergency', 'Someone is at risk now', 'emergency', async (_visit, transfer) =>
  ok({ title: 'What could happen if you wait?', backUrl: `/transfers/${transfer.id}/ask/why` }),
)
const emergency = action({
  path: at('/emergency'),
  who: 'signed-in',
  summary: 'Certify the risk and why it cannot wait, or say that it can',
  fields: fields({
    canWait: optional(yesNo('whether it can wait')),
    whatCouldHappen: optional(text('what could happen')),
    whyNow: optional(text('why it cannot wait')),
  }),
  again: emergencyPage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      if (body.canWait) {
        await updateTransfer(tx, transfer.id, { facts: JSON.stringify({ ...transfer.facts, urgency: 'today' }) })
        return ok()
      }
      const wrong = {
        ...(body.whatCouldHappen ? {} : { whatCouldHappen: 'Enter what could happen if you wait' }),
        ...(body.whyNow ? {} : { whyNow: 'Enter why it cannot wait' }),
      }
      if (Object.keys(wrong).length > 0) return fail('form-incomplete', { fields: wrong })
      return certifyEmergency(tx, {
        transferId: transfer.id,
        whatCouldHappen: body.whatCouldHappen!,
        whyNow: body.whyNow!,
        byId: visit.actor.id,
        now: visit.now,
        publicUrl: visit.house.config.publicUrl,
      })
    }),
  then: toNext,
})

const detailsPage = page('/details', 'For the record', 'details', async (_visit, transfer) =>
  ok({ title: 'For the record', backUrl: `/transfers/${transfer.id}/decision` }),
)
const details = action({
  path: at('/details'),
  who: 'signed-in',
  summary: 'Say what it is and why, for the record and the recipient',
  fields: fields({
    informationWords: line('what it is'),
    purposeWords: text('why you are sharing it'),
    limitsWords: optional(text('any limits')),
    caseReference: optional(line('the case reference', limits.referenceCharacters)),
  }),
  again: detailsPage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      await updateTransfer(tx, transfer.id, {
        ...body,
        limitsWords: body.limitsWords ?? null,
        caseReference: body.caseReference ?? null,
      })
      return ok()
    }),
  then: toNext,
})

const howConfirmed = ['known', 'switchboard', 'directory', 'in-person', 'other'] as const
const confirmPage = page(
  '/recipients/:who/confirm',
  'Is this the right person?',
  'confirm',
  async (visit, transfer) => {
    const recipient = await ownRecipient(visit, transfer)
    return recipient
      ? ok({ title: 'Is this the right person?', recipient, backUrl: `/transfers/${transfer.id}/decision` })
      : fail('not-found')
  },
)
const ownRecipient = async (visit: Visit, transfer: TransferRow) => {
  const recipient = /^[0-9a-f-]{36}$/.test(visit.params.who!)
    ? await recipientById(visit.house.db, visit.params.who!)
    : undefined
  return recipient?.transferId === transfer.id && !recipient.withdrawnAt ? recipient : undefined
}
const confirm = action({
  path: at('/recipients/:who/confirm'),
  who: 'signed-in',
  summary: 'Confirm that a recipient may have this information and is who they say (D13)',
  fields: fields({
    authorised: choice('whether they may have it', ['yes', 'no'] as const),
    how: choice('how you know', howConfirmed),
    detail: text('what you checked'),
  }),
  again: confirmPage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      const recipient = await ownRecipient(visit, transfer)
      if (!recipient) return fail('not-found')
      const authorised = body.authorised === 'yes'
      await insertConfirmation(tx, {
        recipientId: recipient.id,
        authorised,
        how: body.how,
        detail: body.detail,
        byId: visit.actor.id,
        at: visit.now,
      })
      await recordEvent(
        tx,
        authorised ? 'recipient-confirmed' : 'recipient-refused',
        { transfer: transfer.id, recipient: recipient.id, how: body.how },
        { transferId: transfer.id },
      )
      return ok()
    }),
  then: toNext,
})

const removeRecipient = action({
  path: at('/recipients/:who/remove'),
  who: 'signed-in',
  summary: 'Take a recipient off a transfer that has not been sent',
  fields: fields({}),
  run: (visit) =>
    change(visit, async (tx, transfer) => {
      const recipient = await ownRecipient(visit, transfer)
      if (!recipient) return fail('not-found')
      await updateRecipient(tx, recipient.id, { withdrawnAt: visit.now })
      return ok()
    }),
  then: (_result, visit) => `/transfers/${visit.params.transfer}/who`,
})

const decisionPage = page('/decision', 'The decision, with its reasons', 'decision', decisionModel)

const adviceLimits = text('your question')
const advicePage = page('/advice', 'Ask someone', 'advice', async (visit, transfer) => {
  const model = await decisionModel(visit, transfer)
  return model.ok
    ? ok({
        ...model.value,
        title: 'Ask someone',
        about: visit.query.about,
        backUrl: `/transfers/${transfer.id}/decision`,
      })
    : model
})
const advice = action({
  path: at('/advice'),
  who: 'signed-in',
  summary: 'Ask the role that can settle what you were not sure of (D15, W9)',
  fields: fields({
    role: choice('whom to ask', [
      'service-desk',
      'information-governance',
      'information-asset-owner',
      'records-officer',
    ] as const),
    question: adviceLimits,
  }),
  again: advicePage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      const asked = await askAdvice(tx, {
        transferId: transfer.id,
        askedBy: visit.actor.id,
        role: body.role,
        facts: transfer.notSure,
        question: body.question,
        now: visit.now,
        publicUrl: visit.house.config.publicUrl,
      })
      if (asked.ok) await updateTransfer(tx, transfer.id, { state: 'asking' })
      return asked
    }),
  then: (_result, visit) => `/transfers/${visit.params.transfer}`,
})

const chooseMethod = action({
  path: at('/method'),
  who: 'signed-in',
  summary: 'Choose how to send it',
  fields: fields({ method: line('a method', limits.nameCharacters) }),
  run: (visit, { method }) =>
    change(visit, async (tx, transfer) => {
      const kept = await keepDecision(tx, visit.house, transfer)
      if (!kept.ok) return kept
      const outcome = kept.value.decision.methods[method]?.outcome
      if (outcome !== 'ALLOW' && outcome !== 'ALLOW_WITH') return fail('method-not-allowed')
      await updateTransfer(tx, transfer.id, { method, state: 'ready' })
      await recordEvent(tx, 'method-chosen', { transfer: transfer.id, method }, { transferId: transfer.id })
      return ok()
    }),
  then: toNext,
})

const stop = action({
  path: at('/stop'),
  who: 'signed-in',
  summary: 'Decide not to share, and record why',
  fields: fields({ reason: text('why it is not shared') }),
  run: (visit, body) =>
    inTransaction(visit.house.db, async (tx) => {
      const known = await transferOf(visit)
      if (!known.ok) return known
      const transfer = (await lockTransfer(tx, known.value.id))!
      if (!['draft', 'ready', 'asking'].includes(transfer.state)) return fail('transfer-closed')
      await updateTransfer(tx, transfer.id, { state: 'withdrawn', closedAt: visit.now })
      await recordEvent(
        tx,
        'decided-not-to-share',
        { transfer: transfer.id, reason: body.reason },
        { transferId: transfer.id },
      )
      return ok({})
    }),
  then: (_result, visit) => `/transfers/${visit.params.transfer}`,
})

const recordPage = screen({
  path: at('/record'),
  who: 'signed-in',
  summary: 'The one-page record, to copy into a case file',
  view: 'transfers/views/record',
  load: async (visit) => {
    const transfer = await readableTransfer(visit)
    return transfer.ok ? recordModel(visit, transfer.value) : transfer
  },
})

/** A transfer's own page; the shell adds what later features show on it. */
export const transferPage = screen({
  path: at(''),
  who: 'signed-in',
  summary: 'A transfer: where it stands, who has what, what happened',
  view: 'transfers/views/transfer',
  load: async (visit) => {
    const transfer = await readableTransfer(visit)
    return transfer.ok ? transferModel(visit, transfer.value) : transfer
  },
})

const agreementPage = page('/agreement', 'The agreement that covers this', 'agreement', agreementModel)

export const routes = (policy: Policy): Route[] => [
  start,
  whoPage,
  searchWho,
  chooseWho,
  someonePage,
  someone,
  ...askRoutes(policy),
  emergencyPage,
  emergency,
  detailsPage,
  details,
  confirmPage,
  confirm,
  removeRecipient,
  decisionPage,
  advicePage,
  advice,
  chooseMethod,
  stop,
  recordPage,
  agreementPage,
]

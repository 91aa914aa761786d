import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import { choice, email, fields, isId, line, optional, telephone, text } from '#edge/web/fields'
import { action, raw, type Route, type Visit } from '#edge/web/route'
import {
  addContact,
  organisationById,
  organisationOfAddress,
  saveOrganisation,
} from '#features/organisations/directory'
import { otherOrganisations } from '#features/organisations/queries'
import { sectors } from '#features/organisations/words'
import { at, change, isSent, page, toNext, unchosen } from '#features/transfers/change'
import { whoModel } from '#features/transfers/models'
import { notSure } from '#features/transfers/questions'
import {
  insertConfirmation,
  insertRecipient,
  personDetails,
  recipientById,
  teamDetails,
  updateRecipient,
  updateTransfer,
  type TransferRow,
} from '#features/transfers/queries'
import { transferOf } from '#features/transfers/transfer'

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

/** Records who a recipient is: what is proved later of their id is proved of them. */
const recordAdded = (
  tx: Tx,
  visit: Visit,
  transfer: TransferRow,
  added: { id: string; fullName: string; email: string },
) =>
  recordEvent(
    tx,
    'recipient-added',
    { transfer: transfer.id, recipient: added.id, name: added.fullName, email: added.email },
    { transferId: transfer.id, at: visit.now },
  )

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
  await recordAdded(tx, visit, transfer, added)
  const recipientKind = !found.organisationId
    ? 'individual'
    : person?.isOwn || team?.isOwn
      ? 'colleague'
      : 'organisation'
  if (!isSent(transfer)) await updateTransfer(tx, transfer.id, { recipientKind, ...unchosen })
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
    return change(
      visit,
      async (tx, transfer) => {
        if (subject !== undefined) return addFromDirectory(tx, visit, transfer, kind!, subject)
        if (isSent(transfer) || !['colleague', 'individual', notSure].includes(to))
          return fail('form-incomplete', { fields: { to: 'Choose who it is for' } })
        await updateTransfer(tx, transfer.id, {
          recipientKind: to,
          ...(to === notSure ? { notSure: [...new Set([...transfer.notSure, 'audience'])] } : {}),
        })
        return ok()
      },
      'sent',
    )
  },
  then: toNext,
})

const someonePage = page('/someone', 'Someone new', 'someone', async ({ house, query }) =>
  ok({
    title: query.kind === 'organisation' ? 'Someone in another organisation' : 'A member of the public',
    kind: query.kind === 'organisation' ? 'organisation' : 'individual',
    organisations: await otherOrganisations(house.db),
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
  again: someonePage,
  run: (visit, body) =>
    change(
      visit,
      async (tx, transfer) => {
        const owner = await organisationOfAddress(tx, body.email)
        if (body.kind === 'individual') {
          // Whoever has an organisation's address is judged as one of it, whatever the form says.
          if (owner)
            return fail('form-incomplete', {
              fields: { email: `This is an address of ${owner.name}. Add them as someone in another organisation` },
            })
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
          await recordAdded(tx, visit, transfer, added)
          const isChange = transfer.recipientKind !== 'individual'
          if (!isSent(transfer))
            await updateTransfer(tx, transfer.id, { recipientKind: 'individual', ...(isChange ? unchosen : {}) })
          return ok()
        }
        const by = { byId: visit.actor.id, now: visit.now }
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
      },
      'sent',
    ),
  then: toNext,
})

/** The id of the organisation she chose or named; or the problem. */
async function chosenOrganisation(
  tx: Tx,
  body: { organisation?: string; newOrganisation?: string; sector?: string },
  by: { byId: string; now: Date },
) {
  if (body.organisation && body.organisation !== 'new') {
    const chosen = await organisationById(tx, body.organisation)
    return chosen && !chosen.isOwn
      ? chosen.id
      : fail('form-incomplete', { fields: { organisation: 'Choose an organisation from the list' } })
  }
  if (!body.newOrganisation)
    return fail('form-incomplete', { fields: { newOrganisation: 'Enter the name of the organisation' } })
  if (!body.sector) return fail('form-incomplete', { fields: { sector: 'Choose a kind of organisation' } })
  const saved = await saveOrganisation(tx, { name: body.newOrganisation, sector: body.sector as never }, by)
  return saved.ok ? saved.value.id : saved
}

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
  const recipient = isId(visit.params.who) ? await recipientById(visit.house.db, visit.params.who) : undefined
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
    change(
      visit,
      async (tx, transfer) => {
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
          { transferId: transfer.id, at: visit.now },
        )
        return ok()
      },
      'sent',
    ),
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
      const about = { transferId: transfer.id, at: visit.now }
      await recordEvent(tx, 'recipient-removed', { transfer: transfer.id, recipient: recipient.id }, about)
      return ok()
    }),
  then: (_result, visit) => `/transfers/${visit.params.transfer}/who`,
})

/** Who a transfer is for: choosing, adding, confirming and taking off. */
export const recipientRoutes: Route[] = [
  whoPage,
  searchWho,
  chooseWho,
  someonePage,
  someone,
  confirmPage,
  confirm,
  removeRecipient,
]

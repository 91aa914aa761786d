import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { email, fields, integer, line, text } from '#edge/web/fields'
import { action, screen, type Route, type Visit } from '#edge/web/route'
import { addMailbox, changeMailbox, checkMailbox } from '#features/organisations/directory'
import { about, at, by } from '#features/organisations/pages'
import { checksOf, liveMailboxCheck, mailboxById, organisationById } from '#features/organisations/queries'

async function mailboxOf({ house, params }: Visit) {
  const mailbox = await mailboxById(house.db, params.mailbox)
  return mailbox && mailbox.organisationId === params.organisation ? mailbox : undefined
}

const mailbox = {
  name: line('the name of the team', limits.nameCharacters),
  owner: line('who keeps its list of members', limits.nameCharacters),
  members: text('everyone who can read it', limits.membersCharacters),
}

const mailboxNew = screen({
  path: '/organisations/:organisation/mailboxes/new',
  who: 'signed-in',
  summary: 'Add a team mailbox',
  view: 'organisations/views/mailbox-edit',
  pageOnly: true,
  load: (visit) =>
    about(visit, ({ id, name }) => ({
      title: `Add a team mailbox at ${name}`,
      action: at(id, 'mailboxes'),
      backUrl: at(id),
    })),
})

const mailboxAdd = action({
  path: '/organisations/:organisation/mailboxes',
  who: 'signed-in',
  summary: 'Add a team mailbox, with everyone who can read it',
  fields: fields({ ...mailbox, address: email('the address of the mailbox') }),
  again: mailboxNew,
  run: async (visit, body) => {
    const organisation = await organisationById(visit.house.db, visit.params.organisation)
    return organisation
      ? inTransaction(visit.house.db, (tx) => addMailbox(tx, organisation.id, body, by(visit)))
      : fail('not-found')
  },
  then: ({ id }, { params }) => at(params.organisation, 'mailboxes', id),
})

const mailboxShow = screen({
  path: '/organisations/:organisation/mailboxes/:mailbox',
  who: 'signed-in',
  summary: 'A team mailbox, its members, and whether they were checked',
  view: 'organisations/views/mailbox',
  load: async (visit) => {
    const found = await mailboxOf(visit)
    if (!found) return fail('not-found')
    const { db } = visit.house
    const live = (await liveMailboxCheck(db, found.id, visit.now)) ?? null
    return ok({
      title: found.name,
      mailbox: found,
      live,
      checks: await checksOf(db, found.id),
      checkDays: limits.mailboxCheckDays,
      backUrl: at(found.organisationId),
    })
  },
})

const mailboxEditPage = screen({
  path: '/organisations/:organisation/mailboxes/:mailbox/edit',
  who: 'signed-in',
  summary: 'Change a team mailbox',
  view: 'organisations/views/mailbox-edit',
  pageOnly: true,
  load: async (visit) => {
    const found = await mailboxOf(visit)
    if (!found) return fail('not-found')
    const here = at(found.organisationId, 'mailboxes', found.id)
    return ok({ title: `Change ${found.name}`, mailbox: found, action: here, backUrl: here })
  },
})

const mailboxEdit = action({
  path: '/organisations/:organisation/mailboxes/:mailbox',
  who: 'signed-in',
  summary: 'Change a team mailbox. Other members make a new version of its list, which must be checked again',
  fields: fields(mailbox),
  again: mailboxEditPage,
  run: async (visit, body) => {
    const found = await mailboxOf(visit)
    return found
      ? inTransaction(visit.house.db, (tx) => changeMailbox(tx, found.id, body, by(visit)))
      : fail('not-found')
  },
  then: ({ id }, { params }) => at(params.organisation, 'mailboxes', id),
})

const mailboxCheck = action({
  path: '/organisations/:organisation/mailboxes/:mailbox/check',
  who: 'signed-in',
  summary: 'Record that everyone on this version of the list may see what is sent to it',
  fields: fields({
    listVersion: integer('the version of the list', 1, 2_147_483_647),
    note: text('how you checked it, and with whom', limits.lineCharacters),
  }),
  again: mailboxShow,
  run: async (visit, body) => {
    const found = await mailboxOf(visit)
    return found
      ? inTransaction(visit.house.db, (tx) => checkMailbox(tx, found.id, body, by(visit)))
      : fail('not-found')
  },
  then: (_, { params }) => at(params.organisation, 'mailboxes', params.mailbox!),
})

export const mailboxRoutes: Route[] = [mailboxNew, mailboxAdd, mailboxShow, mailboxEditPage, mailboxEdit, mailboxCheck]

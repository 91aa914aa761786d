import Type from 'typebox'
import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { choice, choices, day, email, fields, line, optional, telephone, text, yesNo } from '#edge/web/fields'
import { action, raw, roles, screen, type Route, type Visit } from '#edge/web/route'
import { addContact, changeContact, saveOrganisation, saveProfile } from '#features/organisations/directory'
import { mailboxRoutes } from '#features/organisations/mailbox-routes'
import { about, at, by, keeps, keepsStaff } from '#features/organisations/pages'
import {
  mailboxesOf,
  organisationById,
  organisationsBy,
  peopleOf,
  personById,
  searchDirectory,
} from '#features/organisations/queries'
import { saveStaff } from '#features/organisations/staff'
import {
  councilClasses,
  directoryKeepers,
  items,
  languages,
  roleItems,
  roleName,
  sectorIds,
  sectors,
  telephoneKinds,
  type CouncilClass,
  type TelephoneKind,
} from '#features/organisations/words'

/** The person of the address, when of this organisation. */
async function personOf({ house, params }: Visit) {
  const person = await personById(house.db, params.person)
  return person && person.organisationId === params.organisation ? person : undefined
}

const sectorWords = (sector: string) => sectors[sector as keyof typeof sectors] ?? sector

async function listModel({ house }: Visit, words: string) {
  const rows = await organisationsBy(house.db, words)
  return {
    title: 'Organisations and people',
    words,
    organisations: rows.map(({ id, name, sector, isOwn }) => ({ id, name, isOwn, sector: sectorWords(sector) })),
    found: await searchDirectory(house.db, { words }),
    most: limits.listRows,
    maxWords: limits.lineCharacters,
    backUrl: words ? '/organisations' : '/',
  }
}

const list = screen({
  path: '/organisations',
  who: 'signed-in',
  summary: 'Organisations',
  view: 'organisations/views/list',
  load: async (visit) => ok(await listModel(visit, '')),
})

// Names are searched for by POST: an address is kept in histories and logs, and holds no personal data.
const search = raw({
  method: 'POST',
  path: '/organisations/search',
  who: 'signed-in',
  summary: 'Find people, teams and organisations',
  body: fields({ words: Type.String({ title: 'what to search for', maxLength: limits.lineCharacters }) }),
  handle: async (visit, request, reply) => {
    const { words } = request.body as { words: string }
    return ok(reply.page('organisations/views/list', await listModel(visit, words.trim())))
  },
})

const show = screen({
  path: '/organisations/:organisation',
  who: 'signed-in',
  summary: 'One organisation, its people and team mailboxes',
  view: 'organisations/views/show',
  load: (visit) =>
    about(visit, async (organisation) => ({
      title: organisation.name,
      sector: sectorWords(organisation.sector),
      required: Object.entries(organisation.requiredMethods).map(([classOf, method]) => ({
        classOf: councilClasses[classOf as CouncilClass] ?? classOf,
        method: visit.house.policy.vocabulary.methods.get(method)?.name ?? method,
      })),
      people: await peopleOf(visit.house.db, organisation.id),
      mailboxes: await mailboxesOf(visit.house.db, organisation.id),
      canKeep: keeps(visit),
      canAdd: !organisation.isOwn || keepsStaff(visit),
      backUrl: '/organisations',
    })),
})

const details = {
  name: line('the name', limits.nameCharacters),
  sector: choice('what kind of body it is', sectorIds),
  domains: optional(text('the domains')),
  switchboard: optional(telephone('the switchboard number')),
  postalAddress: optional(text('the postal address', limits.addressCharacters)),
}

const newPage = screen({
  path: '/organisations/new',
  who: 'signed-in',
  summary: 'Add an organisation',
  view: 'organisations/views/edit',
  pageOnly: true,
  load: async (visit) =>
    ok({
      title: 'Add an organisation',
      sectors: items(sectors),
      canKeep: keeps(visit),
      action: '/organisations',
      backUrl: '/organisations',
    }),
})

const add = action({
  path: '/organisations',
  who: 'signed-in',
  summary: 'Add an organisation. Only those who keep the directory list its domains',
  fields: fields(details),
  again: newPage,
  stepUp: { given: 'domains' },
  run: async (visit, body) => {
    if (body.domains && !keeps(visit))
      return fail('form-incomplete', { fields: { domains: 'The service desk lists domains. Leave this empty' } })
    return inTransaction(visit.house.db, (tx) => saveOrganisation(tx, body, by(visit)))
  },
  then: ({ id }) => at(id),
})

const editPage = screen({
  path: '/organisations/:organisation/edit',
  who: directoryKeepers,
  summary: 'Change an organisation',
  view: 'organisations/views/edit',
  pageOnly: true,
  load: (visit) =>
    about(visit, ({ id, name }) => ({
      title: `Change ${name}`,
      sectors: items(sectors),
      canKeep: true,
      action: at(id),
      backUrl: at(id),
    })),
})

const edit = action({
  path: '/organisations/:organisation',
  who: directoryKeepers,
  summary: 'Change an organisation',
  fields: fields(details),
  again: editPage,
  stepUp: true,
  run: async (visit, body) => {
    const organisation = await organisationById(visit.house.db, visit.params.organisation)
    if (!organisation) return fail('not-found')
    // What is internal hangs on these domains.
    if (organisation.isOwn && !keepsStaff(visit))
      return fail('not-allowed', { detail: 'Ask an administrator to change our own organisation.' })
    return inTransaction(visit.house.db, (tx) => saveOrganisation(tx, body, by(visit), organisation.id))
  },
  then: ({ id }) => at(id),
})

const tlsWords = { proven: 'Yes, proven', refused: 'No, their server refuses it', unknown: 'Not known' }

const profilePage = screen({
  path: '/organisations/:organisation/profile',
  who: directoryKeepers,
  summary: 'How a partner can be written to',
  view: 'organisations/views/profile',
  pageOnly: true,
  load: (visit) =>
    about(visit, ({ id, name, tlsCheckedAt }) => ({
      title: `How ${name} can be written to`,
      methods: [
        { value: '', text: 'No method is required' },
        ...[...visit.house.policy.vocabulary.methods].map(([value, { name: words }]) => ({ value, text: words })),
      ],
      tlsItems: items(tlsWords),
      tlsCheckedOn: tlsCheckedAt?.toISOString().slice(0, 10),
      backUrl: at(id),
    })),
})

const profile = action({
  path: '/organisations/:organisation/profile',
  who: directoryKeepers,
  summary: 'Keep how a partner can be written to',
  fields: fields({
    requiredPublic: optional(line('a method', limits.nameCharacters)),
    requiredControlled: optional(line('a method', limits.nameCharacters)),
    requiredRestricted: optional(line('a method', limits.nameCharacters)),
    tls: choice('whether their email takes encryption on its way', Object.keys(tlsWords) as (keyof typeof tlsWords)[]),
    tlsEvidence: optional(line('how it was found out')),
    tlsCheckedOn: optional(day('the day it was found out')),
  }),
  again: profilePage,
  stepUp: true,
  run: async (visit, { requiredPublic, requiredControlled, requiredRestricted, tls, ...evidence }) => {
    const organisation = await organisationById(visit.house.db, visit.params.organisation)
    if (!organisation || organisation.isOwn) return fail('not-found')
    const given = Object.entries({ requiredPublic, requiredControlled, requiredRestricted }).filter(
      ([, method]) => method !== undefined,
    )
    const unknown = given.find(([, method]) => !visit.house.policy.vocabulary.methods.has(method!))
    if (unknown) return fail('form-incomplete', { fields: { [unknown[0]]: 'Choose a method from the list' } })
    const requiredMethods = Object.fromEntries(
      given.map(([name, method]) => [name.replace('required', '').toLowerCase(), method!]),
    )
    const kept = { requiredMethods, tls: tls === 'unknown' ? null : tls, ...evidence }
    return inTransaction(visit.house.db, (tx) => saveProfile(tx, organisation.id, kept, by(visit)))
  },
  then: ({ id }) => at(id),
})

const contact = {
  fullName: line('their full name', limits.nameCharacters),
  email: email('their email address'),
  jobTitle: optional(line('their job title', limits.nameCharacters)),
  department: optional(line('their department', limits.nameCharacters)),
  telephone: optional(telephone('their telephone number')),
  telephoneKind: optional(
    choice('what kind of telephone number it is', Object.keys(telephoneKinds) as TelephoneKind[]),
  ),
  language: optional(choice('the language to write in', ['en', 'cy'] as const)),
}
const contactLists = {
  kinds: items(telephoneKinds),
  languages: items(languages),
  roleItems,
}

const contactNew = screen({
  path: '/organisations/:organisation/people/new',
  who: 'signed-in',
  summary: 'Add a contact',
  view: 'organisations/views/contact-edit',
  pageOnly: true,
  load: (visit) =>
    about(visit, ({ id, name, isOwn }) => ({
      title: isOwn ? 'Add a colleague' : `Add a contact at ${name}`,
      ...contactLists,
      isStaff: isOwn,
      person: { roles: ['sender'] },
      action: at(id, isOwn ? 'staff' : 'people'),
      backUrl: at(id),
    })),
})

const contactAdd = action({
  path: '/organisations/:organisation/people',
  who: 'signed-in',
  summary: 'Add a contact at a partner organisation',
  fields: fields(contact),
  again: contactNew,
  run: async (visit, body) =>
    inTransaction(visit.house.db, (tx) => addContact(tx, visit.params.organisation!, body, by(visit))),
  then: ({ id }, { params }) => at(params.organisation, 'people', id),
})

const contactShow = screen({
  path: '/organisations/:organisation/people/:person',
  who: 'signed-in',
  summary: 'One person of an organisation',
  view: 'organisations/views/contact',
  load: async (visit) => {
    const person = await personOf(visit)
    if (!person) return fail('not-found')
    return ok({
      title: 'Contact',
      person,
      roleNames: person.roles.map(roleName),
      lineManager: (await personById(visit.house.db, person.lineManagerId ?? undefined))?.fullName,
      canKeep: person.isOwn ? keepsStaff(visit) : keeps(visit),
      telephoneKind: person.telephoneKind && telephoneKinds[person.telephoneKind],
      language: languages[person.language],
      backUrl: at(visit.params.organisation),
    })
  },
})

const contactEditPage = screen({
  path: '/organisations/:organisation/people/:person/edit',
  who: directoryKeepers,
  summary: 'Change a contact',
  view: 'organisations/views/contact-edit',
  pageOnly: true,
  load: async (visit) => {
    const person = await personOf(visit)
    if (!person) return fail('not-found')
    const manager = await personById(visit.house.db, person.lineManagerId ?? undefined)
    const isStaff = person.kind === 'staff'
    if (isStaff && !keepsStaff(visit))
      return fail('not-allowed', { detail: 'Ask an administrator to change a colleague.' })
    const here = at(visit.params.organisation, isStaff ? 'staff' : 'people', person.id)
    return ok({
      title: 'Change a contact',
      ...contactLists,
      isStaff,
      isKnown: true,
      person,
      lineManager: manager?.email,
      action: here,
      backUrl: at(visit.params.organisation, 'people', person.id),
    })
  },
})

const contactEdit = action({
  path: '/organisations/:organisation/people/:person',
  who: directoryKeepers,
  summary: 'Change a contact: details, login, criminal justice account, registered key',
  fields: fields({
    ...contact,
    partnerLogin: yesNo('whether they have a login of their own'),
    cjsmAccount: yesNo('whether they have a criminal justice email account'),
    ageRecipient: optional(line('their public key', limits.ageRecipientCharacters)),
    active: yesNo('whether they still work there'),
  }),
  again: contactEditPage,
  // Later parcels are locked to this key.
  stepUp: { given: 'ageRecipient' },
  run: async (visit, body) => {
    const person = await personOf(visit)
    return person
      ? inTransaction(visit.house.db, (tx) => changeContact(tx, person.id, body, by(visit)))
      : fail('not-found')
  },
  then: ({ id }, { params }) => at(params.organisation, 'people', id),
})

const staffFields = fields({
  ...contact,
  roles: optional(choices('their roles', roles)),
  lineManager: optional(email('the email address of their line manager')),
  cjsmAccount: yesNo('whether they have a criminal justice email account'),
  active: yesNo('whether they still work here'),
})

const staffAdd = action({
  path: '/organisations/:organisation/staff',
  who: ['administrator'],
  summary: 'Add a member of our own staff, who can then sign in',
  fields: staffFields,
  again: contactNew,
  stepUp: true,
  run: async (visit, body) => {
    const organisation = await organisationById(visit.house.db, visit.params.organisation)
    if (!organisation?.isOwn) return fail('not-found')
    return inTransaction(visit.house.db, (tx) => saveStaff(tx, { ...body, roles: body.roles ?? [] }, by(visit)))
  },
  then: ({ id }, { params }) => at(params.organisation, 'people', id),
})

const staffEdit = action({
  path: '/organisations/:organisation/staff/:person',
  who: ['administrator'],
  summary: 'Change a member of our own staff: details, roles, line manager, whether they can sign in',
  fields: staffFields,
  again: contactEditPage,
  stepUp: true,
  run: async (visit, body) => {
    const person = await personOf(visit)
    return person
      ? inTransaction(visit.house.db, (tx) => saveStaff(tx, { ...body, roles: body.roles ?? [] }, by(visit), person.id))
      : fail('not-found')
  },
  then: ({ id }, { params }) => at(params.organisation, 'people', id),
})

export const routes: Route[] = [
  list,
  search,
  newPage,
  add,
  show,
  editPage,
  edit,
  profilePage,
  profile,
  contactNew,
  contactAdd,
  contactShow,
  contactEditPage,
  contactEdit,
  staffAdd,
  staffEdit,
  ...mailboxRoutes,
]

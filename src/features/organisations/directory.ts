import { bech32 } from '@scure/base'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import { dayOf, instantOf } from '#features/organisations/calendar'
import { domainsOf, membersOf } from '#features/organisations/addresses'
import {
  insertCheck,
  insertMailbox,
  insertOrganisation,
  insertPerson,
  lockMailbox,
  organisationById,
  organisationOfAddress,
  organisationWithDomain,
  personByEmail,
  personById,
  updateMailbox,
  updateOrganisation,
  updatePerson,
} from '#features/organisations/queries'
import type { CouncilClass, Sector, TelephoneKind } from '#features/organisations/words'

export { isCjsmAddress, isEndedAddress, isInternalAddress } from '#features/organisations/addresses'
export {
  liveMailboxCheck,
  mailboxById,
  organisationById,
  organisationOfAddress,
  ownOrganisation,
  personById,
  searchDirectory,
} from '#features/organisations/queries'

/** Who makes a change, and when. */
export interface By {
  byId: string
  now: Date
}

const wrong = (fields: Record<string, string>) => fail('form-incomplete', { fields })

export interface OrganisationDetails {
  name: string
  sector: Sector
  /** One a line. */
  domains?: string
  switchboard?: string
  postalAddress?: string
}

/** Keeps a new organisation, or changes one. A domain belongs to one organisation only, or nobody could say whose an address is. */
export async function saveOrganisation(
  tx: Tx,
  details: OrganisationDetails,
  by: By,
  id?: string,
): Promise<Outcome<{ id: string }>> {
  const domains = domainsOf(details.domains ?? '')
  if ('wrong' in domains) return wrong({ domains: domains.wrong })
  const other = await organisationWithDomain(tx, domains, id)
  if (other)
    return wrong({
      domains: `${domains.find((domain) => other.domains.includes(domain))} is listed for ${other.name} already`,
    })
  const row = {
    name: details.name,
    sector: details.sector,
    domains,
    switchboard: details.switchboard ?? null,
    postalAddress: details.postalAddress ?? null,
  }
  const organisation = id ?? (await insertOrganisation(tx, row)).id
  if (id) await updateOrganisation(tx, id, row)
  await recordEvent(
    tx,
    id ? 'organisation-changed' : 'organisation-added',
    { by: by.byId, organisation, name: row.name, sector: row.sector, domains },
    { at: by.now },
  )
  return ok({ id: organisation })
}

/** What we know of how a partner can be written to. */
export interface PartnerProfile {
  /** The method the partner requires, for each of the council's classes of information. */
  requiredMethods: Partial<Record<CouncilClass, string>>
  tls: 'proven' | 'refused' | null
  tlsEvidence?: string
  tlsCheckedOn?: string
}

/** Keeps a partner's profile. @source clauses D11, D12, D29; reading C6, C18 */
export async function saveProfile(
  tx: Tx,
  id: string,
  profile: PartnerProfile,
  by: By,
): Promise<Outcome<{ id: string }>> {
  const { requiredMethods, tls, tlsEvidence, tlsCheckedOn } = profile
  if (tls && !tlsEvidence) return wrong({ tlsEvidence: 'Enter how it was found out' })
  if (tls && !tlsCheckedOn) return wrong({ tlsCheckedOn: 'Enter the day it was found out' })
  if (tls && tlsCheckedOn! > dayOf(by.now))
    return wrong({ tlsCheckedOn: 'The day it was found out must be today or in the past' })
  await updateOrganisation(tx, id, {
    requiredMethods: JSON.stringify(requiredMethods),
    tls,
    tlsEvidence: tls ? tlsEvidence! : null,
    tlsCheckedAt: tls ? instantOf(tlsCheckedOn!) : null,
  })
  const body = {
    by: by.byId,
    organisation: id,
    requiredMethods,
    tls,
    ...(tls ? { tlsEvidence: tlsEvidence!, tlsCheckedOn: tlsCheckedOn! } : {}),
  }
  await recordEvent(tx, 'partner-profile-changed', body, { at: by.now })
  return ok({ id })
}

export interface ContactDetails {
  fullName: string
  email: string
  jobTitle?: string
  department?: string
  telephone?: string
  telephoneKind?: TelephoneKind
  language?: 'en' | 'cy'
}

/** Why an address cannot be one of this organisation's. An address of another would be judged by the wrong sector. */
async function addressProblem(tx: Tx, organisationId: string, email: string): Promise<string | undefined> {
  const owner = await organisationOfAddress(tx, email)
  return owner && owner.id !== organisationId ? `This is an address of ${owner.name}. Add it there` : undefined
}

export const contactRow = (details: ContactDetails) => ({
  fullName: details.fullName,
  email: details.email,
  jobTitle: details.jobTitle ?? null,
  department: details.department ?? null,
  telephone: details.telephone ?? null,
  telephoneKind: details.telephone ? (details.telephoneKind ?? null) : null,
  language: details.language ?? ('en' as const),
})

async function contactProblem(
  tx: Tx,
  organisationId: string,
  details: ContactDetails,
): Promise<Record<string, string> | undefined> {
  if (details.telephone && !details.telephoneKind)
    return { telephoneKind: 'Choose what kind of telephone number it is' }
  const email = await addressProblem(tx, organisationId, details.email)
  return email ? { email } : undefined
}

/**
 * Adds a contact at a partner organisation. Any member of staff may.
 *
 * @returns the person's id; `form-incomplete` with a sentence for the field when the address is another organisation's
 *   or in the directory already; `not-found` without such an organisation; `not-allowed` for our own, whose staff an
 *   administrator adds
 */
export async function addContact(
  tx: Tx,
  organisationId: string,
  contact: ContactDetails,
  by: By,
): Promise<Outcome<{ id: string }>> {
  const organisation = await organisationById(tx, organisationId)
  if (!organisation) return fail('not-found')
  if (organisation.isOwn) return fail('not-allowed', { detail: 'Ask an administrator to add a colleague.' })
  const problem = await contactProblem(tx, organisation.id, contact)
  if (problem) return wrong(problem)
  const person = await insertPerson(tx, {
    ...contactRow(contact),
    organisationId: organisation.id,
    kind: 'professional',
    createdAt: by.now,
  })
  if (!person) return wrong({ email: await takenSentence(tx, contact.email) })
  await recordEvent(
    tx,
    'contact-added',
    { by: by.byId, person: person.id, organisation: organisation.id },
    { at: by.now },
  )
  return ok(person)
}

export const takenSentence = async (tx: Tx, email: string) =>
  `This address is in the directory already, as ${(await personByEmail(tx, email))?.fullName ?? 'someone'}`

/** What only those who keep the directory may say of a contact. */
export interface ContactAccess {
  partnerLogin: boolean
  cjsmAccount: boolean
  ageRecipient?: string
  active: boolean
}

/** Whether this is the public key of an age identity, with every character right. @source age, C2SP; Bech32 checksum of BIP 173 */
export function isAgeRecipient(text: string): boolean {
  const decoded = bech32.decodeUnsafe(text, false)
  return decoded?.prefix === 'age' || decoded?.prefix === 'age1pq'
}

export const ageRecipientSentence = 'Enter the whole public key, as the recipient sent it. It begins with age1'

/** Changes a contact: details, and what gives them access. */
export async function changeContact(
  tx: Tx,
  id: string,
  details: ContactDetails & ContactAccess,
  by: By,
): Promise<Outcome<{ id: string }>> {
  const person = await personById(tx, id)
  if (!person?.organisationId || person.kind !== 'professional') return fail('not-found')
  const problem = await contactProblem(tx, person.organisationId, details)
  if (problem) return wrong(problem)
  const { partnerLogin, cjsmAccount, active, ageRecipient } = details
  if (ageRecipient && !isAgeRecipient(ageRecipient)) return wrong({ ageRecipient: ageRecipientSentence })
  const owner = await personByEmail(tx, details.email)
  if (owner && owner.id !== id) return wrong({ email: await takenSentence(tx, details.email) })
  await updatePerson(tx, id, {
    ...contactRow(details),
    partnerLogin,
    cjsmAccount,
    active,
    ageRecipient: ageRecipient ?? null,
  })
  // A server that hands out public keys could swap them: the key itself goes into the register.
  const body = { by: by.byId, person: id, partnerLogin, cjsmAccount, active, ageRecipient: ageRecipient ?? null }
  await recordEvent(tx, 'contact-changed', body, { at: by.now })
  return ok({ id })
}

export interface MailboxDetails {
  name: string
  address: string
  owner: string
  /** One a line. */
  members: string
}

/** Keeps a new team mailbox of an organisation. */
export async function addMailbox(
  tx: Tx,
  organisationId: string,
  details: MailboxDetails,
  by: By,
): Promise<Outcome<{ id: string }>> {
  const members = membersOf(details.members)
  if ('wrong' in members) return wrong({ members: members.wrong })
  const address = await addressProblem(tx, organisationId, details.address)
  if (address) return wrong({ address })
  const mailbox = await insertMailbox(tx, { ...details, members, organisationId, createdAt: by.now })
  if (!mailbox) return wrong({ address: 'There is a team mailbox with this address already' })
  await recordEvent(
    tx,
    'mailbox-added',
    { by: by.byId, mailbox: mailbox.id, organisation: organisationId, listVersion: 1, members: members.length },
    { at: by.now },
  )
  return ok(mailbox)
}

/** Changes a team mailbox. Other members, or another address, are a new version of the list, which no check covers yet. @source clause D20 */
export async function changeMailbox(
  tx: Tx,
  id: string,
  details: Omit<MailboxDetails, 'address'>,
  by: By,
): Promise<Outcome<{ id: string }>> {
  const members = membersOf(details.members)
  if ('wrong' in members) return wrong({ members: members.wrong })
  const mailbox = await lockMailbox(tx, id)
  if (!mailbox) return fail('not-found')
  const same =
    members.length === mailbox.members.length && members.every((member, place) => member === mailbox.members[place])
  const listVersion = same ? mailbox.listVersion : mailbox.listVersion + 1
  await updateMailbox(tx, id, { name: details.name, owner: details.owner, members, listVersion })
  await recordEvent(
    tx,
    'mailbox-changed',
    { by: by.byId, mailbox: id, listVersion, members: members.length },
    { at: by.now },
  )
  return ok({ id })
}

/**
 * Records that somebody checked that everyone on this version of the list may see what is sent there.
 *
 * @returns `changed-meanwhile` when the list has changed since it was shown
 * @source clause D20, reading C14
 */
export async function checkMailbox(
  tx: Tx,
  id: string,
  check: { listVersion: number; note: string },
  by: By,
): Promise<Outcome<{ id: string }>> {
  const mailbox = await lockMailbox(tx, id)
  if (!mailbox) return fail('not-found')
  if (mailbox.listVersion !== check.listVersion)
    return fail('changed-meanwhile', { detail: 'The list of members has changed. Look at it again, then check it.' })
  const row = await insertCheck(tx, { mailboxId: id, ...check, checkedBy: by.byId, checkedAt: by.now })
  await recordEvent(
    tx,
    'mailbox-checked',
    { by: by.byId, mailbox: id, ...check, check: row.id, days: limits.mailboxCheckDays },
    { at: by.now },
  )
  return ok(row)
}

import type { Facts, FactValue } from '#core/policy/terms'
import type { House } from '#edge/house'
import type { Db, Tx } from '#edge/store/database'
import { agreementInForce } from '#features/agreements/agreements'
import { adviceFacts, certificationOf, exceptionsOf, grantInForce } from '#features/approvals/approvals'
import { dayOf } from '#features/organisations/calendar'
import {
  isCjsmAddress,
  isEndedAddress,
  isInternalAddress,
  liveMailboxCheck,
  ownOrganisation,
} from '#features/organisations/directory'
import {
  confirmationsOf,
  organisationFacts,
  personDetails,
  recipientsOf,
  type RecipientRow,
  type TransferRow,
} from '#features/transfers/queries'

/** Whom a transfer is for before anyone is named. */
const kinds: Record<string, Facts> = {
  colleague: { audience: 'inside', address: 'internal', mailbox: 'person' },
  organisation: { audience: 'organisation' },
  individual: { audience: 'individual', address: 'ordinary', mailbox: 'person' },
}

const known = (facts: Record<string, FactValue | undefined | null>): Facts =>
  Object.fromEntries(
    Object.entries(facts).filter((entry): entry is [string, FactValue] => entry[1] !== undefined && entry[1] !== null),
  )

/** What records say of another organisation: what it asks for, and what was agreed with it for what she has told. */
export async function partnerFacts(db: Db | Tx, house: House, organisationId: string, told: Facts): Promise<Facts> {
  const organisation = await organisationFacts(db, organisationId)
  if (!organisation || organisation.isOwn) return {}
  const own = await ownOrganisation(db)
  const { purpose, 'council-class': councilClass } = told
  const asked = { organisationIds: [organisation.id], day: dayOf(house.now()) }
  const agreement =
    typeof purpose !== 'string' ? undefined : (await agreementInForce(db, { ...asked, purpose })) ? 'in-force' : 'none'
  return known({
    audience: 'organisation',
    sector: organisation.sector,
    'council-school': own && [own.sector, organisation.sector].toSorted().join() === 'council,school',
    'required-method':
      typeof councilClass === 'string' ? (organisation.requiredMethods[councilClass] ?? 'none-on-file') : undefined,
    agreement,
    tls: organisation.tls,
  })
}

/** What records say about one recipient: where they are, what their organisation asks for, what has been confirmed. */
async function recipientFacts(
  db: Db | Tx,
  house: House,
  transfer: TransferRow,
  recipient: RecipientRow,
  authorised: boolean | undefined,
): Promise<Facts> {
  const own = await ownOrganisation(db)
  const organisation = recipient.organisationId ? await organisationFacts(db, recipient.organisationId) : undefined
  const person = recipient.personId ? await personDetails(db, recipient.personId) : undefined
  const isInside = organisation?.isOwn ?? false
  const isPartner = organisation && !isInside
  const checked = recipient.mailboxId
    ? (await liveMailboxCheck(db, recipient.mailboxId, house.now()))
      ? true
      : undefined
    : undefined
  return known({
    audience: isInside ? 'inside' : 'individual',
    mailbox: recipient.kind === 'team' ? 'team' : 'person',
    address:
      own && isInternalAddress(own, recipient.email)
        ? 'internal'
        : isCjsmAddress(recipient.email)
          ? 'cjsm'
          : organisation && isEndedAddress(recipient.email)
            ? 'ended'
            : 'ordinary',
    tls: organisation?.tls,
    ...(isPartner ? await partnerFacts(db, house, organisation.id, transfer.facts as Facts) : {}),
    'partner-login': isPartner ? (person?.partnerLogin ?? false) : undefined,
    'recipient-authorised': authorised,
    'members-checked': checked,
  })
}

/** What records say of a sender. */
export async function senderFacts(db: Db | Tx, house: House, senderId: string): Promise<Facts> {
  const sender = await personDetails(db, senderId)
  const day = dayOf(house.now())
  const asked = { method: 'managed_transfer', personId: senderId, roles: sender?.roles ?? [], day }
  const grant = await grantInForce(db, asked)
  const own = await ownOrganisation(db)
  return known({
    'parcel-grant': grant !== undefined,
    'cjsm-account': sender?.cjsmAccount ?? false,
    'sender-address': sender && (isInternalAddress(own, sender.email) ? 'work' : 'personal'),
  })
}

/**
 * The facts of a transfer, once for each recipient: what the sender answered, what records say, what advice settled.
 * A fact she was not sure about is left out, and so unknown.
 *
 * @param recipientId - for this recipient alone
 * @param sizeBytes - as measured, once files have been chosen; it replaces the band she gave
 */
export async function factsOf(
  db: Db | Tx,
  house: House,
  asked: TransferRow,
  sizeBytes?: number,
  recipientId?: string,
): Promise<Facts[]> {
  const transfer = await withAdvice(db, asked)
  const certified = await certificationOf(db, transfer.id)
  const exceptions = Object.fromEntries((await exceptionsOf(db, transfer.id)).map(({ fact }) => [fact, true]))
  const shared = known({
    ...(transfer.facts as Facts),
    ...(await senderFacts(db, house, transfer.senderId)),
    'emergency-certified': certified ? true : undefined,
    ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
  })
  const settled = { ...exceptions, ...((await adviceFacts(db, transfer.id)) as Facts) }
  const all = await recipientsOf(db, transfer.id)
  const recipients = recipientId ? all.filter(({ id }) => id === recipientId) : all
  if (recipients.length === 0) return [{ ...kinds[transfer.recipientKind ?? ''], ...shared, ...settled }]
  const confirmed = new Map((await confirmationsOf(db, transfer.id)).map((row) => [row.recipientId, row.authorised]))
  return Promise.all(
    recipients.map(async (recipient) => ({
      ...shared,
      ...(await recipientFacts(db, house, transfer, recipient, confirmed.get(recipient.id))),
      ...settled,
    })),
  )
}

/** A transfer as its advice leaves it: what was settled is known, and no longer something she was not sure about. */
export async function withAdvice(db: Db | Tx, transfer: TransferRow): Promise<TransferRow> {
  const settled = await adviceFacts(db, transfer.id)
  const notSure = transfer.notSure.filter((fact) => !(fact in settled))
  return { ...transfer, facts: { ...transfer.facts, ...settled }, notSure }
}

import { fail, ok, type Outcome } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import type { Tx } from '#edge/store/database'
import type { Role } from '#edge/web/route'
import { isInternalAddress } from '#features/organisations/addresses'
import { contactRow, takenSentence, type By, type ContactDetails } from '#features/organisations/directory'
import { endAccess } from '#features/people/sessions'
import { insertPerson, ownOrganisation, personByEmail, personById, updatePerson } from '#features/organisations/queries'

export interface StaffDetails extends ContactDetails {
  roles: Role[]
  lineManager?: string
  cjsmAccount: boolean
  active: boolean
}

/**
 * Keeps a member of our own staff, who can sign in from then on until no longer active.
 *
 * @returns `form-incomplete` with a sentence for the field; `not-found` for somebody who is not of our staff
 */
export async function saveStaff(tx: Tx, details: StaffDetails, by: By, id?: string): Promise<Outcome<{ id: string }>> {
  const own = await ownOrganisation(tx)
  const before = await personById(tx, id)
  if (id && (before?.kind !== 'staff' || before.organisationId !== own.id)) return fail('not-found')
  const wrong = await staffProblem(tx, own, details, by, id)
  if (wrong) return fail('form-incomplete', { fields: wrong })
  const lineManager = details.lineManager ? await personByEmail(tx, details.lineManager) : undefined
  const { roles, cjsmAccount, active } = details
  const row = { ...contactRow(details), roles, cjsmAccount, active, lineManagerId: lineManager?.id ?? null }
  const person = id
    ? { id }
    : await insertPerson(tx, { ...row, organisationId: own.id, kind: 'staff', createdAt: by.now })
  if (!person) return fail('form-incomplete', { fields: { email: await takenSentence(tx, details.email) } })
  if (id) await updatePerson(tx, id, row)
  // What they are signed in as would be what they were.
  if (before && hasOtherAccess(before, details)) await endAccess(tx, before.id, by.now)
  const body = { by: by.byId, person: person.id, roles, cjsmAccount, active, lineManager: lineManager?.id ?? null }
  await recordEvent(tx, id ? 'staff-changed' : 'staff-added', body, { at: by.now })
  return ok(person)
}

/** Whether what somebody may do, or where their codes go, is not what it was. */
const hasOtherAccess = (before: { roles: Role[]; email: string; active: boolean }, now: StaffDetails): boolean =>
  before.active !== now.active ||
  before.email.toLowerCase() !== now.email.toLowerCase() ||
  before.roles.toSorted().join() !== now.roles.toSorted().join()

async function staffProblem(
  tx: Tx,
  own: { id: string; domains: string[] },
  details: StaffDetails,
  by: By,
  id?: string,
): Promise<Record<string, string> | undefined> {
  if (!isInternalAddress(own, details.email)) return { email: 'Enter an address in one of our own domains' }
  if (details.telephone && !details.telephoneKind)
    return { telephoneKind: 'Choose what kind of telephone number it is' }
  const taken = await personByEmail(tx, details.email)
  if (taken && taken.id !== id) return { email: await takenSentence(tx, details.email) }
  if (id === by.byId && (!details.active || !details.roles.includes('administrator')))
    return { roles: 'Ask another administrator to end your own access' }
  if (!details.lineManager) return undefined
  const manager = await personByEmail(tx, details.lineManager)
  if (manager?.organisationId !== own.id) return { lineManager: 'Nobody of our staff has this address' }
  return manager.id === id ? { lineManager: 'Nobody is their own line manager' } : undefined
}

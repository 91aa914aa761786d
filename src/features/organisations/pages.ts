import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { Model, Visit } from '#edge/web/route'
import { organisationById, type Organisation } from '#features/organisations/queries'
import { directoryKeepers } from '#features/organisations/words'

/** Who makes the change of this visit, and when. */
export const by = ({ actor, now }: Visit) => ({ byId: actor.id, now })
/** Whether the visitor keeps the directory. */
export const keeps = ({ actor }: Visit) => directoryKeepers.some((role) => actor.roles.includes(role))
export const keepsStaff = ({ actor }: Visit) => actor.roles.includes('administrator')

/** The address of an organisation's page, or of one below it. */
export const at = (organisation: string | undefined, ...more: string[]) =>
  ['/organisations', organisation, ...more].join('/')

/** The model of a page about one organisation, or `not-found`. */
export async function about(
  visit: Visit,
  model: (organisation: Organisation) => Promise<Model> | Model,
): Promise<Outcome<Model>> {
  const organisation = await organisationById(visit.house.db, visit.params.organisation)
  return organisation ? ok({ organisation, ...(await model(organisation)) }) : fail('not-found')
}

import type { Policy } from '#core/policy/stack'
import { fail, ok } from '#core/kit/outcome'
import { judge } from '#edge/watch/health'
import { standingOf } from '#edge/watch/standing'
import { raw, screen, type Panel, type Route, type Visit } from '#edge/web/route'
import { routes as agreements } from '#features/agreements/routes'
import { panel as approvalsPanel, waiting as approvalsWaiting } from '#features/approvals/approvals'
import { routes as approvals } from '#features/approvals/routes'
import { routes as asking } from '#features/asking/routes'
import { panel as incidentsPanel, routes as incidents, waiting as incidentsWaiting } from '#features/incidents/routes'
import { routes as organisations } from '#features/organisations/routes'
import { panel as parcelsPanel, routes as parcels } from '#features/parcels/routes'
import { routes as people } from '#features/people/routes'
import { panel as proceduresPanel, routes as procedures } from '#features/procedures/routes'
import { routes as register } from '#features/register/routes'
import { draftingRoutes } from '#features/rulebooks/drafting-routes'
import { waiting as rulebooksWaiting } from '#features/rulebooks/publishing'
import { routes as rulebooks } from '#features/rulebooks/routes'
import { routes as transfers, transferPage } from '#features/transfers/routes'
import { transfersOf } from '#features/transfers/queries'
import { stateWords } from '#features/transfers/words'

const home = screen({
  path: '/',
  who: 'signed-in',
  summary: 'Home: share information, what waits for you, your transfers',
  view: 'home',
  load: async (visit) => {
    const { house, actor } = visit
    const [transfers, ...waiting] = await Promise.all([
      transfersOf(house.db, actor.id),
      approvalsWaiting(house.db, actor, visit.now),
      incidentsWaiting(house.db, actor),
      rulebooksWaiting(house.db, actor),
    ])
    const { methods } = house.policy.vocabulary
    return ok({
      title: 'Home',
      waiting: waiting.flat(),
      transfers: transfers.map((transfer) => ({
        ...transfer,
        stateWords: stateWords[transfer.state] ?? transfer.state,
        methodName: transfer.method ? methods.get(transfer.method)?.name : undefined,
      })),
      columns: 'govuk-grid-column-full',
    })
  },
})

/** A transfer's page with what each feature shows on it, in the order of the features. */
const transferWithPanels = screen({
  ...transferPage,
  load: async (visit: Visit) => {
    const model = await transferPage.load(visit)
    if (!model.ok) return model
    const id = visit.params.transfer!
    const { isOwn } = model.value
    const shown = await Promise.all([
      approvalsPanel(visit.house.db, id, visit.house.policy.vocabulary),
      isOwn ? parcelsPanel(visit, id) : null,
      proceduresPanel(visit, id),
      incidentsPanel(visit, id),
    ])
    const panels: Panel[] = shown.filter((panel): panel is Panel => panel !== null && panel !== undefined)
    return ok({ ...model.value, panels, islands: panels.flatMap((panel) => panel.islands ?? []) })
  },
})

const genuine = screen({
  path: '/genuine',
  who: 'anyone',
  summary: 'How to tell that a message is genuine',
  view: 'genuine',
  pageOnly: true,
  load: async () => ok({ title: 'Is this message genuine?' }),
})

const health = raw({
  method: 'GET',
  path: '/health',
  who: 'anyone',
  summary: 'Whether database, register, mail and disk are well, and which is not',
  handle: async ({ house }) => {
    const fields = judge(await standingOf(house))
    return Object.keys(fields).length === 0 ? ok({ status: 'well' }) : fail('unhealthy', { fields })
  },
})

/** Every route of the organisation's work. */
export const allRoutes = (policy: Policy): Route[] => [
  home,
  genuine,
  health,
  transferWithPanels,
  ...people,
  ...organisations,
  ...agreements,
  ...approvals,
  ...transfers(policy),
  ...asking(policy),
  ...rulebooks,
  ...draftingRoutes,
  ...parcels,
  ...procedures,
  ...incidents,
  ...register,
]

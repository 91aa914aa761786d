import { fail, ok } from '#core/kit/outcome'
import { screen, type Role, type Route, type Visit } from '#edge/web/route'
import { casesOf, usualFacts } from '#features/rulebooks/cases'
import { documentOf, headOf } from '#features/rulebooks/document'
import { draftReaders } from '#features/rulebooks/drafts'
import { findingsOf } from '#features/rulebooks/findings'
import { matrixOf } from '#features/rulebooks/matrix'
import { tryOut } from '#features/rulebooks/trying'

/** Who may try out and examine the rulebooks; any member of staff may read them. */
export const examiners = [
  'information-governance',
  'auditor',
  'data-protection-officer',
  'administrator',
] as const satisfies Role[]

const mayExamine = ({ actor }: Visit) => examiners.some((role) => actor.roles.includes(role))

const list = screen({
  path: '/rulebooks',
  who: 'signed-in',
  summary: 'The rulebooks in force: version, dates, review',
  view: 'rulebooks/views/list',
  load: async (visit) =>
    ok({
      title: 'Rulebooks',
      rulebooks: visit.house.policy.rulebooks.map((rulebook) => headOf(visit.house, rulebook, visit.now)),
      mayExamine: mayExamine(visit),
      backUrl: '/',
      columns: 'govuk-grid-column-full',
    }),
})

const show = screen({
  path: '/rulebooks/:rulebook',
  who: 'signed-in',
  summary: 'One rulebook in words: its rules, parameters and clauses',
  view: 'rulebooks/views/document',
  load: async (visit) => {
    const { house } = visit
    const rulebook = house.policy.rulebooks.find(({ id }) => id === visit.params.rulebook)
    if (!rulebook) return fail('not-found')
    return ok({
      ...headOf(house, rulebook, visit.now),
      ...documentOf(house, rulebook, mayExamine(visit)),
      readsDrafts: draftReaders.some((role) => visit.actor.roles.includes(role)),
      backUrl: '/rulebooks',
    })
  },
})

const matrix = screen({
  path: '/rulebooks/matrix',
  who: examiners,
  summary: 'The outcome for every pair of answers to two questions',
  view: 'rulebooks/views/matrix',
  load: async ({ house, query }) => {
    const model = await matrixOf(house.policy, query, await usualFacts(house))
    if (!model.ok) return model
    return ok({ title: 'Matrix', ...model.value, backUrl: '/rulebooks', columns: 'govuk-grid-column-full' })
  },
})

const whatIf = screen({
  path: '/rulebooks/what-if',
  who: examiners,
  summary: 'What the rulebooks say of a case made up of facts, for every method, and what is asked next',
  view: 'rulebooks/views/what-if',
  load: async ({ house, query }) => {
    const model = tryOut(house.policy, query)
    return model.ok ? ok({ title: 'What if', ...model.value, backUrl: '/rulebooks' }) : model
  },
})

const cases = screen({
  path: '/rulebooks/cases',
  who: examiners,
  summary: 'The cases of the rulebooks in force: what should come out, what did, passed or failed',
  view: 'rulebooks/views/cases',
  load: async ({ house }) => ok({ title: 'Cases', ...(await casesOf(house)), backUrl: '/rulebooks' }),
})

const analysis = screen({
  path: '/rulebooks/analysis',
  who: examiners,
  summary: 'Gaps, contradictions and what has no effect: what looking at every case came to',
  view: 'rulebooks/views/analysis',
  load: async ({ house }) => {
    const found = await findingsOf(house)
    return found.ok ? ok({ title: 'Analysis', ...found.value, backUrl: '/rulebooks' }) : found
  },
})

export const routes: Route[] = [list, matrix, whatIf, cases, analysis, show]

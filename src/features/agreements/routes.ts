import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction } from '#edge/store/database'
import { choice, choices, day, fields, id, line, list as listOf, optional, text } from '#edge/web/fields'
import { action, screen, type Route, type Visit } from '#edge/web/route'
import { agreementById, agreements, endAgreement, insertAgreement, type Agreement } from '#features/agreements/queries'
import {
  agreementKeepers,
  agreementKinds,
  purposes,
  stateOf,
  wrongDates,
  type AgreementKind,
  type AgreementState,
  type Purpose,
} from '#features/agreements/agreements'
import { dayOf } from '#features/organisations/calendar'
import { organisationsById, otherOrganisations } from '#features/organisations/queries'
import { items } from '#features/organisations/words'

const keeps = ({ actor }: Visit) => agreementKeepers.some((role) => actor.roles.includes(role))

const stateWords: Record<AgreementState, { text: string; colour: string }> = {
  'review-due': { text: 'Review due', colour: 'yellow' },
  'in-force': { text: 'In force', colour: 'green' },
  'not-started': { text: 'Not started', colour: 'blue' },
  ended: { text: 'Ended', colour: 'grey' },
  withdrawn: { text: 'Withdrawn', colour: 'grey' },
}

/** An agreement as pages show it: its state and its words instead of ids. */
const shown = (agreement: Agreement, names: ReadonlyMap<string, string>, now: Date) => ({
  ...agreement,
  state: stateWords[stateOf(agreement, dayOf(now))],
  kindWords: agreementKinds[agreement.kind as AgreementKind] ?? agreement.kind,
  parties: agreement.organisationIds.map((party) => names.get(party) ?? 'An organisation no longer listed'),
  purposeWords: agreement.purposes.map((purpose) => purposes[purpose as Purpose] ?? purpose),
})

async function namesOf({ house }: Visit, rows: readonly Agreement[]): Promise<Map<string, string>> {
  const organisations = await organisationsById(house.db, [
    ...new Set(rows.flatMap(({ organisationIds }) => organisationIds)),
  ])
  return new Map(organisations.map(({ id: party, name }) => [party, name]))
}

const list = screen({
  path: '/agreements',
  who: 'signed-in',
  summary: 'Agreements: in force, review due, ended',
  view: 'agreements/views/list',
  load: async (visit) => {
    const rows = await agreements(visit.house.db)
    const names = await namesOf(visit, rows)
    return ok({
      title: 'Agreements',
      agreements: rows.map((row) => shown(row, names, visit.now)),
      most: limits.listRows,
      canKeep: keeps(visit),
      columns: 'govuk-grid-column-full',
      backUrl: '/',
    })
  },
})

const show = screen({
  path: '/agreements/:agreement',
  who: 'signed-in',
  summary: 'One agreement',
  view: 'agreements/views/show',
  load: async (visit) => {
    const found = await agreementById(visit.house.db, visit.params.agreement)
    if (!found) return fail('not-found')
    return ok({
      title: found.title,
      agreement: shown(found, await namesOf(visit, [found]), visit.now),
      enteredByName: found.enteredByName,
      canKeep: keeps(visit),
      backUrl: '/agreements',
    })
  },
})

const newPage = screen({
  path: '/agreements/new',
  who: agreementKeepers,
  summary: 'Enter an agreement',
  view: 'agreements/views/new',
  pageOnly: true,
  load: async ({ house, query }) => {
    const organisations = (await otherOrganisations(house.db)).map(({ id: value, name }) => ({ value, text: name }))
    return ok({
      title: 'Enter an agreement',
      organisations,
      chosen: [String(query.organisation ?? '')],
      kinds: items(agreementKinds),
      purposeItems: items(purposes),
      backUrl: '/agreements',
    })
  },
})

const enter = action({
  path: '/agreements',
  who: agreementKeepers,
  summary: 'Enter an agreement that has been signed',
  fields: fields({
    kind: choice('what kind of agreement it is', Object.keys(agreementKinds) as AgreementKind[]),
    title: line('its title', limits.nameCharacters),
    organisations: listOf('the organisations it is with', id('the organisations it is with'), limits.agreementParties),
    purposes: choices('the purposes it covers', Object.keys(purposes) as Purpose[]),
    information: text('the information it covers'),
    startsOn: day('the day it starts'),
    endsOn: day('the day it ends'),
    reviewOn: optional(day('the day of its review')),
  }),
  again: newPage,
  stepUp: true,
  run: async ({ house, actor, now }, { organisations, ...given }) => {
    const parties = [...new Set(organisations)]
    const known = await organisationsById(house.db, parties)
    const wrong = {
      ...wrongDates(given),
      ...(known.length < parties.length || known.length === 0 || known.some(({ isOwn }) => isOwn)
        ? { organisations: 'Choose the organisations it is with from the list' }
        : {}),
      ...(given.purposes.length === 0 ? { purposes: 'Choose the purposes it covers' } : {}),
    }
    if (Object.keys(wrong).length > 0) return fail('form-incomplete', { fields: wrong })
    return inTransaction(house.db, async (tx) => {
      const row = {
        ...given,
        purposes: [...new Set(given.purposes)],
        reviewOn: given.reviewOn ?? null,
        organisationIds: parties,
      }
      const agreement = await insertAgreement(tx, { ...row, enteredBy: actor.id, enteredAt: now })
      await recordEvent(tx, 'agreement-entered', { by: actor.id, agreement: agreement.id, ...row }, { at: now })
      return ok(agreement)
    })
  },
  then: ({ id: agreement }) => `/agreements/${agreement}`,
})

const withdraw = action({
  path: '/agreements/:agreement/withdraw',
  who: agreementKeepers,
  summary: 'Withdraw an agreement: nothing more is shared under it',
  fields: fields({ reason: text('why it is withdrawn', limits.lineCharacters) }),
  again: show,
  stepUp: true,
  run: async ({ house, actor, params, now }, { reason }) =>
    inTransaction(house.db, async (tx) => {
      const done = await endAgreement(tx, params.agreement, reason, now)
      if (!done) return fail((await agreementById(tx, params.agreement)) ? 'changed-meanwhile' : 'not-found')
      await recordEvent(tx, 'agreement-withdrawn', { by: actor.id, agreement: done.id, reason }, { at: now })
      return ok(done)
    }),
  then: ({ id: agreement }) => `/agreements/${agreement}`,
})

export const routes: Route[] = [list, newPage, enter, show, withdraw]

import { fail, ok } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import type { Letter } from '#edge/mail/compose'
import { holdMail } from '#edge/mail/outbox'
import { inTransaction, type Db } from '#edge/store/database'
import { choice, fields, isId, text } from '#edge/web/fields'
import { action, screen, type Actor, type Route, type Visit, type Waiting } from '#edge/web/route'
import { peopleWithRole } from '#features/people/queries'
import { transferById } from '#features/transfers/queries'
import { transferOf } from '#features/transfers/transfer'
import {
  incidentById,
  incidentsOf,
  insertIncident,
  managersOf,
  recordIncident,
  unrecordedFor,
} from '#features/incidents/queries'

/** What may have gone wrong. @source DOMAIN 4.8 */
export const kinds = {
  'wrong-recipient': 'It went, or may have gone, to the wrong person',
  'wrong-content': 'The wrong thing was in it, or too much',
  lost: 'Something was lost, or left unattended',
  overheard: 'Somebody may have overheard or read it',
  other: 'Something else',
} as const

const letter = (reference: string, url: string): Letter => ({
  subject: { en: `A problem was reported${reference ? ` (${reference})` : ''}` },
  body: {
    en: [
      'A member of staff has reported that something may have gone wrong. A suspicion is enough, and reporting it was the right thing to do.',
      'The line manager records it. The data protection officer is told at the same time; if personal information is concerned, the 72 hours run from the report.',
      { link: { text: 'See the report', url } },
    ],
  },
})

const reportPage = screen({
  path: '/transfers/:transfer/problem',
  who: 'signed-in',
  summary: 'Report that something may have gone wrong',
  view: 'incidents/views/report',
  load: async (visit) => {
    const transfer = await transferOf(visit)
    return transfer.ok
      ? ok({
          title: 'Something may have gone wrong',
          transfer: transfer.value,
          kinds,
          backUrl: `/transfers/${transfer.value.id}`,
        })
      : transfer
  },
})

const report = action({
  path: '/transfers/:transfer/problem',
  who: 'signed-in',
  summary: 'Report a problem: the line manager and the data protection officer are told (D49)',
  fields: fields({ kind: choice('what may have happened', Object.keys(kinds)), whatHappened: text('what happened') }),
  again: reportPage,
  rates: ['problems-reported'],
  run: (visit, body) =>
    inTransaction(visit.house.db, async (tx) => {
      const { house, actor, now } = visit
      const transfer = await transferOf(visit)
      if (!transfer.ok) return transfer
      const { id } = await insertIncident(tx, {
        transferId: transfer.value.id,
        kind: body.kind,
        whatHappened: body.whatHappened,
        whenNoticed: now,
        reportedBy: actor.id,
        reportedAt: now,
      })
      await recordEvent(
        tx,
        'problem-reported',
        { transfer: transfer.value.id, problem: id, kind: body.kind, by: actor.id },
        { transferId: transfer.value.id },
      )
      const managers = await managersOf(tx, actor.id)
      const officers = (await peopleWithRole(tx, 'data-protection-officer')).map((person) => person.email)
      const told = new Set([
        ...officers,
        ...(managers
          ? [managers.email]
          : (await peopleWithRole(tx, 'information-governance')).map((person) => person.email)),
      ])
      for (const to of told) {
        await holdMail(tx, {
          to,
          letter: letter(transfer.value.reference, `${house.config.publicUrl}/problems-reported/${id}`),
          language: 'en',
          transferId: transfer.value.id,
        })
      }
      return ok({ id })
    }),
  then: ({ id }) => `/problems-reported/${id}`,
})

/** A report, for its reporter, their managers, and those whose role it is. */
async function readable(visit: Visit) {
  const incident = isId(visit.params.problem) ? await incidentById(visit.house.db, visit.params.problem) : undefined
  if (!incident) return fail('not-found')
  const managers = incident.reportedBy ? await managersOf(visit.house.db, incident.reportedBy) : undefined
  const { actor } = visit
  const isManager =
    managers?.id === actor.id ||
    managers?.seniorId === actor.id ||
    (!managers && actor.roles.includes('information-governance'))
  const mayRead =
    isManager ||
    incident.reportedBy === actor.id ||
    actor.roles.some((role) => role === 'data-protection-officer' || role === 'information-governance')
  return mayRead ? ok({ incident, isManager }) : fail('not-found')
}

const problemPage = screen({
  path: '/problems-reported/:problem',
  who: 'signed-in',
  summary: 'A reported problem',
  view: 'incidents/views/problem',
  load: async (visit) => {
    const found = await readable(visit)
    if (!found.ok) return found
    const { incident, isManager } = found.value
    const transfer = incident.transferId ? await transferById(visit.house.db, incident.transferId) : undefined
    return ok({
      title: 'Reported problem',
      incident,
      kindWords: kinds[incident.kind as keyof typeof kinds] ?? incident.kind,
      reference: transfer?.reference,
      mayRecord: isManager && !incident.recordedAt,
      clockEnds: new Date(incident.reportedAt.valueOf() + 72 * 3_600_000),
      backUrl: '/',
    })
  },
})

const recordProblem = action({
  path: '/problems-reported/:problem/record',
  who: 'signed-in',
  summary: 'The manager records the problem (D49)',
  fields: fields({ words: text('what you found and did') }),
  again: problemPage,
  run: async (visit, body) => {
    const found = await readable(visit)
    if (!found.ok) return found
    if (!found.value.isManager || found.value.incident.reportedBy === visit.actor.id) return fail('not-allowed')
    return inTransaction(visit.house.db, async (tx) => {
      const { incident } = found.value
      if (
        !(await recordIncident(tx, incident.id, {
          recordedBy: visit.actor.id,
          recordedWords: body.words,
          recordedAt: visit.now,
        }))
      )
        return fail('changed-meanwhile')
      await recordEvent(
        tx,
        'problem-recorded',
        { problem: incident.id, by: visit.actor.id, transfer: incident.transferId },
        incident.transferId ? { transferId: incident.transferId } : {},
      )
      return ok({})
    })
  },
  then: (_result, visit) => `/problems-reported/${visit.params.problem}`,
})

/** Reported problems that wait for this person to record them. */
export async function waiting(db: Db, actor: Actor): Promise<Waiting[]> {
  return (await unrecordedFor(db, actor.id)).map(({ id, reportedAt }) => ({
    what: 'Record a problem that one of your team reported',
    url: `/problems-reported/${id}`,
    since: reportedAt,
  }))
}

/** What was reported about a transfer, on its page. */
export async function panel(visit: Visit, transferId: string) {
  const incidents = await incidentsOf(visit.house.db, transferId)
  return incidents.length === 0
    ? undefined
    : {
        view: 'incidents/views/panel',
        model: {
          incidents: incidents.map((incident) => ({
            ...incident,
            kindWords: kinds[incident.kind as keyof typeof kinds] ?? incident.kind,
          })),
        },
      }
}

export const routes: Route[] = [reportPage, report, problemPage, recordProblem]

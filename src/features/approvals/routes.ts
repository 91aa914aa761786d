import Type from 'typebox'
import { valuesOf } from '#core/policy/condition'
import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction } from '#edge/store/database'
import { choice, day, email, fields, line, list, optional, text } from '#edge/web/fields'
import { action, roles, screen, type Role, type Route, type Visit } from '#edge/web/route'
import { dayOf } from '#features/organisations/calendar'
import { items, roleItems, roleName } from '#features/organisations/words'
import { staffByEmail } from '#features/people/queries'
import { allowException, answerAdvice, reviewEmergency } from '#features/approvals/approvals'
import {
  adviceAskedBy,
  adviceById,
  certificationById,
  endGrant,
  grants,
  insertGrant,
  lastExceptions,
  lastReviewed,
  openAdvice,
  transferById,
  transferByReference,
  unreviewed,
  type Advice,
} from '#features/approvals/queries'
import {
  adviceRoles,
  exceptionFacts,
  exceptionKinds,
  exceptionRoles,
  factsSettled,
  factWords,
  grounds,
  reviewOutcomes,
  roleFor,
  settledBy,
  type AdviceRole,
  type ExceptionFact,
  type Ground,
  type ReviewOutcome,
} from '#features/approvals/rules'
import { mayAnswer } from '#features/approvals/waiting'

const doing = ({ actor, now, house }: Visit) => ({ byId: actor.id, now, publicUrl: house.config.publicUrl })
const roleWords = (role: string) => adviceRoles[role as AdviceRole] ?? roleName(role)

const adviceList = screen({
  path: '/advice',
  who: 'signed-in',
  summary: 'Questions to your roles, and those you asked',
  view: 'approvals/views/advice-list',
  load: async ({ house, actor }) => {
    const words = (rows: Advice[]) =>
      rows.map((row) => ({
        ...row,
        roleWords: roleWords(row.askedOfRole),
        isYours: row.askedBy === actor.id || row.senderId === actor.id,
      }))
    const mine = actor.roles.some((role) => role in adviceRoles)
    const open = mine ? words(await openAdvice(house.db, actor.roles)) : []
    return ok({ title: 'Questions', mine, open, asked: words(await adviceAskedBy(house.db, actor.id)), backUrl: '/' })
  },
})

const adviceShow = screen({
  path: '/advice/:advice',
  who: 'signed-in',
  summary: 'A question, what has been said of the transfer it is about, and its answer',
  view: 'approvals/views/advice',
  load: async ({ house, actor, params }) => {
    const request = await adviceById(house.db, params.advice)
    if (!request) return fail('not-found')
    const holds = actor.roles.some((role) => role === request.askedOfRole)
    if (!holds && request.askedBy !== actor.id) return fail('not-allowed')
    const { vocabulary } = house.policy
    const transfer = await transferById(house.db, request.transferId ?? undefined)
    return ok({
      title: 'Question',
      request: { ...request, roleWords: roleWords(request.askedOfRole) },
      said: factWords(transfer?.facts ?? {}, vocabulary),
      unsure: request.aboutFacts.map((id) => vocabulary.facts.get(id)?.question ?? id),
      settled: factWords(request.answerFacts ?? {}, vocabulary),
      canAnswer: mayAnswer(request, actor),
      isYours: request.askedBy === actor.id || request.senderId === actor.id,
      settles: settledBy(request, house.policy).map(([id, fact]) => ({
        id,
        question: fact.question,
        values: valuesOf(fact, vocabulary).map((value) => ({
          value: `${id}=${value}`,
          text:
            fact.type === 'yes-no'
              ? value === 'yes'
                ? 'Yes'
                : 'No'
              : (fact.options?.get(value)?.label ?? vocabulary.methods.get(value)?.name ?? value),
        })),
      })),
      exceptions: exceptionFacts.filter((fact) => roleFor(fact, actor.roles) !== undefined).length > 0,
      backUrl: '/advice',
    })
  },
})

const adviceAnswer = action({
  path: '/advice/:advice/answer',
  who: 'signed-in',
  summary: 'Answer a question; `settles` names facts with values, as in council-class=controlled',
  fields: fields({
    answer: text('your answer'),
    settles: optional(
      list('what your answer settles', Type.String({ maxLength: limits.lineCharacters }), limits.adviceFacts),
    ),
  }),
  again: adviceShow,
  run: async (visit, { answer, settles }) => {
    const { house, actor, params } = visit
    const request = await adviceById(house.db, params.advice)
    if (!request) return fail('not-found')
    const facts = factsSettled(settles ?? [], request, house.policy)
    if (!facts) return fail('form-incomplete', { fields: { settles: 'Choose what your answer settles from the list' } })
    return inTransaction(house.db, (tx) =>
      answerAdvice(tx, request.id, { answer, facts, roles: actor.roles }, doing(visit)),
    )
  },
  then: ({ id }) => `/advice/${id}`,
})

const certificationList = screen({
  path: '/certifications',
  who: ['information-governance', 'auditor'],
  summary: 'Emergencies that were certified: to review, and reviewed',
  view: 'approvals/views/certification-list',
  load: async ({ house, actor, now }) => {
    const open = (await unreviewed(house.db)).map((row) => ({
      ...row,
      isOverdue: row.reviewDueAt < now,
      isYours: row.byId === actor.id || row.senderId === actor.id,
    }))
    return ok({
      title: 'Emergencies',
      open,
      reviewed: await lastReviewed(house.db),
      reviewDays: limits.reviewWorkingDays,
      backUrl: '/',
    })
  },
})

const certificationShow = screen({
  path: '/certifications/:certification',
  who: ['information-governance', 'auditor'],
  summary: 'An emergency that was certified, and its review',
  view: 'approvals/views/certification',
  load: async ({ house, actor, params, now }) => {
    const certification = await certificationById(house.db, params.certification)
    if (!certification) return fail('not-found')
    const transfer = await transferById(house.db, certification.transferId)
    const isYours = certification.byId === actor.id || certification.senderId === actor.id
    return ok({
      title: 'Emergency',
      certification,
      outcomeWords: reviewOutcomes[certification.reviewOutcome as ReviewOutcome],
      said: factWords(transfer?.facts ?? {}, house.policy.vocabulary),
      isYours,
      isOverdue: !certification.reviewedAt && certification.reviewDueAt < now,
      canReview: !certification.reviewedAt && !isYours && actor.roles.includes('information-governance'),
      outcomes: items(reviewOutcomes),
      backUrl: '/certifications',
    })
  },
})

const certificationReview = action({
  path: '/certifications/:certification/review',
  who: ['information-governance'],
  summary: 'Review an emergency',
  fields: fields({
    outcome: choice('whether it was an emergency', Object.keys(reviewOutcomes) as ReviewOutcome[]),
    words: text('why you think so, and what should follow'),
  }),
  again: certificationShow,
  stepUp: true,
  run: async (visit, body) => {
    const certification = await certificationById(visit.house.db, visit.params.certification)
    if (!certification) return fail('not-found')
    return inTransaction(visit.house.db, (tx) => reviewEmergency(tx, certification.id, body, doing(visit)))
  },
  then: ({ id }) => `/certifications/${id}`,
})

const exceptionList = screen({
  path: '/exceptions',
  who: [...exceptionRoles, 'auditor'],
  summary: 'Exceptions that were allowed, newest first',
  view: 'approvals/views/exception-list',
  load: async ({ house, actor }) => {
    const rows = await lastExceptions(house.db)
    const exceptions = rows.map((row) => ({
      ...row,
      words: exceptionKinds[row.fact as ExceptionFact].words,
      groundWords: grounds[row.ground as Ground],
      roleWords: roleWords(row.role),
    }))
    return ok({
      title: 'Exceptions',
      exceptions,
      canAllow: exceptionRoles.some((role) => actor.roles.includes(role)),
      backUrl: '/',
    })
  },
})

const exceptionNew = screen({
  path: '/exceptions/new',
  who: exceptionRoles,
  summary: 'Allow an exception for one transfer',
  view: 'approvals/views/exception-new',
  pageOnly: true,
  load: async ({ actor, query }) => {
    const kinds = exceptionFacts
      .filter((fact) => roleFor(fact, actor.roles))
      .map((value) => ({ value, text: exceptionKinds[value].words }))
    return ok({
      title: 'Allow an exception',
      kinds,
      groundItems: items(grounds),
      reference: String(query.transfer ?? ''),
      backUrl: '/exceptions',
    })
  },
})

const exceptionAllow = action({
  path: '/exceptions',
  who: exceptionRoles,
  summary: 'Allow an exception for one transfer, with its ground and reason',
  fields: fields({
    reference: line('the reference of the transfer', limits.referenceCharacters),
    fact: choice('what to allow', exceptionFacts),
    ground: choice('the ground', Object.keys(grounds) as Ground[]),
    reason: text('the reason'),
  }),
  again: exceptionNew,
  stepUp: true,
  run: async (visit, { reference, ...body }) => {
    const transfer = await transferByReference(visit.house.db, reference)
    if (!transfer)
      return fail('form-incomplete', {
        fields: { reference: 'There is no transfer with this reference. It looks like SH-2026-000123' },
      })
    return inTransaction(visit.house.db, (tx) =>
      allowException(tx, { ...body, transferId: transfer.id, roles: visit.actor.roles, ...doing(visit) }),
    )
  },
  then: () => '/exceptions',
})

const methodWords = ({ house }: Visit, method: string) => house.policy.vocabulary.methods.get(method)?.name ?? method

const grantList = screen({
  path: '/grants',
  who: 'signed-in',
  summary: 'Who may use which method on request',
  view: 'approvals/views/grant-list',
  load: async (visit) => {
    const today = dayOf(visit.now)
    const shown = (await grants(visit.house.db)).map((row) => ({
      ...row,
      methodWords: methodWords(visit, row.method),
      to: row.personName ?? `Everyone with the role ${roleName(row.role!)}`,
      isInForce: !row.endedAt && row.startsOn <= today && today <= row.endsOn,
      isLive: !row.endedAt && today <= row.endsOn,
    }))
    return ok({
      title: 'Methods granted on request',
      live: shown.filter(({ isLive }) => isLive),
      past: shown.filter(({ isLive }) => !isLive),
      canGrant: visit.actor.roles.includes('service-desk'),
      backUrl: '/',
    })
  },
})

const grantNew = screen({
  path: '/grants/new',
  who: ['service-desk'],
  summary: 'Grant the use of a method',
  view: 'approvals/views/grant-new',
  pageOnly: true,
  load: async ({ house, now }) =>
    ok({
      title: 'Grant the use of a method',
      methods: [...house.policy.vocabulary.methods].map(([value, { name }]) => ({ value, text: name })),
      roleItems,
      today: dayOf(now),
      backUrl: '/grants',
    }),
})

const grantFields = fields({
  method: line('a method', limits.nameCharacters),
  to: choice('whom it is for', ['person', 'role'] as const),
  email: optional(email('the email address of the person')),
  role: optional(choice('a role', roles)),
  startsOn: day('the day it starts'),
  endsOn: day('the day it ends'),
  reason: text('the reason', limits.lineCharacters),
})

/** Whom a grant is for, or the sentences for the fields. Nobody grants something to themselves. */
async function grantee(
  visit: Visit,
  given: { to: 'person' | 'role'; email?: string; role?: Role },
): Promise<{ personId: string | null; role: Role | null } | { wrong: Record<string, string> }> {
  if (given.to === 'role')
    return given.role ? { personId: null, role: given.role } : { wrong: { role: 'Choose a role' } }
  if (!given.email) return { wrong: { email: 'Enter the email address of the person' } }
  const person = await staffByEmail(visit.house.db, given.email)
  if (!person) return { wrong: { email: 'Nobody of our staff has this address' } }
  return person.id === visit.actor.id
    ? { wrong: { email: 'Ask a colleague at the service desk to grant this to you' } }
    : { personId: person.id, role: null }
}

const grantAdd = action({
  path: '/grants',
  who: ['service-desk'],
  summary: 'Grant the use of a method to a person or to everyone with a role, for a time',
  fields: grantFields,
  again: grantNew,
  stepUp: true,
  run: async (visit, body) => {
    const { house, actor, now } = visit
    const { method, startsOn, endsOn, reason } = body
    const to = await grantee(visit, body)
    const latest = dayOf(new Date(Date.parse(startsOn) + limits.grantDays * 86_400_000))
    const wrong = {
      ...(house.policy.vocabulary.methods.has(method) ? {} : { method: 'Choose a method from the list' }),
      ...('wrong' in to ? to.wrong : {}),
      ...(endsOn > latest ? { endsOn: `A grant lasts ${limits.grantDays} days at most` } : {}),
      ...(endsOn < dayOf(now) ? { endsOn: 'The day it ends must be today or later' } : {}),
      ...(endsOn < startsOn ? { endsOn: 'The day it ends must not be before the day it starts' } : {}),
    }
    if ('wrong' in to || Object.keys(wrong).length > 0) return fail('form-incomplete', { fields: wrong })
    return inTransaction(house.db, async (tx) => {
      const row = { method, ...to, startsOn, endsOn, reason }
      const grant = await insertGrant(tx, { ...row, grantedBy: actor.id, grantedAt: now })
      await recordEvent(tx, 'facility-granted', { by: actor.id, grant: grant.id, ...row }, { at: now })
      return ok(grant)
    })
  },
  then: () => '/grants',
})

const grantEnd = action({
  path: '/grants/:grant/end',
  who: ['service-desk'],
  summary: 'End a grant now',
  fields: fields({}),
  run: async ({ house, actor, params, now }) =>
    inTransaction(house.db, async (tx) => {
      const done = await endGrant(tx, params.grant, now)
      if (!done) return fail('not-found')
      await recordEvent(tx, 'facility-grant-ended', { by: actor.id, grant: done.id }, { at: now })
      return ok(done)
    }),
  then: () => '/grants',
})

export const routes: Route[] = [
  adviceList,
  adviceShow,
  adviceAnswer,
  certificationList,
  certificationShow,
  certificationReview,
  exceptionList,
  exceptionNew,
  exceptionAllow,
  grantList,
  grantNew,
  grantAdd,
  grantEnd,
]

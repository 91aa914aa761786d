import type { Db } from '#edge/store/database'
import type { Actor, Panel, Waiting } from '#edge/web/route'
import type { Vocabulary } from '#core/policy/terms'
import { agreementsToReview } from '#features/agreements/queries'
import { agreementKeepers } from '#features/agreements/agreements'
import { dayOf, instantOf } from '#features/organisations/calendar'
import {
  adviceOf,
  certificationOf,
  exceptionsOf,
  openAdvice,
  unreviewed,
  type Advice,
} from '#features/approvals/queries'
import {
  adviceRoles,
  exceptionKinds,
  factWords,
  grounds,
  reviewOutcomes,
  type AdviceRole,
  type ExceptionFact,
  type Ground,
  type ReviewOutcome,
} from '#features/approvals/rules'

/** What waits for a person in their roles, oldest first: questions, emergencies to review, agreements whose review is due. */
export async function waiting(db: Db, actor: Actor, now: Date): Promise<Waiting[]> {
  const isReviewer = actor.roles.includes('information-governance')
  const keepsAgreements = agreementKeepers.some((role) => actor.roles.includes(role))
  const [advice, certifications, agreements] = await Promise.all([
    actor.roles.length > 0 ? openAdvice(db, actor.roles) : [],
    isReviewer ? unreviewed(db) : [],
    keepsAgreements ? agreementsToReview(db, dayOf(now)) : [],
  ])
  return [
    ...advice
      .filter((row) => mayAnswer(row, actor))
      .map(({ id, reference, askedAt }) => ({
        what: reference ? `Answer a question about ${reference}` : 'Answer a question',
        url: `/advice/${id}`,
        since: askedAt,
      })),
    ...certifications
      .filter(({ byId, senderId }) => byId !== actor.id && senderId !== actor.id)
      .map(({ id, reference, at, reviewDueAt }) => ({
        what: `Review the emergency of ${reference}${reviewDueAt < now ? ' (overdue)' : ''}`,
        url: `/certifications/${id}`,
        since: at,
      })),
    ...agreements.map(({ id, title, reviewOn }) => ({
      what: `Review the agreement ${title}`,
      url: `/agreements/${id}`,
      since: instantOf(reviewOn!),
    })),
  ].sort((one, other) => one.since.valueOf() - other.since.valueOf())
}

/** Whether this person may answer: in the role that was asked, and not about their own transfer. */
export const mayAnswer = (request: Advice, actor: Pick<Actor, 'id' | 'roles'>): boolean =>
  request.answeredAt === null &&
  actor.roles.some((role) => role === request.askedOfRole) &&
  request.askedBy !== actor.id &&
  request.senderId !== actor.id

/** What approvals show on a transfer's page: questions and answers, the certified emergency, exceptions; null when there are none. */
export async function panel(db: Db, transferId: string, vocabulary: Vocabulary): Promise<Panel | null> {
  const [advice, certification, exceptions] = await Promise.all([
    adviceOf(db, transferId),
    certificationOf(db, transferId),
    exceptionsOf(db, transferId),
  ])
  if (advice.length + exceptions.length === 0 && !certification) return null
  return {
    view: 'approvals/views/panel',
    model: {
      advice: advice.map((row) => ({
        ...row,
        roleWords: adviceRoles[row.askedOfRole as AdviceRole],
        settled: factWords(row.answerFacts ?? {}, vocabulary),
      })),
      certification: certification && {
        ...certification,
        outcomeWords: reviewOutcomes[certification.reviewOutcome as ReviewOutcome],
      },
      exceptions: exceptions.map((row) => ({
        ...row,
        words: exceptionKinds[row.fact as ExceptionFact].words,
        groundWords: grounds[row.ground as Ground],
      })),
    },
  }
}

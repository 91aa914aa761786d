import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import type { Letter } from '#edge/mail/compose'
import { holdMail } from '#edge/mail/outbox'
import { asSystem } from '#edge/store/context'
import type { Tx } from '#edge/store/database'
import type { Role } from '#edge/web/route'
import { workingDaysAfter } from '#features/organisations/calendar'
import { peopleWithRole } from '#features/people/queries'
import {
  adviceAnsweredLetter,
  adviceAskedLetter,
  certifiedLetter,
  exceptionLetter,
  reviewedLetter,
} from '#features/approvals/mails'
import {
  adviceById,
  adviceEnded,
  answerAdviceRow,
  certificationById,
  insertAdvice,
  insertCertification,
  insertException,
  reviewRow,
  transferById,
} from '#features/approvals/queries'
export { adviceFacts, adviceOf, certificationOf, exceptionsOf, grantInForce } from '#features/approvals/queries'
export { panel, waiting } from '#features/approvals/waiting'
import {
  adviceRoles,
  exceptionKinds,
  roleFor,
  type AdviceRole,
  type ExceptionFact,
  type Ground,
  type ReviewOutcome,
} from '#features/approvals/rules'

/** Who does it, when, and the address of this site for the links in mails. */
export interface Doing {
  byId: string
  now: Date
  publicUrl: string
}

/** Mails everyone who holds a role, but not the person it is about: they could not act on it. */
async function mailRole(tx: Tx, role: Role, letter: Letter, doing: Doing, transferId?: string): Promise<void> {
  for (const person of await peopleWithRole(tx, role)) {
    if (person.id !== doing.byId) await mail(tx, person.email, letter, transferId)
  }
}

const mail = (tx: Tx, to: string, letter: Letter, transferId?: string) =>
  holdMail(tx, { to, letter, language: 'en', ...(transferId ? { transferId } : {}) })

/**
 * Puts a question to a role: into its queue, and a mail to everyone who holds it.
 *
 * @param asked.transferId - the transfer it is about, or null for a question about none
 * @param asked.facts - ids of the facts the person is not sure of; the answer may settle them
 * @returns `not-found` without such a transfer
 * @source clauses D15, W9
 */
export async function askAdvice(
  tx: Tx,
  asked: {
    transferId: string | null
    askedBy: string
    role: AdviceRole
    facts: readonly string[]
    question: string
    now: Date
    publicUrl: string
  },
): Promise<Outcome<{ id: string }>> {
  const { transferId, askedBy, role, question, now, publicUrl } = asked
  const transfer = transferId === null ? null : await transferById(tx, transferId)
  if (transfer === undefined) return fail('not-found')
  const aboutFacts = [...new Set(asked.facts)].slice(0, limits.adviceFacts)
  const { id } = await insertAdvice(tx, { transferId, askedBy, askedOfRole: role, aboutFacts, question, askedAt: now })
  const about = { at: now, ...(transferId ? { transferId } : {}) }
  await recordEvent(
    tx,
    'advice-asked',
    { by: askedBy, advice: id, role, facts: aboutFacts, question, transfer: transferId },
    about,
  )
  const letter = adviceAskedLetter(adviceRoles[role], transfer?.reference ?? null, `${publicUrl}/advice/${id}`)
  await mailRole(tx, role, letter, { byId: askedBy, now, publicUrl }, transferId ?? undefined)
  return ok({ id })
}

/**
 * Answers a question. The answer, and the facts it settles, stay with the transfer.
 *
 * @param answered.facts - what it settles; the caller has checked them with `factsSettled`
 * @returns `not-allowed` to who does not hold the role, `approval-by-sender` to the sender or asker, `changed-meanwhile`
 *   when somebody else answered first
 */
export async function answerAdvice(
  tx: Tx,
  id: string,
  answered: { answer: string; facts: Record<string, string | boolean>; roles: readonly Role[] },
  doing: Doing,
): Promise<Outcome<{ id: string }>> {
  const request = await adviceById(tx, id)
  if (!request) return fail('not-found')
  if (!answered.roles.includes(request.askedOfRole as Role)) return fail('not-allowed')
  if (doing.byId === request.askedBy || doing.byId === request.senderId) return fail('approval-by-sender')
  const { answer, facts } = answered
  const row = {
    answer,
    answerFacts: Object.keys(facts).length > 0 ? JSON.stringify(facts) : null,
    answeredBy: doing.byId,
    answeredAt: doing.now,
  }
  if (!(await answerAdviceRow(tx, id, row)))
    return fail('changed-meanwhile', { detail: 'Somebody has answered this already.' })
  const about = { at: doing.now, ...(request.transferId ? { transferId: request.transferId } : {}) }
  // The transfer is another's, and so may be the other questions about it.
  const { transferId } = request
  if (transferId) await asSystem(tx, () => adviceEnded(tx, transferId))
  await recordEvent(
    tx,
    'advice-answered',
    { by: doing.byId, advice: id, answer, facts, transfer: request.transferId },
    about,
  )
  await mail(
    tx,
    request.askedByEmail,
    adviceAnsweredLetter(request.reference, `${doing.publicUrl}/advice/${id}`),
    request.transferId ?? undefined,
  )
  return ok({ id })
}

/**
 * Records that the sender certifies an emergency, and asks information governance to review it.
 *
 * @returns `not-found` without such a transfer, `already-certified` when it has been done
 * @source reading C7: reviewed within two working days; bank holidays count as working days
 */
export async function certifyEmergency(
  tx: Tx,
  certified: { transferId: string; whatCouldHappen: string; whyNow: string } & Doing,
): Promise<Outcome<{ id: string; reviewDueAt: Date }>> {
  const { transferId, whatCouldHappen, whyNow, byId, now, publicUrl } = certified
  const transfer = await transferById(tx, transferId)
  if (!transfer) return fail('not-found')
  const reviewDueAt = workingDaysAfter(now, limits.reviewWorkingDays)
  const row = await insertCertification(tx, { transferId, whatCouldHappen, whyNow, byId, at: now, reviewDueAt })
  if (!row) return fail('already-certified')
  const body = {
    by: byId,
    transfer: transferId,
    certification: row.id,
    whatCouldHappen,
    whyNow,
    reviewDueAt: reviewDueAt.toISOString(),
  }
  await recordEvent(tx, 'emergency-certified', body, { at: now, transferId })
  await mailRole(
    tx,
    'information-governance',
    certifiedLetter(transfer.reference, `${publicUrl}/certifications/${row.id}`),
    certified,
    transferId,
  )
  return ok({ id: row.id, reviewDueAt })
}

/** Records the review of an emergency. @returns `approval-by-sender` to who sent or certified it; `changed-meanwhile` when there is a review */
export async function reviewEmergency(
  tx: Tx,
  id: string,
  review: { outcome: ReviewOutcome; words: string },
  doing: Doing,
): Promise<Outcome<{ id: string }>> {
  const certification = await certificationById(tx, id)
  if (!certification) return fail('not-found')
  if (doing.byId === certification.byId || doing.byId === certification.senderId) return fail('approval-by-sender')
  const { outcome, words } = review
  const row = { reviewOutcome: outcome, reviewWords: words, reviewedBy: doing.byId, reviewedAt: doing.now }
  if (!(await reviewRow(tx, id, row)))
    return fail('changed-meanwhile', { detail: 'Somebody has reviewed this already.' })
  const { transferId } = certification
  await recordEvent(
    tx,
    'emergency-reviewed',
    { by: doing.byId, certification: id, transfer: transferId, outcome, words },
    { at: doing.now, transferId },
  )
  await mail(
    tx,
    certification.byEmail,
    reviewedLetter(certification.reference, `${doing.publicUrl}/transfers/${transferId}`),
    transferId,
  )
  return ok({ id })
}

/**
 * Allows an exception for one transfer.
 *
 * @param allowed.roles - the roles of whoever allows it
 * @returns `not-allowed` with the clause when none of them may, `approval-by-sender` to the sender
 * @source clauses D2, D4, D34; readings C7, C8
 */
export async function allowException(
  tx: Tx,
  allowed: { transferId: string; fact: ExceptionFact; ground: Ground; reason: string; roles: readonly Role[] } & Doing,
): Promise<Outcome<{ id: string }>> {
  const { transferId, fact, ground, reason, byId, now, publicUrl } = allowed
  const transfer = await transferById(tx, transferId)
  if (!transfer) return fail('not-found')
  const role = roleFor(fact, allowed.roles)
  if (!role) return fail('not-allowed', { clause: exceptionKinds[fact].clause })
  if (transfer.senderId === byId) return fail('approval-by-sender', { clause: exceptionKinds[fact].clause })
  const row = await insertException(tx, { transferId, fact, ground, reason, role, byId, at: now })
  await recordEvent(
    tx,
    'exception-allowed',
    { by: byId, role, transfer: transferId, exception: row.id, fact, ground, reason },
    { at: now, transferId },
  )
  await mail(
    tx,
    transfer.senderEmail,
    exceptionLetter(transfer.reference, `${publicUrl}/transfers/${transferId}`),
    transferId,
  )
  return ok(row)
}

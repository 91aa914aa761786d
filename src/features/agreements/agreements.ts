import { limits } from '#core/kit/limits'
import type { Day } from '#edge/store/work-tables'
import type { Role } from '#edge/web/route'

export { agreementInForce } from '#features/agreements/queries'

/** @source DOMAIN 4.3 Agreement.kind */
export const agreementKinds = {
  'information-sharing-agreement': 'Information sharing agreement',
  contract: 'Contract',
  'memorandum-of-understanding': 'Memorandum of understanding',
  'joint-controller-arrangement': 'Joint controller arrangement',
  'data-disclosure-agreement': 'Data disclosure agreement',
} as const
export type AgreementKind = keyof typeof agreementKinds

/** Why information is shared: the values that rulebooks know for `purpose`. */
export const purposes = {
  'protect-someone': 'To protect someone from harm',
  'deliver-a-service': 'To deliver a service',
  'criminal-justice': 'For a criminal investigation or court case',
  'legal-duty': 'A law or a court requires it',
  'statutory-return': 'A return we must make',
  'answer-a-request': 'To answer a request for information',
  other: 'Another reason',
} as const
export type Purpose = keyof typeof purposes

/** Who keeps the log of agreements. */
export const agreementKeepers = ['information-governance', 'administrator'] as const satisfies Role[]

interface Dates {
  startsOn: Day
  endsOn: Day
  reviewOn?: Day | null
}

export type AgreementState = 'not-started' | 'in-force' | 'review-due' | 'ended' | 'withdrawn'

/** How an agreement stands on a day. It covers its first and its last day; an overdue review warns and does not end it. @source DOMAIN 4.3 Agreement.status */
export function stateOf(agreement: Dates & { withdrawnAt: Date | null }, today: Day): AgreementState {
  if (agreement.withdrawnAt) return 'withdrawn'
  if (today < agreement.startsOn) return 'not-started'
  if (today > agreement.endsOn) return 'ended'
  return agreement.reviewOn && agreement.reviewOn <= today ? 'review-due' : 'in-force'
}

/** Sentences for the dates that cannot be right. */
export function wrongDates({ startsOn, endsOn, reviewOn }: Dates): Record<string, string> {
  const latest = `${Number(startsOn.slice(0, 4)) + limits.agreementYears}${startsOn.slice(4)}`
  return {
    ...(endsOn <= startsOn ? { endsOn: 'The day it ends must be after the day it starts' } : {}),
    ...(endsOn > latest
      ? { endsOn: `An agreement lasts ${limits.agreementYears} years at most; enter when it will be renewed` }
      : {}),
    ...(reviewOn && (reviewOn < startsOn || reviewOn > endsOn)
      ? { reviewOn: 'The day of its review must be between its start and its end' }
      : {}),
  }
}

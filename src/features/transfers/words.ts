/** A transfer's state, as its sender reads it. */
export const stateWords: Record<string, string> = {
  draft: 'Being prepared',
  asking: 'Waiting for advice',
  ready: 'Ready to send',
  sent: 'Sent, waiting to be opened',
  collected: 'Opened',
  recorded: 'Sent another way',
  recalled: 'Recalled',
  expired: 'Not collected in time',
  closed: 'Closed',
  withdrawn: 'Not shared',
}

const howTold: Record<string, string> = { telephone: 'by telephone', 'in-person': 'in person', text: 'by text from a work phone', letter: 'by letter' }

/** What happened, for the timeline; undefined for what is no news to a person. */
export function eventWords(name: string, body: Record<string, unknown>, who: string): string | undefined {
  const known: Record<string, string> = {
    'transfer-started': 'Started',
    decided: 'The policy was consulted',
    'recipient-added': `${who} was added`,
    'recipient-confirmed': `${who} was confirmed as the right person`,
    'recipient-refused': `${who} was found not to be the right person`,
    'method-chosen': 'A way of sending was chosen',
    'decided-not-to-share': 'It was decided not to share',
    'emergency-certified': 'The sender certified that it could not wait',
    'emergency-reviewed': 'The emergency was reviewed',
    'exception-allowed': 'An exception was authorised',
    'advice-asked': 'Advice was asked for',
    'advice-answered': 'Advice was given',
    'parcel-sealed': 'Sealed and sent',
    'lock-made': `A link was mailed to ${who}`,
    'lock-destroyed': `The earlier link for ${who} stopped working`,
    'phrase-told': `The seven words were told to ${who} ${howTold[String(body.how)] ?? ''}`.trim(),
    'phrase-not-reached': `${who} could not be reached`,
    'mailbox-proved': `${who} proved their mailbox`,
    'parcel-acknowledged': `${who} acknowledged purpose, limits and handling`,
    'parcel-downloaded': `${who} downloaded it; opening not confirmed`,
    'parcel-opened': `${who} opened it and signed the receipt`,
    'not-for-me': `${who} said that it was not for them; stopped`,
    'parcel-recalled': 'Recalled: nobody can open it any more',
    'parcel-extended': 'The time to collect was extended',
    'parcel-expired': 'The time to collect ended; the locks were destroyed',
    'parcel-destroyed': 'Every byte of the parcel was removed, and checked to be gone',
    'recipient-chased': `${who} was reminded`,
    'not-collected': `${who} did not collect it`,
    'sharing-recorded': 'Sending another way was recorded',
    'problem-reported': 'A problem was reported',
    'problem-recorded': 'A manager recorded the problem',
  }
  return known[name]
}

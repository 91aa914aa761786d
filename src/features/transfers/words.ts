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

const howTold: Record<string, string> = {
  telephone: 'by telephone',
  'in-person': 'in person',
  text: 'by text from a work phone',
  letter: 'by letter',
}

const policyWords = (rulebooks: unknown): string =>
  Array.isArray(rulebooks) ? `: ${rulebooks.map(({ id, version }) => `${id} ${version}`).join(', ')}` : ''

/** What happened, for the timeline; undefined for what is no news to a person. */
export function eventWords(name: string, body: Record<string, unknown>, who: string): string | undefined {
  const known: Record<string, string> = {
    'transfer-started': 'Started',
    decided: `The policy was consulted${policyWords(body.rulebooks)}`,
    'recipient-added': `${who} was added`,
    'recipient-removed': `${who} was taken off`,
    'recipient-confirmed': `${who} was confirmed as the right person`,
    'recipient-refused': `${who} was found not to be the right person`,
    'looked-through': 'The sender looked for what need not be sent',
    'method-chosen': 'A way of sending was chosen',
    'decided-not-to-share': `It was decided not to share${typeof body.reason === 'string' && body.reason ? `: ${body.reason}` : ''}`,
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

/** What each way of sending means for the sender, in a sentence or two. */
export const methodWords: Record<string, string> = {
  managed_transfer:
    'You choose the files here and they are sealed on your device. The recipient opens them with seven words that you tell them another way. You get a signed receipt.',
  encrypted_email:
    'You choose the files here and they are sealed on your device. The recipient opens them with a code sent to their mailbox. Our organisation could open them too.',
  standard_email: 'Attach it to an email from your work address.',
  internal_email: 'Email it from your work address to theirs. It stays inside our own system.',
  secure_email:
    'Use the ‘Secure email’ button in your mail program. It is encrypted on its way, not in their mailbox. A failure report can take 48 hours.',
  cjsm_email: 'Send it from your own criminal justice email account.',
  partner_space: 'Put it in the shared area. The recipient needs a personal login.',
  public_page: 'Put it on the public part of our site.',
  telephone: 'Ring a number you know, and tell only what is needed now. Then send the rest.',
  storage_device: 'Use an encrypted device from the approved list, and record who has it.',
  removable_media: 'Use an encrypted device from the approved list, and record who has it.',
}

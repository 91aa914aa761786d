import type { Letter } from '#edge/mail/compose'

// What a transfer is about stays out of mail: the reader follows the link and signs in.
const letter = (subject: string, sentence: string, text: string, url: string): Letter => ({
  subject: { en: subject },
  body: { en: [sentence, { link: { text, url } }] },
})

export const adviceAskedLetter = (role: string, reference: string | null, url: string): Letter =>
  letter(
    `A question waits for you${reference ? `: ${reference}` : ''}`,
    `A colleague is not sure how to go on and asks: ${role}. Whoever answers first answers for the role.`,
    'Read and answer the question',
    url,
  )

export const adviceAnsweredLetter = (reference: string | null, url: string): Letter =>
  letter(
    `Your question has been answered${reference ? `: ${reference}` : ''}`,
    'The answer stays with your transfer.',
    'Read the answer',
    url,
  )

export const certifiedLetter = (reference: string, url: string): Letter =>
  letter(
    `An emergency was certified: ${reference}`,
    'A colleague certified that waiting could have harmed someone. Read what they did, and say whether it was an emergency.',
    'Review it',
    url,
  )

export const reviewedLetter = (reference: string, url: string): Letter =>
  letter(
    `Your emergency was reviewed: ${reference}`,
    'Somebody read what you certified, and said what they think.',
    'Read the review',
    url,
  )

export const exceptionLetter = (reference: string, url: string): Letter =>
  letter(`An exception was allowed: ${reference}`, 'You can go on with your transfer.', 'Open the transfer', url)

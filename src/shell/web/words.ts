import type { Language } from '#edge/web/route'

/** What the frame around a recipient's page says, in both languages. A feature keeps its own words beside its views. */
const english = {
  skip: 'Skip to main content',
  problemTitle: 'There is a problem',
  back: 'Back',
  otherLanguage: 'Cymraeg',
  footer: 'Safehand',
  checkReceipt: 'Check a receipt',
}
const welsh: typeof english = {
  skip: 'Neidio i’r prif gynnwys',
  problemTitle: 'Mae yna broblem',
  back: 'Yn ôl',
  otherLanguage: 'English',
  footer: 'Safehand',
  checkReceipt: 'Gwirio derbynneb',
}

export const words: Record<Language, typeof english> = { en: english, cy: welsh }

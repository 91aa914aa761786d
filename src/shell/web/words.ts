import { problems } from '#core/kit/problems'
import type { Problem } from '#core/kit/outcome'
import type { Language } from '#edge/web/route'
import { collectWords } from '#features/parcels/words'

/** What the frame around a recipient's page says, in both languages. A feature keeps its own words beside its views. */
const english = {
  skip: 'Skip to main content',
  problemTitle: 'There is a problem',
  back: 'Back',
  otherLanguage: 'Cymraeg',
  footer: 'Safehand',
  checkReceipt: 'Check a receipt',
  reference: 'If you ask for help, quote this reference',
}
const welsh: typeof english = {
  skip: 'Neidio i’r prif gynnwys',
  problemTitle: 'Mae yna broblem',
  back: 'Yn ôl',
  otherLanguage: 'English',
  footer: 'Safehand',
  checkReceipt: 'Gwirio derbynneb',
  reference: 'Os byddwch yn gofyn am help, dyfynnwch y cyfeirnod hwn',
}

export const words: Record<Language, typeof english> = { en: english, cy: welsh }

/**
 * A problem's words for a page. Only what a recipient can meet has Welsh; of that, details stay out, because they are
 * written in English where the problem is found.
 */
export function problemWords(problem: Problem, language: Language) {
  const { script, sentences } = collectWords[language]
  const row = script.problems[problem.slug]
  const sentence = (said: string) => sentences[said] ?? (row ? `${row.title}. ${row.next}` : said)
  const fields = Object.entries(problem.fields ?? {}).map(([name, said]) => [name, sentence(said)])
  const { title, next } = row ?? problems[problem.slug]
  const detail = row ? undefined : problem.detail
  return { title, next, detail, fields: Object.fromEntries(fields) as Record<string, string> }
}

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import nunjucks from 'nunjucks'
import { words } from '#shell/web/words'
import type { Language } from '#edge/web/route'

const source = fileURLToPath(new URL('../../', import.meta.url))
const govuk = join(dirname(fileURLToPath(import.meta.resolve('govuk-frontend'))), '..')

const zone = 'Europe/London'
// Made once: each holds some 30 kB that the garbage collector does not count, so one for every date on every page would
// fill the machine between two collections.
const dayIn = (locale: string) => new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: zone })
const days = { en: dayIn('en-GB'), cy: dayIn('cy-GB') }
const times = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short', timeZone: zone })

/** `27 March 2027` in the reader's language. */
const dayWords = (at: Date | string, language: Language = 'en') => days[language].format(new Date(at))

/** `27 March 2027, 16:40`. */
const timeWords = (at: Date | string, language: Language = 'en') =>
  `${dayWords(at, language)}, ${times.format(new Date(at))}`

/** A size as people say it, in SI units as the policy counts. */
export function sizeWords(sizeBytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let size = sizeBytes
  let unit = 0
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000
    unit += 1
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : Number(size.toFixed(1))} ${units[unit]}`
}

/**
 * Puts the token of this browser's forms into every form of a page, so that no template can forget it. What people wrote
 * is escaped by now: a form tag here is ours.
 */
const withFormToken = (html: string, formToken: unknown): string =>
  typeof formToken !== 'string'
    ? html
    : html.replace(
        /<form method="post"[^>]*>/g,
        (form) => `${form}<input type="hidden" name="_formToken" value="${formToken}">`,
      )

/** The template engine: HTML is escaped unless a template says otherwise, and templates are never made from people's text. */
export function makeRenderer(assets: string, publicUrl: string) {
  const env = new nunjucks.Environment(
    new nunjucks.FileSystemLoader([join(source, 'shell/web/layouts'), join(source, 'features'), govuk]),
    { autoescape: true, throwOnUndefined: false },
  )
  env.addGlobal('assets', assets)
  env.addGlobal('assetPath', assets)
  env.addGlobal('publicUrl', publicUrl)
  env.addFilter('day', dayWords)
  env.addFilter('time', timeWords)
  env.addFilter('size', sizeWords)
  env.addFilter('keys', (value: object) => Object.keys(value))

  /** The HTML of a page. `view` names a template file of a feature's `views` folder or a layout. */
  return (view: string, model: Record<string, unknown>, language: Language): string =>
    withFormToken(env.render(`${view}.njk`, { ...model, language, w: words[language] }), model.formToken)
}
export type Render = ReturnType<typeof makeRenderer>

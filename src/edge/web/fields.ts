import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { parseAddress } from '#core/kit/address'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'

/** What a field adds to its schema: `title` is how a sentence names it ("the case reference"), `missing` and `wrong` replace the usual sentences. */
interface Words {
  missing?: string
  wrong?: string
}

// Control characters never belong in what a person types; a text of several lines may hold line ends and tabs.
const plainLine = '^[^\\u0000-\\u001f\\u007f\\u2028\\u2029]*$'
const plainText = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]*$'

/** One line of text. `title` reads after "Enter". */
export const line = (title: string, maxLength: number = limits.lineCharacters, words: Words = {}) =>
  Type.String({ title, minLength: 1, maxLength, pattern: plainLine, ...words })

/** Several lines of text. */
export const text = (title: string, maxLength: number = limits.textCharacters, words: Words = {}) =>
  Type.String({ title, minLength: 1, maxLength, pattern: plainText, ...words })

/** One of a closed list; `title` reads after "Choose". */
export const choice = <T extends string>(title: string, values: readonly T[], words: Words = {}) =>
  Type.Unsafe<T>(Type.String({ enum: [...values], title, ...words }))

/** Any number of a closed list. */
export const choices = <T extends string>(title: string, values: readonly T[], words: Words = {}) =>
  Type.Unsafe<T[]>(Type.Array(Type.String({ enum: [...values] }), { title, maxItems: values.length, ...words }))

export const yesNo = (title: string, words: Words = {}) => Type.Boolean({ title, ...words })

/** A calendar day as `yyyy-mm-dd`; a form sends it as three fields `name-day`, `name-month`, `name-year`. */
export const day = (title: string) =>
  Type.String({
    title,
    pattern: '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$',
    wrong: `Enter ${title} as a real date, like 27 3 2027`,
  })

export const email = (title = 'an email address') =>
  Type.String({ title, maxLength: limits.emailCharacters, isAddress: true })

export const telephone = (title = 'a telephone number') =>
  Type.String({
    title,
    maxLength: limits.telephoneCharacters,
    pattern: '^\\+?[0-9 ()-]{5,}( ?(x|ext) ?[0-9]+)?$',
    wrong: 'Enter a telephone number, like 01632 960 001 or +44 20 7946 0000',
  })

const idPattern = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'

export const id = (title = 'which one') =>
  Type.String({ title, pattern: idPattern, wrong: `Choose ${title} from the list` })

/** Whether a part of an address can be an id at all; the database refuses to compare anything else with one. */
export const isId = (value: string | undefined): value is string =>
  value !== undefined && new RegExp(idPattern).test(value)

/** Standard base64 of at most `maxBytes`. */
export const base64Field = (title: string, maxBytes: number) =>
  Type.String({ title, minLength: 1, maxLength: 4 * Math.ceil(maxBytes / 3), pattern: canonicalBase64 })

// The last group's unused bits are zero, so that each value has one text.
const canonicalBase64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$'

export const optional = Type.Optional
export const integer = (title: string, minimum: number, maximum: number, words: Words = {}) =>
  Type.Integer({ title, minimum, maximum, ...words })
export const list = <T extends TSchema>(title: string, item: T, maxItems: number) =>
  Type.Array(item, { title, maxItems })

/** A whole form or JSON body; a field it does not name is refused. */
export const fields = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false })

interface FieldSchema extends Words {
  title?: string
  type?: string
  enum?: unknown[]
  isAddress?: boolean
}

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1)

function sentence(schema: FieldSchema, keyword: string, params: { limit?: number }, value: unknown): string {
  const title = schema.title ?? 'this'
  const chosen = schema.enum !== undefined || schema.type === 'boolean' || schema.type === 'array'
  if (value === undefined || value === '') return schema.missing ?? `${chosen ? 'Choose' : 'Enter'} ${title}`
  if (keyword === 'maxLength') return `${capital(title)} must be ${params.limit} characters or fewer`
  if (keyword === 'maxItems') return `${capital(title)}: ${params.limit} at most`
  if (keyword === 'minimum') return `${capital(title)} must be ${params.limit} or more`
  if (keyword === 'maximum') return `${capital(title)} must be ${params.limit} or less`
  return schema.wrong ?? (chosen ? `Choose ${title} from the list` : `Enter ${title} in the correct format`)
}

const written = (value: unknown) => (typeof value === 'string' ? value.trim() : '')
const tidied = (value: unknown) => (typeof value === 'string' ? value.trim().replaceAll('\r\n', '\n') : value)

/** What a form sends as the API would: trimmed, empty fields left out, three date fields made one. */
export function fromForm(schema: TSchema, raw: Record<string, unknown>): unknown {
  const properties = (schema as { properties?: Record<string, FieldSchema> }).properties ?? {}
  const tidy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (name.startsWith('_')) continue
    const trimmed = Array.isArray(value) ? value.map(tidied).filter((one) => one !== '') : tidied(value)
    if (trimmed === '' || (Array.isArray(trimmed) && trimmed.length === 0)) continue
    const date = /^(.+)-(day|month|year)$/.exec(name)
    if (date && properties[date[1]!]) continue
    tidy[name] = properties[name]?.type === 'array' && !Array.isArray(trimmed) ? [trimmed] : trimmed
  }
  for (const name of Object.keys(properties)) {
    const [year, month, dayOfMonth] = ['year', 'month', 'day'].map((part) => written(raw[`${name}-${part}`]))
    if (year || month || dayOfMonth) tidy[name] = `${year}-${month?.padStart(2, '0')}-${dayOfMonth?.padStart(2, '0')}`
  }
  return Value.Convert(schema, tidy)
}

/**
 * What a form shows again of what was given: text, and lists of text where a field takes several. Views are made for
 * nothing else, but a name that comes twice, or JSON sent to a page, can bring anything.
 */
export function shownAgain(schema: TSchema, given: unknown): Record<string, string | string[]> {
  const properties = (schema as { properties?: Record<string, FieldSchema> }).properties ?? {}
  const shown = Object.entries(given as object).flatMap(
    ([name, value]: [string, unknown]): [string, string | string[]][] => {
      if (Array.isArray(value) && (properties[name]?.type ?? 'array') === 'array')
        return [[name, value.filter((one) => typeof one === 'string')]]
      return ['string', 'number', 'boolean'].includes(typeof value) ? [[name, String(value)]] : []
    },
  )
  return Object.fromEntries(shown)
}

const isWellFormed = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.isWellFormed()
    : typeof value !== 'object' || value === null || Object.values(value).every(isWellFormed)

const isRealDay = (value: string) => {
  const at = new Date(`${value}T00:00:00Z`)
  return !Number.isNaN(at.valueOf()) && at.toISOString().startsWith(value)
}

/** What is wrong with a field's value, as a sentence, or undefined. */
function wrongWords(property: FieldSchema, value: unknown): string | undefined {
  // Half a character can be neither kept nor put into the register.
  if (!isWellFormed(value)) return sentence(property, 'pattern', {}, value)
  const first = Value.Errors(property as TSchema, value)[0]
  if (first) return sentence(property, first.keyword, first.params as { limit?: number }, value)
  if (property.wrong?.includes('a real date') && !isRealDay(written(value))) return property.wrong
  const address = property.isAddress ? parseAddress(written(value)) : ok()
  return address.ok ? undefined : address.problem.detail
}

/**
 * The body as the schema describes it, or `form-incomplete` with a sentence for each field that is wrong.
 */
export function check<T extends TSchema>(schema: T, body: unknown): Outcome<Static<T>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return fail('malformed-request', { detail: 'Send one object with named fields.' })
  }
  const given = body as Record<string, unknown>
  const properties = (schema as unknown as { properties: Record<string, FieldSchema> }).properties
  const wrong: Record<string, string> = {}
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(properties, name)) wrong[name.slice(0, limits.nameCharacters)] = 'There is no such field here'
  }
  for (const [name, property] of Object.entries(properties)) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined
    const isOptional = !((schema as { required?: string[] }).required ?? []).includes(name)
    if (value === undefined) {
      if (!isOptional) wrong[name] = sentence(property, 'required', {}, undefined)
      continue
    }
    const words = wrongWords(property, value)
    if (words) wrong[name] = words
  }
  return Object.keys(wrong).length > 0 ? fail('form-incomplete', { fields: wrong }) : ok(given as Static<T>)
}

/** Bodies of requests: valid ones by their schema, ones with something spoiled in them, and bytes. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { anyJson, anyText, textOf } from './strings.ts'

/** The part of a JSON schema that is read here. */
export interface FieldSchema {
  type?: string
  enum?: string[]
  pattern?: string
  maxLength?: number
  minimum?: number
  maximum?: number
  maxItems?: number
  isAddress?: boolean
  items?: FieldSchema
  properties?: Record<string, FieldSchema>
  required?: string[]
}

/** Ids and words that exist, by the name of the parameter or field they are for. */
export type Pool = Record<string, string[]>

/** A value for an address, with halves of characters as the bytes they would be. */
export const encoded = (text: string): string =>
  text.isWellFormed()
    ? encodeURIComponent(text)
    : encodeURIComponent(text.toWellFormed()).replaceAll('%EF%BF%BD', '%ED%A0%80')

const words = 'To protect a child in the care of the council'

/** A value that the schema takes. */
function validOf(name: string, schema: FieldSchema, pool: Pool): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'integer') {
    const { minimum = 0, maximum = 1_000 } = schema
    return fc.oneof(
      fc.constantFrom(minimum, maximum),
      fc.integer({ min: minimum, max: Math.min(maximum, minimum + 30) }),
    )
  }
  if (schema.type === 'array')
    return fc.array(validOf(name, schema.items ?? {}, pool), {
      minLength: 1,
      maxLength: Math.min(3, schema.maxItems ?? 3),
    })
  if (schema.type === 'object') return bodyOf(schema, pool)
  const known = pool[name]
  if (known && known.length > 0) return fc.constantFrom(...known)
  if (schema.isAddress) return fc.nat(40).map((n) => `person${n}@harbour-trust.example`)
  if (schema.pattern?.includes('[0-9a-f]{8}')) return fc.uuid()
  if (schema.pattern?.includes('[12][0-9]{3}')) return fc.constantFrom('2026-01-31', '2027-06-30', '2028-02-29')
  if (schema.pattern?.includes('+/'))
    return fc.constantFrom(32, 64, 200).map((count) => Buffer.alloc(count, 7).toString('base64'))
  if (schema.pattern?.includes('ext')) return fc.constant('01632 960 123')
  return fc.constantFrom(words, 'A', words.slice(0, schema.maxLength))
}

function bodyOf(schema: FieldSchema, pool: Pool): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(schema.properties ?? {})
  const record = Object.fromEntries(fields.map(([name, field]) => [name, validOf(name, field, pool)]))
  return fc.record(record, { requiredKeys: schema.required ?? [] })
}

/** A value at or over the limits of its field, or of another kind altogether. */
function spoiledValue(field: FieldSchema | undefined): fc.Arbitrary<unknown> {
  const most = field?.maxLength ?? 200
  const items = field?.maxItems ?? 3
  return fc.oneof(
    { weight: 4, arbitrary: anyText(most) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(most - 1, most, most + 1)
        .chain((length) => textOf(Math.max(0, Math.min(length, 30_000)))),
    },
    { weight: 3, arbitrary: anyJson },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        (field?.minimum ?? 0) - 1,
        field?.minimum ?? 0,
        field?.maximum ?? 0,
        (field?.maximum ?? 0) + 1,
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(items, items + 1).map((count) => Array<string>(Math.min(count, 2_000)).fill('x')),
    },
  )
}

const strangeNames = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'id', 'roles', 'isOwn', 'senderId', '', '_'),
  anyText(30),
)

/** A body with one thing wrong in it, or nothing. */
const spoiledBody = (schema: FieldSchema, pool: Pool): fc.Arbitrary<[string, unknown][]> =>
  bodyOf(schema, pool).chain((body) => {
    const entries = Object.entries(body)
    const names = Object.keys(schema.properties ?? {})
    const whole = fc.constant(entries)
    const added = fc.tuple(strangeNames, anyJson).map((extra) => [...entries, extra] as [string, unknown][])
    if (names.length === 0) return fc.oneof({ weight: 3, arbitrary: whole }, { weight: 1, arbitrary: added })
    const chosen = fc.constantFrom(...names)
    const without = (name: string) => entries.filter(([other]) => other !== name)
    return fc.oneof(
      { weight: 4, arbitrary: whole },
      {
        weight: 6,
        arbitrary: chosen.chain((name) =>
          spoiledValue(schema.properties?.[name]).map(
            (value) => [...without(name), [name, value]] as [string, unknown][],
          ),
        ),
      },
      { weight: 1, arbitrary: chosen.map(without) },
      { weight: 1, arbitrary: added },
      { weight: 1, arbitrary: chosen.map((name) => [...entries, [name, body[name]]] as [string, unknown][]) },
    )
  })

/** JSON of entries as they are: a name may come twice. */
const asJson = (entries: [string, unknown][]) =>
  `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value) ?? 'null'}`).join(',')}}`

/** What a form would send, and what no form would. */
function asForm(entries: [string, unknown][]): string {
  const pairs = entries.flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => [
      name,
      String(typeof each === 'object' ? JSON.stringify(each) : each),
    ]),
  )
  return pairs.map(([name, value]) => `${encoded(name!)}=${encoded(value!)}`).join('&')
}

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

/** Bodies that are wrong before they are read. */
const brokenText = (json: string): fc.Arbitrary<string> =>
  fc.oneof(
    fc.nat(json.length).map((at) => json.slice(0, at)),
    fc.constantFrom(
      '',
      ' ',
      'null',
      'true',
      '0',
      '"text"',
      '[]',
      '[[]]',
      '{}',
      '{"a":1}{"b":2}',
      `\ufeff${json}`,
      `${json}\u0000`,
      `${json},`,
      json.replaceAll('"', "'"),
    ),
    fc.constantFrom(100, 5_000, 60_000).map((depth) => nested(depth, '[', ']')),
    fc.constantFrom(100, 5_000, 30_000).map((depth) => nested(depth, '{"a":', '}').replace(':}', ':1}')),
    fc
      .constantFrom('1e400', '-1e400', '9007199254740993', `1${'0'.repeat(400)}`, '0.1e-400', '-0')
      .map((number) => json.replace(/:("[^"]*"|\d+)/, `:${number}`)),
    fc.constantFrom(
      '{"__proto__":{"roles":["administrator"]}}',
      '{"constructor":{"prototype":{"x":1}}}',
      '{"a":"\\ud800"}',
      '{"a":"\\u0000"}',
    ),
    fc.constantFrom(262_143, 262_144, 262_145, 400_000).map((length) => JSON.stringify({ a: 'x'.repeat(length - 8) })),
  )

const oddTypes = [
  'text/plain',
  'text/xml',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json;',
  'application/vnd.api+json',
  'APPLICATION/JSON',
  '*/*',
  'a',
  'application/octet-stream',
  'application/json, text/html',
  'application/x-www-form-urlencoded; charset=ibm500',
]

export interface Body {
  payload?: string | Buffer
  type?: string
  digest?: string
}

/** A body for the schema, as JSON or as a form: mostly as a page would send it, or the interface. */
export function jsonOrForm(schema: FieldSchema, isPage: boolean, pool: Pool): fc.Arbitrary<Body> {
  return spoiledBody(schema, pool).chain((entries) => {
    const json = { payload: asJson(entries), type: 'application/json' }
    const form = { payload: asForm(entries), type: 'application/x-www-form-urlencoded' }
    return fc.oneof(
      { weight: 12, arbitrary: fc.constant(isPage ? form : json) },
      { weight: 2, arbitrary: fc.constant(isPage ? json : form) },
      { weight: 2, arbitrary: brokenText(json.payload).map((payload) => ({ payload, type: 'application/json' })) },
      { weight: 1, arbitrary: fc.constantFrom(...oddTypes).map((type) => ({ ...json, type })) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom(
            '&&&',
            '=',
            '%',
            '%zz=%zz',
            'a[b][c]=1',
            'a=1&a=2',
            `${'a=1&'.repeat(2_000)}`,
            '__proto__=1',
            '%00=%00',
            '%ff=%ff',
          )
          .map((payload) => ({ ...form, payload })),
      },
    )
  })
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64')

const oddDigests = [
  '',
  'sha-256=::',
  'sha-256=:AAAA:',
  'sha-512=:AAAA:',
  `sha-256=:${'A'.repeat(43)}=:`,
  `sha-256=${'A'.repeat(44)}`,
  `sha-256=:${'A'.repeat(4_000)}=:`,
  'sha-256=:=:, sha-512=:=:',
  `md5=:${'A'.repeat(22)}==:`,
]

/** Sealed bytes with their digest: right, wrong, missing, or not a digest. */
export const bytesBody: fc.Arbitrary<Body> = fc
  .tuple(
    fc.uint8Array({ maxLength: 2_000 }),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('right') },
      { weight: 1, arbitrary: fc.constant('none') },
      { weight: 2, arbitrary: fc.constantFrom(...oddDigests) },
    ),
  )
  .map(([given, digest]) => {
    const payload = Buffer.from(given)
    const line = digest === 'right' ? `sha-256=:${sha256(payload)}:` : digest
    return { payload, type: 'application/octet-stream', ...(digest === 'none' ? {} : { digest: line }) }
  })

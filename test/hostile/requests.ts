/** Requests made from our own description of the interface: valid ones with something spoiled. */
import fc from 'fast-check'
import { bytesBody, encoded, jsonOrForm, type Body, type FieldSchema, type Pool } from './bodies.ts'
import { anyText, hostileTexts } from './strings.ts'

/** The parts of the OpenAPI description that are read here. */
export interface Description {
  paths: Record<string, Record<string, Operation>>
}
interface Operation {
  requestBody?: { content: Record<string, { schema?: FieldSchema }> }
}
/** One request, whole: who sends it and what goes over the line. */
export interface HostileRequest {
  /** Method and pattern of what it began as. */
  operation: string
  as: string
  method: string
  url: string
  headers: Record<string, string>
  payload?: string | Buffer
}

export interface Op {
  method: string
  path: string
  schema: FieldSchema | undefined
  takesBytes: boolean
}

/** The operations of the description, and the pages beside them. */
export function operationsOf({ paths }: Description, pages: readonly { method: string; path: string }[]): Op[] {
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      schema: requestBody?.content['application/json']?.schema,
      takesBytes: requestBody !== undefined && 'application/octet-stream' in requestBody.content,
    })),
  )
  const named = new Map(described.map((op) => [`${op.method} ${op.path}`, op]))
  const shown = pages.map(({ method, path }) => {
    const under = named.get(`${method} /api${path}`)
    return { method, path, schema: under?.schema, takesBytes: under?.takesBytes ?? false }
  })
  return [...described, ...shown]
}

const orHostile = (values: string[] | undefined): fc.Arbitrary<string> =>
  values && values.length > 0
    ? fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: anyText(60) })
    : anyText(60)

/** A path with its parameters filled in: mostly with what is there. */
function pathOf(path: string, pool: Pool): fc.Arbitrary<string> {
  const names = [...path.matchAll(/\{(\w+)\}|\*/g)].map(([, name]) => name ?? '*')
  const isOfStaff = path.includes('/staff')
  const values = names.map((name) => orHostile(pool[name === 'organisation' && isOfStaff ? 'own' : name]))
  return fc.tuple(...values).map((found) => {
    let at = 0
    return path.replace(/\{\w+\}|\*/g, () => encoded(found[at++]!))
  })
}

const oddRanges = [
  'bytes=0-0',
  'bytes=-1',
  'bytes=0-',
  'bytes=5-2',
  'bytes=0-0,1-1',
  'bytes=99999999999999999999-',
  'bytes=-99999999999999999999',
  'bytes=a-b',
  'items=0-1',
  'bytes=',
  'bytes=-',
  'bytes=0x0-0x1',
  `bytes=${'1'.repeat(4_000)}-`,
  'bytes=1e3-',
  'bytes= 0-1',
]

/** Headers that a browser or a program may send, and some that neither would. */
const oddHeader: fc.Arbitrary<Record<string, string>> = fc.oneof(
  fc
    .constantFrom('text/html', 'text/html,*/*', 'application/json', '', '*/*;q=0', 'text/html'.repeat(500))
    .map((accept) => ({ accept })),
  fc.constantFrom(...oddRanges).map((range) => ({ range })),
  fc.constantFrom('null', 'https://elsewhere.example', '', 'http://localhost', '{{7*7}}').map((origin) => ({ origin })),
  fc.constantFrom('cross-site', 'same-site', 'none', 'same-origin', '?').map((site) => ({ 'sec-fetch-site': site })),
  fc
    .constantFrom(
      'Bearer',
      'Bearer x',
      `Bearer ${'a'.repeat(43)}`,
      `Bearer ${'a'.repeat(5_000)}`,
      'Basic YTpi',
      'Bearer ../..',
      "Bearer ' OR 1=1",
    )
    .map((authorization) => ({ authorization })),
  fc
    .constantFrom(
      'safehand=',
      'safehand=x; safehand=y',
      `safehand=${'x'.repeat(4_000)}`,
      '=',
      ';;;',
      '__proto__=1',
      'language=xx',
      'language=cy; safehand=%00',
      'safehand=%E0%A4%A',
    )
    .map((cookie) => ({ cookie })),
  fc
    .constantFrom('DELETE', 'PUT', '__proto__')
    .map((method) => ({ 'x-http-method-override': method, 'x-method-override': method })),
  fc
    .constantFrom('gzip', 'br', 'deflate, gzip', 'x'.repeat(3_000))
    .map((encoding) => ({ 'content-encoding': encoding, 'accept-encoding': encoding })),
  fc.constantFrom('127.0.0.1', '::1', '<script>', 'x'.repeat(3_000)).map((address) => ({
    'x-forwarded-for': address,
    'x-forwarded-host': address,
    'x-forwarded-proto': 'https',
    forwarded: `for=${address}`,
  })),
  fc
    .constantFrom('/admin', '//elsewhere.example')
    .map((url) => ({ 'x-original-url': url, 'x-rewrite-url': url, referer: url })),
  fc
    .constantFrom('*', '"x"', 'Thu, 01 Jan 1970 00:00:00 GMT', 'x')
    .map((value) => ({ 'if-none-match': value, 'if-modified-since': value, 'if-range': value, 'if-match': value })),
)

const oddQuery = fc.oneof(
  fc.constantFrom(
    'lang=cy',
    'lang=en',
    'lang=xx',
    'lang=cy&lang=en',
    'lang[]=cy',
    'step=code',
    'step=read',
    'step=constructor',
    'next=//elsewhere.example',
    'next=/\\elsewhere.example',
    'next=javascript:alert(1)',
    'next=/account',
    'next=a&next=b',
    'to=x',
    'to=a&to=b',
    'to=%00',
    'about=x&about=y',
    'kind=organisation',
    'kind=__proto__',
    'q=%00',
    'organisation=%00',
    'organisation=a&organisation=b',
    'transfer=%00',
    '%',
    '%ff=%ff',
    '__proto__=x',
    'a[b]=c',
    '&&&',
    '?',
    '=',
    `${'a=1&'.repeat(1_000)}`,
    `x=${'y'.repeat(6_000)}`,
  ),
  fc
    .tuple(fc.constantFrom('to', 'next', 'about', 'kind', 'q', 'organisation', 'transfer', 'lang', 'step'), anyText(60))
    .map(([name, value]) => `${name}=${encoded(value)}`),
)

const otherMethods = ['HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'PUT', 'POST', 'GET', 'TRACE', 'PROPFIND']

/** Who calls: mostly those whom the operation is for. */
function callerOf(path: string, callers: readonly string[]): fc.Arbitrary<string> {
  // Whoever presses these is somebody else afterwards.
  if (/\/(sign-out|sign-out-everywhere|demonstration)$/.test(path)) return fc.constant('stranger')
  const usual = path.includes('/collect/') ? 'recipient' : 'sender'
  return fc.oneof({ weight: 2, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...callers) })
}

/** Any request to these operations, from any of the callers. */
export function anyRequest(ops: readonly Op[], pool: Pool, callers: readonly string[]): fc.Arbitrary<HostileRequest> {
  return fc.constantFrom(...ops).chain((op) => {
    const { schema } = op
    const nothing = fc.constant<Body>({})
    const body = op.takesBytes ? bytesBody : schema ? jsonOrForm(schema, !op.path.startsWith('/api'), pool) : nothing
    const rarely = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T, weight: number) =>
      fc.oneof({ weight: 100 - weight, arbitrary: fc.constant(otherwise) }, { weight, arbitrary })
    return fc
      .record({
        as: callerOf(op.path, callers),
        path: rarely(
          fc.constantFrom(...hostileTexts).map((text) => `/${encoded(text)}`),
          '',
          2,
        ).chain((whole) => (whole ? fc.constant(whole) : pathOf(op.path, pool))),
        query: rarely(oddQuery, '', 12),
        method: rarely(fc.constantFrom(...otherMethods), op.method, 4),
        header: rarely(oddHeader, {}, 15),
        page: fc.boolean(),
        body,
      })
      .map(({ as, path, query, method, header, page, body: { payload, type, digest } }) => ({
        operation: `${op.method} ${op.path}`,
        as,
        method,
        url: query ? `${path}?${query}` : path,
        headers: {
          accept: page ? 'text/html' : 'application/json',
          ...(payload !== undefined && type ? { 'content-type': type } : {}),
          ...(digest === undefined ? {} : { 'content-digest': digest }),
          ...header,
        },
        ...(payload === undefined || method === 'GET' || method === 'HEAD' ? {} : { payload }),
      }))
  })
}

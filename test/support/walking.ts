import type { TObject, TSchema } from 'typebox'
import { apiPath, rawPaths, type Route } from '#edge/web/route'
import { page, type Browser } from '#test/house'

/** The method of a route's call. */
export const methodOf = (route: Route) =>
  route.kind === 'screen' ? 'GET' : route.kind === 'action' ? 'POST' : route.method

/** Every address at which a route is, with its parameters named. */
export const addressesOf = (route: Route): string[] =>
  route.kind === 'raw' ? rawPaths(route.path) : route.pageOnly ? [route.path] : [route.path, apiPath(route.path)]

/** An address with its parameters filled in; those not given are an id of nothing. */
export const filled = (path: string, ids: Record<string, string> = {}) =>
  path
    .replace(/:(\w+)/g, (_, name: string) => ids[name] ?? known[name] ?? '0192f0c1-2222-7333-8444-555566667777')
    .replace('*', '0/000')

const known: Record<string, string> = { method: 'post', page: 'what', n: '0' }

interface Schema {
  type?: string
  enum?: unknown[]
  isAddress?: boolean
  pattern?: string
  minimum?: number
  items?: TSchema
}

function aValue(property: Schema): unknown {
  if (property.enum) return property.enum[0]
  if (property.type === 'boolean') return true
  if (property.type === 'integer') return Math.max(1, property.minimum ?? 1)
  if (property.type === 'array') return [aValue(property.items as Schema)]
  if (property.type === 'object') return { id: 'x' }
  if (property.isAddress) return 'somebody@elsewhere.example'
  const samples = [
    'A word',
    '2027-01-01',
    '0192f0c1-2222-7333-8444-555566667777',
    '01632 960 001',
    'AAAA',
    'a'.repeat(64),
  ]
  return samples.find((sample) => !property.pattern || new RegExp(property.pattern).test(sample)) ?? 'A word'
}

/** A body that a route's fields take, with nothing but what they require. */
export function aBody(schema: TSchema | undefined): Record<string, unknown> | undefined {
  if (!schema) return undefined
  const { properties, required } = schema as TObject & { required?: string[] }
  return Object.fromEntries((required ?? []).map((name) => [name, aValue(properties[name] as Schema)]))
}

export interface Page {
  path: string
  html: string
  headers: Record<string, unknown>
}

/** How many of the addresses of one page that differ only in what they choose to show are looked at. */
const choicesOfPage = 5

/** Every page that somebody comes to by following links from these. */
export async function pagesFrom(as: Browser, starts: readonly string[]): Promise<Page[]> {
  const waiting = [...starts]
  const seen = new Set(waiting)
  const pages: Page[] = []
  const choices = new Map<string, number>()
  const isEnough = (path: string) => {
    const [at, query] = path.split('?')
    const count = query === undefined ? 0 : (choices.get(at!) ?? 0) + 1
    if (count > 0) choices.set(at!, count)
    return count > choicesOfPage
  }
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    const { body: html, headers, statusCode } = await as.call('GET', path, undefined, page)
    if (statusCode === 303) waiting.push(String(headers.location))
    if (!String(headers['content-type']).startsWith('text/html')) continue
    pages.push({ path, html, headers })
    for (const [, href] of html.matchAll(/<a [^>]*href="(\/[^"#]*)/g)) {
      const next = href!.replaceAll('&amp;', '&')
      if (!seen.has(next) && !isEnough(next)) waiting.push(next)
      seen.add(next)
    }
  }
  return pages
}

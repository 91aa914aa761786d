/** What an answer to a hostile request must be like. */
import type { HostileRequest } from './requests.ts'
import type { Answer } from './server.ts'

/** Words of our insides: a stack, a query, a folder, a library. None of the hostile texts holds one. */
const inside =
  /\bat (?:async )?[\w.<>]+ \(|\bnode:internal|node_modules|\.ts:\d+|\b(?:Type|Range|Syntax|Reference|Assertion)Error\b|FST_ERR|fastify|invalid input syntax|invalid byte sequence|violates|duplicate key value|relation "|column "|select .* from |insert into |kysely|ECONN|ENOENT|EACCES|\/src\/|\/tmp\/|This should not happen|Unexpected token|in JSON at|prototype property/i

const single = (value: string | string[] | undefined): string =>
  Array.isArray(value) ? value.join(', ') : (value ?? '')

interface ProblemJson {
  type?: unknown
  title?: unknown
  status?: unknown
  next?: unknown
  detail?: unknown
  fields?: Record<string, unknown>
  instance?: unknown
}

const isSentence = (value: unknown): value is string => typeof value === 'string' && value.trim().length > 3

function problemFault(answer: Answer): string | undefined {
  let problem: ProblemJson
  try {
    problem = JSON.parse(answer.body) as ProblemJson
  } catch {
    return 'a problem that is no JSON'
  }
  const { type, title, status, next, detail, fields } = problem
  if (status !== answer.statusCode) return 'a problem with another status'
  if (typeof type !== 'string' || !type.includes('/problems/') || !isSentence(title) || !isSentence(next))
    return 'a problem without type, title or next step'
  // What the caller sent may come back in `instance` and as names of fields; what we say of it must be ours.
  const said = [title, next, detail, ...Object.values(fields ?? {})].join('\n')
  return inside.test(said) ? `words of our insides: ${inside.exec(said)![0]}` : undefined
}

function pageFault(answer: Answer): string | undefined {
  const { body } = answer
  if (!/<title>\s*\S[^<]*<\/title>/.test(body) || !body.includes('<h1')) return 'a page without title or heading'
  return inside.test(body) ? `words of our insides: ${inside.exec(body)![0]}` : undefined
}

/** A name in a header, an attribute or an element would show: the texts are made so that these are what they become. */
const broken = /<script>alert|<img src=x|<svg\/onload|href="javascript:|{{7\*7}}49|>49{%/

/** What is wrong with an answer, or undefined. */
export function faultOf(request: HostileRequest, answer: Answer): string | undefined {
  const { statusCode, headers, body } = answer
  // The one thing that honestly is not there yet: the register has not signed what was just recorded.
  if (statusCode >= 500 && !body.includes('/problems/proof-not-ready')) return `${statusCode}`
  if (
    !single(headers['content-security-policy']).startsWith("default-src 'none'") ||
    headers['x-content-type-options'] !== 'nosniff'
  )
    return 'no security headers'
  if (headers['x-powered-by'] !== undefined || /fastify|node/i.test(single(headers.server)))
    return 'a header that names the program'
  if (single(headers['set-cookie']).includes('planted')) return 'a cookie that was planted'
  const type = single(headers['content-type'])
  if (/^text\/html/.test(type) && broken.test(body)) return 'text of the caller that became HTML'
  if (statusCode < 400) {
    const location = single(headers.location)
    return location && !/^\/(?![/\\])/.test(location) ? `a redirect away: ${location}` : undefined
  }
  if (request.method === 'HEAD') return undefined
  if (/^application\/problem\+json/.test(type)) return problemFault(answer)
  if (/^text\/html/.test(type)) return pageFault(answer)
  return `a refusal that is no problem: ${statusCode} ${type} ${body.slice(0, 120)}`
}

/** A request as one can read it in a report. */
export const shown = ({ as, method, url, headers, payload }: HostileRequest): string =>
  `${as}: ${method} ${url.slice(0, 300)} ${JSON.stringify(headers).slice(0, 400)} ${payload === undefined ? '' : JSON.stringify(payload.toString('utf8').slice(0, 500))}`

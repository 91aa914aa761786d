import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { limits } from '#core/kit/limits'
import { problems, type ProblemSlug } from '#core/kit/problems'
import { ProblemError, type Problem } from '#core/kit/outcome'
import type { Language } from '#edge/web/route'
import type { Render } from '#shell/web/pages'
import { problemWords } from '#shell/web/words'

/** Whether the caller reads pages; everything under /api, and whoever does not ask for HTML, reads problems as JSON. */
export const wantsPage = (request: FastifyRequest): boolean =>
  !request.url.startsWith('/api/') && (request.headers.accept ?? '').includes('text/html')

/** Sets the status of a problem, and leaves its name for whoever watches. */
export function refuse(reply: FastifyReply, problem: Problem): void {
  reply.problem = problem.slug
  void reply.status(problems[problem.slug].status)
}

/** The RFC 9457 body of a problem. `instance` is the path without its query. */
export function problemBody(problem: Problem, publicUrl: string, instance: string) {
  const row = problems[problem.slug]
  return {
    type: `${publicUrl}/problems/${problem.slug}`,
    title: row.title,
    status: row.status,
    detail: problem.detail ?? row.next,
    next: row.next,
    ...(problem.clause ? { clause: problem.clause } : {}),
    ...(problem.fields ? { fields: problem.fields } : {}),
    instance,
  }
}

/** Answers with a problem: a page for a person, `application/problem+json` for a program. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  context: { render: Render; publicUrl: string; language: Language; model?: () => Record<string, unknown> },
) {
  refuse(reply, problem)
  if (problem.retryAfterSeconds) void reply.header('retry-after', String(problem.retryAfterSeconds))
  if (wantsPage(request)) {
    const { title, next, detail } = problemWords(problem, context.language)
    const model = { title, next, detail, clause: problem.clause, ...context.model?.() }
    return reply.type('text/html; charset=utf-8').send(context.render('problem', model, context.language))
  }
  const path = request.url.split('?')[0]!
  const body = { ...problemBody(problem, context.publicUrl, path), reference: request.id }
  return reply.type('application/problem+json').send(body)
}

/** Answers what is no HTTP request at all: too long, cut short, never finished, or made to be read in two ways. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket, publicUrl: string): void {
  const slug = error.code === 'HPE_HEADER_OVERFLOW' ? 'too-large' : 'malformed-request'
  const { type, title, status, detail, next } = problemBody({ slug }, publicUrl, '')
  const body = JSON.stringify({ type, title, status, detail, next })
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'x-content-type-options: nosniff',
    'cache-control: no-store',
    'connection: close',
  ]
  if (socket.writable && error.code !== 'ECONNRESET') socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`)
  socket.destroy()
}

const byCode: Record<string, ProblemSlug> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed-request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed-request',
  FST_ERR_BAD_URL: 'not-found',
  FST_ERR_NOT_FOUND: 'not-found',
}

/** What a full disk is called: by the file system, by a limit on the size of files or of a user, and by Postgres. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', '53100'])

/** What the outside failing is called; it is logged, and its own words are nobody's business. */
export const problemOfOutside = ({ code }: { code?: string }): Problem =>
  code !== undefined && full.has(code)
    ? { slug: 'storage-full' }
    : { slug: 'unavailable', retryAfterSeconds: limits.unavailableRetrySeconds }

/** The problem a framework error stands for, or null when it is ours: the outside failed or we are wrong. */
export function problemOfError(error: FastifyError | ProblemError): Problem | null {
  if (error instanceof ProblemError) return error.problem
  const slug = byCode[error.code]
  if (slug) return { slug }
  const status = error.statusCode ?? 500
  return status >= 400 && status < 500 ? { slug: 'malformed-request' } : null
}

import { randomBytes } from 'node:crypto'
import { LogController, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { ProblemSlug } from '#core/kit/problems'
import { counter, durations, type Family } from '#edge/watch/meters'
import { withoutWords } from '#edge/watch/without-words'

declare module 'fastify' {
  interface FastifyReply {
    /** The problem it tells of, if it tells of one. */
    problem: ProblemSlug | undefined
  }
  interface FastifyInstance {
    /** What this server's requests came to since it began. */
    requestFamilies: () => Family[]
  }
}

/** Fastify's own lines repeat addresses and what errors say; of them one is kept, in our words. */
class OwnLines extends LogController {
  override streamError(error: NodeJS.ErrnoException, _request: FastifyRequest, reply: FastifyReply): void {
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') reply.log.error({ err: error }, 'broken off')
  }
}

/**
 * One line a request, as JSON: the route's pattern and no address, no query, no header, since those may hold personal
 * data; nor what an error says. `requestId` is the reference that error pages show.
 */
export const logging = () => ({
  logger: {
    level: process.env.SAFEHAND_LOG ?? 'warn',
    serializers: { err: (error: Error) => ({ type: error.name, message: '', stack: withoutWords(error) }) },
  },
  logController: new OwnLines({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
  genReqId: () => randomBytes(5).toString('hex'),
})

/** The pattern that a request fell under. Assets lie under a name that changes with every version. */
const routeOf = (request: FastifyRequest): string =>
  request.routeOptions.url?.replace(/^\/assets\/.*/, '/assets/*') ?? 'none'

const bounds = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60]

/** Counts and logs every request when its answer is out, or broken off. */
export function watchRequests(app: FastifyInstance): void {
  const requests = counter('safehand_requests_total', 'Requests by route, method and class of status.')
  const seconds = durations('safehand_request_seconds', 'How long requests took, by route.', bounds)
  const bytes = counter('safehand_sealed_bytes_total', 'Sealed bytes that arrived (up) or were fetched (down).')
  const told = counter('safehand_problems_total', 'Problems answered, by name: failed sign-ins and limits among them.')
  app.decorateReply('problem', undefined)
  app.decorate('requestFamilies', () => [requests, seconds, bytes, told].map((meter) => meter.family()))
  app.addHook('onResponse', async (request, reply) => {
    const { method } = request
    const { statusCode: status, elapsedTime, problem } = reply
    const route = routeOf(request)
    requests.add({ route, method, class: `${Math.floor(status / 100)}xx` })
    seconds.add({ route }, elapsedTime / 1000)
    if (problem) told.add({ problem })
    const sealed = (headers: Record<string, unknown>) =>
      headers['content-type'] === 'application/octet-stream' ? Number(headers['content-length'] ?? 0) : 0
    const isWhole = status < 300 && reply.raw.writableEnded && method !== 'HEAD'
    if (isWhole)
      for (const [direction, by] of [
        ['up', sealed(request.headers)],
        ['down', sealed(reply.getHeaders())],
      ] as const)
        if (by > 0) bytes.add({ direction, route }, by)
    request.log.info({ route, method, status, milliseconds: Math.round(elapsedTime), problem }, 'answered')
  })
}

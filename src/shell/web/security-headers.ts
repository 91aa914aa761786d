import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyReply {
    /** Allows this page's own inline script and style, and no other. */
    nonce: string
    /** Set by pages that seal or open: the service worker's downloads begin in a frame of theirs. */
    seals: boolean
  }
}

/**
 * The headers of every answer: a strict content security policy with Trusted Types, and no referrer for other sites.
 *
 * `Referrer-Policy` is `same-origin`, not `no-referrer`: with the latter browsers send `Origin: null` with forms.
 */
export function securityHeaders(app: FastifyInstance, secure: boolean): void {
  app.decorateReply('nonce', '')
  app.decorateReply('seals', false)
  app.addHook('onRequest', async (_request, reply) => {
    reply.nonce = newNonce()
  })
  app.addHook('onSend', async (request, reply) => void secured(request, reply, secure))
}

export const newNonce = (): string => randomBytes(16).toString('base64')

/** The policy of a page: its own scripts, styles and server, and nothing from anywhere else. */
const pagePolicy = (reply: FastifyReply) => [
  "default-src 'none'",
  `script-src 'self' 'nonce-${reply.nonce}'`,
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  ...(reply.seals ? ["frame-src 'self'"] : []),
  "manifest-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types safehand',
]

/** Sealing and opening happen in workers, which go by the policy their own script came with. */
const workerPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types safehand',
]

/** Bytes, receipts and JSON are no pages: whoever opens one in a window gets nothing that could run. */
const nothingPolicy = ["default-src 'none'", "frame-ancestors 'none'", 'sandbox']

/** The same headers for an answer that no hook sees: what Fastify refuses before it has found a route. */
export function secured(request: FastifyRequest, reply: FastifyReply, secure: boolean): FastifyReply {
  const type = String(reply.getHeader('content-type') ?? '')
  const isWorker = /^\/assets\/[0-9a-f]+\/[a-z]+-worker\.js$/.test(request.url)
  const policy = type.startsWith('text/html') ? pagePolicy(reply) : isWorker ? workerPolicy : nothingPolicy
  void reply.headers({
    'content-security-policy': policy.join('; '),
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  })
  // What people sent is never shown in a window of ours.
  if (type.startsWith('application/octet-stream') && !reply.hasHeader('content-disposition'))
    void reply.header('content-disposition', 'attachment')
  if (secure) void reply.header('strict-transport-security', 'max-age=31536000; includeSubDomains')
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store')
  return reply
}

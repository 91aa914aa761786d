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

/** The same headers for an answer that no hook sees: what Fastify refuses before it has found a route. */
export function secured(request: FastifyRequest, reply: FastifyReply, secure: boolean): FastifyReply {
  // Sealing and opening happen in workers, which go by the policy their own script came with.
  const isWorker = /^\/assets\/[0-9a-f]+\/[a-z]+-worker\.js$/.test(request.url)
  const script = `'self' ${isWorker ? "'wasm-unsafe-eval'" : `'nonce-${reply.nonce}'`}`
  void reply.headers({
    'content-security-policy': [
      "default-src 'none'",
      `script-src ${script}`,
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
    ].join('; '),
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  })
  if (secure) void reply.header('strict-transport-security', 'max-age=31536000')
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store')
  return reply
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fromUtf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { problems, type ProblemSlug } from '#core/kit/problems'
import type { Witness } from '#edge/witness/store'

/**
 * Answers for a witness: `POST /add-checkpoint` and `GET /<id of the register>/checkpoint`.
 *
 * Anyone may ask: what it signs depends on the register's signature and on the proof, never on who sends them. Whoever
 * sends slowly or holds connections is cut off.
 *
 * @param requestMs - how long a whole request may take to arrive
 * @param report - told of what fails outside, such as a full disk; the request is answered 500
 * @source C2SP tlog-witness 1.0.0
 */
export async function serveWitness(
  witness: Witness,
  { host, port, requestMs = limits.witnessRequestMs }: { host: string; port: number; requestMs?: number },
  report: (error: Error) => void,
): Promise<{ url: string; close: () => Promise<void> }> {
  const waits = { headersTimeout: requestMs, requestTimeout: requestMs, connectionsCheckingInterval: 500 }
  const server = createServer(waits, (request, response) => {
    answer(witness, request, response).catch((error: Error) => {
      // A caller that hangs up is no fault of ours.
      if (!request.destroyed || request.complete) report(error)
      if (!response.headersSent) response.writeHead(500).end()
    })
  })
  server.maxConnections = limits.witnessConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const { port: actual } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      // An answer that is lost by this is asked for again: what was signed is written down.
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const refuse = (slug: ProblemSlug) => {
    const { status, title, next } = problems[slug]
    // The rest of the body is not waited for.
    if (slug === 'too-large') response.setHeader('connection', 'close')
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${title}. ${next}\n`)
  }
  const plain = { 'content-type': 'text/plain; charset=utf-8' }
  const logId = /^\/([0-9a-f]{64})\/checkpoint$/.exec(request.url ?? '')?.[1]
  if (request.method === 'GET' && logId !== undefined) {
    const note = await witness.latest(logId)
    if (!note) refuse('not-found')
    else response.writeHead(200, plain).end(note)
    return
  }
  if (request.method !== 'POST' || request.url !== '/add-checkpoint') return refuse('not-found')
  const body = await textOf(request)
  if (!body.ok) return refuse(body.problem.slug)
  const added = await witness.add(body.value)
  if (added.ok) response.writeHead(200, plain).end(added.value)
  else if (problems[added.problem.slug].status !== 409) refuse(added.problem.slug)
  else response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(`${added.size}\n`)
}

/** The body as text, or the problem `too-large` or `witness-request-malformed`. */
async function textOf(request: IncomingMessage): Promise<Outcome<string>> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > limits.witnessRequestBytes) return fail('too-large')
    parts.push(part)
  }
  try {
    return ok(fromUtf8(Buffer.concat(parts)))
  } catch {
    return fail('witness-request-malformed')
  }
}

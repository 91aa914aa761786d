import { join } from 'node:path'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import staticFiles from '@fastify/static'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { limits } from '#core/kit/limits'
import { ok, type Outcome, type Problem } from '#core/kit/outcome'
import { problems } from '#core/kit/problems'
import type { House } from '#edge/house'
import { check, fromForm, shownAgain } from '#edge/web/fields'
import { networkList } from '#edge/web/rates'
import {
  apiPath,
  rawPaths,
  type Action,
  type Model,
  type Raw,
  type Route,
  type Screen,
  type Visit,
} from '#edge/web/route'
import { formTokenOf } from '#features/people/sessions'
import { limitConnections } from '#shell/web/connections'
import { withinRates } from '#shell/web/rates'
import { makeVisit, mayCall, ofNothing, refuseForeignOrigin, refuseWithoutFormToken } from '#shell/web/session'
import { unconfirmed } from '#shell/web/step-up'
import { makeRenderer } from '#shell/web/pages'
import {
  problemOfError,
  problemOfOutside,
  refuse,
  refuseUnreadable,
  sendProblem,
  wantsPage,
} from '#shell/web/problem-responses'
import { openapi } from '#shell/web/openapi'
import { problemWords } from '#shell/web/words'
import { logging, watchRequests } from '#shell/web/watching'
import { newNonce, secured, securityHeaders } from '#shell/web/security-headers'

/** The ways of asking that any route knows; the rest, TRACE among them, is refused before anything is looked up. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/** What the pages' frame shows besides the page itself. Only pages ask: the token of their forms gives a browser its cookie. */
const frame = (visit: Visit | undefined, request: FastifyRequest, reply: FastifyReply) => ({
  actor: visit?.actor,
  formToken: visit && formTokenOf(visit.browser),
  path: request.url.split('?')[0],
  cspNonce: reply.nonce,
  reference: request.id,
  demonstration: visit?.house.config.demonstration ?? false,
})

/**
 * The web server: every route of every feature as a page, and the same under `/api`.
 *
 * @param assets - the built islands and styles: a folder, and the address it is served at
 */
export async function buildApp(
  house: House,
  routes: readonly Route[],
  assets: { folder: string; url: string; version: string },
): Promise<FastifyInstance> {
  const secure = house.config.publicUrl.startsWith('https:')
  const app = Fastify({
    bodyLimit: limits.formBytes,
    trustProxy: house.config.trustProxy,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionTimeout: limits.stallMs,
    maxRequestsPerSocket: limits.requestsPerConnection,
    http: {
      requireHostHeader: false,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.connectionCheckMs,
      maxHeaderSize: limits.headerBytes,
    },
    ...logging(),
    routerOptions: { maxParamLength: limits.lineCharacters },
    // An address that cannot be read is of nothing; Fastify would say so in words of its own.
    frameworkErrors: (_error, request, reply) => {
      reply.nonce = newNonce()
      if (wantsPage(request)) void reply.type('text/html; charset=utf-8')
      void answer(request, secured(request, reply, secure), { slug: 'not-found' })
    },
    clientErrorHandler: (error, socket) => refuseUnreadable(error, socket, house.config.publicUrl),
  })
  limitConnections(app.server, networkList(house.config.trustProxy)!)
  // Left to itself, Node refuses what follows with an empty answer.
  app.server.on('checkExpectation', (request, response) => app.routing(request, response))
  app.addHook('onRequest', async (request, reply) => {
    if (request.raw.httpVersion === '1.1' && request.headers.host === undefined)
      return answer(request, reply, { slug: 'malformed-request' })
    if (!methods.includes(request.method))
      return answer(request, reply.header('allow', methods.join(', ')), { slug: 'http-method-wrong' })
  })
  watchRequests(app)
  const render = makeRenderer(assets.url, house.config.publicUrl)
  securityHeaders(app, secure)
  await app.register(cookie)
  await app.register(formbody, { bodyLimit: limits.formBytes })
  await app.register(staticFiles, {
    root: assets.folder,
    prefix: `${assets.url}/`,
    immutable: true,
    maxAge: '365d',
    cacheControl: true,
    index: false,
    // `build.ts` lays a compressed copy beside each file.
    preCompressed: true,
  })
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))

  app.decorateReply('page', function (this: FastifyReply, view: string, model: Model) {
    if (!wantsPage(this.request)) return model
    const visit = visits.get(this.request)
    void this.type('text/html; charset=utf-8')
    return render(
      view,
      { values: {}, errors: {}, ...model, ...frame(visit, this.request, this) },
      visit?.language ?? 'en',
    )
  })

  const visits = new WeakMap<FastifyRequest, Visit>()
  const answer = (request: FastifyRequest, reply: FastifyReply, problem: Problem) =>
    sendProblem(request, reply, problem, {
      render,
      publicUrl: house.config.publicUrl,
      language: visits.get(request)?.language ?? 'en',
      model: () => frame(visits.get(request), request, reply),
    })
  app.setNotFoundHandler((request, reply) => answer(request, reply, { slug: 'not-found' }))
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const isBrokenOff = request.raw.errored !== null
    const problem = isBrokenOff ? { slug: 'malformed-request' as const } : problemOfError(error)
    if (!problem) request.log.error({ err: error }, 'failed')
    return answer(request, reply, problem ?? problemOfOutside(error))
  })

  /** Runs a route's work for those who may call it. */
  const guarded =
    (route: Route, work: (visit: Visit, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const visit = await makeVisit(house, request, reply, { route, secure })
      visits.set(request, visit)
      const refused =
        refuseForeignOrigin(request, house.config.publicUrl) ??
        refuseWithoutFormToken(request, secure) ??
        mayCall(route.who, visit) ??
        ofNothing(visit.params)
      if (refused?.slug === 'sign-in-needed' && wantsPage(request) && request.method !== 'POST') {
        return reply.redirect(`/sign-in?next=${encodeURIComponent(request.url.split('?')[0]!)}`, 303)
      }
      if (refused) return answer(request, reply, refused)
      return withinRates(house, route.kind === 'screen' ? [] : (route.rates ?? []), visit, request, reply, {
        work: () => work(visit, request, reply),
        refuse: (problem) => answer(request, reply, problem),
      })
    }

  const show = async (
    route: Screen,
    visit: Visit,
    request: FastifyRequest,
    reply: FastifyReply,
    more: Record<string, unknown> = {},
  ) => {
    const model = await route.load(visit)
    if (!model.ok) return answer(request, reply, model.problem)
    reply.seals = model.value.seals === true
    const html = render(
      route.view,
      { values: {}, errors: {}, ...model.value, ...more, ...frame(visit, request, reply) },
      visit.language,
    )
    return reply.type('text/html; charset=utf-8').send(html)
  }

  const mount = { screen: mountScreen, action: mountAction, raw: mountRaw }
  function mountScreen(route: Screen): void {
    app.get(
      route.path,
      guarded(route, (visit, request, reply) => show(route, visit, request, reply)),
    )
    if (route.pageOnly) return
    app.get(
      apiPath(route.path),
      guarded(route, async (visit, request, reply) => {
        const model = await route.load(visit)
        return model.ok ? model.value : answer(request, reply, model.problem)
      }),
    )
  }

  function mountAction(route: Action): void {
    const options = { bodyLimit: route.bodyBytes ?? limits.formBytes }
    app.post(
      route.path,
      options,
      guarded(route, async (visit, request, reply) => {
        const given = fromForm(route.fields, (request.body ?? {}) as Record<string, unknown>)
        const body = check(route.fields, given)
        return confirmed(route, visit, request, reply, body, async () => {
          const result = body.ok ? await route.run(visit, body.value) : body
          if (result.ok) return reply.redirect(route.then(result.value, visit), 303)
          if (!route.again || !wantsPage(request)) return answer(request, reply, result.problem)
          return againWithErrors(route.again, visit, request, reply, shownAgain(route.fields, given), result.problem)
        })
      }),
    )
    if (route.pageOnly) return
    app.post(
      apiPath(route.path),
      options,
      guarded(route, async (visit, request, reply) => {
        const body = check(route.fields, request.body ?? {})
        return confirmed(route, visit, request, reply, body, async () => {
          const result = body.ok ? await route.run(visit, body.value) : body
          return result.ok ? reply.send(result.value ?? {}) : answer(request, reply, result.problem)
        })
      }),
    )
  }

  /** Does an act once its person has confirmed it, if they must; asks them to otherwise. What is wrong is said first. */
  async function confirmed(
    route: Action | Raw,
    visit: Visit,
    request: FastifyRequest,
    reply: FastifyReply,
    body: Outcome<unknown>,
    work: () => Promise<unknown>,
  ) {
    const open = body.ok ? await unconfirmed(route, visit, request, body.value) : undefined
    if (!open) return work()
    if (!open.model || !wantsPage(request)) return answer(request, reply, open.problem)
    const { problem, model } = open
    refuse(reply, problem)
    if (problem.slug === 'step-up-needed') return reply.page('people/views/confirm', model)
    const { code: wrong } = problem.fields ?? {}
    const said = { ...problemWords(problem, visit.language), fields: wrong ? { _code: wrong } : {} }
    return reply.page('people/views/confirm', { ...model, errors: said.fields, errorList: errorList(said) })
  }

  function againWithErrors(
    route: Screen,
    visit: Visit,
    request: FastifyRequest,
    reply: FastifyReply,
    values: unknown,
    problem: Problem,
  ) {
    refuse(reply, problem)
    const said = problemWords(problem, visit.language)
    return show(route, visit, request, reply, { values, errors: said.fields, errorList: errorList(said) })
  }

  function mountRaw(route: Raw): void {
    const options = {
      method: route.method,
      // Asking what a release would be like must not release anything, nor count as having fetched it.
      exposeHeadRoute: route.who !== 'recipient',
      bodyLimit: route.streamBytes ?? route.bodyBytes ?? limits.formBytes,
      handler: guarded(route, async (visit, request, reply) => {
        const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')
        const given = request.body ?? {}
        const body = route.body
          ? check(route.body, isForm ? fromForm(route.body, given as Record<string, unknown>) : given)
          : ok(request.body)
        if (!body.ok) return answer(request, reply, body.problem)
        return confirmed(route, visit, request, reply, body, async () => {
          request.body = body.value
          const result = await route.handle(visit, request, reply)
          if (!result.ok) return answer(request, reply, result.problem)
          return reply.sent ? reply : (result.value ?? reply.status(204).send())
        })
      }),
    }
    for (const url of rawPaths(route.path)) app.route({ ...options, url })
  }

  for (const route of routes) {
    if (route.who === 'demonstration' && !house.config.demonstration) continue
    mount[route.kind](route as never)
  }
  const description = openapi(routes, house.config.publicUrl, assets.version)
  app.get('/api', async () => description)
  app.get('/problems/:slug', async (request, reply) => {
    const { slug } = request.params as { slug: string }
    return answer(request, reply, { slug: Object.hasOwn(problems, slug) ? (slug as Problem['slug']) : 'not-found' })
  })
  return app
}

/** What the error summary lists: each field's sentence, or what the problem as a whole says to do. */
const errorList = ({ title, next, detail, fields }: ReturnType<typeof problemWords>) =>
  Object.keys(fields).length > 0
    ? Object.entries(fields).map(([name, text]) => ({ text, href: `#${name}` }))
    : [{ text: `${title}. ${detail ?? next}` }]

/** Where the built islands and styles are: beside the compiled program, or in `dist` of a checkout. */
export const assetsFolder = (root: string) => join(root, 'dist', 'assets')

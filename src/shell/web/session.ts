import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Problem } from '#core/kit/outcome'
import type { House } from '#edge/house'
import type { Context } from '#edge/store/context'
import { isId } from '#edge/web/fields'
import type { Actor, Language, Route, Visit, Who } from '#edge/web/route'
import {
  actorOfBearer,
  actorOfCookie,
  admissionTo,
  admit,
  browserLabel,
  isFormTokenOf,
  isToken,
  makeToken,
  renewToken,
  signIn,
  signOut,
} from '#features/people/sessions'
import { policyInForce } from '#features/rulebooks/in-force'

const cookieName = (secure: boolean) => (secure ? '__Host-safehand' : 'safehand')

/** Who is calling and how, read from the cookie or the API token. */
export async function makeVisit(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  { route, secure }: { route: Route; secure: boolean },
): Promise<Visit> {
  const now = house.now()
  const name = cookieName(secure)
  const { isBearer, bearer } = bearerOf(request)
  const cookie = request.cookies[name]
  // Who sends a bearer token is a program: whatever cookie comes with it stands for nobody.
  let token = !isBearer && isToken(cookie) ? cookie : undefined
  const setToken = (value: string) => {
    token = value
    void reply.setCookie(name, value, { path: '/', httpOnly: true, sameSite: 'lax', secure })
  }
  const actor = bearer
    ? await actorOfBearer(house.system, bearer, now)
    : token
      ? await actorOfCookie(house.system, token, now, { isUse: isUse(request), finishes: finishes(route) })
      : null
  const params = (request.params ?? {}) as Record<string, string>
  const recipientId = params.recipient
  const admitted =
    token && recipientId && isId(recipientId) ? await admissionTo(house.system, token, recipientId, now) : undefined
  // A name given twice says nothing, and neither does what no text of the database can hold.
  const query = Object.fromEntries(
    Object.entries(request.query ?? {}).filter(([, value]) => typeof value === 'string' && !value.includes('\0')),
  ) as Visit['query']
  return {
    // Only members of staff are decided for. Their policy is read with them, so that it is one for the whole visit.
    house: { ...house, ...(actor && (await policyInForce(house))), db: house.confine(contextOf(actor, admitted)) },
    params,
    query,
    now,
    language: chooseLanguage(query, request, reply, secure),
    actor: actor as Actor,
    recipient: (admitted ? { recipientId: admitted.recipient } : null) as Visit['recipient'],
    get browser() {
      if (!token) setToken(makeToken())
      return token!
    },
    signIn: async (personId) => {
      const label = browserLabel(request.headers['user-agent'])
      setToken(await signIn(house.system, token, { personId, label, now }))
    },
    signOut: async () => {
      if (token) await signOut(house.system, token)
      // Not "storage": the keys with which this browser opens what it sent live there. Not "cookies": that would sign
      // the person out of everything else at the same domain.
      void reply.clearCookie(name, { path: '/' }).header('clear-site-data', '"cache"')
    },
    renew: async () => {
      if (token) setToken(await renewToken(house.system, token))
    },
    admitRecipient: async (id) => {
      // Admitted under a new secret: who planted the old one is not admitted with it.
      const fresh = token ? await renewToken(house.system, token) : makeToken()
      await admit(house.system, fresh, id, now)
      setToken(fresh)
    },
  }
}

/** For whom the database is asked: whoever comes to a recipient's page is the recipient there, also when signed in. */
function contextOf(actor: Actor | null, admitted: Awaited<ReturnType<typeof admissionTo>>): Context {
  if (admitted) return { as: 'recipient', ...admitted }
  return actor ? { as: 'person', person: actor.id, roles: actor.roles } : { as: 'stranger' }
}

/** The API token of a call; `isBearer` also when there is one that cannot be read. */
export function bearerOf(request: FastifyRequest): { isBearer: boolean; bearer: string | undefined } {
  const given = request.headers.authorization
  return { isBearer: /^Bearer\b/i.test(given ?? ''), bearer: /^Bearer ([A-Za-z0-9_-]{20,200})$/.exec(given ?? '')?.[1] }
}

/** Whether a person did this. What a page asks for by itself, while it waits, keeps nobody signed in. */
const isUse = (request: FastifyRequest) => request.method !== 'GET' || !request.url.startsWith('/api/')

const finishes = (route: Route) => route.kind === 'raw' && route.finishes === true

function chooseLanguage(
  query: Visit['query'],
  request: FastifyRequest,
  reply: FastifyReply,
  secure: boolean,
): Language {
  const asked = query.lang
  const name = secure ? '__Host-language' : 'language'
  if (asked === 'cy' || asked === 'en') {
    void reply.setCookie(name, asked, {
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure,
      maxAge: 365 * 86_400,
    })
    return asked
  }
  return request.cookies[name] === 'cy' ? 'cy' : 'en'
}

/** Why this caller may not, or undefined when they may. */
export function mayCall(who: Who, visit: Visit): Problem | undefined {
  if (who === 'anyone' || who === 'demonstration') return undefined
  if (who === 'recipient') return visit.recipient ? undefined : { slug: 'mailbox-not-proved' }
  if (!visit.actor) return { slug: 'sign-in-needed' }
  if (who === 'signed-in' || who.some((role) => visit.actor.roles.includes(role))) return undefined
  return { slug: 'not-allowed' }
}

/** The parameters of addresses that are words or numbers; every other one is an id. */
const notIds = new Set(['page', 'method', 'fact', 'n', 'rulebook', '*'])

/** `not-found` for an address whose ids cannot be anything's: the database refuses to compare anything else with one. */
export function ofNothing(params: Visit['params']): Problem | undefined {
  const isNothing = Object.entries(params).some(([name, value]) => !notIds.has(name) && !isId(value))
  return isNothing ? { slug: 'not-found' } : undefined
}

/**
 * A request that changes something and comes from another site is refused. A browser says where it comes from; a
 * program sends neither header and holds no one's cookie but its own.
 */
export function refuseForeignOrigin(request: FastifyRequest, publicUrl: string): Problem | undefined {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined
  const site = request.headers['sec-fetch-site']
  const origin = request.headers.origin
  const foreign =
    (site !== undefined && site !== 'same-origin' && site !== 'none') || (origin !== undefined && origin !== publicUrl)
  return foreign ? { slug: 'wrong-origin' } : undefined
}

/**
 * A request that changes something in the name of a cookie carries the token of a page of the same browser: in the form
 * or in a header. A program that sends no cookie has nobody's name to misuse, and a form has always been shown first.
 */
export function refuseWithoutFormToken(request: FastifyRequest, secure: boolean): Problem | undefined {
  if (request.method === 'GET' || request.method === 'HEAD' || bearerOf(request).isBearer) return undefined
  const cookie = request.cookies[cookieName(secure)]
  if (cookie === undefined && request.url.startsWith('/api/')) return undefined
  const inForm = (request.body as Record<string, unknown> | null | undefined)?._formToken
  const given = request.headers['safehand-form-token'] ?? inForm
  return isToken(cookie) && isFormTokenOf(cookie, given) ? undefined : { slug: 'form-expired' }
}

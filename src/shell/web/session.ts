import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Problem } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { isId } from '#edge/web/fields'
import type { Actor, Language, Visit, Who } from '#edge/web/route'
import { actorOfBearer, actorOfCookie, admit, isAdmitted, makeToken, signIn, signOut } from '#features/people/sessions'

const cookieName = (secure: boolean) => (secure ? '__Host-safehand' : 'safehand')

/** Who is calling and how, read from the cookie or the API token. */
export async function makeVisit(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  secure: boolean,
): Promise<Visit> {
  const now = house.now()
  const name = cookieName(secure)
  let token = request.cookies[name]
  const setToken = (value: string) => {
    token = value
    void reply.setCookie(name, value, { path: '/', httpOnly: true, sameSite: 'lax', secure })
  }
  const bearer = /^Bearer ([A-Za-z0-9_-]{20,200})$/.exec(request.headers.authorization ?? '')?.[1]
  const actor = bearer
    ? await actorOfBearer(house.db, bearer, now)
    : token
      ? await actorOfCookie(house.db, token, now)
      : null
  const params = (request.params ?? {}) as Record<string, string>
  const recipientId = params.recipient
  const admitted =
    token && recipientId && isId(recipientId) ? await isAdmitted(house.db, token, recipientId, now) : false
  // A name given twice says nothing, and neither does what no text of the database can hold.
  const query = Object.fromEntries(
    Object.entries(request.query ?? {}).filter(([, value]) => typeof value === 'string' && !value.includes('\0')),
  ) as Visit['query']
  return {
    house,
    params,
    query,
    now,
    language: chooseLanguage(query, request, reply, secure),
    actor: actor as Actor,
    recipient: (admitted ? { recipientId } : null) as Visit['recipient'],
    get browser() {
      if (!token) setToken(makeToken())
      return token!
    },
    signIn: async (personId) => setToken(await signIn(house.db, token, personId, now)),
    signOut: async () => {
      if (token) await signOut(house.db, token)
      void reply.clearCookie(name, { path: '/' })
    },
    admitRecipient: async (id) => {
      if (!token) setToken(makeToken())
      await admit(house.db, token!, id, now)
    },
  }
}

function chooseLanguage(
  query: Visit['query'],
  request: FastifyRequest,
  reply: FastifyReply,
  secure: boolean,
): Language {
  const asked = query.lang
  if (asked === 'cy' || asked === 'en') {
    void reply.setCookie('language', asked, { path: '/', sameSite: 'lax', secure, maxAge: 365 * 86_400 })
    return asked
  }
  return request.cookies.language === 'cy' ? 'cy' : 'en'
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
const notIds = new Set(['page', 'method', 'n', '*'])

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

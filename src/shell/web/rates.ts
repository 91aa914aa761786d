import type { FastifyReply, FastifyRequest } from 'fastify'
import { rates, type RateName } from '#core/kit/limits'
import type { Problem } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { countUse, giveUseBack, networkOf } from '#edge/web/rates'
import type { Visit } from '#edge/web/route'

/**
 * Does a route's work when none of its rates is used up, and says when to come back otherwise.
 *
 * Every rate is counted before the work, so that parallel calls cannot share one; what counts failures only is given
 * back when there was none.
 */
export async function withinRates(
  house: House,
  names: readonly RateName[],
  visit: Visit,
  request: FastifyRequest,
  reply: FastifyReply,
  then: { work: () => Promise<unknown>; refuse: (problem: Problem) => unknown },
): Promise<unknown> {
  const counted = { address: networkOf(request.ip), person: visit.actor?.id ?? '', all: '', one: '' }
  for (const name of names) {
    const room = await countUse(house, name, counted[rates[name].per])
    if (!room.ok) return then.refuse(room.problem)
  }
  const failures = names.filter((name) => 'failures' in rates[name])
  if (failures.length === 0) return then.work()
  const done = await then.work()
  if (reply.statusCode < 400) for (const name of failures) await giveUseBack(house, name, counted[rates[name].per])
  return reply.sent ? reply : done
}

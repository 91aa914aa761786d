import type { FastifyRequest } from 'fastify'
import { limits } from '#core/kit/limits'
import type { Problem } from '#core/kit/outcome'
import type { Action, Model, Raw, Visit } from '#edge/web/route'
import { actHash, askConfirmation, checkConfirmation } from '#features/people/confirm'
import { passkeysOf } from '#features/people/queries'
import { bearerOf } from '#shell/web/session'

/** What keeps an act from being done yet, and the page that lets the person confirm it. */
interface Unconfirmed {
  problem: Problem
  model?: Model
}

/** Whether this call needs its person to confirm it. */
const needsConfirming = ({ stepUp }: Action | Raw, body: unknown): boolean =>
  stepUp === true || (stepUp !== undefined && (body as Record<string, unknown>)[stepUp.given] !== undefined)

const textOf = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined)

/**
 * Lets a dangerous act through once its person has confirmed exactly it, and asks them to otherwise: a code is mailed,
 * and the page carries the form along, so that nothing of it is kept here. The confirmed browser gets a new secret.
 *
 * A form confirms with `_code` or `_passkey`, a program with the header `safehand-confirmation`. A bearer token cannot
 * confirm: it stands for a program, and the point is that a person is there.
 *
 * @param body - the checked body, of which a changed word needs another confirmation
 * @returns undefined when the act may be done
 */
export async function unconfirmed(
  route: Action | Raw,
  visit: Visit,
  request: FastifyRequest,
  body: unknown,
): Promise<Unconfirmed | undefined> {
  if (!needsConfirming(route, body)) return undefined
  if (bearerOf(request).isBearer) return { problem: { slug: 'step-up-needed' } }
  const path = request.url.split('?')[0]!
  const act = actHash({ method: request.method, path, body, personId: visit.actor.id })
  const form = (request.body ?? {}) as Record<string, unknown>
  const passkey = textOf(form._passkey)
  const code = textOf(form._code) ?? textOf(request.headers['safehand-confirmation'])
  let problem: Problem | undefined
  if ((passkey ?? code) !== undefined && form._again === undefined) {
    const given = await checkConfirmation(visit, act, { passkey, code })
    if (given.ok) {
      await visit.renew()
      return undefined
    }
    problem = given.problem
  }
  if (problem?.slug !== 'code-wrong') {
    const asked = await askConfirmation(visit, act, route.summary)
    if (!asked.ok) problem = asked.problem
  }
  return {
    problem: problem?.slug === 'code-expired' || !problem ? { slug: 'step-up-needed', detail } : problem,
    model: await confirmPage(visit, route, { path, act, form, problem }),
  }
}

const detail = 'A code has been mailed to you. Send the same again with the code in the header safehand-confirmation.'

async function confirmPage(
  visit: Visit,
  route: Action | Raw,
  of: { path: string; act: Buffer; form: Record<string, unknown>; problem: Problem | undefined },
): Promise<Model> {
  const carried = Object.entries(of.form).flatMap(([name, value]) =>
    name.startsWith('_') ? [] : [value].flat().map((one) => ({ name, value: String(one) })),
  )
  return {
    title: 'Confirm that it is you',
    action: of.path,
    summary: route.summary,
    carried,
    act: of.act.toString('hex'),
    hasPasskey: (await passkeysOf(visit.house.db, visit.actor.id)).length > 0,
    minutes: limits.confirmMinutes,
    islands: ['passkeys'],
  }
}

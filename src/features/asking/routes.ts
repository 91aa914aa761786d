import Type from 'typebox'
import { limits } from '#core/kit/limits'
import { ok } from '#core/kit/outcome'
import type { Policy } from '#core/policy/stack'
import { inTransaction } from '#edge/store/database'
import { line, optional } from '#edge/web/fields'
import { action, screen, type Route } from '#edge/web/route'
import { answersIn, helpToChoose, mayI } from '#features/asking/asking'
import { startTransfer } from '#features/transfers/starting'

const ask = screen({
  path: '/may-i',
  who: 'signed-in',
  summary: 'May I…? The questions and the answer, without starting a transfer; the address holds the answers so far',
  view: 'asking/views/may-i',
  load: mayI,
})

const classify = screen({
  path: '/may-i/classify/:fact',
  who: 'signed-in',
  summary: 'Help to choose a classification; nothing is kept',
  view: 'transfers/views/classify',
  load: async (visit) => helpToChoose(visit),
})

/** The answers become a transfer, whose own pages ask what is still needed. */
const become = (policy: Policy): Route =>
  action({
    path: '/may-i/start',
    who: 'signed-in',
    summary: 'Start a transfer with the answers given to May I…?',
    fields: Type.Object(
      Object.fromEntries(policy.facts.map(({ id }) => [id, optional(line(id, limits.nameCharacters))])),
      { additionalProperties: false },
    ),
    run: (visit, body) => {
      const read = answersIn(visit.house.policy, body as Record<string, string | undefined>)
      if (!read.ok) return Promise.resolve(read)
      return inTransaction(visit.house.db, async (tx) => ok(await startTransfer(tx, visit, read.value)))
    },
    then: ({ id }) => `/transfers/${id}/who`,
  })

export const routes = (policy: Policy): Route[] => [ask, classify, become(policy)]

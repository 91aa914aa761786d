import Type, { type TProperties } from 'typebox'
import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import type { Policy } from '#core/policy/stack'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction } from '#edge/store/database'
import { choice, fields, line, optional, text, yesNo } from '#edge/web/fields'
import { action, screen, type Route } from '#edge/web/route'
import { askAdvice, certifyEmergency } from '#features/approvals/approvals'
import { at, change, page, toNext, unchosen } from '#features/transfers/change'
import { classifyModel } from '#features/transfers/classifying'
import { decideNow, keepDecision } from '#features/transfers/decision'
import { agreementModel, askModel, decisionModel, recordModel, transferModel } from '#features/transfers/models'
import { askable, factsOfPage, pageOf, readAnswers } from '#features/transfers/questions'
import { lockTransfer, updateTransfer } from '#features/transfers/queries'
import { recipientRoutes } from '#features/transfers/recipient-routes'
import { startTransfer } from '#features/transfers/starting'
import { stopAtOnce, stoppedBy, stoppedModel } from '#features/transfers/stopping'
import { readableTransfer, transferOf } from '#features/transfers/transfer'

const start = action({
  path: '/transfers',
  who: 'signed-in',
  summary: 'Start sharing something',
  fields: fields({}),
  run: (visit) => inTransaction(visit.house.db, async (tx) => ok(await startTransfer(tx, visit))),
  then: (made) => `/transfers/${made.id}/who`,
})

/** The questions' routes, whose fields are the vocabulary's own facts. */
function askRoutes(policy: Policy): Route[] {
  const answers: TProperties = Object.fromEntries(
    askable(policy).map((fact) => [fact, optional(line(fact, limits.nameCharacters))]),
  )
  const askPage = page('/ask/:page', 'A page of questions', 'ask', (visit, transfer) =>
    askModel(visit, transfer, visit.params.page!),
  )
  const answer = action({
    path: at('/ask/:page'),
    who: 'signed-in',
    summary: 'Answer a page of questions; `not-sure` is always an answer',
    fields: Type.Object(
      {
        ...answers,
        informationWords: optional(line('what it is', limits.lineCharacters)),
        caseReference: optional(line('the case reference', limits.referenceCharacters)),
        purposeWords: optional(text('why you are sharing it')),
        limitsWords: optional(text('any limits')),
      },
      { additionalProperties: false },
    ),
    again: askPage,
    run: (visit, body) => {
      const given = body as Record<string, string | undefined>
      const { policy } = visit.house
      const read = readAnswers(policy, visit.params.page!, given)
      if (!read.ok) return Promise.resolve(read)
      const stopped = stoppedBy(policy, read.value.facts)
      return change(visit, async (tx, transfer) => {
        if (stopped) return stopAtOnce(tx, transfer, stopped, visit.now)
        const asked = factsOfPage(policy, visit.params.page!)
        const kept = Object.fromEntries(Object.entries(transfer.facts).filter(([fact]) => !asked.includes(fact)))
        const facts = { ...kept, ...read.value.facts }
        const unsure = [...transfer.notSure.filter((fact) => !asked.includes(fact)), ...read.value.notSure]
        const words = Object.fromEntries(
          ['informationWords', 'caseReference', 'purposeWords', 'limitsWords'].flatMap((name) =>
            given[name] ? [[name, given[name]]] : [],
          ),
        )
        await updateTransfer(tx, transfer.id, { facts: JSON.stringify(facts), notSure: unsure, ...words, ...unchosen })
        await recordEvent(
          tx,
          'facts-given',
          { transfer: transfer.id, facts: facts as never, notSure: unsure },
          { transferId: transfer.id, at: visit.now },
        )
        return ok()
      })
    },
    then: toNext,
  })
  return [askPage, answer]
}

const emergencyPage = page('/emergency', 'Someone is at risk now', 'emergency', async (_visit, transfer) =>
  ok({ title: 'What could happen if you wait?', backUrl: `/transfers/${transfer.id}/ask/why` }),
)
const emergency = action({
  path: at('/emergency'),
  who: 'signed-in',
  summary: 'Certify the risk and why it cannot wait, or say that it can',
  fields: fields({
    canWait: optional(yesNo('whether it can wait')),
    whatCouldHappen: optional(text('what could happen')),
    whyNow: optional(text('why it cannot wait')),
  }),
  again: emergencyPage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      if (body.canWait) {
        await updateTransfer(tx, transfer.id, { facts: JSON.stringify({ ...transfer.facts, urgency: 'today' }) })
        return ok()
      }
      const wrong = {
        ...(body.whatCouldHappen ? {} : { whatCouldHappen: 'Enter what could happen if you wait' }),
        ...(body.whyNow ? {} : { whyNow: 'Enter why it cannot wait' }),
      }
      if (Object.keys(wrong).length > 0) return fail('form-incomplete', { fields: wrong })
      return certifyEmergency(tx, {
        transferId: transfer.id,
        whatCouldHappen: body.whatCouldHappen!,
        whyNow: body.whyNow!,
        byId: visit.actor.id,
        now: visit.now,
        publicUrl: visit.house.config.publicUrl,
      })
    }),
  then: toNext,
})

const detailsPage = page('/details', 'For the record', 'details', async (_visit, transfer) =>
  ok({ title: 'For the record', backUrl: `/transfers/${transfer.id}/decision` }),
)
const details = action({
  path: at('/details'),
  who: 'signed-in',
  summary: 'Say what it is and why, for the record and the recipient',
  fields: fields({
    informationWords: line('what it is'),
    purposeWords: text('why you are sharing it'),
    limitsWords: optional(text('any limits')),
    caseReference: optional(line('the case reference', limits.referenceCharacters)),
  }),
  again: detailsPage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      await updateTransfer(tx, transfer.id, {
        ...body,
        limitsWords: body.limitsWords ?? null,
        caseReference: body.caseReference ?? null,
      })
      return ok()
    }),
  then: toNext,
})

const decisionPage = page('/decision', 'The decision, with its reasons', 'decision', decisionModel)

const adviceLimits = text('your question')
const advicePage = page('/advice', 'Ask someone', 'advice', async (visit, transfer) => {
  const model = await decisionModel(visit, transfer)
  return model.ok
    ? ok({
        ...model.value,
        title: 'Ask someone',
        about: visit.query.about,
        backUrl: `/transfers/${transfer.id}/decision`,
      })
    : model
})
const advice = action({
  path: at('/advice'),
  who: 'signed-in',
  summary: 'Ask the role that can settle what you were not sure of (D15, W9)',
  fields: fields({
    role: choice('whom to ask', [
      'service-desk',
      'information-governance',
      'information-asset-owner',
      'records-officer',
      'information-security',
      'manager',
    ] as const),
    question: adviceLimits,
  }),
  again: advicePage,
  run: (visit, body) =>
    change(visit, async (tx, transfer) => {
      const asked = await askAdvice(tx, {
        transferId: transfer.id,
        askedBy: visit.actor.id,
        role: body.role,
        facts: transfer.notSure,
        question: body.question,
        now: visit.now,
        publicUrl: visit.house.config.publicUrl,
      })
      if (asked.ok) await updateTransfer(tx, transfer.id, { state: 'asking' })
      return asked
    }),
  then: (_result, visit) => `/transfers/${visit.params.transfer}`,
})

const lookPage = page('/look-through', 'Leave out what they do not need', 'look-through', async (_visit, transfer) =>
  ok({ title: 'Have you left out what they do not need?', backUrl: `/transfers/${transfer.id}/decision` }),
)
const look = action({
  path: at('/look-through'),
  who: 'signed-in',
  summary: 'Say that it was looked through for what need not be sent, and what was left out',
  fields: fields({
    looked: choice('what you found', ['left-out', 'all-needed'] as const),
    leftOutWords: optional(text('what was left out')),
  }),
  again: lookPage,
  run: (visit, { looked, leftOutWords }) =>
    change(visit, async (tx, transfer) => {
      if (looked === 'left-out' && !leftOutWords)
        return fail('form-incomplete', { fields: { leftOutWords: 'Enter what you left out, in a few words' } })
      const words = looked === 'left-out' ? leftOutWords : null
      await updateTransfer(tx, transfer.id, { lookedThroughAt: visit.now, leftOutWords: words })
      const body = { transfer: transfer.id, looked, leftOut: words ?? '' }
      await recordEvent(tx, 'looked-through', body, { transferId: transfer.id, at: visit.now })
      return ok()
    }),
  then: toNext,
})

const chooseMethod = action({
  path: at('/method'),
  who: 'signed-in',
  summary: 'Choose how to send it',
  fields: fields({ method: line('a method', limits.nameCharacters) }),
  run: (visit, { method }) =>
    change(visit, async (tx, transfer) => {
      const kept = await keepDecision(tx, visit.house, transfer)
      if (!kept.ok) return kept
      const outcome = kept.value.decision.methods[method]?.outcome
      if (outcome !== 'ALLOW' && outcome !== 'ALLOW_WITH') return fail('method-not-allowed')
      await updateTransfer(tx, transfer.id, { method, state: 'ready' })
      const about = { transferId: transfer.id, at: visit.now }
      await recordEvent(tx, 'method-chosen', { transfer: transfer.id, method }, about)
      return ok()
    }),
  then: toNext,
})

const decideAgainNow = action({
  path: at('/decide-again'),
  who: 'signed-in',
  summary: 'Decide an open transfer again, by the rulebooks in force',
  fields: fields({}),
  run: (visit) =>
    change(visit, async (tx, transfer) => {
      const decided = await decideNow(tx, visit.house, transfer)
      if (!decided.ok || !transfer.method) return decided
      const outcome = decided.value.decision.methods[transfer.method]?.outcome
      // A way that is not allowed any more is chosen anew.
      if (outcome !== 'ALLOW' && outcome !== 'ALLOW_WITH') await updateTransfer(tx, transfer.id, unchosen)
      return ok()
    }),
  then: toNext,
})

const stop = action({
  path: at('/stop'),
  who: 'signed-in',
  summary: 'Decide not to share, and record why',
  fields: fields({ reason: text('why it is not shared') }),
  run: (visit, body) =>
    inTransaction(visit.house.db, async (tx) => {
      const known = await transferOf(visit)
      if (!known.ok) return known
      const transfer = (await lockTransfer(tx, known.value.id))!
      if (!['draft', 'ready', 'asking'].includes(transfer.state)) return fail('transfer-closed')
      await updateTransfer(tx, transfer.id, { state: 'withdrawn', closedAt: visit.now })
      await recordEvent(
        tx,
        'decided-not-to-share',
        { transfer: transfer.id, reason: body.reason },
        { transferId: transfer.id, at: visit.now },
      )
      return ok({})
    }),
  then: (_result, visit) => `/transfers/${visit.params.transfer}`,
})

const recordPage = screen({
  path: at('/record'),
  who: 'signed-in',
  summary: 'The one-page record, to copy into a case file',
  view: 'transfers/views/record',
  load: async (visit) => {
    const transfer = await readableTransfer(visit)
    return transfer.ok ? recordModel(visit, transfer.value) : transfer
  },
})

/** A transfer's own page; the shell adds what later features show on it. */
export const transferPage = screen({
  path: at(''),
  who: 'signed-in',
  summary: 'A transfer: where it stands, who has what, what happened',
  view: 'transfers/views/transfer',
  load: async (visit) => {
    const transfer = await readableTransfer(visit)
    return transfer.ok ? transferModel(visit, transfer.value) : transfer
  },
})

const classifyPage = page('/classify/:fact', 'Help to choose a classification', 'classify', async (visit, transfer) => {
  const fact = visit.params.fact!
  const model = classifyModel(visit, fact)
  const { policy } = visit.house
  const at = `/transfers/${transfer.id}`
  return model.ok
    ? ok({ ...model.value, hereUrl: `${at}/classify/${fact}`, backUrl: `${at}/ask/${pageOf(policy, fact)}` })
    : model
})

const stoppedPage = page('/stopped', 'What stopped this at once', 'stopped', stoppedModel)

const agreementPage = page('/agreement', 'The agreement that covers this', 'agreement', agreementModel)

export const routes = (policy: Policy): Route[] => [
  start,
  ...recipientRoutes,
  ...askRoutes(policy),
  emergencyPage,
  emergency,
  detailsPage,
  details,
  decisionPage,
  advicePage,
  advice,
  lookPage,
  look,
  chooseMethod,
  decideAgainNow,
  stop,
  classifyPage,
  stoppedPage,
  recordPage,
  agreementPage,
]

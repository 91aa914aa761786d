import { fail, ok, type Outcome } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import type { Decision } from '#core/policy/decide'
import { amountWords } from '#core/policy/case-words'
import { explain } from '#core/policy/explain'
import { suggestionFor } from '#core/policy/legacy-markings'
import type { Fact, Vocabulary } from '#core/policy/terms'
import type { House } from '#edge/house'
import type { Visit } from '#edge/web/route'
import { adviceOf, certificationOf } from '#features/approvals/approvals'
import { searchDirectory } from '#features/organisations/directory'
import { withAdvice } from '#features/transfers/facts'
import { isGuided } from '#features/transfers/classifying'
import { decideNow, unmet, isUsable } from '#features/transfers/decision'
import { answerOf, askable, bandsOf, factsOfPage, notSure, pageOf } from '#features/transfers/questions'
import {
  confirmationsOf,
  decisionById,
  eventsOf,
  namesOf,
  personDetails,
  recentPeople,
  shownRecipients,
  type TransferRow,
} from '#features/transfers/queries'
import { versionsOf } from '#features/transfers/versions'
import { eventWords, methodWords, stateWords } from '#features/transfers/words'

type Modelled = Promise<Outcome<{ title: string } & Record<string, unknown>>>

/** Who is it for: people she lately sent to, what a search found, and kinds of people. */
export async function whoModel(visit: Visit, transfer: TransferRow, search = ''): Modelled {
  const { house, actor } = visit
  const found = search ? await searchDirectory(house.db, { words: search, limit: limits.directoryResults }) : []
  const recent = search ? [] : (await recentPeople(house.db, actor.id)).map((person) => ({ ...person, kind: 'person' }))
  return ok({
    title: transfer.state === 'sent' || transfer.state === 'collected' ? 'Who else is it for?' : 'Who is it for?',
    search,
    found,
    recent,
    chosen: await shownRecipients(house.db, transfer.id),
    backUrl: '/',
  })
}

/** A band of a size, or of a count. */
function bandLabel(vocabulary: Vocabulary, unit: string, atLeast: number, atMost: number | undefined): string {
  const size = (amount: number) => amountWords(vocabulary, { amount, unit })
  if (unit === 'bytes') return atMost === undefined ? `More than ${size(atLeast - 1)}` : `Up to ${size(atMost)}`
  const words = (amount: number) => amount.toLocaleString('en-GB')
  if (atMost === undefined) return `${words(atLeast)} or more`
  if (atLeast === 0) return atMost === 1 ? '1' : `Up to ${words(atMost)}`
  return atLeast === atMost ? words(atMost) : `${words(atLeast)} to ${words(atMost)}`
}

function optionsOf(house: House, id: string, fact: Fact): { value: string; label: string; hint: string | undefined }[] {
  if (fact.type === 'yes-no')
    return [
      { value: 'yes', label: 'Yes', hint: undefined },
      { value: 'no', label: 'No', hint: undefined },
    ]
  if (fact.type === 'quantity') {
    return bandsOf(house.policy, id).map(({ value, atLeast, atMost }) => ({
      value,
      label: bandLabel(house.policy.vocabulary, fact.unit!, atLeast, atMost),
      hint: undefined,
    }))
  }
  return [...(fact.options ?? [])].map(([value, option]) => ({ value, label: option.label, hint: option.hint }))
}

/** For a classification: what an old marking, if she asked about one, may be today. She answers the question herself. */
function oldMarking({ house, query }: Visit, asked: string[]) {
  const facts = ['government-class', 'sensitivity'].filter((id) => asked.includes(id))
  if (facts.length === 0) return undefined
  const written = query.marking ?? ''
  const found = suggestionFor(written)
  const suggested = { 'government-class': found?.governmentClass, sensitivity: found?.sensitivity }
  const words = facts.flatMap((id) => {
    const value = suggested[id as keyof typeof suggested]
    return value ? (house.policy.vocabulary.facts.get(id)!.options!.get(value)?.label ?? []) : []
  })
  return { written, found, words: words.join(', ') }
}

/** A page of questions, each with its options, why it is asked, and the answer it has. */
export async function askModel(visit: Visit, transfer: TransferRow, page: string): Modelled {
  const { policy } = visit.house
  const asked = factsOfPage(policy, page)
  const open = askable(policy)
  if (asked.length === 0 || !asked.every((id) => open.includes(id))) return fail('not-found')
  const questions = asked.map((id) => {
    const fact = policy.facts.find((each) => each.id === id)!.fact
    const answer = answerOf(policy, id, fact, transfer)
    const isGuidable = isGuided(policy, id)
    const suggested = isGuidable ? visit.query._suggest : undefined
    return { id, ...fact, isGuidable, options: optionsOf(visit.house, id, fact), answer: suggested ?? answer }
  })
  const titles: Record<string, string> = {
    sensitivity: 'How sensitive is it?',
    people: 'Whom is it about?',
    what: 'What is it?',
    why: 'Why, and how soon?',
  }
  const title = questions.length > 1 ? titles[page] : undefined
  return ok({
    title: title ?? questions[0]!.question,
    page,
    questions,
    by: Object.fromEntries(questions.map((each) => [each.id, each])),
    isAlone: title === undefined,
    old: oldMarking(visit, asked),
    notSure,
    backUrl: `/transfers/${transfer.id}/who`,
  })
}

/** What she told us, as questions and answers with a way to change each. */
function toldModel(house: House, transfer: TransferRow) {
  return house.policy.facts
    .filter(({ id }) => id !== 'audience' && (transfer.facts[id] !== undefined || transfer.notSure.includes(id)))
    .map(({ id, fact }) => {
      const answer = answerOf(house.policy, id, fact, transfer)
      const label =
        answer === notSure
          ? 'Not sure'
          : (optionsOf(house, id, fact).find((option) => option.value === answer)?.label ?? String(transfer.facts[id]))
      return {
        question: fact.question,
        answer: label,
        url: `/transfers/${transfer.id}/ask/${pageOf(house.policy, id)}`,
      }
    })
}

/** The decision in words: the best way, the other allowed ways, and what is ruled out with its reason and whom to ask. */
export async function decisionModel(visit: Visit, asked: TransferRow): Modelled {
  const { house } = visit
  const decided = await decideNow(house.db, house, asked)
  if (!decided.ok) return decided
  const { decision } = decided.value
  const transfer = await withAdvice(house.db, asked)
  const { rulebooks } = house.policy
  // Whose rule it is goes without saying where there is one rulebook.
  const named = (ids: string[]) =>
    rulebooks.length > 1 ? rulebooks.flatMap((book) => (ids.includes(book.id) ? book.title : [])) : []
  const shown = (id: string) => {
    const method = decision.methods[id]!
    return {
      ...method,
      name: house.policy.vocabulary.methods.get(id)!.name,
      says: explain(house.policy.vocabulary, decision, id).map((each) => ({ ...each, from: named(each.rulebooks) })),
      means: methodWords[id],
      unmet: unmet(method),
    }
  }
  const [best, ...next] = decision.recommended
  const then = best === 'telephone' && transfer.facts.artefact !== 'conversation' ? next[0] : undefined
  const allowed = decision.order.filter((id) => isUsable(decision.methods[id]!.outcome))
  return ok({
    title: 'How to send it',
    transfer,
    best: best ? shown(best) : undefined,
    // When somebody is at risk the call comes first, and what is sent after it stands beside it.
    then: then ? shown(then) : undefined,
    others: allowed.filter((id) => id !== best && id !== then).map(shown),
    referred: decision.order.filter((id) => decision.methods[id]!.outcome === 'REFER').map(shown),
    refused: decision.order
      .filter((id) => decision.methods[id]!.outcome === 'BLOCK' && !decision.methods[id]!.silent)
      .map(shown),
    ask: whomToAsk(house, decision, transfer),
    roles: Object.fromEntries([...house.policy.vocabulary.roles].map(([id, { name }]) => [id, roleWords(id, name)])),
    told: toldModel(house, transfer),
    recipients: await shownRecipients(house.db, transfer.id),
    certification: await certificationOf(house.db, transfer.id),
    atRisk: transfer.facts.urgency === 'at-risk-now',
    published: transfer.facts.published === true,
    advice: await adviceOf(house.db, transfer.id),
    versions: await versionsOf(house, asked),
    rulebooks: rulebooks.map(({ title, version, guidanceDate, reviewDate }) => ({
      title,
      version,
      guidanceDate,
      reviewDate,
      isStale: reviewDate < visit.now.toISOString().slice(0, 10),
    })),
    backUrl: `/transfers/${transfer.id}/ask/why`,
  })
}

/** A role as it stands in a sentence: "the service desk", "information governance". */
const roleWords = (id: string, name: string) =>
  `${id === 'information-governance' ? '' : 'the '}${name.charAt(0).toLowerCase()}${name.slice(1)}`

/** The roles that can help next: those the decision names, and those who answer what she was not sure of. */
function whomToAsk(house: House, decision: Decision, transfer: TransferRow): string[] {
  const unsure = transfer.notSure.map(
    (id) => house.policy.facts.find((fact) => fact.id === id)?.fact.notSure ?? 'service-desk',
  )
  const asked = [...unsure, ...decision.ask].filter((role) => role !== 'sender')
  return [...new Set(asked)]
}

/** A transfer's page: its state, who it is for, and what has happened, oldest first. */
export async function transferModel(visit: Visit, transfer: TransferRow): Modelled {
  const { house } = visit
  const events = await eventsOf(house.db, transfer.id)
  const recipients = await shownRecipients(house.db, transfer.id)
  const sender = await personDetails(house.db, transfer.senderId)
  const names = new Map(recipients.map((recipient) => [recipient.id, recipient.fullName]))
  return ok({
    title: `Transfer ${transfer.reference}`,
    transfer,
    isOwn: transfer.senderId === visit.actor.id,
    sender: sender?.fullName,
    state: stateWords[transfer.state] ?? transfer.state,
    versions: await versionsOf(house, transfer),
    methodName: transfer.method ? house.policy.vocabulary.methods.get(transfer.method)?.name : undefined,
    recipients,
    // The policy is consulted at every step; only the last time is news.
    timeline: events.flatMap((event, place) => {
      if (event.name === 'decided' && events.findLastIndex((each) => each.name === 'decided') !== place) return []
      const body = event.body === null ? {} : (JSON.parse(event.body) as Record<string, unknown>)
      const words = eventWords(event.name, body, names.get(String(body.recipient)) ?? 'the recipient')
      return words ? [{ id: event.id, words, at: event.at, hasProof: event.seq !== null && event.body !== null }] : []
    }),
    backUrl: '/',
  })
}

/** The one-page record of sharing: what W78 asks for, with the decision and the evidence. */
export async function recordModel(visit: Visit, transfer: TransferRow): Modelled {
  const { house } = visit
  const model = await transferModel(visit, transfer)
  if (!model.ok) return model
  const confirmations = await confirmationsOf(house.db, transfer.id)
  const by = await namesOf(
    house.db,
    confirmations.map((row) => row.byId),
  )
  const decision = transfer.decisionId ? await decisionById(house.db, transfer.decisionId) : undefined
  const method = transfer.method && decision ? (decision.result as Decision).methods[transfer.method] : undefined
  return ok({
    ...model.value,
    title: `Record of sharing ${transfer.reference}`,
    confirmations: confirmations.map((row) => ({ ...row, by: by.get(row.byId) })),
    decision,
    clauses: [...new Set(method?.reasons.flatMap((reason) => reason.clauses.map((clause) => clause.id)) ?? [])],
    organisations: Object.fromEntries(
      await Promise.all(
        ((model.value.recipients as { id: string; personId: string | null }[]) ?? []).map(async (recipient) => {
          const person = recipient.personId ? await personDetails(house.db, recipient.personId) : undefined
          return [recipient.id, person?.organisation ?? ''] as const
        }),
      ),
    ),
    backUrl: `/transfers/${transfer.id}`,
  })
}

/** What can be done where no agreement covers this. */
export async function agreementModel(visit: Visit, transfer: TransferRow): Modelled {
  const model = await decisionModel(visit, transfer)
  return model.ok
    ? ok({
        ...model.value,
        title: 'There is no agreement that covers this',
        backUrl: `/transfers/${transfer.id}/decision`,
      })
    : model
}

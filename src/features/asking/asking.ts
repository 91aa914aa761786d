import { ok, type Outcome } from '#core/kit/outcome'
import { decide } from '#core/policy/decide'
import { explain } from '#core/policy/explain'
import { nextQuestion } from '#core/policy/question'
import { possibleIn, type Policy } from '#core/policy/stack'
import type { Facts } from '#core/policy/terms'
import type { Visit } from '#edge/web/route'
import { isId } from '#edge/web/fields'
import { organisationById, organisationsBy } from '#features/organisations/queries'
import { chosenIn, chosenWords, factsAsked, factsFrom } from '#features/rulebooks/answers'
import { classifyModel, isGuided } from '#features/transfers/classifying'
import { isUsable } from '#features/transfers/decision'
import { partnerFacts, senderFacts } from '#features/transfers/facts'
import { notSure } from '#features/transfers/questions'
import { stoppedBy, stopWords } from '#features/transfers/stopping'
import { methodWords } from '#features/transfers/words'

/** The page's own parameters: an organisation of the directory, or one that is not there; words to find one by. */
const organisationName = '_organisation'
const searchName = '_search'
const unlisted = 'unlisted'
/** What somebody was helped to: shown as chosen, and confirmed by them. */
const suggestName = '_suggest'

/** Somebody certifies an emergency only for a transfer that there is. */
const notAsked = new Set(['emergency-certified'])

/**
 * What an address says so far: ids and values of facts, nothing that anybody wrote, so that an address tells of nobody.
 *
 * @returns what is known, and what the person was not sure about; or `facts-unreadable`
 */
export function answersIn(
  policy: Policy,
  query: Visit['query'],
): Outcome<{ facts: Facts; unsure: string[]; told: { question: string; answer: string }[] }> {
  const asked = factsAsked(policy)
  const isUnsure = ([, value]: [string, string | undefined]) => value === notSure
  const given = Object.entries(query)
  const chosen = chosenIn(asked, Object.fromEntries(given.filter((each) => !isUnsure(each))))
  if (!chosen.ok) return chosen
  const unsure = asked.filter(({ id }) => query[id] === notSure)
  const told = [
    ...chosenWords(asked, chosen.value),
    ...unsure.map(({ question }) => ({ question, answer: 'Not sure' })),
  ]
  return ok({ facts: factsFrom(chosen.value), unsure: unsure.map(({ id }) => id), told })
}

/** The answers so far, for the next address; what is only this page's is left out. */
const givenIn = (query: Visit['query']): [string, string][] =>
  Object.entries(query).flatMap(([name, value]) =>
    value && name !== 'lang' && (!name.startsWith('_') || name === organisationName) ? [[name, value]] : [],
  )

/** Help with a classification, with the way back to the question. */
export function helpToChoose(visit: Visit): Outcome<{ title: string } & Record<string, unknown>> {
  const fact = visit.params.fact!
  const model = classifyModel(visit, fact)
  const given = givenIn(visit.query)
  const backUrl = `/may-i?${new URLSearchParams(given)}`
  return model.ok ? ok({ ...model.value, given, hereUrl: `/may-i/classify/${fact}`, backUrl }) : model
}

/** The next question, or the answer: as far as it can be known before there is anything to send. Nothing is kept. */
export async function mayI(visit: Visit): Promise<Outcome<{ title: string } & Record<string, unknown>>> {
  const { house, query, actor } = visit
  const { policy } = house
  const read = answersIn(policy, query)
  if (!read.ok) return read
  const { facts: told, unsure, told: words } = read.value
  const stopped = stoppedBy(policy, told)
  if (stopped) return ok({ title: 'Stop: do not send this', step: 'stop', stopped: stopWords(policy, stopped) })
  const given = givenIn(query)
  const asked = factsAsked(policy)
  const before = given.slice(0, -1)
  const backUrl = given.length === 0 ? '/' : before.length === 0 ? '/may-i' : `/may-i?${new URLSearchParams(before)}`
  const page = { given, told: words, startUrl: '/may-i', backUrl }

  const place = query[organisationName]
  const organisation = place && isId(place) ? await organisationById(house.db, place) : undefined
  if (told.audience === 'organisation' && !organisation && place !== unlisted && told.sector === undefined) {
    const search = query[searchName] ?? ''
    return ok({
      ...page,
      title: 'Which organisation is it?',
      step: 'organisation',
      search,
      found: (await organisationsBy(house.db, search)).filter(({ isOwn }) => !isOwn),
    })
  }

  const facts = {
    ...(await senderFacts(house.db, house, actor.id)),
    ...(organisation ? await partnerFacts(house.db, house, organisation.id, told) : {}),
    ...told,
  }
  const open = policy.facts.filter(
    ({ id, fact }) => fact.asked === 'deciding' && !notAsked.has(id) && !unsure.includes(id),
  )
  const next = nextQuestion(
    policy,
    facts,
    open.map(({ id }) => id),
  )
  if (!next.ok) return next
  if (next.value) {
    const { fact, question, hint, why } = next.value
    const answers = asked
      .find(({ id }) => id === fact)!
      .answers.filter(({ known }) => possibleIn(policy, { ...facts, [fact]: known }).ok)
    const { options } = policy.vocabulary.facts.get(fact)!
    return ok({
      ...page,
      title: question,
      step: 'ask',
      question: { id: fact, words: question, hint, why, suggested: query[suggestName] },
      helpUrl: isGuided(policy, fact) ? `/may-i/classify/${fact}?${new URLSearchParams(given)}` : undefined,
      options: answers.map(({ value, label }) => ({ value, label, hint: options?.get(value)?.hint })),
      notSure,
    })
  }
  return answer(visit, facts, { ...page, organisation: organisation?.name })
}

function answer({ house: { policy } }: Visit, facts: Facts, page: Record<string, unknown>) {
  const decided = decide(policy, facts)
  if (!decided.ok) return decided
  const { vocabulary } = policy
  const { methods, order, recommended, ask } = decided.value
  const shown = (id: string) => ({
    id,
    name: vocabulary.methods.get(id)!.name,
    means: methodWords[id],
    first: methods[id]!.obligations.filter(({ phase, met, certain }) => phase === 'before' && met !== true && certain),
    says: explain(vocabulary, decided.value, id),
  })
  const [best] = recommended
  const usable = order.filter((id) => isUsable(methods[id]!.outcome))
  const roles = ask.map((id) => vocabulary.roles.get(id)?.name ?? id)
  const chosen = best ?? usable[0]
  const needs = chosen ? shown(chosen).first.length > 0 : false
  return ok({
    ...page,
    title: chosen
      ? needs
        ? 'Yes, once this is done'
        : 'Yes'
      : roles.length > 0
        ? 'Ask first'
        : 'No, not as it stands',
    step: 'answer',
    best: chosen ? shown(chosen) : undefined,
    others: usable.filter((id) => id !== chosen).map(shown),
    referred: order.filter((id) => methods[id]!.outcome === 'REFER').map(shown),
    refused: order
      .filter((id) => methods[id]!.outcome === 'BLOCK' && !methods[id]!.silent)
      .map((id) => ({ ...shown(id), instead: methods[id]!.instead })),
    roles,
    rulebooks: policy.rulebooks.map(({ title, version, guidanceDate }) => ({ title, version, guidanceDate })),
  })
}

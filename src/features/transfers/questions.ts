import { fail, ok, type Outcome } from '#core/kit/outcome'
import { isRead, nextQuestion } from '#core/policy/question'
import type { Fact, FactValue, Facts } from '#core/policy/terms'
import type { Policy } from '#core/policy/stack'
import type { House } from '#edge/house'
import { factsOf } from '#features/transfers/facts'
import type { TransferRow } from '#features/transfers/queries'

/** What a person answers when she does not know. It is never a wrong answer. */
export const notSure = 'not-sure'

/** Questions that belong on one page. Any other question has a page of its own. */
const pages: Record<string, string[]> = {
  sensitivity: ['published', 'council-class', 'personal', 'internal-use-only'],
  people: ['sensitivity', 'people'],
  what: ['artefact', 'size'],
  why: ['purpose', 'urgency'],
}

/** Facts that come from choosing a recipient or from a page of their own, and are never asked as plain questions. */
const elsewhere = new Set(['audience', 'sector', 'address', 'mailbox', 'emergency-certified'])

/** The page a fact is asked on. */
export const pageOf = (policy: Policy, fact: string): string =>
  Object.keys(pages).find((page) => factsOfPage(policy, page).includes(fact)) ?? fact

/**
 * The facts of a page: those that the rulebooks read. Whoever says how much harm it could do to people has said whether it
 * is about people.
 */
export function factsOfPage(policy: Policy, page: string): string[] {
  if (!Object.hasOwn(pages, page)) return [page]
  const isAsked = (id: string) => isRead(policy, policy.placeOf.get(id)!)
  return pages[page]!.filter((id) => isAsked(id) && !(id === 'personal' && isAsked('sensitivity')))
}

/** The facts a sender may be asked for. */
export const askable = (policy: Policy): string[] =>
  policy.facts.filter(({ id, fact }) => fact.asked === 'deciding' && !elsewhere.has(id)).map(({ id }) => id)

/**
 * Where a person goes next: the page of the next question that can still change the answer, or the decision.
 *
 * @returns a path of this site
 */
export async function nextPath(house: House, transfer: TransferRow): Promise<Outcome<string>> {
  const at = `/transfers/${transfer.id}`
  if (!transfer.recipientKind) return ok(`${at}/who`)
  // An emergency is certified by who knows that there is one.
  const certifiable = transfer.notSure.includes('urgency') ? [] : ['emergency-certified']
  const open = [...askable(house.policy), ...certifiable].filter((id) => !transfer.notSure.includes(id))
  const all = await factsOf(house.db, house, transfer)
  for (const facts of all) {
    const next = nextQuestion(house.policy, facts, open)
    if (!next.ok) return next
    if (next.value?.fact === 'emergency-certified') return ok(`${at}/emergency`)
    if (next.value) return ok(`${at}/ask/${pageOf(house.policy, next.value.fact)}`)
  }
  const atRisk =
    isRead(house.policy, house.policy.placeOf.get('emergency-certified')!) &&
    transfer.facts.urgency === 'at-risk-now' &&
    all.some((facts) => facts['emergency-certified'] === undefined)
  return ok(atRisk ? `${at}/emergency` : `${at}/decision`)
}

/** The bands a size is asked in: the bounds that rules compare it with. */
export function bandsOf(
  policy: Policy,
  fact: string,
): { value: string; atLeast: number; atMost: number | undefined }[] {
  const cuts = policy.facts.find(({ id }) => id === fact)?.cuts ?? []
  return [0, ...cuts].map((from, place) => {
    const atMost = cuts[place]
    return {
      value: atMost === undefined ? `above-${from}` : `at-most-${atMost}`,
      atLeast: place === 0 ? 0 : from + 1,
      atMost,
    }
  })
}

export const valuesOf = (policy: Policy, id: string, fact: Fact): string[] =>
  fact.type === 'quantity'
    ? bandsOf(policy, id).map(({ value }) => value)
    : fact.type === 'yes-no'
      ? ['yes', 'no']
      : [...(fact.options?.keys() ?? [])]

/** What a form's answer says as a fact. */
function factValue(policy: Policy, id: string, fact: Fact, answer: string): FactValue {
  if (fact.type === 'yes-no') return answer === 'yes'
  if (fact.type !== 'quantity') return answer
  const { atLeast, atMost } = bandsOf(policy, id).find(({ value }) => value === answer)!
  return { atLeast, ...(atMost === undefined ? {} : { atMost }) }
}

/** The answer a fact was given as, for showing it again. */
export function answerOf(policy: Policy, id: string, fact: Fact, transfer: TransferRow): string | undefined {
  if (transfer.notSure.includes(id)) return notSure
  const value = transfer.facts[id] as FactValue | undefined
  if (value === undefined) return undefined
  if (fact.type === 'yes-no') return value ? 'yes' : 'no'
  if (fact.type !== 'quantity') return value as string
  const size = typeof value === 'number' ? value : (value as { atLeast?: number }).atLeast
  return bandsOf(policy, id).find(
    (band) => size! >= band.atLeast && (band.atMost === undefined || size! <= band.atMost),
  )?.value
}

/**
 * A page's answers as facts. Files have a size; other things do not. The internal use mark is a box to tick. What is already public is neither sensitive nor
 * asked about further.
 *
 * @returns the facts and those she was not sure about; or `form-incomplete` with a sentence for each question left open
 */
export function readAnswers(
  policy: Policy,
  page: string,
  given: Record<string, unknown>,
): Outcome<{ facts: Facts; notSure: string[] }> {
  const wrong: Record<string, string> = {}
  const facts: Facts = {}
  const unsure: string[] = []
  const asked = factsOfPage(policy, page)
  const isMerged = asked.includes('published') && asked.includes('council-class')
  const isPublished = given['council-class'] === 'published'
  for (const id of asked) {
    const fact = policy.facts.find((each) => each.id === id)?.fact
    if (!fact) return fail('not-found')
    if (id === 'published' && isMerged) continue
    if (isPublished && id !== 'council-class') continue
    if (id === 'council-class' && isPublished) {
      facts.published = true
      continue
    }
    if (id === 'size' && given.artefact !== 'file') continue
    if (id === 'internal-use-only' && isMerged) {
      facts[id] = given[id] === 'yes'
      continue
    }
    const answer = given[id]
    if (answer === notSure) unsure.push(id)
    else if (typeof answer === 'string' && valuesOf(policy, id, fact).includes(answer))
      facts[id] = factValue(policy, id, fact, answer)
    else wrong[id] = `Choose an answer: ${fact.question.toLowerCase()}`
  }
  if (isMerged && !isPublished) facts.published = false
  return Object.keys(wrong).length > 0 ? fail('form-incomplete', { fields: wrong }) : ok({ facts, notSure: unsure })
}

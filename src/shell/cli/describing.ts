import { limits } from '#core/kit/limits'
import { fail, orThrow, ProblemError } from '#core/kit/outcome'
import type { Api } from '#shell/cli/api'
import type { Io } from '#shell/cli/command'

/** Somebody who is not in the directory yet. */
export interface Newcomer {
  kind: 'individual' | 'organisation'
  fullName: string
  organisation?: string | undefined
  sector?: string | undefined
}

interface Question {
  id: string
  question: string
  answer?: string
  options: { value: string; label: string }[]
}

/**
 * Names a recipient: the one in the directory who has this address, or else somebody new. Whoever is named already stays.
 *
 * @throws ProblemError `recipient-unknown` when the directory has nobody and `newcomer` is not given
 */
export async function addRecipient(api: Api, transferId: string, email: string, newcomer?: Newcomer): Promise<void> {
  try {
    await addNewRecipient(api, transferId, email, newcomer)
  } catch (error) {
    if (!(error instanceof ProblemError) || error.problem.slug !== 'recipient-twice') throw error
  }
}

async function addNewRecipient(api: Api, transferId: string, email: string, newcomer?: Newcomer): Promise<void> {
  const at = `/api/transfers/${transferId}`
  const { found } = await api.post<{ found: { kind: string; id: string; email: string }[] }>(
    `/transfers/${transferId}/who/search`,
    { q: email },
  )
  const known = found.find((row) => row.email.toLowerCase() === email.toLowerCase())
  if (known) return void (await api.post(`${at}/who`, { to: `${known.kind}:${known.id}` }))
  if (!newcomer) return orThrow(fail('recipient-unknown', { detail: `Nobody in it has the address ${email}.` }))
  const { organisation, ...person } = newcomer
  const body = { ...person, email, ...(organisation ? await organisationFields(api, at, organisation) : {}) }
  await api.post(`${at}/someone`, body)
}

async function organisationFields(api: Api, at: string, name: string) {
  const { organisations } = await api.get<{ organisations: { id: string; name: string }[] }>(
    `${at}/someone?kind=organisation`,
  )
  const known = organisations.find((each) => each.name.toLowerCase() === name.toLowerCase())
  return known ? { organisation: known.id } : { organisation: 'new', newOrganisation: name }
}

/**
 * Answers the questions of a transfer, page by page as the server asks them, until the decision can be taken.
 *
 * @param answers - by the name of the fact; what is missing is asked on a terminal
 * @param next - the page the server named last
 * @throws ProblemError `question-open` with the answers to choose from
 */
export async function answerQuestions(
  api: Api,
  io: Io,
  { answers, sizeBytes, next }: { answers: Map<string, string>; sizeBytes: number; next: string },
): Promise<void> {
  let page = next
  for (let n = 0; n < limits.questionPages; n += 1) {
    if (page.includes('/ask/')) page = await answerPage(api, io, { answers, sizeBytes, page })
    else if (page.endsWith('/emergency')) page = await nextOf(api, page, certification(answers))
    else return
  }
}

/** Sends a form and answers where it leads. */
const nextOf = async (api: Api, page: string, form: unknown): Promise<string> =>
  (await api.post<{ next: string }>(`/api${page}`, form)).next

/** What the sender certifies in an emergency, or that it can wait. */
const certification = (answers: Map<string, string>) => {
  const [whatCouldHappen, whyNow] = [answers.get('could-happen'), answers.get('why-now')]
  if (whatCouldHappen && whyNow) return { whatCouldHappen, whyNow }
  return orThrow(
    fail('question-open', {
      fields: {
        'could-happen': 'What could happen if you wait? Add --could-happen WORDS',
        'why-now': 'Why can it not wait? Add --why-now WORDS',
      },
    }),
  )
}

async function answerPage(
  api: Api,
  io: Io,
  { answers, sizeBytes, page }: { answers: Map<string, string>; sizeBytes: number; page: string },
): Promise<string> {
  const { questions } = await api.get<{ questions: Question[] }>(`/api${page}`)
  const answerOf = (question: Question) =>
    question.id === 'size' ? bandOf(question, sizeBytes) : (answers.get(question.id) ?? question.answer)
  const body = () =>
    Object.fromEntries(questions.flatMap((each) => (answerOf(each) ? [[each.id, answerOf(each)]] : [])))
  for (;;) {
    try {
      return await nextOf(api, page, body())
    } catch (error) {
      // The server knows which of a page's questions matter; what it finds missing is asked, once each.
      const missing = error instanceof ProblemError ? (error.problem.fields ?? {}) : {}
      const open = questions.filter((each) => each.id in missing)
      if (open.length === 0) throw error
      if (!io.ask || open.some((each) => answers.has(each.id)))
        orThrow(fail('question-open', { fields: choicesOf(open) }))
      for (const each of open) answers.set(each.id, await askFor(io.ask!, each))
    }
  }
}

const valuesOf = (question: Question): string[] => [...question.options.map(({ value }) => value), 'not-sure']

const choicesOf = (open: Question[]) =>
  Object.fromEntries(
    open.map((each) => [each.id, `${each.question} Add --answer ${each.id}=${valuesOf(each).join('|')}`]),
  )

async function askFor(ask: NonNullable<Io['ask']>, question: Question): Promise<string> {
  const lines = question.options.map(({ label }, place) => `  ${place + 1}  ${label}`)
  const typed = await ask([question.question, ...lines, `  ${lines.length + 1}  Not sure`, 'Number:'].join('\n'))
  return valuesOf(question)[Number(typed) - 1] ?? 'not-sure'
}

/** The band of sizes that these bytes fall in. */
const bandOf = (question: Question, sizeBytes: number): string =>
  question.options.find(({ value }) => sizeBytes <= Number(/^at-most-(\d+)$/.exec(value)?.[1] ?? Infinity))!.value

interface Sentence {
  says: string
  clauses: string[]
}
interface MethodModel {
  method: string
  name: string
  outcome: string
  says: Sentence[]
  /** What must be done before sending, and is not. */
  unmet: Sentence[]
}
interface DecisionModel {
  best?: MethodModel
  others: MethodModel[]
  referred: MethodModel[]
  refused: MethodModel[]
  ask: string[]
  roles: Record<string, string>
}

/** A decision's sentences, each with its clauses. */
export const inWords = (says: readonly Sentence[]): string =>
  says.map((each) => `  ${each.says}${each.clauses.length > 0 ? ` (${each.clauses.join(', ')})` : ''}`).join('\n')

/**
 * What the decision says of one method.
 *
 * @throws ProblemError `method-not-allowed` with the reasons and the nearest yes
 */
export async function decisionOn(api: Api, transferId: string, method: string): Promise<MethodModel> {
  const model = await api.get<DecisionModel>(`/api/transfers/${transferId}/decision`)
  const allowed = [...(model.best ? [model.best] : []), ...model.others].find((each) => each.method === method)
  if (allowed) return allowed
  const against = [...model.referred, ...model.refused].find((each) => each.method === method)
  const ask = model.ask.map((role) => model.roles[role] ?? role).join(' or ')
  const nearest = model.best ? `You can use instead: ${model.best.name}.` : ask && `Ask first: ${ask}.`
  const detail = [against && inWords(against.says), nearest].filter(Boolean).join('\n')
  return orThrow(fail('method-not-allowed', detail ? { detail } : {}))
}

/**
 * Chooses the method and meets what can be met from here: the confirmation of recipients.
 *
 * @param said - how the sender knows that these are the right people, `HOW:DETAIL`; what they left out, or `none`
 * @throws ProblemError `gates-open` with what is left to do first, and where
 */
export async function chooseMethod(
  api: Api,
  transferId: string,
  method: string,
  said: { confirm: string | undefined; leftOut: string | undefined },
): Promise<void> {
  const { confirm: confirmation, leftOut } = said
  const [how = '', ...rest] = (confirmation ?? '').split(':')
  const statement = { authorised: 'yes', how: how.trim(), detail: rest.join(':').trim() }
  let next = await nextOf(api, `/transfers/${transferId}/method`, { method })
  while (confirmation !== undefined && next.endsWith('/confirm')) {
    const after = await nextOf(api, next, statement)
    if (after === next) break
    next = after
  }
  if (leftOut !== undefined && next.endsWith('/look-through')) {
    const looked = leftOut === 'none' ? 'all-needed' : 'left-out'
    next = await nextOf(api, next, { looked, leftOutWords: leftOut })
  }
  if (next.endsWith('/seal')) return
  const { unmet } = await decisionOn(api, transferId, method)
  const lines = unmet.map(({ says, clauses }) => `  ${says} (${clauses.join(', ')})`)
  const hints: [string, string][] = [
    ['/confirm', 'Add --confirm HOW:DETAIL, where DETAIL is what you checked; or confirm it on the page.'],
    [
      '/look-through',
      'Look for what they do not need. Add --left-out WORDS, or --left-out none if they need all of it.',
    ],
  ]
  const hint = hints.flatMap(([page, words]) => (next.endsWith(page) ? [words] : []))
  orThrow(fail('gates-open', { detail: [...lines, ...hint, `Next: ${api.server}${next}`].join('\n') }))
}

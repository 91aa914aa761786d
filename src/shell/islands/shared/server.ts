import { problems, type ProblemSlug } from '#core/kit/problems'
import type { Problem } from '#core/kit/outcome'

/** A problem as a page shows it: the words of the server's answer, or of our own table. */
export interface Said {
  slug: string
  title: string
  next: string
  detail?: string
  clause?: string
  fields?: Record<string, string>
}

/** Thrown when the server has understood and says no: asking again would not help. */
export class Refused extends Error {
  readonly said: Said
  constructor(said: Said) {
    super(said.title)
    this.said = said
  }
}

/** What we say of a problem that was found here. */
export const saidOf = ({ slug, ...more }: Problem): Said => ({ slug, ...problems[slug], ...more })

const waitsMs = [1_000, 2_000, 4_000, 8_000, 10_000]
/** An answer that has not begun by then will not come: the connection is dead without knowing it. */
const patienceMs = 120_000

/** Told whenever waiting for the connection begins and ends. */
export type OnWaiting = (isWaiting: boolean) => void

/**
 * Asks until there is an answer: a lost network, a restarting server and a sleeping laptop are waited for, for ever.
 *
 * @throws Refused when the answer is a problem of our own making
 */
export async function untilAnswered(
  ask: (signal: AbortSignal) => Promise<Response>,
  onWaiting: OnWaiting = () => {},
): Promise<Response> {
  let isRenewed = false
  for (let tries = 0; ; tries += 1) {
    const answer = await ask(AbortSignal.timeout(patienceMs)).catch(outOfReach)
    if (answer && isAnswered(answer.status)) {
      if (tries > 0) onWaiting(false)
      if (answer.ok) return answer
      const said = await saidBy(answer)
      // The person confirmed or signed in elsewhere in this browser: the request was right, and its token is a new one.
      if (!isRenewed && ['form-expired', 'sign-in-needed'].includes(said.slug)) {
        isRenewed = true
        formToken = readFormToken()
        continue
      }
      throw new Refused(said)
    }
    onWaiting(true)
    await pause(waitsMs[Math.min(tries, waitsMs.length - 1)]!)
  }
}

/** A server that is busy or away is asked again; one whose disk is full stays so while we wait. */
const isAnswered = (status: number): boolean =>
  (status < 500 && status !== 408) || status === problems['storage-full'].status

/** The ways in which `fetch` says that nothing was reached; anything else is our own mistake. */
function outOfReach(error: unknown): undefined {
  if (error instanceof TypeError) return undefined
  if (error instanceof DOMException && ['TimeoutError', 'AbortError', 'NetworkError'].includes(error.name))
    return undefined
  throw error
}

/** Waits, but no longer than until the network is back. */
const pause = (waitMs: number): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      removeEventListener('online', done)
      resolve()
    }
    const timer = setTimeout(done, waitMs)
    addEventListener('online', done)
  })

/** The problem in an answer that is not a success. */
export async function saidBy(answer: Response): Promise<Said> {
  const body = (await answer.json().catch(() => null)) as Partial<Said> & { type?: string }
  const slug = (body?.type?.split('/').pop() ?? 'unavailable') as ProblemSlug
  const row = problems[slug] ?? problems.unavailable
  const { detail, clause, fields } = body ?? {}
  const said: Said = { slug, title: body?.title ?? row.title, next: body?.next ?? row.next }
  return {
    ...said,
    ...(detail && detail !== said.next ? { detail } : {}),
    ...(clause ? { clause } : {}),
    ...(fields ? { fields } : {}),
  }
}

/** The page's own token; a worker, and a page whose token is out of date, ask for another page's. */
let formToken =
  typeof document === 'undefined'
    ? undefined
    : Promise.resolve(document.querySelector<HTMLMetaElement>('meta[name=form-token]')?.content ?? '')

async function readFormToken(): Promise<string> {
  const page = await fetch('/genuine', { headers: { accept: 'text/html' } })
  return /<meta name="form-token" content="([\w-]+)">/.exec(await page.text())?.[1] ?? ''
}

/** What every request that changes something carries, so that no other site can send it. */
export const formTokenHeader = async (): Promise<Record<string, string>> => ({
  'safehand-form-token': await (formToken ??= readFormToken()),
})

/** A request with a JSON body, for `untilAnswered`. */
export const jsonTo = (url: string, body: unknown) => async (signal: AbortSignal) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(await formTokenHeader()) },
    body: JSON.stringify(body),
    signal,
  })

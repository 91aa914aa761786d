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
/** While nobody is signed in, so often is looked whether somebody is again. */
const signInPollMs = 3_000

/** What is waited for: the connection, or that the person signs in again; undefined when it goes on. */
export type Waiting = 'connection' | 'sign-in' | undefined
export type OnWaiting = (waiting: Waiting) => void

/**
 * Asks until there is an answer: a lost network, a restarting server and a sleeping laptop are waited for, for ever. So
 * is a person whose session has ended, where `onWaiting` tells them to sign in in another tab; otherwise that is refused.
 *
 * @throws Refused when the answer is a problem of our own making
 */
export async function untilAnswered(
  ask: (signal: AbortSignal) => Promise<Response>,
  onWaiting?: OnWaiting,
): Promise<Response> {
  let isWaiting = false
  let renewals = 0
  const wait = (waiting: Waiting, ms: number) => {
    isWaiting = true
    onWaiting?.(waiting)
    return pause(ms)
  }
  for (let tries = 0; ; tries += 1) {
    const token = formToken
    const answer = await ask(AbortSignal.timeout(patienceMs)).catch(outOfReach)
    if (answer?.ok) {
      if (isWaiting) onWaiting?.(undefined)
      return answer
    }
    if (answer && isAnswered(answer.status)) {
      const said = await saidBy(answer)
      if (said.slug !== 'form-expired' && said.slug !== 'sign-in-needed') throw new Refused(said)
      // Who confirmed or signed in, in whatever tab, has another token. It is looked for by itself: the request may be large.
      const mayWait = said.slug === 'sign-in-needed' && onWaiting !== undefined
      let isNew = await hasNewToken(token)
      let mayAskAtOnce = renewals++ === 0
      if (isNew === false && !mayWait) throw new Refused(said)
      while (isNew === false) {
        await wait('sign-in', signInPollMs)
        isNew = await hasNewToken(token)
        mayAskAtOnce = true
      }
      if (isNew && mayAskAtOnce) continue
    }
    await wait('connection', waitsMs[Math.min(tries, waitsMs.length - 1)]!)
  }
}

/** What `ask` is answered with, asked for again when the connection breaks in the middle of the answer. Errors as above. */
export async function jsonAnswered<T>(
  ask: (signal: AbortSignal) => Promise<Response>,
  onWaiting?: OnWaiting,
): Promise<T> {
  const whole = async (signal: AbortSignal) => {
    const answer = await ask(signal)
    return new Response(await answer.arrayBuffer(), answer)
  }
  return (await (await untilAnswered(whole, onWaiting)).json()) as T
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

const tokenPatienceMs = 30_000

/** The token that a page of this browser shows now. @throws what `outOfReach` knows when there is none to be had */
async function readFormToken(): Promise<string> {
  const signal = AbortSignal.timeout(tokenPatienceMs)
  const page = await fetch('/genuine', { headers: { accept: 'text/html' }, signal })
  const token = /<meta name="form-token" content="([\w-]+)">/.exec(await page.text())?.[1]
  if (!token) throw new TypeError('The server was not reached')
  return token
}

/** Whether this browser has another token now than the one that was refused; undefined when the server is out of reach. */
async function hasNewToken(refused: typeof formToken): Promise<boolean | undefined> {
  const token = await readFormToken().catch(outOfReach)
  if (token === undefined) return undefined
  formToken = Promise.resolve(token)
  return token !== (await refused?.catch(() => undefined))
}

/** What every request that changes something carries, so that no other site can send it. */
export async function formTokenHeader(): Promise<Record<string, string>> {
  // One that could not be read is not kept: it would fail every request after it.
  formToken ??= readFormToken().catch((error: unknown) => {
    formToken = undefined
    throw error
  })
  return { 'safehand-form-token': await formToken }
}

/** A request with a JSON body, for `untilAnswered`. */
export const jsonTo = (url: string, body: unknown) => async (signal: AbortSignal) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(await formTokenHeader()) },
    body: JSON.stringify(body),
    signal,
  })

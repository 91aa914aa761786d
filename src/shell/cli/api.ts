import { setTimeout as wait } from 'node:timers/promises'
import { fromHex, toBase64 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, orThrow, ProblemError, type Problem } from '#core/kit/outcome'
import { problems, type ProblemSlug } from '#core/kit/problems'
import { type newPace } from '#core/seal/pace'
import { formTokenOf } from '#features/people/sessions'

/** Where and as whom the command line calls. */
export interface Caller {
  /** Address of the server without a trailing slash: see `serverAddress`. */
  server: string
  token?: string
  /** The cookie of an earlier call, `name=value`. */
  cookie?: string | undefined
  /** Told of a new cookie, before the answer is read. */
  onCookie?: (cookie: string) => Promise<void>
  /** Told whenever the server has gone away and is asked again. */
  onWaiting?: () => void
}

interface Sending {
  json?: unknown
  bytes?: Uint8Array<ArrayBuffer>
  /** SHA-256 of `bytes`, hexadecimal. */
  sha256?: string
  headers?: Record<string, string>
  pace?: ReturnType<typeof newPace>
  /** Whether to try again for a while when the server is away. Only for what may be said twice. */
  again?: boolean
}

/** A disk that is full stays full while we wait: the person is told. */
const storageFull = problems['storage-full'].status

/** What could not be sent in time may be, when less is under way. */
const tooSlow = 408

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The origin of an address, which must be https unless it is this machine's. @throws ProblemError `setting-wrong` */
export function serverAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isSafe = url && (url.protocol === 'https:' || (url.protocol === 'http:' && loopback.has(url.hostname)))
  return isSafe
    ? url.origin
    : orThrow(
        fail('setting-wrong', {
          detail: 'The server’s address must begin with https://, like https://safehand.example.gov.uk',
        }),
      )
}

/** The API of a server. Every call throws a ProblemError when the server answers with a problem or cannot be reached. */
export class Api {
  readonly #caller: Caller
  /** A server that has never answered is not waited for: its address may be wrong. */
  #wasReached = false

  constructor(caller: Caller) {
    this.#caller = caller
  }

  get server(): string {
    return this.#caller.server
  }

  /** The answer's JSON. */
  async get<T>(path: string): Promise<T> {
    return (await this.fetch('GET', path, { again: true })).json() as Promise<T>
  }

  /** Posts JSON and answers JSON, `{}` for an empty answer. */
  async post<T>(path: string, json: unknown, sending: Pick<Sending, 'again'> = {}): Promise<T> {
    const text = await (await this.fetch('POST', path, { json, ...sending })).text()
    return JSON.parse(text || '{}') as T
  }

  /** Puts bytes with their digest; the same bytes may be put again. */
  async put(path: string, bytes: Uint8Array<ArrayBuffer>, sha256: string, pace?: Sending['pace']): Promise<void> {
    await (await this.fetch('PUT', path, { bytes, sha256, again: true, ...(pace && { pace }) })).arrayBuffer()
  }

  /** One request, tried again with growing pauses for as long as `clientPatienceMs` if it may be. */
  async fetch(method: string, path: string, sending: Sending = {}): Promise<Response> {
    // Waiting for its turn does not count.
    let startedAt: number | undefined
    const once = () => {
      startedAt ??= performance.now()
      return this.#once(method, path, sending)
    }
    for (let pauseMs: number = limits.clientPauseMs; ; pauseMs = Math.min(2 * pauseMs, limits.clientPauseMsMax)) {
      const answer = await (sending.pace ? sending.pace(once, isWell) : once())
      this.#wasReached ||= answer instanceof Response
      if (answer instanceof Response && answer.ok) return answer
      const isAway =
        !(answer instanceof Response) ||
        answer.status === tooSlow ||
        (answer.status >= 502 && answer.status !== storageFull)
      const isLate = performance.now() - startedAt! > limits.clientPatienceMs
      if (sending.again && this.#wasReached && isAway && !isLate) {
        this.#caller.onWaiting?.()
        await wait(pauseMs)
        continue
      }
      throw new ProblemError(
        answer instanceof Response
          ? await problemOf(answer)
          : { slug: 'server-unreachable', detail: `${this.server}: ${answer}.` },
      )
    }
  }

  /** The response, or why there is none. */
  async #once(method: string, path: string, { json, bytes, sha256, headers }: Sending): Promise<Response | string> {
    const { server, token, cookie } = this.#caller
    const body = bytes ?? (json === undefined ? undefined : JSON.stringify(json))
    try {
      const response = await fetch(`${server}${path}`, {
        method,
        redirect: 'error',
        ...(body === undefined ? {} : { body }),
        headers: {
          accept: 'application/json',
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(bytes ? { 'content-type': 'application/octet-stream' } : {}),
          ...(sha256 ? { 'content-digest': `sha-256=:${toBase64(fromHex(sha256))}:` } : {}),
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(cookie ? { cookie, 'safehand-form-token': formTokenOf(cookie.slice(cookie.indexOf('=') + 1)) } : {}),
          ...headers,
        },
      })
      await this.#keepCookie(response)
      return response
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      const { cause } = error
      return cause instanceof Error && 'code' in cause ? String(cause.code) : 'it cannot be reached'
    }
  }

  async #keepCookie(response: Response): Promise<void> {
    const set = response.headers.getSetCookie().map((each) => each.split(';')[0]!)
    const cookie = set.find((each) => /^(__Host-)?safehand=./.test(each))
    if (!cookie || cookie === this.#caller.cookie) return
    this.#caller.cookie = cookie
    await this.#caller.onCookie?.(cookie)
  }
}

const isWell = (answer: Response | string): boolean => answer instanceof Response && answer.ok

/** The problem that an answer stands for. A newer server may name one that we do not know: then its own words are shown. */
async function problemOf(response: Response): Promise<Problem> {
  const { type, title, next, detail, clause, fields } = (await response.json().catch(() => ({}))) as ProblemBody
  const slug = type?.split('/problems/')[1] ?? ''
  if (!Object.hasOwn(problems, slug)) {
    return { slug: 'unavailable', detail: [title ?? `It answered ${response.status}`, next].filter(Boolean).join('. ') }
  }
  return {
    slug: slug as ProblemSlug,
    ...(detail !== undefined && detail !== next ? { detail } : {}),
    ...(clause === undefined ? {} : { clause }),
    ...(fields === undefined ? {} : { fields }),
  }
}

/** RFC 9457, as our server sends it. */
interface ProblemBody {
  type?: string
  title?: string
  next?: string
  detail?: string
  clause?: string
  fields?: Record<string, string>
}

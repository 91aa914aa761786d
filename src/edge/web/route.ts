import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static, TObject, TSchema } from 'typebox'
import type { RateName } from '#core/kit/limits'
import type { Outcome } from '#core/kit/outcome'
import type { House } from '#edge/house'

declare module 'fastify' {
  interface FastifyReply {
    /** Answers a raw route with a page, or with the same model as JSON when a program asks. Set by the shell. */
    page(view: string, model: Model): unknown
  }
}

/** The roles a member of staff can hold. @source DOMAIN 4.1 Person.roles */
export const roles = [
  'sender',
  'manager',
  'service-desk',
  'information-governance',
  'information-asset-owner',
  'information-security',
  'data-protection-officer',
  'records-officer',
  'auditor',
  'administrator',
] as const
export type Role = (typeof roles)[number]

/** A signed-in member of staff. */
export interface Actor {
  id: string
  name: string
  email: string
  organisationId: string
  organisation: string
  roles: Role[]
}

/** A recipient whose mailbox has been proved in this browser, for one transfer. */
export interface RecipientVisit {
  recipientId: string
}

/**
 * Who may call a route. 'recipient': the mailbox of one transfer's recipient has been proved in this browser.
 * 'demonstration': anyone, where the data folder is a demonstration's; elsewhere the route does not exist.
 */
export type Who = 'anyone' | 'signed-in' | 'recipient' | 'demonstration' | readonly Role[]

export type Language = 'en' | 'cy'

/** One call of one route: who is calling, with what, when. */
export interface Visit<Params = Record<string, string>, Query = Record<string, string | undefined>> {
  house: House
  params: Params
  query: Query
  now: Date
  language: Language
  /** Present on routes whose `who` is 'signed-in' or roles. */
  actor: Actor
  /** Present on routes whose `who` is 'recipient'. */
  recipient: RecipientVisit
  /** Opaque and secret: binds codes to the browser that asked. Made by the session plugin on first need. */
  browser: string
  /** Set or clear what this browser is signed in as; takes effect on the reply. */
  signIn(personId: string): Promise<void>
  signOut(): Promise<void>
  /** Gives this browser a new secret, since it has just proved more than it had before. */
  renew(): Promise<void>
  admitRecipient(recipientId: string): Promise<void>
}

/** Model of a page: plain data, shown by the view or sent as JSON. `title` is the page's heading and never holds personal data. */
export type Model = Record<string, unknown> & { title: string }

/** A page, and the same under `/api` as JSON. */
export interface Screen {
  kind: 'screen'
  path: string
  who: Who
  summary: string
  view: string
  load(visit: Visit): Promise<Outcome<Model>>
  /** Not offered under /api: a page with nothing but a form or words. */
  pageOnly?: boolean
}

/**
 * What guards a call beyond who may make it.
 *
 * `stepUp`: the person confirms exactly this act, with a mailed code or a passkey, each time; or only when the field
 * named is given. `rates`: what a call counts against.
 */
interface Guards {
  stepUp?: true | { given: string }
  rates?: readonly RateName[]
}

/** A form's POST, and the same under `/api` with JSON. */
export interface Action<S extends TObject = TObject, R = unknown> extends Guards {
  kind: 'action'
  path: string
  who: Who
  summary: string
  fields: S
  run(visit: Visit, body: Static<S>): Promise<Outcome<R>>
  /** Room for a longer form or JSON body than most. */
  bodyBytes?: number
  /** Where a browser goes next. The API sends the result itself. */
  then(result: R, visit: Visit): string
  /** The page shown again with its errors. */
  again?: Screen
  /** For the pages alone, such as setting the language. */
  pageOnly?: boolean
}

/** Anything that is not a page or a form: bytes, receipts, tiles. Answers by itself; only problems go through the return. */
export interface Raw extends Guards {
  kind: 'raw'
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  path: string
  who: Who
  summary: string
  body?: TSchema
  /** Takes the body as a stream; `limitBytes` is refused with 413 before it is read. */
  streamBytes?: number
  /** Room for a JSON body larger than a form's. */
  bodyBytes?: number
  /** Goes on with what this browser began: also after it slept too long to be signed in still, which it is not by this. */
  finishes?: true
  handle(visit: Visit, request: FastifyRequest, reply: FastifyReply): Promise<Outcome<unknown>>
}

export type Route = Screen | Action | Raw

export const screen = (route: Omit<Screen, 'kind'>): Screen => ({ kind: 'screen', ...route })
export const action = <S extends TObject, R>(route: Omit<Action<S, R>, 'kind'>): Action =>
  ({ kind: 'action', ...route }) as unknown as Action
export const raw = (route: Omit<Raw, 'kind'>): Raw => ({ kind: 'raw', ...route })

/** Where a page or a form is under the API. */
export const apiPath = (path: string): string => (path === '/' ? '/api/home' : `/api${path}`)

/** Where a raw route is: where it says, and under the API too unless it is there already or serves the register's files. */
export const rawPaths = (path: string): string[] =>
  path.startsWith('/api/') || path.startsWith('/register/') ? [path] : [path, apiPath(path)]

/** What a feature shows on a transfer's page: a view with its model, or nothing. */
export interface Panel {
  /** The template, such as `parcels/views/panel`. */
  view: string
  model: Record<string, unknown>
  islands?: string[]
}

/** One thing that waits for a person, shown on the home page. */
export interface Waiting {
  what: string
  url: string
  since: Date
}

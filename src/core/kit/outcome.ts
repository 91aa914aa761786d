import { problems, type ProblemSlug } from '#core/kit/problems'

/**
 * Why something expected could not be done: one row of `problems.ts` and what makes this case particular.
 *
 * `detail` is a sentence for the person; `fields` maps a form field's name to its sentence; `clause` is the policy
 * clause that decided. None of them ever holds a secret or a person's data that the reader may not see.
 */
export interface Problem {
  slug: ProblemSlug
  detail?: string
  clause?: string
  fields?: Record<string, string>
  /** When it is worth another try (RFC 9110, Retry-After). */
  retryAfterSeconds?: number
}

/** What an expected result looks like: the value, or the problem. The outside failing throws instead. */
export type Outcome<T> = { ok: true; value: T } | { ok: false; problem: Problem }

export type Failure = { ok: false; problem: Problem }

/** A successful outcome. */
export function ok(): { ok: true; value: undefined }
export function ok<T>(value: T): { ok: true; value: T }
export function ok<T>(value?: T): { ok: true; value: T | undefined } {
  return { ok: true, value }
}

/** A failed outcome: the problem's row and what is particular to this case. */
export function fail(slug: ProblemSlug, more: Omit<Problem, 'slug'> = {}): Failure {
  return { ok: false, problem: { slug, ...more } }
}

/** Ends the request or process when we are wrong. Nobody catches it to carry on. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`This should not happen: ${message}`)
}

/** Carries a problem out of a database transaction, so that the transaction is undone. Caught by `inTransaction`. */
export class ProblemError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problems[problem.slug].title)
    this.problem = problem
  }
}

/** The value, or a throw of `ProblemError`: for use inside a transaction that must be undone, and in tests. */
export function orThrow<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw new ProblemError(outcome.problem)
}

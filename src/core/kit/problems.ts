/**
 * Every problem Safehand can answer with: HTTP status, a title a member of the public can read, and what to do next.
 *
 * @source RFC 9457 (problem details); pages, API and command line show the same row
 */
export const problems = {
  // General
  'form-incomplete': { status: 422, title: 'There is a problem with what was entered', next: 'Correct the fields named below and try again.' },
  'not-found': { status: 404, title: 'This page cannot be found', next: 'Check the address, or go to the home page.' },
  'sign-in-needed': { status: 401, title: 'You need to sign in', next: 'Sign in, then try again.' },
  'not-allowed': { status: 403, title: 'You do not have access to this', next: 'Ask someone in your organisation who has this role.' },
  'too-large': { status: 413, title: 'What was sent is too large', next: 'Send less at once.' },
  'too-many-requests': { status: 429, title: 'There have been too many tries', next: 'Wait a few minutes, then try again.' },
  'unsupported-media-type': { status: 415, title: 'This kind of content is not accepted here', next: 'Send JSON, or use the form on the page.' },
  'malformed-request': { status: 400, title: 'The request could not be read', next: 'Check that it is complete and well formed.' },
  'wrong-origin': { status: 403, title: 'The form was sent from another site', next: 'Open the page again and send the form from there.' },
  'changed-meanwhile': { status: 409, title: 'This has changed since you opened it', next: 'Open the page again to see how it stands now.' },
  'unavailable': { status: 503, title: 'Safehand cannot do this just now', next: 'Try again in a few minutes. Nothing has been lost.' },
} as const satisfies Record<string, { status: number; title: string; next: string }>

export type ProblemSlug = keyof typeof problems

import { randomUUID } from 'node:crypto'
import Type from 'typebox'
import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { holdMail, listMail } from '#edge/mail/outbox'
import { inTransaction } from '#edge/store/database'
import { email, fields, id, line, optional } from '#edge/web/fields'
import { countUse } from '#edge/web/rates'
import { action, raw, screen, type Route } from '#edge/web/route'
import { accountRoutes } from '#features/people/account-routes'
import { askCode, checkCode, typedCode } from '#features/people/codes'
import { signInLetter } from '#features/people/mails'
import { checkPasskey, passkeyRequest } from '#features/people/passkeys'
import { staff, staffByEmail, staffById } from '#features/people/queries'

/** Only a path of this site may be returned to. */
const nextPath = (next: unknown) => (typeof next === 'string' && /^\/(?![/\\])[\w/.-]*$/.test(next) ? next : '/')
const nextField = optional(line('where to go next', limits.lineCharacters))

const signInPage = screen({
  path: '/sign-in',
  who: 'anyone',
  summary: 'Ask for a sign-in code, or use a passkey',
  view: 'people/views/sign-in',
  pageOnly: true,
  load: async (visit) => ok({ title: 'Sign in', next: nextPath(visit.query.next), islands: ['passkeys'] }),
})

const askSignIn = action({
  path: '/sign-in',
  who: 'anyone',
  summary: 'Mail a sign-in code to a member of staff. The answer never says whether the address is known',
  fields: fields({ email: email('your work email address'), next: nextField }),
  again: signInPage,
  rates: ['codes-asked', 'codes-asked-by-all'],
  run: async (visit, body) => {
    const { house, now, browser } = visit
    const room = await countUse(house, 'codes-to-one', body.email.toLowerCase())
    // Nobody is signed in yet: whose address it is, and the code for it, are the system's to know.
    const person = await staffByEmail(house.system, body.email)
    // Everything is done for every address, and undone where it is nobody's or too often: neither the answer nor the
    // work tells whether it is known.
    await inTransaction(house.system, async (tx) => {
      const code = await askCode(tx, { purpose: 'sign-in', subjectId: person?.id ?? randomUUID(), browser, now })
      const letter = signInLetter(code, house.config.publicUrl, limits.codeMinutes)
      await holdMail(tx, { to: person?.email ?? body.email, letter, language: 'en' })
      return person && room.ok ? ok({}) : fail('too-many-codes')
    })
    return ok({ next: nextPath(body.next) })
  },
  then: (result) => `/sign-in/code?next=${encodeURIComponent(result.next)}`,
})

const codePage = screen({
  path: '/sign-in/code',
  who: 'anyone',
  summary: 'Enter the sign-in code',
  view: 'people/views/code',
  pageOnly: true,
  load: async (visit) =>
    ok({
      title: 'Check your email',
      next: nextPath(visit.query.next),
      minutes: limits.codeMinutes,
      backUrl: '/sign-in',
    }),
})

const enterCode = action({
  path: '/sign-in/code',
  who: 'anyone',
  summary: 'Sign in with a mailed code, in the browser that asked for it, or with a sign-in key',
  fields: fields({ code: line('the code', limits.lineCharacters), next: nextField }),
  again: codePage,
  rates: ['wrong-codes'],
  run: async (visit, body) => {
    // Who it is, is what is found out here.
    const proved = await checkCode(visit.house.system, {
      purpose: 'sign-in',
      ...typedCode(body.code, visit.browser),
      now: visit.now,
    })
    if (!proved.ok) return proved
    await visit.signIn(proved.value)
    return ok({ next: nextPath(body.next) })
  },
  then: (result) => result.next,
})

const signOutAction = action({
  path: '/sign-out',
  who: 'anyone',
  summary: 'Sign out',
  fields: fields({}),
  run: async (visit) => {
    await visit.signOut()
    return ok({})
  },
  then: () => '/sign-in',
})

const passkeySignIn: Route[] = [
  raw({
    method: 'POST',
    path: '/api/passkeys/sign-in/options',
    who: 'anyone',
    summary: 'Options for signing in with a passkey',
    rates: ['codes-asked', 'codes-asked-by-all'],
    handle: async (visit) => ok(await passkeyRequest(visit)),
  }),
  raw({
    method: 'POST',
    path: '/api/passkeys/sign-in',
    who: 'anyone',
    summary: 'Sign in with a passkey',
    rates: ['wrong-codes'],
    body: fields({ response: Type.Object({ id: Type.String() }) }),
    handle: async (visit, request) => {
      const proved = await checkPasskey(visit, (request.body as { response: never }).response)
      if (!proved.ok) return proved
      await visit.signIn(proved.value)
      return ok({})
    },
  }),
  raw({
    method: 'POST',
    path: '/api/passkeys/confirm/options',
    who: 'signed-in',
    summary: 'Options for confirming one act with a passkey',
    body: fields({ act: Type.String({ title: 'the act', pattern: '^[0-9a-f]{64}$' }) }),
    handle: async (visit, request) => {
      const { act } = request.body as { act: string }
      return ok(await passkeyRequest(visit, Buffer.from(act, 'hex')))
    },
  }),
]

// In a demonstration anybody may be anybody, and read all mail: that is the system's to show.
const demonstrationRoutes: Route[] = [
  screen({
    path: '/demonstration',
    who: 'demonstration',
    summary: 'Choose whom to be',
    view: 'people/views/demonstration',
    load: async ({ house }) =>
      ok({ title: 'Choose who you are', people: await staff(house.system), columns: 'govuk-grid-column-full' }),
  }),
  action({
    path: '/demonstration',
    who: 'demonstration',
    summary: 'Be one of the demonstration’s people',
    fields: fields({ person: id('a person') }),
    run: async (visit, body) => {
      if (!(await staffById(visit.house.system, body.person))) return fail('not-found')
      await visit.signIn(body.person)
      return ok({})
    },
    then: () => '/',
  }),
  screen({
    path: '/demonstration/outbox',
    who: 'demonstration',
    summary: 'Every mail, newest first',
    view: 'people/views/outbox',
    load: async ({ house, query }) =>
      ok({ title: 'Outbox', mails: await listMail(house.system, { to: query.to }), columns: 'govuk-grid-column-full' }),
  }),
]

export const routes: Route[] = [
  signInPage,
  askSignIn,
  codePage,
  enterCode,
  signOutAction,
  ...passkeySignIn,
  ...accountRoutes,
  ...demonstrationRoutes,
]

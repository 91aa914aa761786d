import Type from 'typebox'
import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import { holdMail, listMail } from '#edge/mail/outbox'
import { inTransaction } from '#edge/store/database'
import { base64Field, email, fields, id, line, optional } from '#edge/web/fields'
import { action, raw, screen, type Route } from '#edge/web/route'
import { fromBase64 } from '#core/kit/bytes'
import { askCode, checkCode } from '#features/people/codes'
import { signInLetter } from '#features/people/mails'
import { addPasskey, passkeyCreation, passkeyRequest, signInWithPasskey } from '#features/people/passkeys'
import {
  deviceByKey,
  devicesOf,
  passkeysOf,
  revokeToken,
  saveDevice,
  staff,
  staffByEmail,
  staffById,
  tokensOf,
} from '#features/people/queries'
import { makeApiToken } from '#features/people/tokens'

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
  run: async (visit, body) => {
    const { house, now } = visit
    const person = await staffByEmail(house.db, body.email)
    if (!person) {
      void visit.browser
      return ok({ next: nextPath(body.next) })
    }
    return inTransaction(house.db, async (tx) => {
      const code = await askCode(tx, { purpose: 'sign-in', subjectId: person.id, browser: visit.browser, now })
      // Said to nobody: it would tell that the address is known.
      if (!code.ok) return ok({ next: nextPath(body.next) })
      const letter = signInLetter(code.value, house.config.publicUrl, limits.codeMinutes)
      await holdMail(tx, { to: person.email, letter, language: 'en' })
      return ok({ next: nextPath(body.next) })
    })
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
  summary: 'Sign in with a mailed code, in the browser that asked for it',
  fields: fields({ code: line('the code', limits.lineCharacters), next: nextField }),
  again: codePage,
  run: async (visit, body) => {
    const proved = await checkCode(visit.house.db, {
      purpose: 'sign-in',
      browser: visit.browser,
      code: body.code,
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

const account = screen({
  path: '/account',
  who: 'signed-in',
  summary: 'Your details, passkeys, devices and tokens',
  view: 'people/views/account',
  load: async ({ house, actor }) =>
    ok({
      title: 'Your account',
      person: actor,
      passkeys: (await passkeysOf(house.db, actor.id)).map(({ label, createdAt, usedAt }) => ({
        label,
        createdAt,
        usedAt,
      })),
      devices: (await devicesOf(house.db, actor.id)).map(({ id: deviceId, label, enrolledAt }) => ({
        id: deviceId,
        label,
        enrolledAt,
      })),
      tokens: await tokensOf(house.db, actor.id),
      islands: ['passkeys'],
    }),
})

const tokenFields = fields({ label: line('a name for the token', limits.nameCharacters) })

const addToken = raw({
  method: 'POST',
  path: '/account/tokens',
  who: 'signed-in',
  summary: 'Make a token for the command line; it is shown once',
  body: tokenFields,
  handle: async (visit, request, reply) => {
    const { label } = request.body as { label: string }
    const { house, actor, now } = visit
    const made = await inTransaction(house.db, async (tx) =>
      ok(await makeApiToken(tx, { personId: actor.id, label, now })),
    )
    return made.ok
      ? ok(reply.page('people/views/token', { title: 'Your new token', ...made.value, backUrl: '/account' }))
      : made
  },
})

const endToken = action({
  path: '/account/tokens/:token/end',
  who: 'signed-in',
  summary: 'End a token',
  fields: fields({}),
  run: async ({ house, actor, params, now }) =>
    inTransaction(house.db, async (tx) => {
      const done = await revokeToken(tx, actor.id, params.token!, now)
      if (!done) return fail('not-found')
      await recordEvent(tx, 'token-ended', { person: actor.id, token: done.id })
      return ok({})
    }),
  then: () => '/account',
})

const device = fields({
  signingKey: base64Field('the public key', limits.publicKeyBytes),
  senderRecipient: optional(line('the age recipient', limits.ageRecipientCharacters)),
  label: line('a name for this device', limits.nameCharacters),
})

const enrolDevice = raw({
  method: 'POST',
  path: '/api/devices',
  who: 'signed-in',
  summary: 'Enrol this device’s Ed25519 signing key, and the age recipient of its sender lock',
  body: device,
  handle: async ({ house, actor, now }, request) => {
    const body = request.body as { signingKey: string; senderRecipient?: string; label: string }
    const signingKey = Buffer.from(fromBase64(body.signingKey))
    if (signingKey.length !== limits.publicKeyBytes)
      return fail('form-incomplete', { fields: { signingKey: 'Send an Ed25519 public key of 32 bytes' } })
    return inTransaction(house.db, async (tx) => {
      const saved = await saveDevice(tx, {
        personId: actor.id,
        signingKey,
        senderRecipient: body.senderRecipient ?? null,
        label: body.label,
        enrolledAt: now,
      })
      if (saved)
        await recordEvent(tx, 'device-enrolled', { person: actor.id, device: saved.id, signingKey: body.signingKey })
      const known = saved ?? (await deviceByKey(tx, actor.id, signingKey))
      return known ? ok({ deviceId: known.id }) : fail('device-unknown')
    })
  },
})

const passkeyRoutes: Route[] = [
  raw({
    method: 'POST',
    path: '/api/passkeys/options',
    who: 'signed-in',
    summary: 'Options for making a passkey',
    handle: async (visit) => ok(await passkeyCreation(visit)),
  }),
  raw({
    method: 'POST',
    path: '/api/passkeys',
    who: 'signed-in',
    summary: 'Add a passkey',
    body: fields({ label: line('a name for the passkey', limits.nameCharacters), response: Type.Object({}) }),
    handle: (visit, request) => {
      const body = request.body as { label: string; response: never }
      return addPasskey(visit, body.label, body.response)
    },
  }),
  raw({
    method: 'POST',
    path: '/api/passkeys/sign-in/options',
    who: 'anyone',
    summary: 'Options for signing in with a passkey',
    handle: async (visit) => ok(await passkeyRequest(visit)),
  }),
  raw({
    method: 'POST',
    path: '/api/passkeys/sign-in',
    who: 'anyone',
    summary: 'Sign in with a passkey',
    body: fields({ response: Type.Object({ id: Type.String() }) }),
    handle: (visit, request) => signInWithPasskey(visit, (request.body as { response: never }).response),
  }),
]

const demonstrationRoutes: Route[] = [
  screen({
    path: '/demonstration',
    who: 'demonstration',
    summary: 'Choose whom to be',
    view: 'people/views/demonstration',
    load: async ({ house }) =>
      ok({ title: 'Choose who you are', people: await staff(house.db), columns: 'govuk-grid-column-full' }),
  }),
  action({
    path: '/demonstration',
    who: 'demonstration',
    summary: 'Be one of the demonstration’s people',
    fields: fields({ person: id('a person') }),
    run: async (visit, body) => {
      if (!(await staffById(visit.house.db, body.person))) return fail('not-found')
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
      ok({ title: 'Outbox', mails: await listMail(house.db, { to: query.to }), columns: 'govuk-grid-column-full' }),
  }),
]

export const routes: Route[] = [
  signInPage,
  askSignIn,
  codePage,
  enterCode,
  signOutAction,
  account,
  addToken,
  endToken,
  enrolDevice,
  ...passkeyRoutes,
  ...demonstrationRoutes,
]

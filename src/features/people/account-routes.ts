import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { fromBase64 } from '#core/kit/bytes'
import { recordEvent } from '#edge/keeper/record'
import { holdMail } from '#edge/mail/outbox'
import { inTransaction } from '#edge/store/database'
import { base64Field, fields, line, optional } from '#edge/web/fields'
import { action, raw, screen, type Route } from '#edge/web/route'
import { addedLetter } from '#features/people/mails'
import { addPasskey, passkeyCreation } from '#features/people/passkeys'
import {
  browsersOf,
  deletePasskey,
  devicesOf,
  endBrowsersOf,
  passkeysOf,
  revokeDevice,
  revokeToken,
  saveDevice,
  signInBefore,
  tokensOf,
} from '#features/people/queries'
import { hashSecret, idleSince } from '#features/people/sessions'
import { makeApiToken } from '#features/people/tokens'

const toAccount = () => '/account'

const account = screen({
  path: '/account',
  who: 'signed-in',
  summary: 'Your details, browsers, passkeys, devices and tokens',
  view: 'people/views/account',
  load: async ({ house, actor, browser, now }) => {
    const here = hashSecret(browser)
    const browsers = await browsersOf(house.db, actor.id, now, idleSince(now))
    return ok({
      title: 'Your account',
      person: actor,
      signedInBefore: (await signInBefore(house.db, actor.id))?.beforeAt ?? null,
      browsers: browsers.map(({ tokenHash, ...shown }) => ({ ...shown, isThis: here.equals(tokenHash) })),
      passkeys: (await passkeysOf(house.db, actor.id)).map(({ credentialId, label, createdAt, usedAt }) => ({
        id: credentialId,
        label,
        createdAt,
        usedAt,
      })),
      devices: (await devicesOf(house.db, actor.id)).map(({ id, label, enrolledAt, senderRecipient }) => ({
        id,
        label,
        enrolledAt,
        reads: senderRecipient !== null,
      })),
      tokens: await tokensOf(house.db, actor.id),
      pq: house.config.postQuantum,
      islands: ['passkeys', 'devices'],
    })
  },
})

const browserRoutes: Route[] = [
  action({
    path: '/account/browsers/:browser/end',
    who: 'signed-in',
    summary: 'Sign one of your browsers out',
    fields: fields({}),
    run: async ({ house, actor, params }) =>
      (await endBrowsersOf(house.db, actor.id, params.browser!)) > 0 ? ok({}) : fail('not-found'),
    then: toAccount,
  }),
  action({
    path: '/account/sign-out-everywhere',
    who: 'signed-in',
    summary: 'Sign out in every browser',
    fields: fields({}),
    run: async (visit) => {
      await endBrowsersOf(visit.house.db, visit.actor.id)
      await visit.signOut()
      return ok({})
    },
    then: () => '/sign-in',
  }),
]

const tokenRoutes: Route[] = [
  raw({
    method: 'POST',
    path: '/account/tokens',
    who: 'signed-in',
    summary: 'Make a token for the command line; it is shown once',
    stepUp: true,
    body: fields({ label: line('a name for the token', limits.nameCharacters) }),
    handle: async (visit, request, reply) => {
      const { label } = request.body as { label: string }
      const { house, actor, now } = visit
      const made = await inTransaction(house.db, async (tx) =>
        ok(await makeApiToken(tx, { person: actor, label, now })),
      )
      return made.ok
        ? ok(reply.page('people/views/token', { title: 'Your new token', ...made.value, backUrl: '/account' }))
        : made
    },
  }),
  action({
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
    then: toAccount,
  }),
]

const deviceRoutes: Route[] = [
  action({
    path: '/devices',
    who: 'signed-in',
    summary: 'Enrol this device’s signing key; with an age recipient, the device can open whatever you send later',
    // Only the recipient lets somebody read: a browser or command line that signs what it seals is told nothing more.
    stepUp: { given: 'senderRecipient' },
    fields: fields({
      signingKey: base64Field('the public key', limits.publicKeyBytes),
      senderRecipient: optional(line('the age recipient', limits.ageRecipientCharacters)),
      label: line('a name for this device', limits.nameCharacters),
    }),
    run: async ({ house, actor, now }, { signingKey: given, senderRecipient = null, label }) => {
      const signingKey = Buffer.from(fromBase64(given))
      if (signingKey.length !== limits.publicKeyBytes)
        return fail('form-incomplete', { fields: { signingKey: 'Send an Ed25519 public key of 32 bytes' } })
      return inTransaction(house.db, async (tx) => {
        const device = await saveDevice(tx, { personId: actor.id, signingKey, senderRecipient, label, enrolledAt: now })
        if (!device.id) return fail('device-unknown')
        if (device.isChanged) {
          const body = { person: actor.id, device: device.id, signingKey: given, reads: senderRecipient !== null }
          await recordEvent(tx, 'device-enrolled', body)
        }
        if (device.isChanged && senderRecipient)
          await holdMail(tx, {
            to: actor.email,
            letter: addedLetter('A device that can open what you send', label),
            language: 'en',
          })
        return ok({ deviceId: device.id })
      })
    },
    then: toAccount,
  }),
  action({
    path: '/devices/:device/end',
    who: 'signed-in',
    summary: 'End a device: it signs no more parcels of yours, and later ones are not locked to it',
    fields: fields({}),
    run: async ({ house, actor, params, now }) =>
      inTransaction(house.db, async (tx) => {
        const done = await revokeDevice(tx, actor.id, params.device!, now)
        if (!done) return fail('not-found')
        await recordEvent(tx, 'device-ended', { person: actor.id, device: done.id })
        return ok({})
      }),
    then: toAccount,
  }),
]

const passkeyRoutes: Route[] = [
  raw({
    method: 'POST',
    path: '/api/passkeys/options',
    who: 'signed-in',
    summary: 'Options for making a passkey',
    handle: async (visit) => ok(await passkeyCreation(visit)),
  }),
  action({
    path: '/account/passkeys',
    who: 'signed-in',
    summary: 'Add a passkey, which can sign in as you',
    stepUp: true,
    fields: fields({
      label: line('a name for the passkey', limits.nameCharacters),
      response: line('the browser’s answer, as JSON', limits.passkeyResponseCharacters),
    }),
    run: (visit, { label, response }) => addPasskey(visit, label, response),
    then: toAccount,
  }),
  action({
    path: '/account/passkeys/end',
    who: 'signed-in',
    summary: 'End a passkey',
    fields: fields({ passkey: line('which passkey') }),
    run: async ({ house, actor }, { passkey }) =>
      inTransaction(house.db, async (tx) => {
        if (!(await deletePasskey(tx, actor.id, passkey))) return fail('not-found')
        await recordEvent(tx, 'passkey-ended', { person: actor.id })
        return ok({})
      }),
    then: toAccount,
  }),
]

export const accountRoutes: Route[] = [account, ...browserRoutes, ...tokenRoutes, ...deviceRoutes, ...passkeyRoutes]

import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import { recordEvent } from '#edge/keeper/record'
import type { Visit } from '#edge/web/route'
import {
  passkey,
  passkeysOf,
  saveChallenge,
  savePasskey,
  staffById,
  takeChallenge,
  usedPasskey,
} from '#features/people/queries'
import { hashSecret } from '#features/people/sessions'

const rpOf = (visit: Visit) => {
  const url = new URL(visit.house.config.publicUrl)
  return { rpID: url.hostname, expectedOrigin: url.origin }
}

const keepChallenge = (visit: Visit, challenge: string) =>
  saveChallenge(
    visit.house.db,
    hashSecret(visit.browser),
    challenge,
    new Date(visit.now.valueOf() + limits.codeMinutes * 60_000),
  )

/** What the browser needs to make a passkey for the person signed in. */
export async function passkeyCreation(visit: Visit) {
  const existing = await passkeysOf(visit.house.db, visit.actor.id)
  const options = await generateRegistrationOptions({
    rpName: 'Safehand',
    rpID: rpOf(visit).rpID,
    userName: visit.actor.email,
    userDisplayName: visit.actor.name,
    userID: new TextEncoder().encode(visit.actor.id),
    attestationType: 'none',
    excludeCredentials: existing.map((key) => ({ id: key.credentialId })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  })
  await keepChallenge(visit, options.challenge)
  return options
}

/** Keeps a new passkey. `passkey-refused` when the browser's answer does not verify. */
export async function addPasskey(
  visit: Visit,
  label: string,
  response: RegistrationResponseJSON,
): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  const kept = await takeChallenge(house.db, hashSecret(visit.browser), now)
  if (!kept) return fail('passkey-refused')
  const checked = await verifyRegistrationResponse({
    response,
    expectedChallenge: kept.challenge,
    expectedOrigin: rpOf(visit).expectedOrigin,
    expectedRPID: rpOf(visit).rpID,
  }).catch(() => null)
  if (!checked?.verified) return fail('passkey-refused')
  const { credential } = checked.registrationInfo
  return inTransaction(house.db, async (tx) => {
    await savePasskey(tx, {
      credentialId: credential.id,
      personId: actor.id,
      publicKey: credential.publicKey,
      counter: credential.counter,
      transports: credential.transports ?? [],
      label,
      createdAt: now,
    })
    await recordEvent(tx, 'passkey-added', { person: actor.id })
    return ok({})
  })
}

/** What the browser needs to sign in with any passkey it holds for this site. */
export async function passkeyRequest(visit: Visit) {
  const options = await generateAuthenticationOptions({ rpID: rpOf(visit).rpID, userVerification: 'required' })
  await keepChallenge(visit, options.challenge)
  return options
}

/** Signs in with a passkey's answer. `passkey-refused` when it does not verify or is nobody's. */
export async function signInWithPasskey(visit: Visit, response: AuthenticationResponseJSON): Promise<Outcome<unknown>> {
  const { house, now } = visit
  const kept = await takeChallenge(house.db, hashSecret(visit.browser), now)
  const known = kept && (await passkey(house.db, response.id))
  if (!kept || !known || !(await staffById(house.db, known.personId))) return fail('passkey-refused')
  const checked = await verifyAuthenticationResponse({
    response,
    expectedChallenge: kept.challenge,
    expectedOrigin: rpOf(visit).expectedOrigin,
    expectedRPID: rpOf(visit).rpID,
    credential: { id: known.credentialId, publicKey: new Uint8Array(known.publicKey), counter: known.counter },
  }).catch(() => null)
  if (!checked?.verified) return fail('passkey-refused')
  await usedPasskey(house.db, known.credentialId, checked.authenticationInfo.newCounter, now)
  await visit.signIn(known.personId)
  return ok({})
}

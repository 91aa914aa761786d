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
import { holdMail } from '#edge/mail/outbox'
import type { Visit } from '#edge/web/route'
import { addedLetter } from '#features/people/mails'
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

const noAct = new Uint8Array()

const keepChallenge = (visit: Visit, challenge: string, actHash: Uint8Array = noAct) =>
  // A challenge belongs to a browser, whoever sits before it.
  saveChallenge(visit.house.system, {
    browserHash: hashSecret(visit.browser),
    actHash,
    challenge,
    expiresAt: new Date(visit.now.valueOf() + limits.codeMinutes * 60_000),
  })

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

/** Keeps a new passkey. `passkey-refused` when the browser's answer, JSON, does not verify. */
export async function addPasskey(visit: Visit, label: string, given: string): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  const kept = await takeChallenge(house.system, hashSecret(visit.browser), noAct, now)
  if (!kept) return fail('passkey-refused')
  const checked = await verifyRegistrationResponse({
    response: parsed(given) as RegistrationResponseJSON,
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
    await holdMail(tx, { to: actor.email, letter: addedLetter('A passkey', label), language: 'en' })
    return ok({})
  })
}

/** What an answer says; nothing at all when it is no JSON, which then does not verify. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? {}
  } catch {
    return {}
  }
}

/** What the browser needs to answer with any passkey it holds for this site: to sign in, or to confirm one act. */
export async function passkeyRequest(visit: Visit, actHash?: Uint8Array) {
  const options = await generateAuthenticationOptions({ rpID: rpOf(visit).rpID, userVerification: 'required' })
  await keepChallenge(visit, options.challenge, actHash)
  return options
}

/**
 * Whose passkey answered this browser's newest challenge, which is gone with it.
 *
 * @returns the person, or `passkey-refused` when the answer does not verify or is nobody's
 */
export async function checkPasskey(
  visit: Visit,
  given: AuthenticationResponseJSON | string,
  actHash: Uint8Array = noAct,
): Promise<Outcome<string>> {
  // Whose passkey it is, is what is found out here.
  const { now } = visit
  const { system } = visit.house
  const kept = await takeChallenge(system, hashSecret(visit.browser), actHash, now)
  const response = (typeof given === 'string' ? parsed(given) : given) as AuthenticationResponseJSON
  const known = kept && (await passkey(system, String(response.id)))
  if (!kept || !known || !(await staffById(system, known.personId))) return fail('passkey-refused')
  const checked = await verifyAuthenticationResponse({
    response,
    expectedChallenge: kept.challenge,
    expectedOrigin: rpOf(visit).expectedOrigin,
    expectedRPID: rpOf(visit).rpID,
    credential: { id: known.credentialId, publicKey: new Uint8Array(known.publicKey), counter: known.counter },
  }).catch(() => null)
  if (!checked?.verified) return fail('passkey-refused')
  await usedPasskey(system, known.credentialId, checked.authenticationInfo.newCounter, now)
  return ok(known.personId)
}

/** Signing in with a passkey, confirming an act with one, and adding one. */
import { browserSupportsWebAuthn, startAuthentication, startRegistration } from '@simplewebauthn/browser'
import { part } from '#shell/islands/shared/page-parts'
import { jsonTo, Refused, saidBy, saidOf } from '#shell/islands/shared/server'

type RegistrationOptions = Parameters<typeof startRegistration>[0]['optionsJSON']
type AuthenticationOptions = Parameters<typeof startAuthentication>[0]['optionsJSON']

async function post<T>(url: string, body: unknown): Promise<T> {
  const answer = await jsonTo(url, body)(AbortSignal.timeout(60_000))
  if (!answer.ok) throw new Refused(await saidBy(answer))
  return (await answer.json()) as T
}

async function signIn(next: string): Promise<void> {
  const optionsJSON = await post<AuthenticationOptions>('/api/passkeys/sign-in/options', {})
  await post('/api/passkeys/sign-in', { response: await startAuthentication({ optionsJSON }) })
  location.assign(next)
}

/** Confirms the act of this page: the answer goes with its form. */
async function confirm(act: string): Promise<void> {
  const optionsJSON = await post<AuthenticationOptions>('/api/passkeys/confirm/options', { act })
  const field = part<HTMLInputElement>(document, 'input[name=_passkey]')
  field.value = JSON.stringify(await startAuthentication({ optionsJSON }))
  field.form!.submit()
}

/** The browser makes it, and the form takes it to the page that asks whether it is its person. */
async function addPasskey(form: HTMLFormElement): Promise<void> {
  const optionsJSON = await post<RegistrationOptions>('/api/passkeys/options', {})
  const field = part<HTMLInputElement>(form, 'input[name=response]')
  field.value = JSON.stringify(await startRegistration({ optionsJSON }))
  form.submit()
}

/** Does it at the press of the place's button; says what is wrong beside it. */
function offer(place: HTMLElement, work: () => Promise<void>): void {
  const problem = part(place, '[data-passkey-problem]')
  part(place, 'button').addEventListener('click', (event) => {
    event.preventDefault()
    problem.textContent = ''
    work().catch((error: unknown) => {
      // The person closed the browser's own question: nothing has gone wrong.
      if (error instanceof Error && ['NotAllowedError', 'AbortError'].includes(error.name)) return
      const { title, next } = error instanceof Refused ? error.said : saidOf({ slug: 'passkey-refused' })
      problem.textContent = `${title}. ${next}`
    })
  })
  place.hidden = false
}

const signInPlace = document.querySelector<HTMLElement>('[data-passkey-sign-in]')
const addPlace = document.querySelector<HTMLFormElement>('[data-passkey-add]')
const confirmPlace = document.querySelector<HTMLElement>('[data-passkey-confirm]')
if (browserSupportsWebAuthn()) {
  if (signInPlace) offer(signInPlace, () => signIn(signInPlace.dataset.next ?? '/'))
  if (addPlace) offer(addPlace, () => addPasskey(addPlace))
  if (confirmPlace) offer(confirmPlace, () => confirm(confirmPlace.dataset.passkeyConfirm!))
}

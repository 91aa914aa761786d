/** Signing in with a passkey, and adding one. */
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

async function signIn(): Promise<void> {
  const optionsJSON = await post<AuthenticationOptions>('/api/passkeys/sign-in/options', {})
  await post('/api/passkeys/sign-in', { response: await startAuthentication({ optionsJSON }) })
}

async function addPasskey(label: string): Promise<void> {
  const optionsJSON = await post<RegistrationOptions>('/api/passkeys/options', {})
  await post('/api/passkeys', { label, response: await startRegistration({ optionsJSON }) })
}

/** Does it at the press of the place's button, then goes on; says what is wrong beside it. */
function offer(place: HTMLElement, work: () => Promise<void>, next: string): void {
  const problem = part(place, '[data-passkey-problem]')
  part(place, 'button').addEventListener('click', (event) => {
    event.preventDefault()
    problem.textContent = ''
    work().then(
      () => location.assign(next),
      (error: unknown) => {
        // The person closed the browser's own question: nothing has gone wrong.
        if (error instanceof Error && ['NotAllowedError', 'AbortError'].includes(error.name)) return
        const { title, next: advice } = error instanceof Refused ? error.said : saidOf({ slug: 'passkey-refused' })
        problem.textContent = `${title}. ${advice}`
      },
    )
  })
  place.hidden = false
}

const signInPlace = document.querySelector<HTMLElement>('[data-passkey-sign-in]')
const addPlace = document.querySelector<HTMLElement>('[data-passkey-add]')
if (browserSupportsWebAuthn()) {
  if (signInPlace) offer(signInPlace, signIn, signInPlace.dataset.next ?? '/')
  if (addPlace) offer(addPlace, () => addPasskey(part<HTMLInputElement>(addPlace, 'input').value.trim()), '/account')
}

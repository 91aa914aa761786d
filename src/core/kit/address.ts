import { limits } from '#core/kit/limits'
import { fail, ok, type Failure, type Outcome } from '#core/kit/outcome'

/**
 * One plain email address in the form in which it is stored and compared: no name before it, no comments or quotes, the
 * domain in lower case. What is before the `@` stays as it was typed, since only its own server knows whether case counts.
 *
 * Letters outside ASCII are refused rather than converted: two domains that look the same must not become two people.
 * Such a domain can be entered in its `xn--` form.
 *
 * @returns the address, or `address-malformed` with a sentence that says what to change
 * @source RFC 5321 4.1.2 and 4.5.3.1 (without quoted strings and address literals)
 */
export function parseAddress(typed: string): Outcome<string> {
  const address = typed.trim()
  if (address === '') return wrong('Enter an email address.')
  if (address.length > limits.emailCharacters)
    return wrong(`Enter an email address of ${limits.emailCharacters} characters or fewer.`)
  if (/[<>,;:"()[\]\\]/.test(address))
    return wrong('Enter one email address only, without a name, quotes or brackets around it.')
  if (/[\s\p{Cc}\p{Cf}]/u.test(address)) return wrong('Enter an email address without spaces.')
  if (/[^\x20-\x7e]/.test(address))
    return wrong('Enter an email address without accents. A domain with accents has a form that begins with xn--.')
  const [local, domain, ...rest] = address.split('@')
  if (!local || !domain || rest.length > 0) return wrong('Enter an email address with one @, like name@example.gov.uk.')
  if (local.length > localCharacters || !isLocal.test(local))
    return wrong('Check the part of the email address before the @.')
  if (!isDomain.test(domain.toLowerCase()))
    return wrong('Check the part of the email address after the @, like example.gov.uk.')
  return ok(`${local}@${domain.toLowerCase()}`)
}

const localCharacters = 64
const isLocal = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/
/** Two labels or more; the last begins with a letter, so that no address of a machine passes. */
const isDomain = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$/

const wrong = (detail: string): Failure => fail('address-malformed', { detail })

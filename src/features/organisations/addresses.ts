import { limits } from '#core/kit/limits'

const domainPattern = /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/** The part of an email address behind its last '@', in lower case. */
export const domainOf = (email: string): string => email.slice(email.lastIndexOf('@') + 1).toLowerCase()

/** A domain and every domain above it but the last: what an organisation may have listed to cover it. */
export function domainAndParents(domain: string): string[] {
  const labels = domain.split('.')
  return labels.slice(0, -1).map((_, place) => labels.slice(place).join('.'))
}

/** Whether an address is in criminal justice secure email. @source clauses D33, D36 */
export const isCjsmAddress = (email: string): boolean => `.${domainOf(email)}`.endsWith('.cjsm.net')

/** Whether an address is of the former government network, whose mail ended by March 2019. @source clause W43; reading C20 */
export const isEndedAddress = (email: string): boolean => /\.(gcsx|gsi|gse|gsx)\.gov\.uk$/.test(`.${domainOf(email)}`)

/** Whether an address is in our own mail system: its domain is listed itself; a domain below a listed one is not. @source reading C15 */
export const isInternalAddress = (own: { domains: readonly string[] }, email: string): boolean =>
  own.domains.includes(domainOf(email))

const lines = (text: string): string[] => [
  ...new Set(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean),
  ),
]

/** Domains written one a line, in lower case and each once, or the sentence that says what is wrong. */
export function domainsOf(text: string): string[] | { wrong: string } {
  const domains = [...new Set(lines(text.toLowerCase()).map((domain) => domain.replace(/^@/, '')))]
  if (domains.length > limits.domainsPerOrganisation)
    return { wrong: `Enter ${limits.domainsPerOrganisation} domains at most` }
  const wrong = domains.find((domain) => !domainPattern.test(domain) || domain.length > limits.domainCharacters)
  return wrong === undefined
    ? domains
    : { wrong: `${wrong.slice(0, limits.nameCharacters)} is not a domain. Enter one a line, like example.gov.uk` }
}

/** Members of a team mailbox written one a line, each once, in order, or the sentence that says what is wrong. */
export function membersOf(text: string): string[] | { wrong: string } {
  const members = lines(text).sort()
  if (members.length > limits.mailboxMembers) return { wrong: `Enter ${limits.mailboxMembers} members at most` }
  if (members.some((member) => member.length > limits.lineCharacters))
    return { wrong: `Each member must be ${limits.lineCharacters} characters or fewer` }
  return members.length > 0 ? members : { wrong: 'Enter at least one member, one a line' }
}

/** The words of a search, as far as they are looked at: letters and digits only, in lower case. */
export const searchTerms = (words: string): string[] =>
  (
    words
      .slice(0, limits.lineCharacters)
      .normalize('NFC')
      .toLowerCase()
      .match(/[\p{L}\p{Nd}]+/gu) ?? []
  ).slice(0, limits.searchWords)

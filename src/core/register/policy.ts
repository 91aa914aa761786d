import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { toHex } from '#core/kit/bytes'
import { wholeNumber } from '#core/register/checkpoint'
import { formatVkey, keyTypes, parseVkey, type Vkey } from '#core/register/note'

/** A group of witnesses or groups that has seen a checkpoint when `atLeast` of its members have. */
interface Group {
  atLeast: number
  members: string[]
}

/** Whom a reader of receipts trusts: registers, witnesses, and how many witnesses there must be. */
export interface TrustPolicy {
  logs: Vkey[]
  witnesses: Map<string, Vkey>
  /** Where those witnesses answer whose line says so: the submission prefix of C2SP tlog-witness. */
  urls: Map<string, string>
  groups: Map<string, Group>
  /** The witness or group that must have seen a checkpoint; `none` asks for no witness. */
  quorum: string
}

/** A sentence about what is wrong with a line, or nothing. */
type Complaint = string | undefined

function addLog(policy: TrustPolicy, [key = '', ...url]: string[]): Complaint {
  const vkey = parseVkey(key)
  if (!vkey.ok || vkey.value.type !== keyTypes.ed25519 || url.length > 1)
    return 'Write: log KEY, with a key of type Ed25519.'
  if (policy.logs.some((log) => toHex(log.publicKey) === toHex(vkey.value.publicKey)))
    return 'This key is already listed.'
  policy.logs.push(vkey.value)
  return undefined
}

const isTaken = ({ witnesses, groups }: TrustPolicy, name: string) =>
  name === 'none' || witnesses.has(name) || groups.has(name)

function addWitness(policy: TrustPolicy, [name = '', key = '', url, ...more]: string[]): Complaint {
  const vkey = parseVkey(key)
  if (!vkey.ok || vkey.value.type !== keyTypes.ed25519Cosignature || more.length > 0) {
    return 'Write: witness NAME KEY, with a key for cosignatures.'
  }
  if (isTaken(policy, name)) return `The name ${name} is already taken.`
  const same = [...policy.witnesses.values()].some((other) => toHex(other.publicKey) === toHex(vkey.value.publicKey))
  if (same) return 'This key is already listed.'
  policy.witnesses.set(name, vkey.value)
  if (url !== undefined) policy.urls.set(name, url)
  return undefined
}

function addGroup(policy: TrustPolicy, [name = '', threshold = '', ...members]: string[]): Complaint {
  const atLeast = threshold === 'all' ? members.length : threshold === 'any' ? 1 : (wholeNumber(threshold) ?? 0)
  if (atLeast < 1 || atLeast > members.length) return 'Write: group NAME all|any|NUMBER and its members.'
  if (isTaken(policy, name)) return `The name ${name} is already taken.`
  const used = [...policy.groups.values()].flatMap((group) => group.members)
  for (const [i, member] of members.entries()) {
    if (member === 'none' || !isTaken(policy, member)) return `${member} is not defined above.`
    if (used.includes(member) || members.indexOf(member) !== i) return `${member} is already in a group.`
  }
  policy.groups.set(name, { atLeast, members })
  return undefined
}

function setQuorum(policy: TrustPolicy, names: string[]): Complaint {
  const [name = ''] = names
  if (names.length !== 1) return 'Write: quorum NAME, or: quorum none.'
  if (policy.quorum !== '') return 'There is more than one quorum.'
  if (!isTaken(policy, name)) return `${name} is not defined above.`
  policy.quorum = name
  return undefined
}

const statements: Record<string, (policy: TrustPolicy, words: string[]) => Complaint> = {
  log: addLog,
  witness: addWitness,
  group: addGroup,
  quorum: setQuorum,
}

/**
 * A trust policy from its text, or the problem `trust-policy-malformed` naming the line.
 *
 * A word that is not known refuses the file: what it would have asked for cannot be guessed.
 *
 * @source C2SP tlog-policy
 */
export function parseTrustPolicy(text: string): Outcome<TrustPolicy> {
  if (text.length > limits.trustPolicyBytes) return fail('trust-policy-malformed', { detail: 'The file is too long.' })
  const policy: TrustPolicy = { logs: [], witnesses: new Map(), urls: new Map(), groups: new Map(), quorum: '' }
  for (const [i, line] of text.split('\n').entries()) {
    const wrong = (detail: string) => fail('trust-policy-malformed', { detail: `Line ${i + 1}: ${detail}` })
    // oxlint-disable-next-line no-control-regex -- the format forbids control characters
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) return wrong('There is a control character.')
    const [word, ...words] = line.split(/[ \t]+/).filter((part) => part !== '')
    if (word === undefined || word.startsWith('#')) continue
    const statement = Object.hasOwn(statements, word) ? statements[word] : undefined
    const complaint = statement ? statement(policy, words) : `${word} is not known.`
    if (complaint !== undefined) return wrong(complaint)
  }
  if (policy.quorum === '') return fail('trust-policy-malformed', { detail: 'There is no quorum line.' })
  return ok(policy)
}

/** The text of the policy that trusts one register and asks for no witness. */
export const trustPolicyFor = (log: Vkey): string => `log ${formatVkey(log)}\nquorum none\n`

/** Whether the witnesses of these names are enough for the quorum, or for the witness or group named. */
export function meetsQuorum(policy: TrustPolicy, witnessed: ReadonlySet<string>, name = policy.quorum): boolean {
  if (name === 'none') return true
  const group = policy.groups.get(name)
  if (!group) return witnessed.has(name)
  return group.members.filter((member) => meetsQuorum(policy, witnessed, member)).length >= group.atLeast
}

/** What the quorum, or the witness or group named, lacks when only the witnesses of these names signed, in sentences. */
export function lackingOf(policy: TrustPolicy, witnessed: ReadonlySet<string>, name = policy.quorum): string {
  const group = policy.groups.get(name)
  if (!group) return `${name} has not signed.`
  const without = group.members.filter((member) => !meetsQuorum(policy, witnessed, member))
  const parts = without.filter((member) => policy.groups.has(member))
  return [
    `${name} needs ${group.atLeast} of ${group.members.join(', ')}; without ${without.join(', ')} it has ${group.members.length - without.length}.`,
    ...parts.map((part) => lackingOf(policy, witnessed, part)),
  ].join(' ')
}

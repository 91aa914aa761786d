import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { loadCases, type Cases } from '#core/policy/cases'
import { loadRulebook } from '#core/policy/rulebook'
import type { Policy } from '#core/policy/stack'
import type { Rulebook } from '#core/policy/terms'
import type { House } from '#edge/house'
import { dayOf } from '#features/organisations/calendar'
import { compile, inForce, sha256Of, type BookText } from '#features/rulebooks/in-force'
import { versionNames } from '#features/rulebooks/queries'

/** A draft as it was typed. */
export interface DraftText {
  rulebook: string
  text: string
  cases: string
}

/** Some cases and what is assumed in them, with the policy that they are about. */
export interface CaseRun extends Pick<Cases, 'assume' | 'cases'> {
  policy: Policy
  /** Whether the draft brings them itself. */
  isOwn: boolean
}

/** A draft that could be read, beside what it would take the place of. */
export interface ReadDraft {
  before: Policy
  after: Policy
  book: Rulebook
  inForce: Rulebook
  sha256: string
  runs: CaseRun[]
  /** The newest publication when it was read. */
  newest: number
  /** What looking at it is good for: these texts, these words, and what is in force beside them. */
  of: string
}

/** As it is kept: line ends as in a file, and one at the end, so that `sha256sum` of a saved copy says the same. */
export const tidyText = (text: string): string => {
  const trimmed = text.replaceAll('\r\n', '\n').trimEnd()
  return trimmed === '' ? '' : `${trimmed}\n`
}

/**
 * Reads a draft as it would be loaded; nothing is half-loaded.
 *
 * @returns the draft; `not-found` for a rulebook that does not decide here; or `rulebook-unreadable` with every fault by
 *   `text:line:column` or `cases:line:column`
 */
export async function readDraft(house: House, { rulebook, text, cases }: DraftText): Promise<Outcome<ReadDraft>> {
  const { release, system } = house
  const now = await inForce(house)
  const at = now.books.findIndex(({ id }) => id === rulebook)
  if (at < 0) return fail('not-found')
  const book = loadRulebook('text', text, release.vocabulary)
  const own = cases === '' ? ok(undefined) : loadCases('cases', cases, release.vocabulary)
  const faults: Record<string, string> = {
    ...(book.ok ? {} : book.problem.fields),
    ...(own.ok ? {} : own.problem.fields),
  }
  if (book.ok) {
    const shipped = compile(release, release.books)
    const its = shipped.ok ? [shipped.value.policy.rulebooks[at]!.version] : []
    const taken = [...(await versionNames(system, rulebook)), ...its]
    Object.assign(faults, wrongHead(text, book.value, { rulebook, taken, today: dayOf(house.now()) }))
  }
  const known = now.books.map(({ id }) => id)
  if (own.ok && own.value) Object.assign(faults, wrongBooks(cases, own.value, rulebook, known))
  if (!book.ok || !own.ok || Object.keys(faults).length > 0) {
    const placed = Object.entries(faults).map(([place, says]) => [place, `${placeWords(place)}: ${says}`] as const)
    return fail('rulebook-unreadable', { detail: placed[0]![1], fields: Object.fromEntries(placed) })
  }
  const books = now.books.with(at, { ...now.books[at]!, text })
  const after = compile(release, books)
  if (!after.ok) return after
  const shas = [text, cases, ...now.books.map((each) => each.text)].map(sha256Of)
  return ok({
    before: now.inForce.policy,
    after: after.value.policy,
    book: book.value,
    inForce: now.inForce.policy.rulebooks[at]!,
    sha256: shas[0]!,
    runs: casesAbout(house, rulebook, books, own.value),
    newest: now.newest,
    of: sha256Of([release.vocabularySha256, ...shas].join(' ')),
  })
}

/** `text:12:3` as a person reads it: `Line 12`; of the cases, `Line 12 of the cases`. */
const placeWords = (place: string): string => {
  const [where, line] = place.split(':')
  return `Line ${line}${where === 'cases' ? ' of the cases' : ''}`
}

/** Where a field of the head stands, for a fault about it. */
const headLine = (text: string, field: string): string =>
  `text:${text.split('\n').findIndex((line) => line.startsWith(`${field}:`)) + 1}:1`

function wrongHead(
  text: string,
  { id, version, guidanceDate, reviewDate }: Rulebook,
  { rulebook, taken, today }: { rulebook: string; taken: string[]; today: string },
): Record<string, string> {
  const last = `${Number(today.slice(0, 4)) + limits.reviewYears}${today.slice(4)}`
  const wrong: [boolean, string, string][] = [
    [id !== rulebook, 'id', `This is a draft of ‘${rulebook}’: its id must be that, not ‘${id}’.`],
    [taken.includes(version), 'version', `There is a version ${version} already. Give this one another.`],
    [guidanceDate > today, 'guidance-date', 'The guidance is of a day that has not come yet.'],
    [reviewDate <= today, 'review-date', 'The review would be due already. Give a day to come.'],
    [
      reviewDate > last,
      'review-date',
      `The review is more than ${limits.reviewYears} years away. Give an earlier day.`,
    ],
  ]
  return Object.fromEntries(wrong.flatMap(([is, field, says]) => (is ? [[headLine(text, field), says]] : [])))
}

function wrongBooks(text: string, { rulebooks }: Cases, rulebook: string, known: string[]): Record<string, string> {
  const line = text.split('\n').findIndex((each) => each.startsWith('rulebooks:')) + 1
  const unknown = rulebooks.find((id) => !known.includes(id))
  const says = unknown
    ? `‘${unknown}’ does not decide here. Use: ${known.join(', ')}.`
    : rulebooks.includes(rulebook)
      ? undefined
      : `These cases are not about ‘${rulebook}’. Name it.`
  return says ? { [`cases:${line}:1`]: says } : {}
}

/**
 * The cases about a rulebook: those of the release whose rulebooks all decide here, and the draft's own. One of the
 * draft's that has the id of another takes its place: what should come out may change with the rules.
 */
function casesAbout({ release }: House, rulebook: string, books: BookText[], own: Cases | undefined): CaseRun[] {
  const ids = new Set(own?.cases.map(({ id }) => id))
  const shipped = release.cases.flatMap(({ file, text }) => {
    const read = loadCases(file, text, release.vocabulary)
    return read.ok ? [{ ...read.value, cases: read.value.cases.filter(({ id }) => !ids.has(id)), isOwn: false }] : []
  })
  // Cases say what comes out whatever an installation carries.
  const offered = [...release.vocabulary.methods.keys()]
  return [...shipped, ...(own ? [{ ...own, isOwn: true }] : [])].flatMap(({ rulebooks, assume, cases, isOwn }) => {
    const texts = rulebooks.flatMap((id) => books.filter((each) => each.id === id))
    if (!rulebooks.includes(rulebook) || texts.length < rulebooks.length) return []
    const compiled = compile({ ...release, offered }, texts)
    return compiled.ok ? [{ policy: compiled.value.policy, assume, cases, isOwn }] : []
  })
}

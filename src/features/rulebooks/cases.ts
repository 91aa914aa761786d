import { setImmediate } from 'node:timers/promises'
import { limits } from '#core/kit/limits'
import { caseWords } from '#core/policy/case-words'
import { factsOf, loadCases, runCase, type Case, type Cases, type Check } from '#core/policy/cases'
import type { OutcomeWord } from '#core/policy/decide'
import type { Policy } from '#core/policy/stack'
import type { Facts, Vocabulary } from '#core/policy/terms'
import type { House } from '#edge/house'
import { addressOf, chosenOf, factsAsked, type Asked } from '#features/rulebooks/answers'
import { compile, inForce } from '#features/rulebooks/in-force'
import { amountWords } from '#core/policy/case-words'
import { methodName, outcomeWord, roleNames } from '#features/rulebooks/words'

type File = Cases & { file: string; policy: Policy }

/**
 * The cases of the rulebooks in force, each file with the policy it is about: those published with a rulebook, and those
 * of the release but for what a published one of the same id took the place of. A file that names a rulebook that does
 * not decide here is left out.
 */
async function readFiles(house: House): Promise<File[]> {
  const { release } = house
  const { books } = await inForce(house)
  const published = books.flatMap(({ id, cases }) => (cases === '' ? [] : { file: `${id}, as published`, text: cases }))
  // Cases say what comes out whatever an installation carries.
  const offered = [...release.vocabulary.methods.keys()]
  const taken = new Set<string>()
  return [...published, ...release.cases].flatMap(({ file, text }, place) => {
    const read = loadCases(file, text, release.vocabulary)
    if (!read.ok) return []
    const cases = read.value.cases.filter(({ id }) => !taken.has(id))
    if (place < published.length) for (const { id } of cases) taken.add(id)
    const texts = read.value.rulebooks.flatMap((id) => books.filter((book) => book.id === id))
    const compiled = compile({ ...release, offered }, texts)
    if (texts.length < read.value.rulebooks.length || cases.length === 0 || !compiled.ok) return []
    return [{ ...read.value, cases, file, policy: compiled.value.policy }]
  })
}

/** Files read and cases run, for as long as their policy is kept: with another text of any rulebook it is another. */
const filesRead = new WeakMap<Policy, File[]>()
const casesRun = new WeakMap<Policy, Ran>()

async function filesOf(house: House): Promise<File[]> {
  const files = filesRead.get(house.policy) ?? (await readFiles(house))
  filesRead.set(house.policy, files)
  return files
}

/** What the cases about the most of the rulebooks take as known: an ordinary case of this policy. */
export async function usualFacts(house: House): Promise<Facts> {
  const [file] = (await filesOf(house)).toSorted((a, b) => b.rulebooks.length - a.rulebooks.length)
  return file?.assume ?? {}
}

interface Ran {
  files: {
    file: string
    rulebooks: string[]
    assumed: ReturnType<typeof caseWords>
    cases: ReturnType<typeof ranWords>[]
  }[]
  passed: number
  failed: number
  /** How many were not run, because there are more than `limits.casesShown`. */
  left: number
}

/** All cases of the rulebooks in force with how they came out, run once for each policy. */
export async function casesOf(house: House): Promise<Ran> {
  const ran = casesRun.get(house.policy) ?? (await runAll(await filesOf(house)))
  casesRun.set(house.policy, ran)
  return ran
}

async function runAll(all: File[]): Promise<Ran> {
  const ran: Ran = { files: [], passed: 0, failed: 0, left: 0 }
  for (const { file, policy, assume, cases: given } of all) {
    const asked = factsAsked(policy)
    const room = limits.casesShown - ran.passed - ran.failed
    const cases: ReturnType<typeof ranWords>[] = []
    for (const each of given.slice(0, room)) {
      cases.push(ranWords(policy, asked, assume, each))
      // Others are served between the cases.
      await setImmediate()
    }
    ran.passed += cases.filter(({ isPassed }) => isPassed).length
    ran.failed += cases.filter(({ isPassed }) => !isPassed).length
    ran.left += given.length - cases.length
    const rulebooks = policy.rulebooks.map(({ title }) => title)
    ran.files.push({ file, rulebooks, assumed: caseWords(policy.vocabulary, assume), cases })
  }
  return ran
}

/** One case in words: what is known, what should come out, and what did. */
function ranWords(policy: Policy, asked: readonly Asked[], assume: Facts, given: Case) {
  const { vocabulary } = policy
  const ran = runCase(policy, assume, given)
  return {
    id: given.id,
    title: given.title,
    given: caseWords(vocabulary, given.facts),
    notKnown: (given.without ?? []).map((id) => vocabulary.facts.get(id)!.question),
    isPassed: ran.ok && ran.value.differences.length === 0,
    trouble: ran.ok ? undefined : ran.problem.detail,
    checks: ran.ok ? ran.value.checks.map((check) => checkWords(vocabulary, check)) : [],
    url: addressOf('what-if', chosenOf(policy, asked, factsOf(assume, given))),
  }
}

function checkWords(vocabulary: Vocabulary, check: Check) {
  const { method, what, of = '', expected, got, isSame } = check
  const says = vocabulary.obligations.get(of)?.says ?? ''
  const words: Record<Check['what'], string> = {
    outcome: 'Outcome',
    first: 'Best',
    only: 'May be used',
    ask: 'Ask',
    obligations: 'To do',
    'refers to': 'Referred to',
    met: `Done: ${says}`,
    cited: `Cites ${of}`,
    limit: vocabulary.limits.get(of)?.name ?? of,
  }
  return {
    what: `${method === undefined ? '' : `${methodName(vocabulary, method)}: `}${words[what]}`,
    expected: checkedWords(vocabulary, check, expected),
    got: checkedWords(vocabulary, check, got),
    isSame,
  }
}

function checkedWords(vocabulary: Vocabulary, { what, of = '' }: Check, value: Check['got']): string {
  const list = Array.isArray(value) ? value : []
  const names = (name: (id: string) => string, between: string) => list.map(name).join(between) || 'None'
  if (what === 'outcome') return outcomeWord(value as OutcomeWord)
  if (what === 'first' || what === 'only') return names((id) => methodName(vocabulary, id), '; ')
  if (what === 'ask' || what === 'refers to') return roleNames(vocabulary, list) || 'Nobody'
  if (what === 'obligations') return names((id) => vocabulary.obligations.get(id)!.says, ' ')
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  const unit = vocabulary.limits.get(of)?.unit
  if (typeof value === 'number' && unit) return amountWords(vocabulary, { amount: value, unit })
  return value === undefined ? 'None' : String(value)
}

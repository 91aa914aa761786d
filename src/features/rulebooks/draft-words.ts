import type { Said } from '#core/policy/compare'
import type { Rulebook, Vocabulary } from '#core/policy/terms'
import type { House } from '#edge/house'
import { documentOf } from '#features/rulebooks/document'
import type { Proof } from '#features/rulebooks/proving'
import { amountWords } from '#core/policy/case-words'
import { methodName, outcomeWord } from '#features/rulebooks/words'

/** A part of a rule or of the head that differs. */
interface Part {
  name: string
  before: string[]
  after: string[]
}

type Words = ReturnType<typeof documentOf>
type RuleWords = Words['ruleList'][number]

const groups = (condition: { question: string; answer: string }[][]) =>
  condition.map((tests) => tests.map(({ question, answer }) => `${question} ${answer}`).join('; '))

/** A rule in parts, each as lines of words. */
const partsOf = (rule: RuleWords): [string, string[]][] => [
  ['Title', [rule.title]],
  ['When', rule.unsure ? ['A fact is needed that nobody knows'] : rule.always ? ['Always'] : groups(rule.when)],
  ['Methods', [rule.methods]],
  ['Effect', [rule.effect, ...(rule.prefer === undefined ? [] : [`Place ${rule.prefer} of the order of preference`])]],
  ['Required', [...rule.requires.map(({ phase, says }) => `${phase}: ${says}`), ...(rule.unmet ? [rule.unmet] : [])]],
  ['Limits', rule.limits],
  ['Lifted by', rule.lifts.map(({ role, when }) => `${role}: ${groups(when).join(', or ')}`)],
  ['Instead', rule.instead ? [rule.instead] : []],
  ['Ask', rule.ask ? [rule.ask] : []],
  ['Clauses', rule.clauses.map(({ id, says }) => `${id}: ${says}`)],
]

const headOf = (book: Rulebook, words: Words): [string, string[]][] => [
  ['Version', [book.version]],
  ['Title', [book.title]],
  ['Guidance of', [book.guidanceDate]],
  ['Review by', [book.reviewDate]],
  ['Asked when no rule says whom', [words.ask]],
  ['Allows only once this is answered', [words.scheme]],
  ['Where it speaks', groups(words.scope)],
  ['Amounts and times', words.parameters.map(({ name, value }) => `${name}: ${value}`)],
]

const differing = (before: [string, string[]][], after: [string, string[]][]): Part[] =>
  before.flatMap(([name, lines], place) => {
    const now = after[place]![1]
    if (lines.join('\n') === now.join('\n')) return []
    const only = (some: string[], others: string[]) => some.filter((each) => !others.includes(each))
    const [lost, gained] = [only(lines, now), only(now, lines)]
    // The same lines in another order are shown whole.
    return [
      lost.length + gained.length > 0 ? { name, before: lost, after: gained } : { name, before: lines, after: now },
    ]
  })

/** How two versions of a rulebook differ in their words, rule by rule. */
export function differences(house: House, before: Rulebook, after: Rulebook) {
  const [was, is] = [documentOf(house, before, false), documentOf(house, after, false)]
  const named = (rules: RuleWords[]) => new Map(rules.map((rule) => [rule.id, rule]))
  const [old, now] = [named(was.ruleList), named(is.ruleList)]
  const face = ({ id, title }: RuleWords) => ({ id, title })
  return {
    head: differing(headOf(before, was), headOf(after, is)),
    added: is.ruleList.filter(({ id }) => !old.has(id)).map(face),
    removed: was.ruleList.filter(({ id }) => !now.has(id)).map(face),
    changed: is.ruleList.flatMap((rule) => {
      const other = old.get(rule.id)
      const parts = other ? differing(partsOf(other), partsOf(rule)) : []
      return parts.length > 0 ? [{ ...face(rule), parts }] : []
    }),
  }
}

const count = (number: string) => BigInt(number).toLocaleString('en-GB')

function saidWords(vocabulary: Vocabulary, said: Said): string {
  if ('outcome' in said) return outcomeWord(said.outcome)
  if ('obligation' in said) {
    const { says } = vocabulary.obligations.get(said.obligation)!
    return 'met' in said ? `${says} (done)` : says
  }
  const { name, unit } = vocabulary.limits.get(said.limit)!
  const value =
    typeof said.value === 'number' && unit ? amountWords(vocabulary, { amount: said.value, unit }) : said.value
  return `${name}: ${value}`
}

const headings = {
  gap: 'A case nobody thought of',
  contradiction: 'A contradiction',
  'never-fires': 'A rule without a case',
  'never-met': 'Something that nobody can do',
  'never-allowed': 'A method that is never allowed',
}

/** A proof in words: what fails first. */
export function proofWords(vocabulary: Vocabulary, { cases, analysis, comparison, trouble }: Proof) {
  const names = (methods: readonly string[]) => methods.map((id) => methodName(vocabulary, id))
  const described = <T extends { cases: string; of: string }>(each: T) => ({
    ...each,
    cases: count(each.cases),
    of: count(each.of),
    isAll: each.cases === each.of,
  })
  return {
    trouble,
    cases: {
      failed: cases.filter((each) => each.differences.length > 0),
      passed: cases.filter((each) => each.differences.length === 0),
    },
    analysis: analysis && {
      ...analysis,
      cases: count(analysis.cases),
      closed: names(analysis.closed),
      findings: analysis.findings.map((each) => ({
        ...described(each),
        heading: headings[each.kind],
        methods: names(each.methods),
      })),
    },
    comparison: comparison && {
      ...comparison,
      cases: count(comparison.cases),
      changed: count(comparison.changed),
      isSame: comparison.changed === '0',
      changes: comparison.changes.map((each) => ({
        ...described(each),
        methods: names(each.methods),
        before: each.before.map((said) => saidWords(vocabulary, said as Said)),
        after: each.after.map((said) => saidWords(vocabulary, said as Said)),
      })),
    },
  }
}

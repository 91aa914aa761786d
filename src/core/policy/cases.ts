import { isMap, isScalar } from 'yaml'
import { ok, type Outcome } from '#core/kit/outcome'
import { quantity, valuesOf } from '#core/policy/condition'
import { decide, type Decision } from '#core/policy/decide'
import {
  amount,
  clauseId,
  entries,
  known,
  list,
  name,
  oneOf,
  optional,
  pairsOf,
  readYaml,
  record,
  text,
  unknown,
  type Shape,
  type TypeOf,
} from '#core/policy/shape'
import type { Policy } from '#core/policy/stack'
import type { Fact, FactValue, Facts, Vocabulary } from '#core/policy/terms'

/** Facts as a person writes them: `size: 4 MB`, `published: yes`, `size: { at-least: 1 MB }`. */
export const factsShape: Shape<Facts> = {
  schema: ({ facts }) => ({ type: 'object', propertyNames: { enum: [...facts.keys()] } }),
  read: (node, reader) =>
    Object.fromEntries(
      pairsOf(node, 'facts', reader).map(({ word, key, value }) => {
        const fact = reader.vocabulary.facts.get(word)
        if (!fact) return unknown(reader, key, 'a fact', reader.vocabulary.facts.keys()) ?? []
        return [word, valueOf(word, fact, reader.vocabulary).read(value, reader)]
      }),
    ),
}

function valueOf(id: string, fact: Fact, vocabulary: Vocabulary): Shape<FactValue> {
  const value = known(`a value of '${id}'`, () => valuesOf(fact, vocabulary))
  const number: Shape<number> = {
    schema: quantity().schema,
    // A program says `4000000` where a person says `4 MB`.
    read: (node, reader) =>
      isScalar(node) && typeof node.value === 'number' && node.value >= 0
        ? node.value
        : quantity(fact.unit).read(node, reader)?.amount,
  }
  const range = record('a range', { atLeast: optional(number), atMost: optional(number) }) as Shape<FactValue>
  return {
    schema: value.schema,
    read(node, reader) {
      if (fact.type === 'quantity') return (isMap(node) ? range : number).read(node, reader)
      if (fact.type !== 'yes-no') return value.read(node, reader)
      return isScalar(node) && typeof node.value === 'boolean' ? node.value : value.read(node, reader) === 'yes'
    },
  }
}

const methodId = known('a method', ({ methods }) => methods.keys())
const roleId = known('a role', ({ roles }) => roles.keys())
const obligationId = known('an obligation', ({ obligations }) => obligations.keys())
const outcome = oneOf('an outcome', 'ALLOW', 'ALLOW_WITH', 'REFER', 'BLOCK')

const expectedMethod = record('what is expected of a method', {
  outcome,
  obligations: optional(list(obligationId, 0)),
  met: optional(list(obligationId)),
  unmet: optional(list(obligationId)),
  clauses: optional(list(clauseId)),
  referTo: optional(list(roleId, 0)),
  limits: optional(entries(name('a limit'), amount('an amount'))),
})

const expected = record('what is expected', {
  outcome,
  first: optional(list(methodId)),
  only: optional(list(methodId, 0)),
  ask: optional(list(roleId, 0)),
  methods: optional(entries(methodId, expectedMethod)),
})

const shape = record('a file of cases', {
  format: oneOf('a format', 'safehand-cases/1'),
  rulebooks: list(name('a rulebook')),
  assume: factsShape,
  cases: list(
    record('a case', {
      id: name('an id'),
      title: text('a title'),
      facts: factsShape,
      without: optional(list(name('a fact'))),
      expect: expected,
    }),
  ),
})

type CaseFile = TypeOf<typeof shape>
export type Case = CaseFile['cases'][number]
export type Cases = Omit<CaseFile, 'format'>

/** Reads a file of cases. Its `assume` holds in every case that does not say otherwise. */
export function loadCases(file: string, words: string, vocabulary: Vocabulary): Outcome<Cases> {
  return readYaml(file, words, shape, { vocabulary })
}

/** Reads facts as a person writes them on the command line or in a what-if. */
export function readFacts(words: string, vocabulary: Vocabulary): Outcome<Facts> {
  return readYaml('facts', words, factsShape, { vocabulary })
}

/** One thing that a case expects, beside what came out. */
export interface Check {
  /** Unset for the decision as a whole. */
  method: string | undefined
  what: 'outcome' | 'first' | 'only' | 'ask' | 'obligations' | 'refers to' | 'met' | 'cited' | 'limit'
  /** The obligation that is met, the clause that is cited, or the limit. */
  of: string | undefined
  expected: Checked
  got: Checked
  isSame: boolean
}
type Checked = string | number | boolean | string[] | undefined

/** Decides one case and compares. */
export function runCase(
  policy: Policy,
  assume: Facts,
  given: Case,
): Outcome<{ decision: Decision; checks: Check[]; differences: string[] }> {
  const decided = decide(policy, factsOf(assume, given))
  if (!decided.ok) return decided
  const checks = compare(decided.value, given.expect)
  const differences = checks.flatMap((check) =>
    check.isSame
      ? []
      : `${labelOf(check)}: expected ${JSON.stringify(check.expected)}, got ${JSON.stringify(check.got)}`,
  )
  return ok({ decision: decided.value, checks, differences })
}

/** What is known in a case. */
export function factsOf(assume: Facts, { facts, without }: Pick<Case, 'facts' | 'without'>): Facts {
  const all: Facts = { ...assume, ...facts }
  for (const fact of without ?? []) delete all[fact]
  return all
}

function labelOf({ method, what, of }: Check): string {
  if (method === undefined) return what
  if (what === 'outcome') return method
  return `${method}, ${of === undefined ? what : what === 'limit' ? `limit ${of}` : `${of} ${what}`}`
}

function compare(decision: Decision, expect: Case['expect']): Check[] {
  const checks: Check[] = []
  const same = (method: string | undefined, what: Check['what'], got: Checked, expected: Checked, of?: string) => {
    if (expected !== undefined)
      checks.push({ method, what, of, expected, got, isSame: JSON.stringify(got) === JSON.stringify(expected) })
  }
  same(undefined, 'outcome', decision.outcome, expect.outcome)
  same(undefined, 'first', decision.recommended.slice(0, expect.first?.length), expect.first)
  same(undefined, 'only', decision.recommended.toSorted(), expect.only?.toSorted())
  same(undefined, 'ask', decision.ask, expect.ask)
  for (const [method, wanted] of expect.methods ?? []) {
    const got = decision.methods[method]!
    const ids = (met?: boolean | null) =>
      got.obligations.filter((due) => met === undefined || due.met === met).map(({ id }) => id)
    same(method, 'outcome', got.outcome, wanted.outcome)
    same(method, 'obligations', ids().toSorted(), wanted.obligations?.toSorted())
    same(method, 'refers to', got.referTo, wanted.referTo)
    for (const id of wanted.met ?? []) same(method, 'met', ids(true).includes(id), true, id)
    for (const id of wanted.unmet ?? []) same(method, 'met', ids(true).includes(id), false, id)
    for (const clause of wanted.clauses ?? []) same(method, 'cited', citedIn(got).includes(clause), true, clause)
    for (const [limit, most] of wanted.limits ?? []) same(method, 'limit', got.limits[limit], most, limit)
  }
  return checks
}

const citedIn = ({ reasons, obligations }: Decision['methods'][string]) => [
  ...reasons.flatMap(({ clauses }) => clauses.map(({ id }) => id)),
  ...obligations.flatMap(({ clauses }) => clauses),
]

import { isMap, isScalar } from 'yaml'
import { ok, type Outcome } from '#core/kit/outcome'
import { quantity, valuesOf } from '#core/policy/condition'
import { decide, type Decision } from '#core/policy/decide'
import {
  amount,
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
  clauses: optional(list(name('a clause id'))),
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

/** Decides one case and compares. */
export function runCase(
  policy: Policy,
  assume: Facts,
  { facts, without, expect }: Case,
): Outcome<{ decision: Decision; differences: string[] }> {
  const all: Facts = { ...assume, ...facts }
  for (const fact of without ?? []) delete all[fact]
  const decided = decide(policy, all)
  return decided.ok ? ok({ decision: decided.value, differences: compare(decided.value, expect) }) : decided
}

function compare(decision: Decision, expect: Case['expect']): string[] {
  const differences: string[] = []
  const same = (what: string, got: unknown, wanted: unknown) => {
    if (wanted !== undefined && JSON.stringify(got) !== JSON.stringify(wanted))
      differences.push(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`)
  }
  same('outcome', decision.outcome, expect.outcome)
  same('first', decision.recommended.slice(0, expect.first?.length), expect.first)
  same('only', decision.recommended.toSorted(), expect.only?.toSorted())
  same('ask', decision.ask, expect.ask)
  for (const [method, wanted] of expect.methods ?? []) {
    const got = decision.methods[method]!
    const ids = (met?: boolean | null) =>
      got.obligations.filter((due) => met === undefined || due.met === met).map(({ id }) => id)
    same(`${method}`, got.outcome, wanted.outcome)
    same(`${method}, obligations`, ids().toSorted(), wanted.obligations?.toSorted())
    same(`${method}, refers to`, got.referTo, wanted.referTo)
    for (const id of wanted.met ?? []) same(`${method}, ${id} met`, ids(true).includes(id), true)
    for (const id of wanted.unmet ?? []) same(`${method}, ${id} met`, ids(true).includes(id), false)
    for (const clause of wanted.clauses ?? []) same(`${method}, ${clause} cited`, citedIn(got).includes(clause), true)
    for (const [limit, most] of wanted.limits ?? []) same(`${method}, limit ${limit}`, got.limits[limit], most)
  }
  return differences
}

const citedIn = ({ reasons, obligations }: Decision['methods'][string]) => [
  ...reasons.flatMap(({ clauses }) => clauses.map(({ id }) => id)),
  ...obligations.flatMap(({ clauses }) => clauses),
]

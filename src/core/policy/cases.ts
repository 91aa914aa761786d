import type { Node } from 'yaml'
import { isMap, isScalar } from 'yaml'
import { ok, type Outcome } from '#core/kit/outcome'
import { quantity, valuesOf } from '#core/policy/condition'
import { decide, type Decision } from '#core/policy/decide'
import {
  amount,
  complain,
  entries,
  known,
  list,
  name,
  nearest,
  oneOf,
  optional,
  readYaml,
  record,
  text,
  written,
  type Reader,
  type Shape,
} from '#core/policy/shape'
import type { Policy } from '#core/policy/stack'
import type { Fact, FactValue, Facts, Vocabulary } from '#core/policy/terms'

type YamlNode = Node | null | undefined

/** Facts as a person writes them: `size: 4 MB`, `published: yes`, `size: { at-least: 1 MB }`. */
export const factsShape: Shape<Facts> = {
  schema: ({ facts }) => ({ type: 'object', propertyNames: { enum: [...facts.keys()] } }),
  read(node, reader) {
    if (!isMap(node)) return complain(reader, node, "Write facts as 'fact: value' lines.")
    const facts: Facts = {}
    for (const pair of node.items) {
      const id = written(pair.key as YamlNode) ?? ''
      const fact = reader.vocabulary.facts.get(id)
      if (fact) facts[id] = readValue(id, fact, pair.value as YamlNode, reader)
      else
        complain(reader, pair.key as YamlNode, `'${id}' is not a fact. ${nearest(id, reader.vocabulary.facts.keys())}`)
    }
    return facts
  },
}

function readValue(id: string, fact: Fact, node: YamlNode, reader: Reader): FactValue {
  if (fact.type === 'quantity') return isMap(node) ? readRange(fact, node, reader) : readQuantity(fact, node, reader)
  const values = valuesOf(fact, reader.vocabulary)
  const value = written(node) ?? ''
  if (fact.type === 'yes-no' && isScalar(node) && typeof node.value === 'boolean') return node.value
  if (!values.includes(value))
    return complain(reader, node, `'${value}' is not a value of '${id}'. ${nearest(value, values)}`)
  return fact.type === 'yes-no' ? value === 'yes' : value
}

function readQuantity(fact: Fact, node: YamlNode, reader: Reader): number {
  if (isScalar(node) && typeof node.value === 'number') return node.value
  const value = quantity.read(node, reader)
  if (value && value.unit !== fact.unit)
    return complain(reader, node, `Count this in ${fact.unit}, not in ${value.unit}.`)
  return value?.amount
}

function readRange(fact: Fact, node: YamlNode, reader: Reader): FactValue {
  const bound: Shape<number> = { schema: quantity.schema, read: (inner, at) => readQuantity(fact, inner, at) }
  const range = record('a range', { atLeast: optional(bound), atMost: optional(bound) }).read(node, reader)
  return range as { atLeast?: number; atMost?: number }
}

const methodId = known('a method', ({ methods }) => methods.keys())
const roleId = known('a role', ({ roles }) => roles.keys())
const obligationId = known('an obligation', ({ obligations }) => obligations.keys())
const outcome = oneOf('an outcome', 'ALLOW', 'ALLOW_WITH', 'REFER', 'BLOCK')

const expectedMethod = record('what is expected of a method', {
  outcome,
  obligations: optional(list(obligationId)),
  met: optional(list(obligationId)),
  unmet: optional(list(obligationId)),
  clauses: optional(list(name('a clause id'))),
  referTo: optional(list(roleId)),
  limits: optional(entries(name('a limit'), amount('an amount'))),
})

const expected = record('what is expected', {
  outcome,
  first: optional(list(methodId)),
  only: optional(list(methodId)),
  ask: optional(list(roleId)),
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

type CaseFile = typeof shape extends Shape<infer T> ? T : never
export type Case = CaseFile['cases'][number]
export type Cases = Omit<CaseFile, 'format'>

/** Reads a file of cases. Its `assume` holds in every case that does not say otherwise. */
export function loadCases(file: string, words: string, vocabulary: Vocabulary): Outcome<Cases> {
  return readYaml(file, words, shape, vocabulary)
}

/** Reads facts as a person writes them on the command line or in a what-if. */
export function readFacts(words: string, vocabulary: Vocabulary): Outcome<Facts> {
  return readYaml('facts', words, factsShape, vocabulary)
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

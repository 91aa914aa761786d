import { isMap } from 'yaml'
import { limits } from '#core/kit/limits'
import {
  complain,
  itemsOf,
  known,
  list,
  nearest,
  optional,
  pairsOf,
  record,
  unknown,
  written,
  type JsonSchema,
  type Reader,
  type Shape,
  type YamlNode,
} from '#core/policy/shape'
import type { Bound, Condition, Fact, Quantity, Test, Vocabulary } from '#core/policy/terms'

/** The values a fact can have; nothing for a quantity. */
export function valuesOf(fact: Fact, vocabulary: Vocabulary): string[] {
  if (fact.type === 'yes-no') return ['yes', 'no']
  const options = [...(fact.options?.keys() ?? [])]
  return fact.type === 'method' ? [...vocabulary.methods.keys(), ...options] : options
}

/** A quantity with its unit, as `12 MB`, brought to the base unit: of this base unit only, when one is given. */
export const quantity = (inUnit?: string): Shape<Quantity> => ({
  schema: () => ({
    type: 'string',
    pattern: String.raw`^\d{1,15}(\.\d{1,6})? [A-Za-z-]+$`,
    description: 'a number and its unit',
  }),
  read(node, reader) {
    const { units } = reader.vocabulary
    const [, number, name] = /^(\d{1,15}(?:\.\d{1,6})?) (.+)$/.exec(written(node) ?? '') ?? []
    if (name === undefined) return complain(reader, node, "Write a number and its unit here, as '28 days'.")
    const found = units.get(name)
    if (!found) return unknown(reader, node, 'a unit', units.keys(), name)
    const amount = Number(number) * found.amount
    const { unit } = found
    if (inUnit !== undefined && unit !== inUnit)
      return complain(reader, node, `This is counted in ${inUnit}, not in ${unit}.`)
    return Number.isSafeInteger(amount)
      ? { amount, unit }
      : complain(reader, node, `${number} ${name} is not a whole number of ${unit}, or is too many.`)
  },
})

/** Stands, in a rule's `when`, for the method being judged. */
export const thisMethod = '$method'

/** Which facts must have which values: `audience: [inside, individual]`, `size: { above: emailLimit }`, `purpose: { not: x }`. */
export const condition = conditionShape('condition', [])

/** The same in a rule, where a fact whose value is a method may be compared with the method being judged. */
export const ruleCondition = conditionShape('ruleCondition', [thisMethod])

function conditionShape(definition: string, more: string[]): Shape<Condition> {
  return {
    schema: () => ({ $ref: `#/$defs/${definition}` }),
    read(node, reader) {
      const groups = itemsOf(node, reader)
      if (groups.length > limits.conditionGroups)
        return complain(reader, node, `A condition has at most ${limits.conditionGroups} groups. Split the rule.`)
      return groups.map((group) =>
        pairsOf(group, 'a condition', reader).map(({ word, key, value }) => {
          const fact = reader.vocabulary.facts.get(word)
          if (!fact) return unknown(reader, key, 'a fact', reader.vocabulary.facts.keys())
          return { fact: word, test: testOf(word, fact, reader.vocabulary, more).read(value, reader) }
        }),
      )
    },
  }
}

/** What the schemas of files refer to, with the words of this vocabulary. */
export function conditionSchemas(vocabulary: Vocabulary): JsonSchema {
  const group = (more: string[]) => ({
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      [...vocabulary.facts].map(([id, fact]) => [id, testOf(id, fact, vocabulary, more).schema(vocabulary)]),
    ),
  })
  const anyOf = (one: string) => ({ anyOf: [{ $ref: one }, { type: 'array', items: { $ref: one }, minItems: 1 }] })
  return {
    condition: anyOf('#/$defs/conditionGroup'),
    ruleCondition: anyOf('#/$defs/ruleConditionGroup'),
    conditionGroup: group([]),
    ruleConditionGroup: group([thisMethod]),
  }
}

function testOf(id: string, fact: Fact, vocabulary: Vocabulary, more: string[]): Shape<Test> {
  if (fact.type === 'quantity') return rangeOf(fact)
  const allowed = [...valuesOf(fact, vocabulary), ...(fact.type === 'method' ? more : [])]
  const values = list(known(`a value of '${id}'`, () => allowed))
  const except = record(`a test of '${id}'`, { not: values })
  return {
    schema: (words) => ({ anyOf: [...(values.schema(words)['anyOf'] as []), except.schema(words)] }),
    read: (node, reader) =>
      isMap(node)
        ? { values: except.read(node, reader)?.not, not: true }
        : { values: values.read(node, reader), not: false },
  }
}

function rangeOf(fact: Fact): Shape<Test> {
  const bound: Shape<Bound> = {
    schema: () => ({ type: 'string', description: 'a quantity with its unit, or the name of a parameter' }),
    read(node, reader) {
      const parameter = written(node) ?? ''
      if (!/^[A-Za-z][A-Za-z0-9]*$/.test(parameter)) return quantity(fact.unit).read(node, reader)
      checkParameter(reader, node, parameter, fact)
      return { parameter }
    },
  }
  const range = record('a comparison', { above: optional(bound), atMost: optional(bound) })
  return {
    ...range,
    read: (node, reader) =>
      isMap(node) && node.items.length > 0
        ? range.read(node, reader)
        : complain(reader, node, 'Write { above: … } or { at-most: … } here.'),
  }
}

/** A parameter that a rule uses is there, and is counted in this unit or is one of these choices. */
export function checkParameter(
  reader: Reader,
  node: YamlNode,
  parameter: string,
  { unit, choices }: { unit: string | undefined; choices?: string[] | undefined },
): void {
  // A vocabulary has no parameters: what its obligations use is checked in the rulebook that requires them.
  if (!reader.parameters) return
  const value = reader.parameters.get(parameter)
  if (value === undefined)
    return unknown(reader, node, "among this rulebook's parameters", reader.parameters.keys(), parameter)
  if (value === '' || (typeof value === 'string' ? choices?.includes(value) : value.unit === unit)) return
  const is = typeof value === 'string' ? `'${value}'. ${nearest(value, choices ?? [])}` : `in ${value.unit}.`
  const wanted = choices ? `one of ${choices.join(', ')}` : `in ${unit}`
  complain(reader, node, `Here parameter '${parameter}' must be ${wanted}; it is ${is}`)
}

/** The bounds in a condition, each with the fact that is compared with it. */
export const boundsIn = (condition: Condition): [string, Bound][] =>
  condition
    .flat()
    .flatMap(({ fact, test }) =>
      'values' in test
        ? []
        : [test.above, test.atMost].flatMap((bound): [string, Bound][] => (bound ? [[fact, bound]] : [])),
    )

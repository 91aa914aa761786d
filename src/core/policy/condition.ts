import { isMap, isSeq, type Node } from 'yaml'
import { complain, nearest, written, type JsonSchema, type Reader, type Shape } from '#core/policy/shape'
import type { Bound, Condition, Fact, Quantity, Test, Vocabulary } from '#core/policy/terms'

type YamlNode = Node | null | undefined

/** The values a fact can have; nothing for a quantity. */
export function valuesOf(fact: Fact, vocabulary: Vocabulary): string[] {
  if (fact.type === 'yes-no') return ['yes', 'no']
  const options = [...(fact.options?.keys() ?? [])]
  return fact.type === 'method' ? [...vocabulary.methods.keys(), ...options] : options
}

/** A quantity with its unit, as `12 MB`, brought to the base unit. */
export const quantity: Shape<Quantity> = {
  schema: () => ({
    type: 'string',
    pattern: String.raw`^\d{1,15}(\.\d{1,6})? [A-Za-z-]+$`,
    description: 'a number and its unit',
  }),
  read(node, reader) {
    const value = written(node) ?? ''
    const parts = /^(\d{1,15}(?:\.\d{1,6})?) ([A-Za-z-]+)$/.exec(value)
    if (!parts)
      return complain(
        reader,
        node,
        `'${value.slice(0, 60)}' is not a quantity. Write a number and its unit, as '28 days'.`,
      )
    const unit = reader.vocabulary.units.get(parts[2]!)
    if (!unit)
      return complain(
        reader,
        node,
        `'${parts[2]}' is not a unit. ${nearest(parts[2]!, reader.vocabulary.units.keys())}`,
      )
    const amount = Number(parts[1]) * unit.amount
    if (!Number.isSafeInteger(amount)) return complain(reader, node, `${value} is not a whole number of ${unit.unit}.`)
    return { amount, unit: unit.unit }
  },
}

/** Stands, in a rule's `when`, for the method being judged. */
export const thisMethod = '$method'

/** Which facts must have which values: `audience: [inside, individual]`, `size: { above: emailLimit }`, `purpose: { not: x }`. */
export const condition = conditionShape('condition', [])

/** The same in a rule, where a fact whose value is a method may be compared with the method being judged. */
export const ruleCondition = conditionShape('ruleCondition', [thisMethod])

function conditionShape(definition: string, more: string[]): Shape<Condition> {
  return {
    schema: () => ({ $ref: `#/$defs/${definition}` }),
    read: (node, reader) =>
      (isSeq(node) ? node.items : [node]).map((item) => readGroup(item as YamlNode, reader, more)),
  }
}

/** What the schemas of files refer to, with the words of this vocabulary. */
export function conditionSchemas(vocabulary: Vocabulary): JsonSchema {
  const group = (more: string[]) => {
    const tests = [...vocabulary.facts].map(([id, fact]) => [id, testSchema(fact, known(fact, vocabulary, more))])
    return { type: 'object', additionalProperties: false, properties: Object.fromEntries(tests) }
  }
  const anyOf = (one: string) => ({ anyOf: [{ $ref: one }, { type: 'array', items: { $ref: one }, minItems: 1 }] })
  return {
    condition: anyOf('#/$defs/conditionGroup'),
    ruleCondition: anyOf('#/$defs/ruleConditionGroup'),
    conditionGroup: group([]),
    ruleConditionGroup: group([thisMethod]),
  }
}

const known = (fact: Fact, vocabulary: Vocabulary, more: string[]) => [
  ...valuesOf(fact, vocabulary),
  ...(fact.type === 'method' ? more : []),
]

function testSchema(fact: Fact, allowed: string[]): JsonSchema {
  const bound = { type: 'string', description: 'a quantity with its unit, or the name of a parameter' }
  if (fact.type === 'quantity')
    return {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: { above: bound, 'at-most': bound },
    }
  const value = { enum: allowed }
  const values = { anyOf: [value, { type: 'array', items: value, minItems: 1 }] }
  return {
    anyOf: [
      ...values.anyOf,
      { type: 'object', additionalProperties: false, required: ['not'], properties: { not: values } },
    ],
  }
}

function readGroup(node: YamlNode, reader: Reader, more: string[]): Condition[number] {
  if (!isMap(node)) return complain(reader, node, "Write a condition as 'fact: value' lines.")
  return node.items.map((pair) => {
    const id = written(pair.key as YamlNode) ?? ''
    const fact = reader.vocabulary.facts.get(id)
    if (!fact)
      return complain(
        reader,
        pair.key as YamlNode,
        `'${id}' is not a fact. ${nearest(id, reader.vocabulary.facts.keys())}`,
      )
    reader.lastOffset = (pair.key as Node).range?.[0] ?? reader.lastOffset
    const value = pair.value as YamlNode
    const test =
      fact.type === 'quantity'
        ? readRange(id, fact, value, reader)
        : readValues(id, known(fact, reader.vocabulary, more), value, reader)
    return { fact: id, test }
  })
}

function readValues(id: string, allowed: string[], node: YamlNode, reader: Reader): Test {
  const not = isMap(node)
  if (not && (node.items.length !== 1 || !node.has('not')))
    return complain(reader, node, `Write 'not' and the values that '${id}' must not have; nothing else is known here.`)
  const inner = (not ? node.get('not', true) : node) as YamlNode
  const values = (isSeq(inner) ? inner.items : [inner]).map((item) => {
    const value = written(item as YamlNode) ?? ''
    if (allowed.includes(value)) return value
    return complain(
      reader,
      item as YamlNode,
      `'${value.slice(0, 60)}' is not a value of '${id}'. ${nearest(value, allowed)}`,
    )
  })
  return values.length > 0 ? { values, not } : complain(reader, inner, `Give at least one value for '${id}'.`)
}

function readRange(id: string, fact: Fact, node: YamlNode, reader: Reader): Test {
  if (!isMap(node) || node.items.length === 0)
    return complain(reader, node, `'${id}' is a quantity: write { above: … } or { at-most: … }.`)
  const test: { above: Bound | undefined; atMost: Bound | undefined } = { above: undefined, atMost: undefined }
  for (const pair of node.items) {
    const word = written(pair.key as YamlNode)
    if (word === 'above') test.above = readBound(id, fact, pair.value as YamlNode, reader)
    else if (word === 'at-most') test.atMost = readBound(id, fact, pair.value as YamlNode, reader)
    else
      complain(
        reader,
        pair.key as YamlNode,
        `'${word ?? ''}' is not known here. ${nearest(word ?? '', ['above', 'at-most'])}`,
      )
  }
  return test
}

function readBound(id: string, fact: Fact, node: YamlNode, reader: Reader): Bound {
  const value = written(node) ?? ''
  // Whether the parameter exists, and in the right unit, is checked when the whole rulebook has been read.
  if (/^[A-Za-z][A-Za-z0-9]*$/.test(value)) return { parameter: value }
  const bound = quantity.read(node, reader)
  if (bound && bound.unit !== fact.unit)
    return complain(reader, node, `'${id}' is counted in ${fact.unit}, not in ${bound.unit}.`)
  return bound
}

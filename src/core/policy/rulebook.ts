import { isMap, type Node } from 'yaml'
import { ok, type Outcome } from '#core/kit/outcome'
import { condition, conditionSchemas, quantity, ruleCondition } from '#core/policy/condition'
import {
  amount,
  complain,
  day,
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
  type JsonSchema,
  type Reader,
  type Shape,
} from '#core/policy/shape'
import type { Clause, Condition, Rule, Rulebook, Vocabulary } from '#core/policy/terms'
import { role } from '#core/policy/vocabulary'

export type { Rulebook }

const clause: Shape<Clause> = record('a clause', {
  id: name('a clause id'),
  says: text('our own words for the clause'),
})

/** All methods, those with a tag, or the ones named. */
const methods: Shape<string[]> = {
  schema: (vocabulary) => ({
    anyOf: [{ const: 'all' }, ...(methodNames.schema(vocabulary)['anyOf'] as []), tagged.schema(vocabulary)],
  }),
  read(node, reader) {
    if (written(node) === 'all') return [...reader.vocabulary.methods.keys()]
    if (isMap(node)) {
      const tag = tagged.read(node, reader)?.tagged
      return [...reader.vocabulary.methods].flatMap(([id, { tags }]) => (tags.includes(tag) ? [id] : []))
    }
    return methodNames.read(node, reader)
  },
}
const methodNames = list(known('a method', (vocabulary) => vocabulary.methods.keys()))
const tagged = record('a tag of methods', {
  tagged: known('a tag', ({ methods: all }) => new Set([...all.values()].flatMap(({ tags }) => tags))),
})

const when: Shape<Rule['when']> = {
  schema: (vocabulary) => ({ anyOf: [{ const: 'not-sure' }, ruleCondition.schema(vocabulary)] }),
  read: (node, reader) => (written(node) === 'not-sure' ? 'not-sure' : ruleCondition.read(node, reader)),
}

const rule = record(
  'a rule',
  {
    id: name('a rule id'),
    title: text('what the rule is about', 200),
    when: optional(when),
    methods,
    then: oneOf('an effect', 'allow', 'refuse', 'refer', 'require'),
    referTo: optional(role),
    require: optional(list(known('an obligation', ({ obligations }) => obligations.keys()))),
    unmet: optional(oneOf('an effect', 'refuse', 'refer')),
    limits: optional(list(known('a limit', (vocabulary) => vocabulary.limits.keys()))),
    prefer: optional(amount('a place in the order of preference')),
    strength: optional(oneOf('a strength', 'hard', 'overridable', 'soft')),
    liftedBy: optional(list(record('what lifts a rule', { role, when: condition }))),
    ask: optional(role),
    instead: optional(text('the nearest allowed thing')),
    clauses: list(clause),
  },
  (value, node, reader) => {
    const refers = value.then === 'refer' || value.unmet === 'refer'
    const refuses = value.then === 'refuse' || value.unmet === 'refuse'
    const wrong: [boolean, string][] = [
      [refers !== (value.referTo !== undefined), "A rule that refers, and no other, says whom to in 'refer-to'."],
      [refuses && !value.instead, "A rule that refuses says the nearest allowed thing in 'instead'."],
      [
        (value.then === 'require' || value.unmet !== undefined) && !value.require,
        "The obligations are missing: name them in 'require'.",
      ],
      [
        (value.strength ?? 'hard') === 'hard' && value.liftedBy !== undefined,
        "A hard rule cannot be lifted: use 'strength: overridable' or 'soft'.",
      ],
      [
        (value.strength ?? 'hard') !== 'hard' && !value.liftedBy,
        "Say who may lift this rule, and by which fact, in 'lifted-by'.",
      ],
      [value.when === 'not-sure' && value.then !== 'refer', "The rule for 'not-sure' refers to a role."],
    ]
    for (const [is, says] of wrong) if (is) complain(reader, node, says)
    for (const id of duplicates(value.clauses.map((each) => each.id)))
      complain(reader, node, `Clause ${id} is cited twice.`)
  },
)

/** A rule as it is used, everything unsaid filled in; with its node, for checks over the whole file. */
const placedRule: Shape<{ rule: Rule; node: Node }> = {
  schema: () => ({ $ref: '#/$defs/rule' }),
  read(node, reader) {
    const read = rule.read(node, reader)
    const unsaid = { when: [[]], require: [], limits: [], liftedBy: [], strength: 'hard' }
    return { rule: { ...unsaid, ...read } as Rule, node: node! }
  },
}

const parameter: Shape<Rulebook['parameters'] extends Map<string, infer V> ? V : never> = {
  schema: () => ({ type: 'string', description: 'a quantity with its unit, or one of the choices of the limit' }),
  read: (node, reader) =>
    /^\d/.test(written(node) ?? '') ? quantity.read(node, reader) : name('a quantity or a choice').read(node, reader),
}

const shape = record(
  'a rulebook',
  {
    format: oneOf('a format', 'safehand-rulebook/1'),
    id: name('an id'),
    title: text('a title', 200),
    version: text('a version', 40),
    guidanceDate: day('the date of the guidance'),
    reviewDate: day('the date of the next review'),
    scheme: known('a fact', ({ facts }) => facts.keys()),
    ask: role,
    scope: optional(condition),
    parameters: optional(entries(name('a parameter'), parameter)),
    rules: list(placedRule),
  },
  (value, node, reader) => {
    if (value.reviewDate <= value.guidanceDate) complain(reader, node, "'review-date' is not after 'guidance-date'.")
    for (const id of duplicates(value.rules.map((each) => each.rule.id)))
      complain(
        reader,
        value.rules.findLast((each) => each.rule.id === id)!.node,
        `Rule ${id} is there twice. Give one another id.`,
      )
    const unsure = value.rules.filter((each) => each.rule.when === 'not-sure')
    if (unsure.length > 1) complain(reader, unsure[1]!.node, "Only one rule may be for 'not-sure'.")
    for (const each of value.rules) checkParameters(each.rule, each.node, value.parameters ?? new Map(), reader)
    checkParameters({ when: value.scope }, node, value.parameters ?? new Map(), reader)
  },
)

const duplicates = (ids: string[]) => new Set(ids.filter((id, place) => ids.indexOf(id) !== place))

/** Every parameter a rule uses is there and is counted in the unit of what it is compared with. */
function checkParameters(
  used: Partial<Pick<Rule, 'require' | 'limits' | 'liftedBy'>> & { when: Rule['when'] | undefined },
  node: Node,
  given: Rulebook['parameters'],
  reader: Reader,
): void {
  const { vocabulary } = reader
  const conditions: Condition[] = [
    ...(Array.isArray(used.when) ? [used.when] : []),
    ...(used.liftedBy ?? []).map((lift) => lift.when),
    ...(used.require ?? []).map((id) => vocabulary.obligations.get(id)!.metWhen ?? []),
  ]
  const check = (parameterName: string, unit: string | undefined, choices?: string[]) => {
    const value = given.get(parameterName)
    if (value === undefined)
      complain(
        reader,
        node,
        `'${parameterName}' is not among this rulebook's parameters. ${nearest(parameterName, given.keys())}`,
      )
    else if (typeof value === 'string' && !choices?.includes(value))
      complain(
        reader,
        node,
        `Parameter '${parameterName}' is '${value}'. ${choices ? nearest(value, choices) : `Give a quantity in ${unit}.`}`,
      )
    else if (typeof value !== 'string' && value.unit !== unit)
      complain(
        reader,
        node,
        `Parameter '${parameterName}' is in ${value.unit}; here it must be ${unit ? `in ${unit}` : `one of ${choices?.join(', ')}`}.`,
      )
  }
  for (const { fact, test } of conditions.flat(2))
    for (const bound of 'values' in test ? [] : [test.above, test.atMost])
      if (bound && 'parameter' in bound) check(bound.parameter, vocabulary.facts.get(fact)!.unit)
  for (const id of used.limits ?? []) check(id, vocabulary.limits.get(id)!.unit, vocabulary.limits.get(id)!.choices)
}

/**
 * Reads a rulebook file against a vocabulary. Nothing is half-loaded.
 *
 * @returns the rulebook, or `rulebook-unreadable` with every fault by `file:line:column`
 */
export function loadRulebook(file: string, words: string, vocabulary: Vocabulary): Outcome<Rulebook> {
  const read = readYaml(file, words, shape, vocabulary)
  if (!read.ok) return read
  const { format: _, scope, parameters, rules: found, ...rest } = read.value
  return ok({
    ...rest,
    scope: scope ?? [[]],
    parameters: parameters ?? new Map(),
    rules: found.map((each) => each.rule),
  })
}

/** JSON Schema (draft 2020-12) of a rulebook file, with the words of this vocabulary. */
export const rulebookSchema = (vocabulary: Vocabulary): JsonSchema => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Safehand rulebook',
  ...shape.schema(vocabulary),
  $defs: { ...conditionSchemas(vocabulary), rule: rule.schema(vocabulary) },
})

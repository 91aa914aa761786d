import { isMap } from 'yaml'
import { limits } from '#core/kit/limits'
import { ok, type Outcome } from '#core/kit/outcome'
import { boundsIn, checkParameter, condition, conditionSchemas, quantity, ruleCondition } from '#core/policy/condition'
import {
  after,
  amount,
  clauseId,
  complain,
  day,
  entries,
  known,
  list,
  name,
  oneOf,
  optional,
  placed,
  readYaml,
  record,
  text,
  written,
  type JsonSchema,
  type Shape,
  type TypeOf,
} from '#core/policy/shape'
import type { Condition, Quantity, Vocabulary } from '#core/policy/terms'
import { role } from '#core/policy/vocabulary'

const clause = record('a clause', {
  id: clauseId,
  /** Our own words for it, never a quotation. */
  says: text('our own words for the clause'),
})

/** All methods, those with a tag, or the ones named. */
const methods: Shape<string[]> = {
  schema: (vocabulary) => ({
    anyOf: [{ const: 'all' }, ...(methodNames.schema(vocabulary)['anyOf'] as []), tagged.schema(vocabulary)],
  }),
  read(node, reader) {
    const all = reader.vocabulary.methods
    if (written(node) === 'all') return [...all.keys()]
    if (!isMap(node)) return methodNames.read(node, reader)
    const tag = tagged.read(node, reader)?.tagged
    return [...all].flatMap(([id, { tags }]) => (tags.includes(tag) ? [id] : []))
  },
}
const methodNames = list(known('a method', (vocabulary) => vocabulary.methods.keys()))
const tagged = record('a tag of methods', {
  tagged: known('a tag', ({ methods: all }) => new Set([...all.values()].flatMap(({ tags }) => tags))),
})

const when: Shape<Condition | 'not-sure'> = {
  schema: (vocabulary) => ({ anyOf: [{ const: 'not-sure' }, ruleCondition.schema(vocabulary)] }),
  read: (node, reader) => (written(node) === 'not-sure' ? 'not-sure' : ruleCondition.read(node, reader)),
}

// What a word of the vocabulary needs of this rulebook's parameters is checked where the word is used.
const obligation = after(
  known('an obligation', ({ obligations }) => obligations.keys()),
  (id, reader, node) => {
    const { obligations, facts } = reader.vocabulary
    for (const [fact, bound] of boundsIn(obligations.get(id)!.metWhen ?? []))
      if ('parameter' in bound) checkParameter(reader, node, bound.parameter, facts.get(fact)!)
    return id
  },
)
const limit = after(
  known('a limit', (vocabulary) => vocabulary.limits.keys()),
  (id, reader, node) => {
    checkParameter(reader, node, id, reader.vocabulary.limits.get(id)!)
    return id
  },
)

const always: Condition = [[]]
const none: never[] = []

const rule = record(
  'a rule',
  {
    id: name('a rule id'),
    title: text('what the rule is about', 200),
    /** `not-sure` marks the one rule that answers for facts nobody knows. */
    when: optional(when, always),
    methods,
    then: oneOf('an effect', 'allow', 'refuse', 'refer', 'require'),
    referTo: optional(role),
    require: optional(list(obligation), none),
    /** What happens when a required obligation is known not to be met; else it stays outstanding. */
    unmet: optional(oneOf('an effect', 'refuse', 'refer')),
    limits: optional(list(limit), none),
    /** Place in the order of preference, smaller first. */
    prefer: optional(amount('a place in the order of preference')),
    strength: optional(oneOf('a strength', 'hard', 'overridable', 'soft'), 'hard' as const),
    liftedBy: optional(list(record('what lifts a rule', { role, when: condition })), none),
    ask: optional(role),
    /** The nearest allowed thing, in words. */
    instead: optional(text('the nearest allowed thing')),
    clauses: list(clause),
  },
  (value, reader, at) => {
    const does = (effect: string) => value.then === effect || value.unmet === effect
    const isHard = value.strength === 'hard'
    const isLifted = value.liftedBy.length > 0
    const wrong: [boolean, keyof typeof value, string][] = [
      [
        does('refer') !== (value.referTo !== undefined),
        'referTo',
        "A rule that refers, and no other, says whom to in 'refer-to'.",
      ],
      [does('refuse') && !value.instead, 'then', "A rule that refuses says the nearest allowed thing in 'instead'."],
      [
        (value.then === 'require' || value.unmet !== undefined) && value.require.length === 0,
        'then',
        "The obligations are missing: name them in 'require'.",
      ],
      [isHard && isLifted, 'liftedBy', "A hard rule cannot be lifted: use 'strength: overridable' or 'soft'."],
      [!isHard && !isLifted, 'strength', "Say who may lift this rule, and by which fact, in 'lifted-by'."],
      [value.when === 'not-sure' && value.then !== 'refer', 'when', "The rule for 'not-sure' refers to a role."],
    ]
    for (const [is, field, says] of wrong) if (is) complain(reader, at(field), says)
    for (const id of repeated(value.clauses.map((each) => each.id)))
      complain(reader, at('clauses'), `Clause ${id} is cited twice.`)
  },
)

const repeated = (ids: string[]) => new Set(ids.filter((id, place) => ids.indexOf(id) !== place))

const parameter: Shape<Quantity | string> = {
  schema: () => ({ type: 'string', description: 'a quantity with its unit, or one of the choices of the limit' }),
  read(node, reader) {
    const either = /^\d/.test(written(node) ?? '') ? quantity() : name('a quantity or a choice')
    // One that could not be read is there all the same: its rules are not at fault.
    return either.read(node, reader) ?? ''
  },
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
    /** The fact that holds this organisation's classification. Schemes are never translated into one another. */
    scheme: known('a choice among the facts', ({ facts }) =>
      [...facts].flatMap(([id, { type }]) => (type === 'choice' ? [id] : [])),
    ),
    /** Whom to ask when a rule names nobody. */
    ask: role,
    /** What rules and limits call by name. */
    parameters: optional(
      after(entries(name('a parameter'), parameter), (map, reader) => (reader.parameters = map)),
      new Map<string, Quantity | string>(),
    ),
    /** Where the rulebook speaks at all; elsewhere it is out of scope, which is neutral. */
    scope: optional(condition, always),
    rules: list(placed({ ...rule, schema: () => ({ $ref: '#/$defs/rule' }) })),
  },
  ({ rules: all, ...head }, reader, at) => {
    const rules = all.map(({ value }) => value)
    if (head.reviewDate <= head.guidanceDate)
      complain(reader, at('reviewDate'), "'review-date' is not after 'guidance-date'.")
    for (const id of repeated(rules.map((each) => each.id)))
      complain(
        reader,
        all[rules.findLastIndex((each) => each.id === id)]!.node,
        `Rule ${id} is there twice. Give one another id.`,
      )
    for (const { node } of all.filter(({ value }) => value.when === 'not-sure').slice(1))
      complain(reader, node, "Only one rule may be for 'not-sure'.")
    for (const [fact, { size }] of amountsIn({ ...head, rules }, reader.vocabulary))
      if (size > limits.quantityBounds)
        complain(reader, at('rules'), `'${fact}' is compared with more than ${limits.quantityBounds} amounts.`)
  },
)

export type Clause = TypeOf<typeof clause>
export type Rule = TypeOf<typeof rule>
export type Rulebook = Omit<TypeOf<typeof shape>, 'format' | 'rules'> & { rules: Rule[] }

/** Every amount with which a rulebook compares each quantity. */
export function amountsIn(
  { scope, rules, parameters }: Pick<Rulebook, 'scope' | 'rules' | 'parameters'>,
  vocabulary: Vocabulary,
): Map<string, Set<number>> {
  const all = new Map<string, Set<number>>()
  const conditions = rules.flatMap(({ when: holds, liftedBy, require }) => [
    holds === 'not-sure' ? [] : holds,
    ...liftedBy.map((lift) => lift.when),
    ...require.map((id) => vocabulary.obligations.get(id)!.metWhen ?? []),
  ])
  for (const [fact, bound] of [scope, ...conditions].flatMap(boundsIn)) {
    const found = 'parameter' in bound ? parameters.get(bound.parameter) : bound
    if (typeof found === 'object') all.set(fact, (all.get(fact) ?? new Set()).add(found.amount))
  }
  return all
}

/**
 * Reads a rulebook file against a vocabulary. Nothing is half-loaded.
 *
 * @returns the rulebook, or `rulebook-unreadable` with every fault by `file:line:column`
 */
export function loadRulebook(file: string, words: string, vocabulary: Vocabulary): Outcome<Rulebook> {
  const read = readYaml(file, words, shape, { vocabulary, parameters: new Map() })
  if (!read.ok) return read
  const { format: _, rules, ...head } = read.value
  return ok({ ...head, rules: rules.map(({ value }) => value) })
}

/** JSON Schema (draft 2020-12) of a rulebook file, with the words of this vocabulary. */
export const rulebookSchema = (vocabulary: Vocabulary): JsonSchema => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Safehand rulebook',
  ...shape.schema(vocabulary),
  $defs: { ...conditionSchemas(vocabulary), rule: rule.schema(vocabulary) },
})

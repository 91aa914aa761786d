import { limits } from '#core/kit/limits'
import { ok, type Outcome } from '#core/kit/outcome'
import { condition, valuesOf } from '#core/policy/condition'
import {
  after,
  amount,
  complain,
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
  unknown,
  type Reader,
  type RecordOf,
  type Shape,
  type TypeOf,
  type YamlNode,
} from '#core/policy/shape'
import type { Condition, Vocabulary } from '#core/policy/terms'

export type { Vocabulary }

export const role: Shape<string> = known('a role', ({ roles }) => roles.keys())
const unit: Shape<string> = known('a unit', ({ units }) => units.keys())

const unitFields = { amount: optional(amount('how many of the other unit')), of: optional(name('another unit')) }

/** Brings each unit to its base unit: GB is 1000 MB, which is 1,000,000 bytes. */
function settleUnits(given: Map<string, { value: RecordOf<typeof unitFields>; node: YamlNode }>, reader: Reader): void {
  const { units } = reader.vocabulary
  for (const [id, { node }] of given) {
    const path = [id]
    let total = 1
    for (let next = given.get(id)?.value; next?.of !== undefined; next = given.get(next.of)?.value) {
      total *= next.amount ?? 1
      const isCircle = path.includes(next.of)
      path.push(next.of)
      if (isCircle) complain(reader, node, `A unit cannot come back to itself: ${path.join(' → ')}.`)
      else if (!given.has(next.of) && !units.has(next.of))
        unknown(reader, node, 'a unit', [...given.keys(), ...units.keys()], next.of)
      if (isCircle) break
    }
    const base = units.get(path.at(-1)!) ?? { amount: 1, unit: path.at(-1)! }
    total *= base.amount
    if (total === 0 || !Number.isSafeInteger(total)) complain(reader, node, 'This amount cannot be counted with.')
    units.set(id, { amount: total, unit: base.unit })
  }
}

const option = record('an option', {
  label: text('the words on screen', 120),
  hint: optional(text('a hint or examples')),
  /** Of a classification, whose values stand from the least sensitive on: who answers yes has this or more. */
  test: optional(text('a yes-no question that helps to choose it')),
})

export type Method = TypeOf<typeof method>
const method = record('a method', { name: text('the name on screen', 120), tags: list(name('a tag')) })

/** Something a decision may depend on. Its `question` is put to a person unless it is `derived` from records. */
export type Fact = TypeOf<typeof fact>
const fact = record(
  'a fact',
  {
    type: oneOf('a type of fact', 'choice', 'yes-no', 'quantity', 'method'),
    /** Of a quantity: its base unit. A case holds a plain number of these. */
    unit: optional(unit),
    /** Of a choice; for a fact whose value is a method, the values beside the methods. */
    options: optional(entries(name('a value'), option)),
    asked: oneOf('a way of asking', 'deciding', 'recording', 'derived'),
    /** Place in the order of a person's thinking. */
    order: amount('a place in the order of questions'),
    question: text('a question'),
    hint: optional(text('a hint')),
    why: text('why it is asked'),
    /** The role that is asked when the person is not sure; else the rulebook's own. */
    notSure: optional(role),
  },
  (value, reader, at) => {
    if ((value.type === 'quantity') !== (value.unit !== undefined))
      complain(reader, at('unit'), "A quantity, and nothing else, has a 'unit'.")
    if ((value.type === 'choice' || value.type === 'method') !== (value.options !== undefined))
      complain(reader, at('options'), "A choice or a method, and nothing else, has 'options'.")
  },
)

/** A limit a rulebook may set. When rulebooks are stacked the stricter value counts. */
export type Limit = TypeOf<typeof limit>
const limit = record(
  'a limit',
  {
    name: text('a name', 120),
    unit: optional(unit),
    /** Words instead of a quantity, from loosest to strictest. */
    choices: optional(list(name('a choice'))),
    stricter: oneOf('a direction', 'smaller', 'larger'),
  },
  (value, reader, at) => {
    if ((value.unit === undefined) === (value.choices === undefined))
      complain(reader, at('choices'), "A limit has either a 'unit' or 'choices'.")
  },
)

export type Obligation = TypeOf<typeof obligation>
/** When an obligation is met: before anything leaves, while sending, after it, or when the transfer is closed. */
export type Phase = Obligation['phase']
const obligation = record('an obligation', {
  phase: oneOf('a phase', 'before', 'at', 'after', 'end'),
  says: text('an instruction to the person'),
  /** Unset: only the record itself says so, and a decision cannot know. */
  metWhen: optional(condition),
  record: text('which record meets it'),
})

/** If the first fact has one of these values, the others can only have those. */
export type Implication = TypeOf<typeof implication>
const implication = record(
  'an implication',
  { when: condition, then: condition, because: text('why this follows') },
  ({ when, then }, reader, at) => {
    const isPlain = [when, then].every((side) => side.length === 1 && side[0]!.every(({ test }) => 'values' in test))
    if (!isPlain || when[0]!.length !== 1)
      complain(
        reader,
        at('when'),
        "An implication goes from one fact under 'when' to facts under 'then', none of them a quantity.",
      )
  },
)

/** Complains of an answer from which, step by step, its own opposite follows: nobody could ever give it. */
function checkCircles(implications: { value: Implication; node: YamlNode }[], reader: Reader): void {
  const { vocabulary } = reader
  const from = Map.groupBy(implications, ({ value }) => value.when[0]![0]!.fact)
  const valuesAt = (fact: string) => valuesOf(vocabulary.facts.get(fact)!, vocabulary)
  const leftBy = ({ fact, test }: Condition[number][number], values = valuesAt(fact)) =>
    values.filter((value) => 'values' in test && test.values.includes(value) !== test.not)
  for (const start of from.keys())
    for (const answer of valuesAt(start)) {
      const known = new Map([[start, { values: [answer], path: `${start}: ${answer}` }]])
      const told = [start]
      // Grows while it is read: what has become known may tell more.
      for (const fact of told)
        for (const { value, node } of from.get(fact) ?? []) {
          const { values, path } = known.get(fact)!
          if (leftBy(value.when[0]![0]!, values).length < values.length) continue
          for (const to of value.then[0]!) {
            const before = known.get(to.fact)?.values ?? valuesAt(to.fact)
            const left = leftBy(to, before)
            const longer = `${path} → ${to.fact}: ${leftBy(to).join(' or ')}`
            if (left.length === 0) return complain(reader, node, `'${start}: ${answer}' contradicts itself: ${longer}.`)
            if (left.length === before.length) continue
            known.set(to.fact, { values: left, path: longer })
            told.push(to.fact)
          }
        }
    }
}

type Part = 'roles' | 'methods' | 'facts' | 'obligations' | 'limits'

/** A part of a vocabulary: its words are known at once to the parts after it. A word that is known is not given again. */
function part<T>(about: string, into: Part, value: Shape<T>): Shape<Map<string, T>> {
  const fresh = after(name(about), (word, reader, node) =>
    reader.vocabulary[into].has(word)
      ? complain(reader, node, `'${word}' is in the shared vocabulary. Choose another name.`)
      : word,
  )
  return after(entries(fresh, value), (map, { vocabulary }) => {
    for (const [word, read] of map) (vocabulary[into] as Map<string, T>).set(word, read)
    return map
  })
}

/** @param may - whether a part may be left out */
const shapeOf = (format: string, may: <T>(shape: Shape<T>) => Shape<T | undefined>) =>
  record(
    'a vocabulary',
    {
      format: oneOf('a format', format),
      units: may(after(entries(name('a unit'), placed(record('a unit', unitFields))), settleUnits)),
      roles: may(part('a role', 'roles', record('a role', { name: text('a name', 120) }))),
      methods: may(part('a method', 'methods', method)),
      facts: may(part('a fact', 'facts', fact)),
      obligations: may(part('an obligation', 'obligations', obligation)),
      limits: may(part('a limit', 'limits', limit)),
      implications: may(list(placed(implication))),
    },
    ({ implications = [] }, reader, at) => {
      const { vocabulary } = reader
      for (const [id, each] of vocabulary.facts)
        if (valuesOf(each, vocabulary).length > limits.factValues)
          // One bit for each value: a case is a handful of 32-bit masks.
          complain(reader, at('facts'), `'${id}' has more than ${limits.factValues} values.`)
      const shared = vocabulary.implications.map((value) => ({ value, node: null }))
      checkCircles([...shared, ...implications], reader)
    },
  )
const whole = shapeOf('safehand-vocabulary/1', (shape) => shape)
const added = shapeOf('safehand-more-words/1', optional)

/**
 * Reads a vocabulary file: the words every rulebook and every case is written in.
 *
 * @param shared - words that are there already: then the file adds to them and changes none
 */
export function loadVocabulary(file: string, text: string, shared?: Vocabulary): Outcome<Vocabulary> {
  const vocabulary: Vocabulary = {
    units: new Map(shared?.units),
    roles: new Map(shared?.roles),
    methods: new Map(shared?.methods),
    facts: new Map(shared?.facts),
    obligations: new Map(shared?.obligations),
    limits: new Map(shared?.limits),
    implications: [...(shared?.implications ?? [])],
  }
  const read = readYaml(file, text, shared ? added : whole, { vocabulary })
  if (!read.ok) return read
  vocabulary.implications.push(...(read.value.implications ?? []).map(({ value }) => value))
  return ok(vocabulary)
}

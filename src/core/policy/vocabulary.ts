import { condition } from '#core/policy/condition'
import { ok, type Outcome } from '#core/kit/outcome'
import {
  amount,
  complain,
  entries,
  known,
  list,
  name,
  oneOf,
  optional,
  readYaml,
  record,
  text,
  type Shape,
} from '#core/policy/shape'
import type { Fact, Implication, Limit, Method, Obligation, Option, Vocabulary } from '#core/policy/terms'

export type { Vocabulary }

/** A vocabulary with no words: what a vocabulary file is read against. */
export const noWords = (): Vocabulary => ({
  units: new Map(),
  roles: new Map(),
  methods: new Map(),
  facts: new Map(),
  obligations: new Map(),
  limits: new Map(),
  implications: [],
})

export const role = known('a role', ({ roles }) => roles.keys())
const unit = known('a unit', ({ units }) => units.keys())

const unitOf = record('a unit', {
  amount: optional(amount('how many of the base unit')),
  of: optional(name('a base unit')),
})

const option: Shape<Option> = record('an option', {
  label: text('the words on screen', 120),
  hint: optional(text('a hint or examples')),
})

const fact: Shape<Fact> = record(
  'a fact',
  {
    type: oneOf('a type of fact', 'choice', 'yes-no', 'quantity', 'method'),
    unit: optional(unit),
    options: optional(entries(name('a value'), option)),
    asked: oneOf('a way of asking', 'deciding', 'recording', 'derived'),
    order: amount('a place in the order of questions'),
    question: text('a question'),
    hint: optional(text('a hint')),
    why: text('why it is asked'),
    notSure: optional(role),
  },
  (value, node, reader) => {
    if ((value.type === 'quantity') !== (value.unit !== undefined))
      complain(reader, node, "A quantity, and nothing else, has a 'unit'.")
    if ((value.type === 'choice' || value.type === 'method') !== (value.options !== undefined))
      complain(reader, node, "A choice or a method, and nothing else, has 'options'.")
    // One bit for each value: a case is a handful of 32-bit masks.
    if ((value.options?.size ?? 0) + (value.type === 'method' ? reader.vocabulary.methods.size : 0) > 30)
      complain(reader, node, 'A fact has at most 30 values.')
  },
) as Shape<Fact>

const limit: Shape<Limit> = record(
  'a limit',
  {
    name: text('a name', 120),
    unit: optional(unit),
    choices: optional(list(name('a choice'))),
    stricter: oneOf('a direction', 'smaller', 'larger'),
  },
  (value, node, reader) => {
    if ((value.unit === undefined) === (value.choices === undefined))
      complain(reader, node, "A limit has either a 'unit' or 'choices'.")
  },
) as Shape<Limit>

const obligation: Shape<Obligation> = record('an obligation', {
  phase: oneOf('a phase', 'before', 'at', 'after', 'end'),
  says: text('an instruction to the person'),
  metWhen: optional(condition),
  record: text('which record meets it'),
}) as Shape<Obligation>

const implication: Shape<Implication> = record(
  'an implication',
  { when: condition, then: condition, because: text('why this follows') },
  (value, node, reader) => {
    const quantities = [...value.when, ...value.then].flat().some(({ test }) => 'above' in test)
    if (value.when.length !== 1 || value.when[0]!.length !== 1 || value.then.length !== 1 || quantities)
      complain(
        reader,
        node,
        "An implication goes from one fact under 'when' to facts under 'then', none of them a quantity.",
      )
  },
)

/** Each part settles into the reader's vocabulary at once, because the parts after it use its words. */
const shape = record('a vocabulary', {
  format: oneOf('a format', 'safehand-vocabulary/1'),
  units: entries(name('a unit'), unitOf, (map, reader) => {
    for (const [id, value] of map)
      reader.vocabulary.units.set(id, { amount: value?.amount ?? 1, unit: value?.of ?? id })
  }),
  roles: entries(
    name('a role'),
    record('a role', { name: text('a name', 120) }),
    (map, reader) => void (reader.vocabulary.roles = map),
  ),
  methods: entries(
    name('a method'),
    record('a method', { name: text('the name on screen', 120), tags: list(name('a tag')) }) as Shape<Method>,
    (map, reader) => void (reader.vocabulary.methods = map),
  ),
  facts: entries(name('a fact'), fact, (map, reader) => void (reader.vocabulary.facts = map)),
  obligations: entries(name('an obligation'), obligation, (map, reader) => void (reader.vocabulary.obligations = map)),
  limits: entries(name('a limit'), limit, (map, reader) => void (reader.vocabulary.limits = map)),
  implications: list(implication),
})

/** Reads a vocabulary file: the words every rulebook and every case is written in. */
export function loadVocabulary(file: string, text: string): Outcome<Vocabulary> {
  const vocabulary = noWords()
  const read = readYaml(file, text, shape, vocabulary)
  return read.ok ? ok({ ...vocabulary, implications: read.value.implications }) : read
}

/**
 * The terms rulebooks are written in: what a vocabulary declares, what a rulebook says, and what is known of a case.
 *
 * Lists of files are in `rulebooks/`; `docs/rulebooks.md` explains them to the person who keeps them.
 */

/** When an obligation is met: before anything leaves, while sending, after it, or when the transfer is closed. */
export type Phase = 'before' | 'at' | 'after' | 'end'

export interface Option {
  label: string
  hint: string | undefined
}

/** Something a decision may depend on. Its `question` is put to a person unless it is `derived` from records. */
export interface Fact {
  type: 'choice' | 'yes-no' | 'quantity' | 'method'
  /** Of a quantity: its base unit. A case holds a plain number of these. */
  unit: string | undefined
  /** Of a choice; for a fact whose value is a method, the values beside the methods. */
  options: Map<string, Option> | undefined
  asked: 'deciding' | 'recording' | 'derived'
  /** Place in the order of a person's thinking. */
  order: number
  question: string
  hint: string | undefined
  why: string
  /** The role that is asked when the person is not sure; else the rulebook's own. */
  notSure: string | undefined
}

export interface Method {
  name: string
  tags: string[]
}

export interface Obligation {
  phase: Phase
  /** The sentence for the person, as an instruction. */
  says: string
  /** Unset: only the record itself says so, and a decision cannot know. */
  metWhen: Condition | undefined
  /** Which record meets it, in words. */
  record: string
}

/** A limit a rulebook may set. When rulebooks are stacked the stricter value counts. */
export interface Limit {
  name: string
  unit: string | undefined
  /** Words instead of a quantity, from loosest to strictest. */
  choices: string[] | undefined
  stricter: 'smaller' | 'larger'
}

/** If the first fact has one of these values, the others can only have those. */
export interface Implication {
  when: Condition
  then: Condition
  because: string
}

export interface Vocabulary {
  /** Name of a unit → its base unit and how many of those it is: MB → 1,000,000 bytes. */
  units: Map<string, Quantity>
  roles: Map<string, { name: string }>
  methods: Map<string, Method>
  facts: Map<string, Fact>
  obligations: Map<string, Obligation>
  limits: Map<string, Limit>
  implications: Implication[]
}

export interface Quantity {
  amount: number
  unit: string
}

/** A quantity, or the name of a parameter of the same rulebook. */
export type Bound = Quantity | { parameter: string }

/** What is asked of one fact: to have one of these values (or none of them), or to lie above / at most a bound. */
export type Test = { values: string[]; not: boolean } | { above: Bound | undefined; atMost: Bound | undefined }

/** Any of the groups holds; a group holds when all its tests do. `[[]]` always holds. */
export type Condition = { fact: string; test: Test }[][]

export type { Clause, Rule, Rulebook } from '#core/policy/rulebook'

/** A value in a case. A quantity may be known only as a band, both ends included. Absent means unknown. */
export type FactValue = string | boolean | number | { atLeast?: number; atMost?: number }

export type Facts = Record<string, FactValue>

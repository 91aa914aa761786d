/**
 * The terms rulebooks are written in: what a vocabulary declares, what a rulebook says, and what is known of a case.
 *
 * Lists of files are in `rulebooks/`; `docs/rulebooks.md` explains them to the person who keeps them.
 *
 * What a file holds has the type of the shape that reads it: those types are only named here.
 */
import type { Fact, Implication, Limit, Method, Obligation } from '#core/policy/vocabulary'

export type { Clause, Rule, Rulebook } from '#core/policy/rulebook'
export type { Fact, Implication, Limit, Method, Obligation, Phase } from '#core/policy/vocabulary'

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

/** A value in a case. A quantity may be known only as a band, both ends included. Absent means unknown. */
export type FactValue = string | boolean | number | { atLeast?: number; atMost?: number }

export type Facts = Record<string, FactValue>

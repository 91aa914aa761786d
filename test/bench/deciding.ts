/**
 * `node test/bench/deciding.ts`: how fast cases are decided and questions found, and how many questions are asked. Part
 * of `npm run bench`. Times are the shortest of several turns, since other work on the machine only adds to them.
 */
import { readFileSync } from 'node:fs'
import { orThrow } from '#core/kit/outcome'
import { loadCases } from '#core/policy/cases'
import { decide } from '#core/policy/decide'
import { isRead, nextQuestion } from '#core/policy/question'
import { loadRulebook } from '#core/policy/rulebook'
import { stack, type CompiledFact, type Policy } from '#core/policy/stack'
import type { Facts, FactValue } from '#core/policy/terms'
import { loadVocabulary } from '#core/policy/vocabulary'
import type { Row } from './rows.ts'

const shipped = (path: string) => readFileSync(new URL(`../../rulebooks/${path}`, import.meta.url), 'utf8')
const names = ['council', 'practitioner', 'ministry']

function load(): Policy[] {
  const vocabulary = orThrow(loadVocabulary('vocabulary.yaml', shipped('vocabulary.yaml')))
  const books = names.map((name) => orThrow(loadRulebook(name, shipped(`${name}.yaml`), vocabulary)))
  return [books.slice(0, 1), books].map((some) => stack(vocabulary, some, [...vocabulary.methods.keys()]))
}

/** The shortest time of a call, in milliseconds. */
function shortest(turns: number, call: () => void): number {
  let least = Infinity
  for (let turn = 0; turn < turns; turn += 1) {
    const started = performance.now()
    call()
    least = Math.min(least, performance.now() - started)
  }
  return least
}

/** The cases that ship with these rulebooks, and each of them with one fact left out. */
function casesOf(policy: Policy): Facts[] {
  const all = names.flatMap((name) => {
    const { assume, cases } = orThrow(loadCases(name, shipped(`cases/${name}/deciding.yaml`), policy.vocabulary))
    return cases.map(({ facts, without = [] }) => {
      const known = Object.entries({ ...assume, ...facts })
      return Object.fromEntries(known.filter(([id]) => !without.includes(id)))
    })
  })
  const less = all.flatMap((facts) => Object.keys(facts).map((leave) => ({ ...facts, [leave]: undefined }) as Facts))
  return [...all, ...less].filter((facts) => decide(policy, facts).ok)
}

/** Decisions in a second: small batches, each at its shortest, so that other work on the machine falls out. */
function decisionsPerSecond(policy: Policy): number {
  const cases = casesOf(policy).slice(0, 800)
  let ms = 0
  for (let from = 0; from < cases.length; from += 20) {
    const batch = cases.slice(from, from + 20)
    ms += shortest(40, () => batch.forEach((facts) => decide(policy, facts)))
  }
  return (cases.length / ms) * 1_000
}

/** One answer for each group of answers that no rule tells apart. */
const answersTo = ({ fact, alike, cuts, bits }: CompiledFact): FactValue[] =>
  alike.map((mask) => {
    const bit = mask & -mask
    if (fact.type === 'quantity') return bit === 1 ? 0 : cuts[Math.log2(bit) - 1]! + 1
    return [...bits].find(([, each]) => each === bit)![0] as FactValue
  })

interface Asked {
  mean: number
  worst: number
  meanMs: number
  worstMs: number
  all: number
  walks: number
}

/**
 * Questions asked of people who answer at random, every answer as likely as another, from nothing known to the decision.
 * The tree of all answers is too large to walk whole: mean and worst are of the walks made, always the same ones.
 */
function questions(policy: Policy, walks: number): Asked {
  const askable = policy.facts
    .filter(({ fact }, place) => fact.asked === 'deciding' && isRead(policy, place))
    .map(({ id }) => id)
  const answers = new Map(policy.facts.map((fact) => [fact.id, answersTo(fact)]))
  const [counts, times]: [number[], number[]] = [[], []]
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  for (let walk = 0; walk < walks; walk += 1) {
    const facts: Facts = {}
    for (;;) {
      const next = orThrow(nextQuestion(policy, facts, askable))
      if (walk % 10 === 0) times.push(shortest(5, () => nextQuestion(policy, facts, askable)))
      if (!next) break
      const possible = answers.get(next.fact)!.filter((value) => decide(policy, { ...facts, [next.fact]: value }).ok)
      facts[next.fact] = possible[random(possible.length)]!
    }
    counts.push(Object.keys(facts).length)
  }
  const mean = (numbers: number[]) => numbers.reduce((a, b) => a + b) / numbers.length
  return {
    mean: mean(counts),
    worst: Math.max(...counts),
    meanMs: mean(times),
    worstMs: Math.max(...times),
    all: askable.length,
    walks,
  }
}

/** The rows about deciding. Each ratio is how far within its goal it is: 1 or more is good. */
export function decidingRows(): Row[] {
  const [cold, warm] = [shortest(1, load), shortest(5, load)]
  const rows: Row[] = [
    {
      row: 'read, check and stack three rulebooks',
      ours: `${cold.toFixed(0)} ms the first time`,
      theirs: `${warm.toFixed(0)} ms after that`,
      ratio: 100 / cold,
      goal: '≤ 100 ms',
    },
  ]
  for (const [at, policy] of load().entries()) {
    const what = at === 0 ? 'one rulebook' : 'three rulebooks stacked'
    const goal = at === 0 ? 100_000 : 30_000
    const perSecond = decisionsPerSecond(policy)
    const asked = questions(policy, at === 0 ? 300 : 200)
    rows.push(
      {
        row: `decide by ${what}`,
        ours: `${Math.round(perSecond)} a second`,
        theirs: '',
        ratio: perSecond / goal,
        goal: `≥ ${goal} a second`,
      },
      {
        row: `find the next question, ${what}`,
        ours: `mean ${asked.meanMs.toFixed(2)} ms, worst ${asked.worstMs.toFixed(2)} ms`,
        theirs: '',
        ratio: 2 / asked.worstMs,
        goal: '≤ 2 ms',
      },
      {
        row: `questions asked, ${what}, ${asked.walks} walks`,
        ours: `mean ${asked.mean.toFixed(1)}, worst ${asked.worst}`,
        theirs: `${asked.all} if everything is asked`,
        ratio: asked.all / asked.mean,
        goal: 'fewer than all',
      },
    )
  }
  return rows
}

if (import.meta.main) console.table(decidingRows().map((row) => ({ ...row, ratio: Number(row.ratio.toFixed(2)) })))

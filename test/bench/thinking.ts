/** Looking at rulebooks whole. It has no peer: these rows are against the time it may take. */
import { analyse } from '#core/policy/analyse'
import { compare } from '#core/policy/compare'
import { stack, type Policy } from '#core/policy/stack'
import { shippedPolicy } from '../support/policy.ts'
import { median, shown, type Row } from './rows.ts'

/** How much of the time that it may take something takes. */
function timed(row: string, atMostSeconds: number, rounds: number, think: () => unknown): Row {
  const taken = Array.from({ length: rounds }, () => {
    const started = performance.now()
    think()
    return (performance.now() - started) / 1_000
  })
  return {
    row,
    ours: shown(taken, 's'),
    theirs: `${atMostSeconds} s`,
    ratio: median(taken) / atMostSeconds,
    goal: '≤ 1',
  }
}

/** The same rulebooks with every quantity among their parameters one larger. */
function withOtherParameters({ vocabulary, rulebooks, offered }: Policy): Policy {
  const changed = rulebooks.map((rulebook) => ({
    ...rulebook,
    parameters: new Map(
      [...rulebook.parameters].map(([id, value]) => [
        id,
        typeof value === 'string' ? value : { ...value, amount: value.amount + 1 },
      ]),
    ),
  }))
  return stack(vocabulary, changed, offered)
}

export function thinkingRows(rounds: number): Row[] {
  const names = ['council', 'practitioner', 'ministry']
  const stacked = shippedPolicy(...names)
  const other = withOtherParameters(stacked)
  return [
    ...names.map((name) => {
      const policy = shippedPolicy(name)
      return timed(`analyse ${name}`, 10, rounds, () => analyse(policy))
    }),
    timed('analyse all three', 60, rounds, () => analyse(stacked)),
    timed('compare all three with themselves changed', 60, rounds, () => compare(stacked, other)),
  ]
}

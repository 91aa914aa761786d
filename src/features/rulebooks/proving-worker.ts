/** Looks at a draft in a thread of its own: see `proving.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { analyse } from '#core/policy/analyse'
import { runCase } from '#core/policy/cases'
import { compare } from '#core/policy/compare'
import type { CaseResult, Task } from '#features/rulebooks/proving'

const { before, after, runs } = workerData as Task

const cases = runs.flatMap((run) =>
  run.cases.map((each): CaseResult => {
    const ran = runCase(run.policy, run.assume, each)
    const differences = ran.ok ? ran.value.differences : [ran.problem.detail ?? ran.problem.slug]
    return { id: each.id, title: each.title, isOwn: run.isOwn, differences }
  }),
)
const analysis = analyse(after)
const comparison = compare(before, after)
const trouble = analysis.ok ? (comparison.ok ? undefined : comparison.problem.slug) : analysis.problem.slug
const found = {
  cases,
  ...(analysis.ok ? { analysis: analysis.value } : {}),
  ...(comparison.ok ? { comparison: comparison.value } : {}),
  ...(trouble ? { trouble } : {}),
}
parentPort!.postMessage(JSON.stringify(found, (_, each: unknown) => (typeof each === 'bigint' ? `${each}` : each)))

import type { ParseArgsConfig } from 'node:util'
import { problems } from '#core/kit/problems'
import type { Problem } from '#core/kit/outcome'

/** Where a command reads and writes, so that tests can watch it. */
export interface Io {
  /** Facts: what was asked for. */
  out(text: string): void
  /** Everything else: progress and problems. */
  err(text: string): void
  isTerminal: boolean
  env: NodeJS.ProcessEnv
}

/** What a command is called with. */
export interface Call {
  positionals: string[]
  values: Record<string, string | boolean | string[] | undefined>
  json: boolean
  io: Io
}

/** One command of `safehand`. `run` answers the exit code: 0 done, 1 refused or failed, 2 called wrongly. */
export interface Command {
  summary: string
  /** Shown by --help under the summary. */
  usage: string
  options?: NonNullable<ParseArgsConfig['options']>
  run(call: Call): Promise<number>
}

/** Prints a problem as its title and what to do next, or as its JSON; answers exit code 1. */
export function printProblem(problem: Problem, { io, json }: Pick<Call, 'io' | 'json'>): number {
  const row = problems[problem.slug]
  if (json) io.out(JSON.stringify({ problem: problem.slug, title: row.title, next: row.next, ...problem }))
  else
    io.err(
      [`${row.title}.`, problem.detail, ...Object.values(problem.fields ?? {}), row.next].filter(Boolean).join('\n'),
    )
  return 1
}

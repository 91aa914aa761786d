import type { ParseArgsConfig } from 'node:util'
import { problems } from '#core/kit/problems'
import type { Problem } from '#core/kit/outcome'

/** Where a command reads and writes, so that tests can watch it. */
export interface Io {
  /** Facts: what was asked for. */
  out: (text: string) => void
  /** Everything else: progress and problems. */
  err: (text: string) => void
  /** Shows a line that the next one replaces; an empty one clears it. Absent where standard error is no terminal. */
  status?: (line: string) => void
  /** Asks the person, who sees what they type. Absent where there is nobody to ask. */
  ask?: (question: string) => Promise<string>
  /** Everything on standard input. */
  input?: () => Promise<string>
  /** The same as it comes. */
  bytes?: () => AsyncIterable<Uint8Array>
  /** Writes bytes to standard output; fails when nobody takes them. Absent where that is a terminal. */
  write?: (bytes: AsyncIterable<Uint8Array>) => Promise<void>
  env: NodeJS.ProcessEnv
}

/** A command was called wrongly: its usage is shown and the exit code is 2. */
export class CalledWrongly extends Error {}

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

/**
 * Text that moves no cursor, turns no direction and hides nothing, for a terminal: names of files, and what a server, a
 * receipt or a mail says, were written by somebody else. Line ends stay; JSON stays the same JSON.
 */
export const harmless = (text: string, json: boolean): string =>
  text.replace(/[^\P{C}\n]/gu, (character) =>
    json
      ? Array.from({ length: character.length }, (_, i) => `\\u${hex(character.charCodeAt(i)).padStart(4, '0')}`).join(
          '',
        )
      : `\\u{${hex(character.codePointAt(0)!)}}`,
  )

const hex = (value: number): string => value.toString(16)

/** Prints a problem as its title and what to do next, or as its JSON with `more`; answers exit code 1. */
export function printProblem(
  problem: Problem,
  { io, json }: Pick<Call, 'io' | 'json'>,
  more: Record<string, string> = {},
): number {
  const { slug, ...rest } = problem
  const { title, next } = problems[slug]
  if (json) io.out(JSON.stringify({ problem: slug, title, next, ...rest, ...more }))
  else {
    const fields = Object.entries(problem.fields ?? {})
    // What is wrong in a file is told with its places; a field of a form has no name that a person would know.
    const places = fields.filter(([at]) => /:\d+$/.test(at)).map((each) => each.join(' '))
    const says = places.length > 0 ? places : [problem.detail, ...fields.map(([, sentence]) => sentence)]
    io.err([`${title}.`, ...says, next].filter(Boolean).join('\n'))
  }
  return 1
}

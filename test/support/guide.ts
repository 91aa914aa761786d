import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

/** A page's blocks of one language, in their order. */
export const blocksOf = (page: string, language: 'sh' | 'sql'): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].flatMap((match) =>
    match[1] === language ? [match[2]!.trim()] : [],
  )

/** The lines of a page's `sh` blocks, in their order. */
export const commandsOf = (page: string): string[] => blocksOf(page, 'sh').flatMap((block) => block.split('\n'))

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assetsFolder } from '#shell/web/app'
import { root } from '#test/guide'

/** The built scripts that a page names itself, such as `page.js`. */
export const scriptsOf = (html: string): string[] =>
  [...html.matchAll(/<script [^>]*src="\/assets\/[^/"]+\/([^"]+)"/g)].map(([, name]) => name!)

/** What a browser fetches for these scripts before anybody does anything: they, and all that they import at once. */
export function fetchedWith(scripts: Iterable<string>, fetched = new Set<string>()): Set<string> {
  for (const name of scripts) {
    if (fetched.has(name)) continue
    fetched.add(name)
    const text = readFileSync(join(assetsFolder(root), name), 'utf8')
    // As esbuild writes them: an `import(…)` is fetched when it is run, and not meant.
    const imported = [...text.matchAll(/(?:^|[;}\s])(?:import|export)(?:[^"'();]*?from)?\s*["']\.\/([^"']+)["']/g)]
    fetchedWith(
      imported.map(([, file]) => file!),
      fetched,
    )
  }
  return fetched
}

/** Bytes of these files as they go over the wire. */
export const compressedBytes = (files: Iterable<string>): number =>
  [...files].reduce((total, name) => total + readFileSync(join(assetsFolder(root), `${name}.gz`)).length, 0)

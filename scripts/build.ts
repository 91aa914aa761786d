/** Makes what the browser is given: the islands and the style sheet, in `dist/assets`. Quick when nothing changed. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type BuildOptions } from 'esbuild'
import { compile } from 'sass'

const root = join(import.meta.dirname, '..')
const out = join(root, 'dist/assets')
const islands = join(root, 'src/shell/islands')
const stamp = join(out, 'built')

const newest = (folder: string): number =>
  Math.max(
    0,
    ...readdirSync(folder, { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? newest(join(folder, entry.name)) : statSync(join(folder, entry.name)).mtimeMs,
    ),
  )

export async function buildAssets(): Promise<void> {
  mkdirSync(out, { recursive: true })
  const sources = Math.max(
    newest(join(root, 'src/core')),
    newest(islands),
    newest(join(root, 'src/shell/web/layouts')),
    statSync(join(root, 'package-lock.json')).mtimeMs,
    statSync(import.meta.filename).mtimeMs,
  )
  if ((statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0) > sources) return
  rmSync(out, { recursive: true })
  mkdirSync(out)
  const entries = readdirSync(islands).filter((name) => name.endsWith('.ts') && !/\.(test|d)\.ts$/.test(name))
  const isWorker = (name: string) => name.endsWith('-worker.ts')
  const common: BuildOptions = {
    bundle: true,
    target: 'es2023',
    minify: true,
    outdir: out,
    alias: { '#core': join(root, 'src/core'), '#shell': join(root, 'src/shell') },
    // An import of types alone is no import here: with it a page would hold, and run, the workers that it talks to.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: false } },
    logLevel: 'warning',
  }
  const pages = entries.filter((name) => !isWorker(name)).map((name) => join(islands, name))
  await build({ ...common, entryPoints: pages, splitting: true, format: 'esm', chunkNames: 'part-[hash]' })
  // Each worker is one file, and no module: a service worker may import nothing while it runs.
  const workers = entries.filter(isWorker).map((name) => join(islands, name))
  const define = { 'import.meta.url': 'self.location.href' }
  await build({ ...common, entryPoints: workers, format: 'iife', define })
  const css = compile(join(root, 'src/shell/web/layouts/safehand.scss'), {
    style: 'compressed',
    quietDeps: true,
    silenceDeprecations: ['import', 'global-builtin', 'color-functions', 'if-function'],
    loadPaths: [root],
  })
  writeFileSync(join(out, 'safehand.css'), css.css)
  writeFileSync(join(out, 'safehand.svg'), icon)
  // Compressed here once, not by the server for each who asks.
  for (const name of readdirSync(out))
    writeFileSync(join(out, `${name}.gz`), gzipSync(readFileSync(join(out, name)), { level: 9 }))
  writeFileSync(stamp, '')
}

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M16 1 29 6v10c0 7.5-5.3 12.6-13 15C8.3 28.6 3 23.5 3 16V6z" fill="#f3b229"/><path d="M9 16.5 14 21.5 23.5 11" fill="none" stroke="#12384b" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/></svg>`

await buildAssets()

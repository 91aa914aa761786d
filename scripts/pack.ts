/**
 * Makes `dist` what the package runs: npm calls it before `npm pack` (decision 0018).
 *
 * Each module that `src/main.ts` leads to is written without its types, by the same function of Node's that runs the
 * checkout: what is packed is what was tested, at the same lines. Everything else beside the sources that the program
 * reads (views) goes with it, and a list of all parts it depends on (CycloneDX).
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import './build.ts'

const root = join(import.meta.dirname, '..')
const sources = join(root, 'src')
const out = join(root, 'dist')

/** Every module that a module leads to, by its name without ending; dynamic imports too. */
function modulesFrom(name: string, found = new Map<string, string>()): Map<string, string> {
  const path = join(sources, `${name}.ts`)
  if (found.has(name) || !existsSync(path)) return found
  const code = stripTypeScriptTypes(readFileSync(path, 'utf8'))
  found.set(name, code)
  for (const [, next] of code.matchAll(/['"]#([\w./-]+)['"]/g)) modulesFrom(next!, found)
  return found
}

function write(name: string, text: string): void {
  const path = join(out, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

for (const name of readdirSync(out)) if (name !== 'assets') rmSync(join(out, name), { recursive: true })
for (const [name, code] of modulesFrom('main')) write(`${name}.js`, code)
for (const name of readdirSync(sources, { recursive: true, encoding: 'utf8' })) {
  if (name.endsWith('.njk')) cpSync(join(sources, name), join(out, name))
}
// The nearest package.json decides what `#` means: for what lies in dist, dist.
write('package.json', JSON.stringify({ type: 'module', imports: { '#*': './*.js' } }))

const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))
const locked = Object.entries<{ version: string; dev?: boolean }>(read('package-lock.json').packages)
/** What the lock file holds of the program, without its tools: name and version. */
const ours = new Set(
  locked.flatMap(([path, { version, dev }]) => (dev ? [] : [`${path.replace(/^.*node_modules\//, '')}@${version}`])),
)

// Not by npm's own `--omit dev`: it leaves out a part that both the program and one of its tools ask for.
const sbom = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx']
const parts = JSON.parse(
  execFileSync('npm', sbom, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
)
const isOurs = ({ name, version }: { name: string; version: string }) => ours.has(`${name}@${version}`)
parts.components = parts.components.filter(isOurs)
const kept = new Set([parts.metadata.component, ...parts.components].map((part) => part['bom-ref']))
parts.dependencies = parts.dependencies
  .filter(({ ref }: { ref: string }) => kept.has(ref))
  .map(({ ref, dependsOn }: { ref: string; dependsOn: string[] }) => ({
    ref,
    dependsOn: dependsOn.filter((each) => kept.has(each)),
  }))
// npm names the package after the folder it lies in.
parts.metadata.component.name = read('package.json').name
write('sbom.cdx.json', `${JSON.stringify(parts, null, 1)}\n`)

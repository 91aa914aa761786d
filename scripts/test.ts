/**
 * The whole suite: what must be installed, the checks that read the code, then the tests.
 *
 * On Debian as root the missing programs are installed, and it says so; elsewhere they are named and the run fails.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { startTestServer } from '../test/support/database.ts'

const root = join(import.meta.dirname, '..')
const needed: Record<string, string> = {
  chromium: 'chromium fonts-liberation',
  'firefox-esr': 'firefox-esr',
  age: 'age',
  tar: 'tar',
  python3: 'python3',
  openssl: 'openssl',
  go: 'golang-go golang-golang-x-mod-dev',
}

const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0

function installWhatIsMissing(): void {
  const missing = Object.keys(needed).filter((program) => !has(program))
  if (missing.length === 0) return
  const packages = missing.flatMap((program) => needed[program]!.split(' '))
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    console.error(
      `The tests need ${missing.join(', ')}. Install the Debian packages ${packages.join(', ')} (or your system’s), then run npm test again.`,
    )
    process.exit(1)
  }
  console.log(`Installing what the tests need: ${packages.join(', ')}`)
  const quiet = {
    stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }
  spawnSync('apt-get', ['update', '-q'], quiet)
  if (spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], quiet).status !== 0) {
    console.error(`Could not install ${packages.join(', ')}. Install them by hand, then run npm test again.`)
    process.exit(1)
  }
}

function run(what: string, program: string, ...args: string[]): void {
  const started = Date.now()
  const result = spawnSync(process.execPath, [join(root, 'node_modules', program), ...args], {
    cwd: root,
    stdio: 'inherit',
  })
  console.log(`${what}: ${result.status === 0 ? 'clean' : 'FAILED'} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
  if (result.status !== 0) process.exit(1)
}

installWhatIsMissing()
if (process.argv.length === 2) {
  run('types', 'typescript/bin/tsc', '-p', root)
  run('lint', 'oxlint/bin/oxlint', '--deny-warnings')
  run('format', 'oxfmt/bin/oxfmt', '--check')
  run('unused', 'knip/bin/knip.js')
}

const server = await startTestServer()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void server.stop().then(() => process.exit(1)))
const wanted = process.argv.slice(2)
const files = wanted.length > 0 ? wanted : ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/**/*.test.ts']
const patience = join(import.meta.dirname, 'patience.ts')
const tests = spawnSync(process.execPath, ['--test', '--test-concurrency=2', '--import', patience, ...files], {
  cwd: root,
  stdio: 'inherit',
  env: process.env,
})
await server.stop()
process.exitCode = tests.status ?? 1

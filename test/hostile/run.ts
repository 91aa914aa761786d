/**
 * The full form of the hostile tests: `npm run test:hostile`.
 *
 *   --requests N   requests of the storm (default 100000)
 *   --minutes N    for each reader (default 10)
 *   --seed N       repeats a run
 *   --scan-minutes N  for each kind of caller a scanner plays (default 10); 0 leaves the scanners out
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startTestServer } from '../support/database.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    'scan-minutes': { type: 'string', default: '10' },
  },
})
console.log(`Seed ${values.seed}`)
const server = await startTestServer()
const env = {
  ...process.env,
  HOSTILE_FULL: 'yes',
  HOSTILE_REQUESTS: values.requests,
  HOSTILE_MINUTES: values.minutes,
  HOSTILE_SEED: values.seed,
  HOSTILE_SCAN_MINUTES: values['scan-minutes'],
}
const run = (...args: string[]) =>
  spawnSync(process.execPath, args, { cwd: join(import.meta.dirname, '../..'), stdio: 'inherit', env }).status ?? 1
const tests = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'))
let failed = run('--test', '--test-concurrency=1', ...tests.map((name) => join('test/hostile', name)))
if (values['scan-minutes'] !== '0') failed ||= run('test/hostile/scan.ts')
await server.stop()
process.exitCode = failed

/**
 * What other people's scanners say: wapiti (Debian) against a demonstration, as a stranger and signed in as staff; nikto
 * where it is installed; and `npm audit`. Part of `npm run test:hostile`.
 *
 * Exit code 0: nothing that docs/security.md does not explain under ‘What scanners say’.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Browser } from '#test/house'
import { aWatchedServer, overHttp } from './server.ts'

const minutes = Number(process.env.HOSTILE_SCAN_MINUTES ?? 10)
const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const ends: (() => Promise<void>)[] = []
const server = await aWatchedServer({ after: (end) => void ends.push(end) })
const folder = await mkdtemp(join(tmpdir(), 'safehand-scan-'))
let found = 0

interface Report {
  vulnerabilities: Record<string, { method: string; path: string; info: string }[]>
  anomalies: Record<string, { method: string; path: string; info: string }[]>
}

/** What docs/security.md explains under ‘What scanners say’. */
const explained =
  /X-Frame-Options|X-XSS-Protection|Strict-Transport-Security|Secure flag|HttpOnly flag is not set in the cookie : language|Lack of anti CSRF token/

/** Those of its modules that ask nobody but the server. */
const modules =
  'backup,blindsql,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,xss'

async function wapiti(who: string, secret: string | undefined): Promise<void> {
  const output = join(folder, `${who.replaceAll(' ', '-')}.json`)
  const seconds = String(minutes * 60)
  const args = [
    '-u',
    `${server.url}/`,
    '--scope',
    'domain',
    '-d',
    '8',
    '--max-scan-time',
    seconds,
    '--max-attack-time',
    seconds,
    '--max-links-per-page',
    '60',
    '-m',
    modules,
    '-f',
    'json',
    '-o',
    output,
    '--flush-session',
    '--no-bugreport',
    '--store-session',
    folder,
    '--store-config',
    folder,
    ...(secret === undefined ? [] : ['-H', `Authorization: Bearer ${secret}`]),
  ]
  const { stdout, stderr } = spawnSync('wapiti', args, { encoding: 'utf8', timeout: (2 * minutes + 5) * 60_000 })
  const report = await readFile(output, 'utf8').catch(() => undefined)
  if (report === undefined) throw new Error(`wapiti made no report: ${(stdout + stderr).slice(-1_000)}`)
  const { vulnerabilities, anomalies } = JSON.parse(report) as Report
  let known = 0
  for (const [kind, all] of Object.entries({ ...vulnerabilities, ...anomalies })) {
    const rest = all.filter(({ info }) => !explained.test(info))
    for (const { method, path, info } of rest.slice(0, 5))
      console.log(`wapiti as ${who}: ${kind}: ${method} ${path}: ${info.split('\n')[0]!}`)
    known += all.length - rest.length
    found += rest.length
  }
  console.log(`wapiti as ${who}: ${known} explained in docs/security.md`)
}

if (has('wapiti')) {
  const staff = await Browser.of(overHttp(server.port), 'Priya Nair')
  await wapiti('a stranger', undefined)
  // A token, since a scanner presses ‘Sign out’ as well.
  const { token } = await staff.post<{ token: string }>('/api/account/tokens', { label: 'The scanner' })
  await wapiti('staff', token)
} else console.log('wapiti is not installed: apt-get install wapiti')

if (has('nikto')) {
  const { stdout } = spawnSync(
    'nikto',
    ['-host', server.url, '-maxtime', `${minutes}m`, '-nointeractive', '-ask', 'no'],
    { encoding: 'utf8' },
  )
  console.log(stdout)
} else console.log('nikto is not installed: it is not in Debian’s main')

const audit = spawnSync('npm', ['audit', '--json'], { encoding: 'utf8', cwd: join(import.meta.dirname, '../..') })
const { metadata } = JSON.parse(audit.stdout || '{}') as { metadata?: { vulnerabilities: Record<string, number> } }
console.log(
  metadata
    ? `npm audit: ${JSON.stringify(metadata.vulnerabilities)}`
    : 'npm audit: the registry answers no audits here',
)
found += metadata?.vulnerabilities.total ?? 0

if (/"level":(50|60)/.test(server.said())) {
  console.log(`The server failed inside: ${server.said().slice(-2_000)}`)
  found += 1
}
for (const end of ends) await end()
await rm(folder, { recursive: true })
console.log(found === 0 ? 'Nothing was found.' : `${found} to look at.`)
process.exitCode = found === 0 ? 0 : 1

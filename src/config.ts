import { readFileSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { Config } from '#edge/house'
import { networkList } from '#edge/web/rates'

/** The file whose being there makes a data folder a demonstration's for ever, and what it says. */
export const demonstrationMarker = {
  name: 'DEMONSTRATION',
  words: 'Invented people; nothing is really sent. This folder can never hold real information.\n',
}

const logLevels = ['error', 'warn', 'info', 'debug', 'trace']

const loopback = new Set(['127.0.0.1', '::1', 'localhost'])

/** What the command line may set; everything else comes from the environment. */
export interface Flags {
  data?: string | undefined
  port?: string | undefined
  host?: string | undefined
  demonstration?: boolean | undefined
}

/**
 * The settings of this installation, from flags and environment.
 *
 * @returns the settings, or `setting-wrong` with a sentence that says which to change. An address that others can reach
 * without https is refused, and a demonstration refuses everything that would make it real.
 */
export function readConfig(flags: Flags, environment: NodeJS.ProcessEnv): Outcome<Config> {
  const env = withCredentials(environment)
  const wrong = (detail: string) => fail('setting-wrong', { detail })
  const demonstration = flags.demonstration ?? false
  const host = flags.host ?? env.SAFEHAND_HOST ?? '127.0.0.1'
  const port = Number(flags.port ?? env.SAFEHAND_PORT ?? 8080)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return wrong('The port must be a whole number from 1 to 65535.')
  const folder = flags.data ?? env.SAFEHAND_DATA ?? (demonstration ? '.safehand' : join(homedir(), 'safehand'))
  const dataFolder = resolve(folder)
  const name = host === '127.0.0.1' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  const address = env.SAFEHAND_URL ?? `http://${name}:${port}`
  if (!URL.canParse(address)) return wrong('SAFEHAND_URL must be a whole address, like https://safehand.example.gov.uk')
  const url = new URL(address)
  if (!loopback.has(host) && url.protocol !== 'https:') {
    return wrong(
      `On ${host} others can reach Safehand, so it needs https: set SAFEHAND_URL to its https address, and put a proxy with TLS before it.`,
    )
  }
  if (!loopback.has(url.hostname.replace(/[[\]]/g, '')) && url.protocol !== 'https:') {
    return wrong('SAFEHAND_URL must begin with https:// unless it is this machine’s own address.')
  }
  if (url.href !== `${url.origin}/`)
    return wrong(`SAFEHAND_URL must have nothing after the name, and no password: write ${url.origin}`)
  const real = ['SAFEHAND_SMTP', 'SAFEHAND_URL', 'SAFEHAND_WITNESSES', 'DATABASE_URL', 'DATABASE_MIGRATE_URL'].filter(
    (name) => env[name],
  )
  if (demonstration && (real.length > 0 || !loopback.has(host))) {
    return wrong(
      `A demonstration stays on this machine and sends nothing: leave out ${real.join(', ') || `the address ${host}`}.`,
    )
  }
  const trustProxy = (env.SAFEHAND_TRUST_PROXY ?? '').split(',').flatMap((entry) => entry.trim() || [])
  if (!networkList(trustProxy))
    return wrong(
      'SAFEHAND_TRUST_PROXY must list the addresses of your proxies, like 127.0.0.1 or 10.0.0.0/8,192.0.2.7. Only they are believed about who is calling.',
    )
  const keysFolder = resolve(
    env.SAFEHAND_KEYS ?? (demonstration ? join(dataFolder, 'demonstration-keys') : `${dataFolder}-keys`),
  )
  const erasuresFile = resolve(env.SAFEHAND_ERASURES ?? join(keysFolder, 'erasures.jsonl'))
  if (!demonstration && !relative(dataFolder, erasuresFile).startsWith('..'))
    return wrong(
      'SAFEHAND_ERASURES must lie outside the data folder and its backups: a backup must not take its own erasures back.',
    )
  if (!logLevels.includes(env.SAFEHAND_LOG ?? 'warn'))
    return wrong(`SAFEHAND_LOG must be one of ${logLevels.join(', ')}.`)
  const rulebooks = (env.SAFEHAND_RULEBOOKS ?? 'council').split(',').map((id) => id.trim())
  if (rulebooks.includes('') || new Set(rulebooks).size < rulebooks.length)
    return wrong('SAFEHAND_RULEBOOKS must list rulebooks, each once, like council or council,practitioner')
  const metrics = metricsAt(env)
  if (!metrics.ok) return metrics
  return ok({
    dataFolder,
    keysFolder,
    erasuresFile,
    host,
    port,
    publicUrl: url.origin,
    mailFrom: env.SAFEHAND_MAIL_FROM ?? `safehand@${url.hostname}`,
    demonstration,
    trustProxy,
    postQuantum: env.SAFEHAND_LOCKS !== 'x25519',
    rulebooks,
    ...(env.DATABASE_URL ? { databaseUrl: env.DATABASE_URL } : {}),
    ...(env.DATABASE_MIGRATE_URL ? { databaseMigrateUrl: env.DATABASE_MIGRATE_URL } : {}),
    ...(env.SAFEHAND_SMTP ? { smtpUrl: env.SAFEHAND_SMTP } : {}),
    ...(metrics.value ? { metrics: metrics.value } : {}),
    ...(env.SAFEHAND_WITNESSES ? { witnessesFile: resolve(env.SAFEHAND_WITNESSES) } : {}),
  })
}

/** Where metrics are answered, if anywhere. They tell how busy people are, so others see them only when told to. */
function metricsAt(env: NodeJS.ProcessEnv): Outcome<Config['metrics']> {
  if (!env.SAFEHAND_METRICS) return ok(undefined)
  const wrong = (detail: string) => fail('setting-wrong', { detail })
  const [, host, digits] = /^(\S+):(\d{1,5})$/.exec(env.SAFEHAND_METRICS) ?? []
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65_535)
    return wrong('SAFEHAND_METRICS must be an address and a port, like 127.0.0.1:9464')
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (loopback.has(bare) || env.SAFEHAND_METRICS_OPEN === 'yes') return ok({ host: bare, port })
  return wrong(
    `On ${bare} others can read the metrics. If they may, set SAFEHAND_METRICS_OPEN=yes; otherwise listen on 127.0.0.1.`,
  )
}

/** Settings with those that systemd hands over as files (`LoadCredential`), named as the settings are. */
function withCredentials(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const folder = env.CREDENTIALS_DIRECTORY
  if (!folder) return env
  const names = readdirSync(folder).filter((name) =>
    /^(SAFEHAND_[A-Z_]+|DATABASE_URL|DATABASE_MIGRATE_URL)$/.test(name),
  )
  return { ...env, ...Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8').trim()])) }
}

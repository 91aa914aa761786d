import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConfig, type Flags } from '#config'

const read = (flags: Flags = {}, env: Record<string, string> = {}) => readConfig(flags, env)
const settings = (flags: Flags = {}, env: Record<string, string> = {}) => {
  const config = read(flags, env)
  assert.ok(config.ok, config.ok ? '' : config.problem.detail)
  return config.value
}
const refusal = (flags: Flags = {}, env: Record<string, string> = {}) => {
  const config = read(flags, env)
  assert.ok(!config.ok)
  assert.equal(config.problem.slug, 'setting-wrong')
  return config.problem.detail!
}
const https = { SAFEHAND_URL: 'https://safehand.example' }

test('with nothing set it is this machine’s alone', () => {
  const {
    host,
    port,
    publicUrl,
    dataFolder,
    keysFolder,
    demonstration,
    trustProxy,
    postQuantum,
    databaseUrl,
    smtpUrl,
  } = settings()
  assert.deepEqual(
    { host, port, publicUrl, demonstration, trustProxy, postQuantum, databaseUrl, smtpUrl },
    {
      host: '127.0.0.1',
      port: 8080,
      publicUrl: 'http://localhost:8080',
      demonstration: false,
      trustProxy: [],
      postQuantum: true,
      databaseUrl: undefined,
      smtpUrl: undefined,
    },
  )
  assert.equal(dataFolder, join(homedir(), 'safehand'))
  assert.equal(keysFolder, join(homedir(), 'safehand-keys'))
})

test('rulebooks are chosen by name, each once; the council’s when nobody says', () => {
  assert.deepEqual(settings().rulebooks, ['council'])
  assert.deepEqual(settings({}, { SAFEHAND_RULEBOOKS: 'ministry, council' }).rulebooks, ['ministry', 'council'])
  for (const list of ['', 'council,', 'council,council'])
    assert.match(refusal({}, { SAFEHAND_RULEBOOKS: list }), /each once/, list)
})

test('a port is from 1 to 65535', () => {
  for (const port of ['1', '2', '65534', '65535']) assert.equal(settings({ port }).port, Number(port))
  for (const port of ['0', '-1', '65536', '80.5', 'http', '']) assert.match(refusal({ port }), /from 1 to 65535/, port)
})

test('an address that others can reach needs https', () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'safehand.example', '127.0.0.1.example'])
    assert.match(refusal({ host }), /needs https: set SAFEHAND_URL/, host)
  for (const host of ['127.0.0.1', '::1', 'localhost']) settings({ host }, { SAFEHAND_URL: 'http://localhost:8080' })
  assert.equal(settings({ host: '0.0.0.0' }, https).host, '0.0.0.0')
})

test('the address people use is a whole one, and https unless it is this machine’s', () => {
  assert.equal(settings({}, { SAFEHAND_URL: 'https://safehand.example/' }).publicUrl, 'https://safehand.example')
  for (const SAFEHAND_URL of ['safehand.example', 'https://', '//safehand.example'])
    assert.match(refusal({}, { SAFEHAND_URL }), /must be a whole address/, SAFEHAND_URL)
  for (const SAFEHAND_URL of ['http://safehand.example', 'ftp://safehand.example', 'http://localhost.example'])
    assert.match(refusal({}, { SAFEHAND_URL }), /must begin with https/, SAFEHAND_URL)
  for (const SAFEHAND_URL of ['http://localhost:1', 'http://127.0.0.1:1', 'http://[::1]:1'])
    settings({}, { SAFEHAND_URL })
})

test('an address has no path, question, name or password in it', () => {
  for (const SAFEHAND_URL of [
    'https://safehand.example/path',
    'https://safehand.example/?a=b',
    'https://safehand.example/#here',
    'https://name:password@safehand.example',
  ])
    assert.match(refusal({}, { SAFEHAND_URL }), /nothing after the name/, SAFEHAND_URL)
})

test('a demonstration refuses what would make it real', () => {
  const demonstration = true
  assert.match(refusal({ demonstration }, { SAFEHAND_SMTP: 'smtp://mail.example' }), /leave out SAFEHAND_SMTP/)
  assert.match(refusal({ demonstration }, { SAFEHAND_WITNESSES: 'policy' }), /leave out SAFEHAND_WITNESSES/)
  assert.match(refusal({ demonstration }, https), /leave out SAFEHAND_URL/)
  assert.match(refusal({ demonstration }, { DATABASE_URL: 'postgres://x' }), /leave out DATABASE_URL/)
  assert.match(refusal({ demonstration, host: '0.0.0.0' }), /needs https|leave out the address/)
  const { dataFolder, keysFolder } = settings({ demonstration })
  assert.equal(keysFolder, join(dataFolder, 'demonstration-keys'))
})

test('proxies are named by their addresses, and by nothing else', () => {
  assert.deepEqual(settings({}, { SAFEHAND_TRUST_PROXY: '127.0.0.1' }).trustProxy, ['127.0.0.1'])
  const many = '10.0.0.0/8, 192.0.2.7 ,2001:db8::/32,'
  assert.deepEqual(settings({}, { SAFEHAND_TRUST_PROXY: many }).trustProxy, [
    '10.0.0.0/8',
    '192.0.2.7',
    '2001:db8::/32',
  ])
  for (const SAFEHAND_TRUST_PROXY of [
    'yes',
    'no',
    'true',
    '1',
    'loopback',
    '*',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/8 192.0.2.7',
    'proxy.example',
  ])
    assert.match(
      refusal({}, { SAFEHAND_TRUST_PROXY }),
      /must list the addresses of your proxies, like 127\.0\.0\.1/,
      SAFEHAND_TRUST_PROXY,
    )
})

test('a flag goes before the environment', () => {
  const env = { SAFEHAND_PORT: '1', SAFEHAND_DATA: '/a', SAFEHAND_HOST: '::1', ...https }
  const { port, dataFolder, keysFolder, host } = settings({ port: '2', data: '/b', host: '127.0.0.1' }, env)
  assert.deepEqual(
    { port, dataFolder, keysFolder, host },
    { port: 2, dataFolder: '/b', keysFolder: '/b-keys', host: '127.0.0.1' },
  )
  assert.equal(settings({}, env).dataFolder, '/a')
  assert.equal(settings({}, { ...env, SAFEHAND_KEYS: '/k' }).keysFolder, '/k')
})

test('metrics are for this machine, and for others only where that is said', () => {
  assert.equal(settings().metrics, undefined)
  assert.deepEqual(settings({}, { SAFEHAND_METRICS: '127.0.0.1:9464' }).metrics, { host: '127.0.0.1', port: 9464 })
  assert.deepEqual(settings({}, { SAFEHAND_METRICS: '[::1]:65535' }).metrics, { host: '::1', port: 65_535 })
  const everywhere = { SAFEHAND_METRICS: '0.0.0.0:9464' }
  assert.match(refusal({}, everywhere), /others can read the metrics/)
  assert.deepEqual(settings({}, { ...everywhere, SAFEHAND_METRICS_OPEN: 'yes' }).metrics, {
    host: '0.0.0.0',
    port: 9464,
  })
  for (const SAFEHAND_METRICS of ['yes', '9464', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:x'])
    assert.match(refusal({}, { SAFEHAND_METRICS }), /an address and a port/, SAFEHAND_METRICS)
})

test('a file that systemd hands over counts as the setting of its name, and no other file does', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-credentials-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'SAFEHAND_SMTP'), 'smtps://relay.example\n')
  await writeFile(join(folder, 'PATH'), 'elsewhere')
  const config = settings({}, { CREDENTIALS_DIRECTORY: folder, SAFEHAND_SMTP: 'smtp://other.example' })
  assert.equal(config.smtpUrl, 'smtps://relay.example')
})

test('a log has a level that there is', () => {
  for (const SAFEHAND_LOG of ['error', 'info', 'trace']) settings({}, { SAFEHAND_LOG })
  for (const SAFEHAND_LOG of ['all', 'INFO', ''])
    assert.match(refusal({}, { SAFEHAND_LOG }), /must be one of error, warn, info/)
})

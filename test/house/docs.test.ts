import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { problems } from '#core/kit/problems'
import { commandsOf, root } from '#test/guide'

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

test('the commands of the guide for operators work, in their order', () => {
  const folder = mkdtempSync(join(tmpdir(), 'safehand-docs-'))
  try {
    const commands = commandsOf('docs/operate.md').filter((command) => !command.startsWith('npm '))
    assert.ok(commands.length >= 4)
    for (const command of commands) {
      const { status, stderr } = spawnSync(
        'sh',
        ['-c', command.replace(/\bnpx safehand\b/, `${process.execPath} bin/safehand.js`)],
        {
          cwd: root,
          encoding: 'utf8',
          env: { ...process.env, DATA: join(folder, 'data') },
        },
      )
      assert.equal(status, 0, `${command}\n${stderr}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('README’s two commands are what npm and the checks of every change run', () => {
  assert.ok(commandsOf('README.md').includes('npm ci && npm test'))
  assert.ok(commandsOf('README.md').includes('npm ci && npm start'))
  assert.match(read('.ci/run'), /^npm ci\nnpm test$/m)
})

test('every command that a page names exists', () => {
  const { stdout } = spawnSync(process.execPath, ['bin/safehand.js', '--help'], { cwd: root, encoding: 'utf8' })
  const help = stdout.split('\n').flatMap((line) => /^ {2}(\w+) /.exec(line)?.[1] ?? [])
  for (const page of pages) {
    for (const [, name] of read(page).matchAll(/`(?:npx )?safehand ([a-z]+)[^`]*`/g))
      assert.ok(help.includes(name!), `${page}: safehand ${name}`)
  }
})

test('every link from one page to another leads somewhere', () => {
  for (const page of pages) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:|#|<)([^)#]+)[^)]*\)/g)) {
      assert.ok(existsSync(join(root, dirname(page), target!)), `${page}: ${target}`)
    }
  }
})

test('the guide for operators has a row for every problem that is theirs', () => {
  const guide = read('docs/operate.md')
  const theirs =
    /^(keeper|adopt|backup|restore|erasure|erasures|database|data|witness-silent|witness-refuses|proof-not-ready|un(available|healthy)|server)\b/
  // Where the page shows a problem only as its title, or as the parts of /health.
  const named = (slug: keyof typeof problems) =>
    guide.includes(slug) || guide.includes(problems[slug].title) || (slug === 'unhealthy' && guide.includes('/health'))
  for (const slug of Object.keys(problems) as (keyof typeof problems)[])
    if (theirs.test(slug)) assert.ok(named(slug), slug)
})

test('the guide for operators has a row for every setting', () => {
  const guide = read('docs/operate.md')
  for (const [name] of read('src/config.ts').matchAll(/\bSAFEHAND_[A-Z_]*[A-Z]\b/g))
    assert.ok(guide.includes(name), name)
})

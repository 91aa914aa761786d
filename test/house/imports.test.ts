import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

/** Each file breaks the import rule in one way; the last ones keep it. */
const planted: Record<string, { code: string; caught: boolean }> = {
  'src/core/kit/a.ts': { code: `import { readFile } from 'node:fs'\nexport const a = readFile\n`, caught: true },
  'src/core/kit/b.ts': { code: `import { seal } from '#core/seal/seal'\nexport const b = seal\n`, caught: true },
  'src/core/policy/c.ts': {
    code: `import { leafHash } from '#core/register/merkle'\nexport const c = leafHash\n`,
    caught: true,
  },
  'src/core/policy/d.ts': { code: `export const d = () => new Date()\n`, caught: true },
  'src/core/seal/e.ts': {
    code: `import { decide } from '#core/policy/decide'\nexport const e = decide\n`,
    caught: true,
  },
  'src/core/seal/f.ts': { code: `export const f = () => Math.random()\n`, caught: true },
  'src/core/register/g.ts': { code: `export const g = () => fetch('https://example.org')\n`, caught: true },
  'src/core/register/h.ts': { code: `import { parse } from 'yaml'\nexport const h = parse\n`, caught: true },
  'src/edge/mail/i.ts': {
    code: `import { routes } from '#features/people/routes'\nexport const i = routes\n`,
    caught: true,
  },
  'src/edge/store/j.ts': { code: `import { start } from '#shell/start'\nexport const j = start\n`, caught: true },
  'src/edge/store/k.ts': {
    code: `import { start } from '../../shell/start.ts'\nexport const k = start\n`,
    caught: true,
  },
  'src/features/people/l.ts': {
    code: `import { change } from '#features/transfers/routes'\nexport const l = change\n`,
    caught: true,
  },
  'src/features/people/m.ts': { code: `import { sql } from 'kysely'\nexport const m = sql\n`, caught: true },
  'src/features/people/n.ts': { code: `import fastify from 'fastify'\nexport const n = fastify\n`, caught: true },
  'src/features/people/queries.ts': { code: `import fastify from 'fastify'\nexport const o = fastify\n`, caught: true },
  'src/features/people/routes.ts': { code: `import { sql } from 'kysely'\nexport const p = sql\n`, caught: true },
  'src/features/parcels/q.ts': { code: `import { start } from '#shell/start'\nexport const q = start\n`, caught: true },
  'src/shell/islands/r.ts': {
    code: `import { recordEvent } from '#edge/keeper/record'\nexport const r = recordEvent\n`,
    caught: true,
  },
  'src/core/policy/fine.ts': { code: `import { ok } from '#core/kit/outcome'\nexport const s = ok\n`, caught: false },
  'src/features/parcels/fine.ts': {
    code: `import { change } from '#features/transfers/routes'\nexport const t = change\n`,
    caught: false,
  },
  'src/features/parcels/queries.ts': { code: `import { sql } from 'kysely'\nexport const u = sql\n`, caught: false },
  'src/features/parcels/routes.ts': {
    code: `import fastify from 'fastify'\nexport const v = fastify\n`,
    caught: false,
  },
}

test('the linter catches every planted breach of the import rule, and nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'safehand-lint-'))
  try {
    for (const [path, { code }] of Object.entries(planted)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), code)
    }
    for (const name of ['oxlint.config.ts', 'package.json', 'tsconfig.json'])
      cpSync(join(root, name), join(folder, name))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    const linter = join(root, 'node_modules/oxlint/bin/oxlint')
    const { stdout } = spawnSync(process.execPath, [linter, '--format', 'json', 'src'], {
      cwd: folder,
      encoding: 'utf8',
    })
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] }
    const caught = diagnostics
      .filter(({ code }) => /no-restricted/.test(code))
      .map(({ filename }) => filename.replace(/^.*?(?=src\/)/, ''))
    const expected = Object.entries(planted).flatMap(([path, { caught: is }]) => (is ? [path] : []))
    assert.deepEqual(caught.toSorted(), expected.toSorted())
  } finally {
    rmSync(folder, { recursive: true })
  }
})

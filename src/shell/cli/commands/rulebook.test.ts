import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { rulebook } from '#shell/cli/commands/rulebook'
import { ProblemError } from '#core/kit/outcome'

const folder = await mkdtemp(join(tmpdir(), 'safehand-rulebook-'))
after(() => rm(folder, { recursive: true }))
await cp(fileURLToPath(new URL('../../../../rulebooks', import.meta.url)), folder, { recursive: true })

async function run(positionals: string[], values: Record<string, string | string[]> = {}, json = false) {
  const lines = { out: '', err: '' }
  const io = {
    out: (text: string) => void (lines.out += `${text}\n`),
    err: (text: string) => void (lines.err += `${text}\n`),
    isTerminal: false,
    env: {},
  }
  const code = await rulebook.run({ positionals, values: { folder, ...values }, json, io })
  return { code, ...lines }
}

/** The council's rulebook with one mistake, saved. */
async function broken(from: string, to: string): Promise<string> {
  const path = join(folder, 'broken.yaml')
  await writeFile(path, (await readFile(join(folder, 'council.yaml'), 'utf8')).replace(from, to))
  return path
}

test('the vocabulary, the rulebook and the cases that ship are sound', async () => {
  const { code, out } = await run([
    'check',
    ...['vocabulary', 'council', 'cases/council/deciding'].map((name) => join(folder, `${name}.yaml`)),
  ])
  assert.equal(code, 0)
  assert.match(out, /council\.yaml: sound\. Version 1\.0\.0, \d+ rules\.\n/)
})

test('a mistake is named with file, line, column and the right word', async () => {
  const path = await broken('methods: standard_email', 'methods: standart_email')
  const { code, out } = await run(['check', path])
  assert.equal(code, 1)
  assert.match(out, /broken\.yaml:\d+:\d+ 'standart_email' is not a method\. Did you mean 'standard_email'\?\n$/)
  const [result] = JSON.parse((await run(['check', path], {}, true)).out)
  assert.equal(result.sound, false)
})

const unreadable: [string, string, () => Promise<unknown>, RegExp][] = [
  [
    'a file that is not there',
    'concil.yaml',
    async () => {},
    /concil\.yaml: There is no such file\. Did you mean 'council\.yaml'\?\n$/,
  ],
  ['a folder', 'cases', async () => {}, /cases: This is a folder\. Name a file in it\.\n$/],
  ['an empty file', 'bad.yaml', () => put(''), /bad\.yaml:1:1 Write a rulebook as 'name: value' lines\.\n$/],
  [
    'a file of 10 MB',
    'bad.yaml',
    () => put('x'.repeat(10_000_000)),
    /bad\.yaml: It is longer than 262144 characters\.\n$/,
  ],
  [
    'a file of 300,000 characters',
    'bad.yaml',
    () => put('x'.repeat(300_000)),
    /bad\.yaml:1:1 This file is longer than 262144 characters/,
  ],
  ['a NUL', 'bad.yaml', () => put('id: a\n\0'), /bad\.yaml:2:1 The character U\+0000 here cannot be seen or read/],
  [
    'UTF-16',
    'bad.yaml',
    () => put(Buffer.from('\uFEFFid: a', 'utf16le')),
    /bad\.yaml:1:1 The character U\+FFFD .* UTF-8\.\n$/,
  ],
  [
    'a vocabulary with a mark of its encoding',
    'bad.yaml',
    () => put('\uFEFFformat: safehand-vocabulary/1\n'),
    /bad\.yaml:1:1 'units' is missing from a vocabulary\.\n$/,
  ],
  [
    'words that are there already',
    'bad.yaml',
    () => put('format: safehand-more-words/1\nroles:\n  sender: { name: Me }\n'),
    /bad\.yaml:3:3 'sender' is in the shared vocabulary\. Choose another name\.\n$/,
  ],
]
const put = (bytes: string | Uint8Array) => writeFile(join(folder, 'bad.yaml'), bytes)
for (const [what, name, make, says] of unreadable)
  test(`${what} is refused with what is wrong`, async () => {
    await make()
    const { code, out } = await run(['check', join(folder, name)])
    assert.equal(code, 1)
    assert.match(out, says)
  })

test('another organisation’s rulebook, with words of its own, is sound, complete, and decides its cases', async () => {
  const examples = { folder: join(folder, 'examples') }
  const files = ['vocabulary', 'hospital-trust', 'cases/hospital-trust'].map((name) =>
    join(examples.folder, `${name}.yaml`),
  )
  assert.equal((await run(['check', ...files], examples)).code, 0)
  assert.match((await run(['test'], examples)).out, /^(\d+) of \1 cases passed\.\n$/)
  assert.equal((await run(['analyse'], { ...examples, rulebook: ['hospital-trust'] })).code, 0)
})

test('a decision is explained from facts on the command line', async () => {
  const { code, out } = await run(['decide', 'audience=individual', 'published=yes'])
  assert.equal(code, 0)
  assert.match(
    out,
    /^ALLOW\n\nOrdinary email: you can use this\. Nothing else is needed\.\n {2}Public information may go by ordinary email\. \[D22\]/,
  )
})

test('facts may be JSON, and the decision printed as JSON', async () => {
  const { out } = await run(
    ['decide', 'size=4 MB'],
    { facts: '{"audience":"individual","council-class":"controlled","published":false}' },
    true,
  )
  assert.equal(JSON.parse(out).methods.standard_email.outcome, 'BLOCK')
})

test('a wrong fact is a problem, and a wrong call shows how', async () => {
  await assert.rejects(run(['decide', 'audiense=individual']), (error) =>
    /Did you mean 'audience'\?/.test((error as ProblemError).problem.detail!),
  )
  assert.equal((await run(['decide', 'audience=individual', 'address=cjsm'])).code, 1)
  assert.equal((await run(['decide', 'audience'])).code, 2)
  assert.equal((await run(['decide', 'audience=inside'], { method: 'pigeon' })).code, 2)
  assert.equal((await run(['check'])).code, 2)
  assert.equal((await run(['decied'])).code, 2)
})

test('all cases that ship pass, and a case that fails says how', async () => {
  assert.match((await run(['test'])).out, /^(\d+) of \1 cases passed\.\n$/)
  const path = join(folder, 'failing.yaml')
  await writeFile(
    path,
    (await readFile(join(folder, 'cases/council/deciding.yaml'), 'utf8')).replace(
      'first: internal_email',
      'first: telephone',
    ),
  )
  const { code, out } = await run(['test', path])
  assert.equal(code, 1)
  assert.match(out, /^TD-01: .*\n {2}first: expected \["telephone"\], got \["internal_email"\]\n/)
})

test('the schema that ships is the one the reader describes', async () => {
  const { out } = await run(['schema'])
  const shipped = await readFile(new URL('../../../../docs/rulebook.schema.json', import.meta.url), 'utf8')
  assert.deepEqual(JSON.parse(shipped), JSON.parse(out))
})

test('a rulebook that is not there is a problem', async () => {
  await assert.rejects(run(['decide', 'audience=inside'], { rulebook: ['nobody'] }), ProblemError)
})

test('analysis finds nothing in the rulebook that ships, and says how many cases it looked at', async () => {
  const { code, out } = await run(['analyse'])
  assert.equal(code, 0)
  assert.match(out, /^Looked at all [\d,]+ cases of council 1\.0\.0\.\nNo gap, no contradiction/)
})

test('a finding is told with its rules, its cases and one case in words, and the exit code is 1', async () => {
  const path = await broken('when: { council-class: restricted }', 'when: { council-class: [public, restricted] }')
  const { code, out } = await run(['analyse', path])
  assert.equal(code, 1)
  assert.match(
    out,
    /^Contradiction: A rule allows this.*\n  Rule D-R16 of council: Public pages\n  Rule D-R22 of council/m,
  )
  assert.match(out, /  Methods: Public page\n  In [\d,]+ cases: How sensitive is it\? Public\./)
  const [finding] = JSON.parse((await run(['analyse', path], {}, true)).out).findings
  assert.match(finding.cases, /^\d+$/)
})

test('a rulebook named twice is refused', async () => {
  await assert.rejects(run(['analyse'], { rulebook: ['council', 'council'] }), /Name each rulebook once/)
})

test('a comparison tells which cases change, by which rule, and for which method', async () => {
  const old = join(folder, 'council.yaml')
  const path = await broken('emailLimit: 12000000 bytes', 'emailLimit: 20 MB')
  const { code, out } = await run(['diff', old, path])
  assert.equal(code, 1)
  assert.match(out, /^Email \(protected on its way\)(; .*)?: BLOCK → ALLOW_WITH\n  By .*D-R21 \(changed\)/m)
  assert.match(out, /How large is it, all files together\? above 12 MB, at most 20 MB\./)
  assert.match(out, /\n[\d,]+ of [\d,]+ cases change\.\n$/)
  assert(JSON.parse((await run(['diff', old, path], {}, true)).out).changes.length > 0)
  assert.deepEqual((await run(['diff', old, old])).code, 0)
  await assert.rejects(run(['diff', old]), /Name two files/)
})

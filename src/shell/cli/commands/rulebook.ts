import { readFile, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { limits } from '#core/kit/limits'
import { fail, ok, orThrow, type Outcome, type Problem } from '#core/kit/outcome'
import { analyse, type Analysis, type Finding } from '#core/policy/analyse'
import type { CaseWord, Described } from '#core/policy/case-words'
import { loadCases, readFacts, runCase } from '#core/policy/cases'
import { compare, type Change, type Comparison, type Said } from '#core/policy/compare'
import { decide, type Decision } from '#core/policy/decide'
import { explain } from '#core/policy/explain'
import { loadRulebook, rulebookSchema } from '#core/policy/rulebook'
import { nearest } from '#core/policy/shape'
import { stack, type Policy } from '#core/policy/stack'
import type { Rulebook, Vocabulary } from '#core/policy/terms'
import { loadVocabulary } from '#core/policy/vocabulary'
import { CalledWrongly, printProblem, type Call, type Command } from '#shell/cli/command'
import { inForceHere, restoreHere } from '#shell/cli/in-force'

const shippedFolder = fileURLToPath(new URL('../../../../rulebooks/', import.meta.url))

/** `safehand rulebook`: for the person who keeps the rulebooks. All but the last two only read files. */
export const rulebook: Command = {
  summary: 'Check, try out and test rulebooks',
  usage: [
    'safehand rulebook check FILE… [--folder FOLDER] [--json]',
    'safehand rulebook decide FACT=VALUE… [--facts FACTS] [--rulebook ID]… [--method ID] [--json]',
    'safehand rulebook test [FILE…] [--json]',
    'safehand rulebook analyse [FILE…] [--rulebook ID]… [--json]',
    'safehand rulebook diff OLD NEW [--rulebook ID]… [--json]',
    'safehand rulebook schema',
    'safehand rulebook in-force [--data FOLDER] [--json]',
    'safehand rulebook restore ID [--yes] [--data FOLDER] [--json]',
    '',
    '  FILE        a vocabulary, a rulebook or a file of cases; `test` runs all cases when none is named',
    '  FACT=VALUE  for example audience=individual published=yes size="4 MB"',
    '  --facts     the same as one JSON or YAML object',
    '  --rulebook  whose rulebook decides, may be given several times (council)',
    '  analyse     looks at every case there is: gaps, contradictions, and rules, obligations and methods to no effect;',
    '              the files and rulebooks named are taken together',
    '  diff        which cases come out otherwise by the rulebook NEW than by OLD, beside any others named',
    '  --method    explain this method only',
    '  schema      prints the JSON Schema of a rulebook, for an editor that completes words',
    '  in-force    which text of each rulebook decides here: what officers published counts more than the file that ships',
    '  restore     puts the file that ships back into force, where a new release cannot read what was published;',
    '              without --yes, says what it would do',
    '  --folder    where vocabulary.yaml, the rulebooks and the cases are, when not those that ship; its vocabulary.yaml',
    '              holds all words, or (format safehand-more-words/1) words to be added to those that ship',
    '',
    'Exit code 0: sound, decided, or all cases passed, nothing found or changed. 1: not. 2: called wrongly.',
  ].join('\n'),
  options: {
    folder: { type: 'string' },
    facts: { type: 'string' },
    rulebook: { type: 'string', multiple: true },
    method: { type: 'string' },
    data: { type: 'string' },
    yes: { type: 'boolean' },
  },
  async run(call) {
    const [name, ...rest] = call.positionals
    const run = name === undefined ? undefined : commands.get(name)
    if (run && !(name === 'check' && rest.length === 0)) return run(call, rest)
    if (name === 'schema') {
      call.io.out(JSON.stringify(rulebookSchema(await readVocabulary(call)), undefined, 1))
      return 0
    }
    call.io.err(`Say check with a file, decide, test, analyse, diff, schema, in-force or restore.\n\n${this.usage}`)
    return 2
  },
}

const commands = new Map([
  ['check', check],
  ['decide', decideFacts],
  ['test', testCases],
  ['analyse', analyseFiles],
  ['diff', diffFiles],
  ['in-force', inForceHere],
  ['restore', restoreHere],
])

const folderOf = ({ values }: Call) => (values['folder'] as string | undefined) ?? shippedFolder

async function readText(path: string): Promise<Outcome<string>> {
  const says = (sentence: string) => fail('file-unreadable', { detail: `${path}: ${sentence}` })
  const most = limits.rulebookCharacters
  try {
    const found = await stat(path)
    if (!found.isFile()) return says(`This is ${found.isDirectory() ? 'a folder. Name a file in it' : 'no file'}.`)
    // No character takes more than four bytes.
    return found.size > 4 * most ? says(`It is longer than ${most} characters.`) : ok(await readFile(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return says('It cannot be read.')
    const beside = await readdir(dirname(path)).catch(() => [])
    return says(`There is no such file. ${beside.length > 0 ? nearest(basename(path), beside) : ''}`.trimEnd())
  }
}

const formatOf = (text: string) => /^\uFEFF?format: *["']?safehand-(vocabulary|more-words|cases)\b/m.exec(text)?.[1]

/** A vocabulary, whole or added to the one that ships. */
async function loadWords(file: string, text: string): Promise<Outcome<Vocabulary>> {
  if (formatOf(text) !== 'more-words') return loadVocabulary(file, text)
  const shared = orThrow(await readText(join(shippedFolder, 'vocabulary.yaml')))
  return loadVocabulary(file, text, orThrow(loadVocabulary('vocabulary.yaml', shared)))
}

async function readVocabulary(call: Call): Promise<Vocabulary> {
  return orThrow(await loadWords('vocabulary.yaml', orThrow(await readText(join(folderOf(call), 'vocabulary.yaml')))))
}

async function readRulebooks(vocabulary: Vocabulary, files: string[]): Promise<Rulebook[]> {
  const read = async (file: string) => orThrow(loadRulebook(basename(file), orThrow(await readText(file)), vocabulary))
  return Promise.all(files.map(read))
}

const fileOf = (call: Call) => (id: string) => join(folderOf(call), `${basename(id)}.yaml`)

async function readPolicy(call: Call, ids: string[], files: string[] = []): Promise<Policy> {
  const vocabulary = await readVocabulary(call)
  const rulebooks = await readRulebooks(vocabulary, [...ids.map(fileOf(call)), ...files])
  if (new Set(rulebooks.map(({ id }) => id)).size < rulebooks.length)
    throw new CalledWrongly('Name each rulebook once.')
  return stack(vocabulary, rulebooks, [...vocabulary.methods.keys()])
}

async function check(call: Call, files: string[]): Promise<number> {
  const { io, json } = call
  const results: { file: string; sound: boolean; says: string; faults: Record<string, string> }[] = []
  for (const file of files) {
    const checked = await checkFile(call, file)
    const problem: Problem | undefined = checked.ok ? undefined : checked.problem
    results.push({
      file,
      sound: checked.ok,
      says: checked.ok ? checked.value : (problem?.detail ?? ''),
      faults: problem?.fields ?? {},
    })
  }
  if (json) io.out(JSON.stringify(results))
  else
    for (const { file, sound, says, faults } of results) {
      const lines = Object.entries(faults).map(([place, fault]) => `${place} ${fault}`)
      io.out(sound ? `${file}: sound. ${says}` : lines.length > 0 ? lines.join('\n') : says)
    }
  return results.every(({ sound }) => sound) ? 0 : 1
}

async function checkFile(call: Call, file: string): Promise<Outcome<string>> {
  const read = await readText(file)
  if (!read.ok) return read
  const format = formatOf(read.value)
  if (format === 'vocabulary' || format === 'more-words') {
    const loaded = await loadWords(file, read.value)
    return loaded.ok ? ok(`${loaded.value.facts.size} facts, ${loaded.value.methods.size} methods.`) : loaded
  }
  const vocabulary = await readVocabulary(call)
  if (format === 'cases') {
    const loaded = loadCases(file, read.value, vocabulary)
    return loaded.ok ? ok(`${loaded.value.cases.length} cases.`) : loaded
  }
  const loaded = loadRulebook(file, read.value, vocabulary)
  return loaded.ok ? ok(`Version ${loaded.value.version}, ${loaded.value.rules.length} rules.`) : loaded
}

async function decideFacts(call: Call, pairs: string[]): Promise<number> {
  const { io, json, values } = call
  const policy = await readPolicy(call, (values['rulebook'] as string[] | undefined) ?? ['council'])
  const wrong = pairs.find((pair) => !pair.includes('='))
  const method = values['method'] as string | undefined
  if (wrong !== undefined || (method !== undefined && !policy.vocabulary.methods.has(method))) {
    io.err(wrong === undefined ? `There is no method ‘${method}’.` : `Write FACT=VALUE, not ‘${wrong}’.`)
    return 2
  }
  const given = [values['facts'] as string | undefined, pairs.map((pair) => pair.replace('=', ': ')).join('\n')]
  const read = given.flatMap((words) => (words ? [readFacts(words, policy.vocabulary)] : []))
  const decided = decide(policy, Object.assign({}, ...read.map(orThrow)))
  if (!decided.ok) return printProblem(decided.problem, { io, json })
  io.out(json ? JSON.stringify(decided.value) : inWords(policy, decided.value, method))
  return 0
}

function inWords({ vocabulary }: Policy, decision: Decision, method: string | undefined): string {
  const shown = method ? [method] : decision.order.filter((id) => !decision.methods[id]!.silent)
  const blocks = shown.map((id) =>
    explain(vocabulary, decision, id)
      .map(
        ({ says, clauses }, place) =>
          `${place === 0 ? '' : '  '}${says}${clauses.length > 0 ? ` [${clauses.join(', ')}]` : ''}`,
      )
      .join('\n'),
  )
  const ask = decision.ask.map((role) => vocabulary.roles.get(role)?.name ?? role)
  return [decision.outcome, ...blocks, ...(ask.length > 0 ? [`Ask next: ${ask.join(' or ')}.`] : [])].join('\n\n')
}

async function testCases(call: Call, files: string[]): Promise<number> {
  const { io, json } = call
  const results: { file: string; case: string; title: string; differences: string[] }[] = []
  for (const file of files.length > 0 ? files : await shippedCases(call)) {
    const vocabulary = await readVocabulary(call)
    const loaded = orThrow(loadCases(file, orThrow(await readText(file)), vocabulary))
    const policy = await readPolicy(call, loaded.rulebooks)
    for (const each of loaded.cases) {
      const ran = runCase(policy, loaded.assume, each)
      results.push({
        file,
        case: each.id,
        title: each.title,
        differences: ran.ok ? ran.value.differences : [ran.problem.detail ?? ran.problem.slug],
      })
    }
  }
  const failed = results.filter(({ differences }) => differences.length > 0)
  if (json) io.out(JSON.stringify(results))
  else {
    for (const { case: id, title, differences } of failed)
      io.out([`${id}: ${title}`, ...differences.map((each) => `  ${each}`)].join('\n'))
    io.out(`${results.length - failed.length} of ${results.length} cases passed.`)
  }
  return failed.length === 0 && results.length > 0 ? 0 : 1
}

async function shippedCases(call: Call): Promise<string[]> {
  const folder = join(folderOf(call), 'cases')
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  return names
    .filter((name) => name.endsWith('.yaml'))
    .toSorted()
    .map((name) => join(folder, name))
}

/** Numbers of cases can be larger than JSON's numbers: they are written as text. */
const withCounts = (value: unknown) =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}` : each))

async function analyseFiles(call: Call, files: string[]): Promise<number> {
  const { io, json, values } = call
  const ids = (values['rulebook'] as string[] | undefined) ?? (files.length > 0 ? [] : ['council'])
  const policy = await readPolicy(call, ids, files)
  const analysed = analyse(policy)
  if (!analysed.ok) return printProblem(analysed.problem, { io, json })
  io.out(json ? withCounts(analysed.value) : analysisInWords(policy, analysed.value))
  return analysed.value.findings.length === 0 ? 0 : 1
}

function analysisInWords({ vocabulary, rulebooks }: Policy, { cases, findings, more, closed }: Analysis): string {
  const names = (methods: string[]) => methods.map((id) => vocabulary.methods.get(id)!.name).join('; ')
  const total = findings.length + more
  return [
    ...findings.map((each) => findingInWords(each, names(each.methods))),
    ...(more > 0 ? [`And ${more} more.`, ''] : []),
    `Looked at all ${cases.toLocaleString('en-GB')} cases of ${rulebooks.map(({ id, version }) => `${id} ${version}`).join(', ')}.`,
    total === 0 ? 'No gap, no contradiction, and nothing without effect.' : `${total} found.`,
    ...(closed.length > 0 ? [`Never to be used: ${names(closed)}.`] : []),
  ].join('\n')
}

const headings: Record<Finding['kind'], string> = {
  gap: 'Gap',
  contradiction: 'Contradiction',
  'never-fires': 'Rule without a case',
  'never-met': 'Obligation nobody can meet',
  'never-allowed': 'Method never allowed',
}

const findingInWords = ({ kind, says, rules, ...described }: Finding, methods: string) =>
  [
    `${headings[kind]}: ${says}`,
    ...rules.map(({ rulebook: id, rule, title }) => `  Rule ${rule} of ${id}: ${title}`),
    ...(methods ? [`  Methods: ${methods}`] : []),
    ...casesInWords(described),
    '',
  ].join('\n')

/** Which cases, and the shortest account of one of them. */
function casesInWords({ cases, of, where, because }: Described): string[] {
  const words = (list: CaseWord[]) => list.map(({ question, answer }) => `${question} ${answer}.`).join(' ')
  if (cases === 0n) return []
  const [some, all] = [cases, of].map((number) => number.toLocaleString('en-GB'))
  return [
    `  In ${some} cases${cases === of ? '' : ` of the ${all} where`}: ${words(where) || 'whatever the answers.'}`,
    ...(cases === of ? [] : [`  For example: ${words(because)}`]),
  ]
}

async function diffFiles(call: Call, files: string[]): Promise<number> {
  const { io, json, values } = call
  if (files.length !== 2) throw new CalledWrongly('Name two files: the old rulebook and the new one.')
  const beside = (values['rulebook'] as string[] | undefined) ?? []
  const [before, after] = await Promise.all(files.map((file) => readPolicy(call, beside, [file])))
  const compared = compare(before!, after!)
  if (!compared.ok) return printProblem(compared.problem, { io, json })
  io.out(json ? withCounts(compared.value) : comparisonInWords(after!, compared.value))
  return compared.value.rules.length === 0 && compared.value.changed === 0n ? 0 : 1
}

function comparisonInWords({ vocabulary }: Policy, { cases, changed, changes, more, rules }: Comparison): string {
  const name = (id: string) => vocabulary.methods.get(id)!.name
  const group = ({ methods, before, after, rules: by, ...described }: Change) =>
    [
      `${methods.map(name).join('; ')}: ${saidInWords(before)} → ${saidInWords(after)}`,
      ...(by.length > 0 ? [`  By ${by.map(({ rule, is }) => `${rule} (${is})`).join(', ')}`] : []),
      ...casesInWords(described),
      '',
    ].join('\n')
  return [
    ...changes.map(group),
    ...(more > 0 ? [`And ${more} more groups of cases.`, ''] : []),
    ...rules.map(({ rulebook: id, rule, title, is }) => `Rule ${rule} of ${id} is ${is}: ${title}`),
    `${changed.toLocaleString('en-GB')} of ${cases.toLocaleString('en-GB')} cases change.`,
  ].join('\n')
}

const saidInWords = (said: Said[]): string =>
  said
    .map((each) => {
      if ('outcome' in each) return each.outcome
      if ('limit' in each) return `limit ${each.limit} ${each.value}`
      return 'met' in each ? `obligation ${each.obligation} met` : `obligation ${each.obligation}`
    })
    .join(', ') || 'nothing'

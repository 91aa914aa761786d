import { readFile, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fail, ok, orThrow, type Outcome, type Problem } from '#core/kit/outcome'
import { loadCases, readFacts, runCase } from '#core/policy/cases'
import { decide, type Decision } from '#core/policy/decide'
import { explain } from '#core/policy/explain'
import { loadRulebook, rulebookSchema } from '#core/policy/rulebook'
import { stack, type Policy } from '#core/policy/stack'
import type { Vocabulary } from '#core/policy/terms'
import { loadVocabulary } from '#core/policy/vocabulary'
import { printProblem, type Call, type Command } from '#shell/cli/command'

const shippedFolder = fileURLToPath(new URL('../../../../rulebooks/', import.meta.url))

/** `safehand rulebook`: for the person who keeps the rulebooks. Reads files and changes nothing. */
export const rulebook: Command = {
  summary: 'Check, try out and test rulebooks',
  usage: [
    'safehand rulebook check FILE… [--folder FOLDER] [--json]',
    'safehand rulebook decide FACT=VALUE… [--facts FACTS] [--rulebook ID]… [--method ID] [--json]',
    'safehand rulebook test [FILE…] [--json]',
    'safehand rulebook schema',
    '',
    '  FILE        a vocabulary, a rulebook or a file of cases; `test` runs all cases when none is named',
    '  FACT=VALUE  for example audience=individual published=yes size="4 MB"',
    '  --facts     the same as one JSON or YAML object',
    '  --rulebook  whose rulebook decides, may be given several times (council)',
    '  --method    explain this method only',
    '  schema      prints the JSON Schema of a rulebook, for an editor that completes words',
    '  --folder    where vocabulary.yaml, the rulebooks and the cases are, when not those that ship',
    '',
    'Exit code 0: sound, decided, or all cases passed. 1: not. 2: called wrongly.',
  ].join('\n'),
  options: {
    folder: { type: 'string' },
    facts: { type: 'string' },
    rulebook: { type: 'string', multiple: true },
    method: { type: 'string' },
  },
  async run(call) {
    const [name, ...rest] = call.positionals
    const run = name === 'check' ? check : name === 'decide' ? decideFacts : name === 'test' ? testCases : undefined
    if (run && !(name === 'check' && rest.length === 0)) return run(call, rest)
    if (name === 'schema') {
      call.io.out(JSON.stringify(rulebookSchema(await readVocabulary(call)), undefined, 1))
      return 0
    }
    call.io.err(`Say check with a file, decide, test or schema.\n\n${this.usage}`)
    return 2
  },
}

const folderOf = ({ values }: Call) => (values['folder'] as string | undefined) ?? shippedFolder

async function readText(path: string): Promise<Outcome<string>> {
  try {
    return ok(await readFile(path, 'utf8'))
  } catch (error) {
    return fail('file-unreadable', {
      detail: `${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'There is no such file.' : 'It cannot be read.'}`,
    })
  }
}

async function readVocabulary(call: Call): Promise<Vocabulary> {
  return orThrow(loadVocabulary('vocabulary.yaml', orThrow(await readText(join(folderOf(call), 'vocabulary.yaml')))))
}

async function readPolicy(call: Call, ids: string[]): Promise<Policy> {
  const vocabulary = await readVocabulary(call)
  const texts = await Promise.all(ids.map((id) => readText(join(folderOf(call), `${basename(id)}.yaml`))))
  const rulebooks = texts.map((text, place) => orThrow(loadRulebook(`${ids[place]}.yaml`, orThrow(text), vocabulary)))
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
  const format = /^format: *safehand-(vocabulary|cases)/m.exec(read.value)?.[1]
  if (format === 'vocabulary') {
    const loaded = loadVocabulary(file, read.value)
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

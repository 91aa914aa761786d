import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { ProblemError } from '#core/kit/outcome'
import { CalledWrongly, harmless, printProblem, type Command, type Io } from '#shell/cli/command'

/** Every command, loaded only when it is called, so that `safehand verify` does not load a web server. */
const commands: Record<string, () => Promise<Command>> = {
  serve: async () => (await import('#shell/cli/commands/serve')).serve,
  init: async () => (await import('#shell/cli/commands/init')).init,
  migrate: async () => (await import('#shell/cli/commands/migrate')).migrateCommand,
  backup: async () => (await import('#shell/cli/commands/backup')).backup,
  restore: async () => (await import('#shell/cli/commands/restore')).restore,
  erase: async () => (await import('#shell/cli/commands/erase')).erase,
  keeper: async () => (await import('#shell/cli/commands/keeper')).keeper,
  send: async () => (await import('#shell/cli/commands/send')).send,
  collect: async () => (await import('#shell/cli/commands/collect')).collect,
  verify: async () => (await import('#shell/cli/commands/verify')).verify,
  witness: async () => (await import('#shell/cli/commands/witness')).witness,
  fsck: async () => (await import('#shell/cli/commands/fsck')).fsck,
  rulebook: async () => (await import('#shell/cli/commands/rulebook')).rulebook,
  token: async () => (await import('#shell/cli/commands/token')).token,
  digest: async () => (await import('#shell/cli/commands/digest')).digest,
  outbox: async () => (await import('#shell/cli/commands/outbox')).outbox,
}

const processIo: Io = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  ...(process.stderr.isTTY ? { status: (line) => void process.stderr.write(`\r\u001b[K${line}`) } : {}),
  ...(process.stdin.isTTY && process.stderr.isTTY ? { ask } : {}),
  input: () => text(process.stdin),
  bytes: () => process.stdin,
  ...(process.stdout.isTTY ? {} : { write: (bytes) => pipeline(bytes, process.stdout, { end: false }) }),
  env: process.env,
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await lines.question(`${question} `)).trim()
  } finally {
    lines.close()
  }
}

async function overview(io: Io): Promise<number> {
  const loaded = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => ({ name, command: await load() })),
  )
  io.out('safehand: share and move sensitive information properly\n')
  for (const { name, command } of loaded) io.out(`  ${name.padEnd(10)} ${command.summary}`)
  io.out('\n`safehand COMMAND --help` says more. Every command takes --json.')
  return 0
}

/** Runs the command line and answers its exit code: 0 done, 1 refused or failed, 2 called wrongly. */
export async function runSafehand(args: string[], terminal: Io = processIo): Promise<number> {
  const [name, ...rest] = args
  const json = rest.includes('--json')
  const io: Io = {
    ...terminal,
    out: (text) => terminal.out(harmless(text, json)),
    err: (text) => terminal.err(harmless(text, false)),
  }
  if (!name || name === '--help' || name === 'help') return overview(io)
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!load) {
    io.err(`There is no command ‘${name}’. \`safehand --help\` lists them.`)
    return 2
  }
  const command = await load()
  try {
    const options = { ...command.options, help: { type: 'boolean' as const }, json: { type: 'boolean' as const } }
    const { values, positionals } = parseArgs({ args: rest, options, allowPositionals: true })
    if (values.help) {
      io.out(`${command.summary}\n\n${command.usage}`)
      return 0
    }
    return await command.run({ values: values as never, positionals, json, io })
  } catch (error) {
    if (error instanceof ProblemError) return printProblem(error.problem, { io, json })
    const isUnparsed = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
    if (isUnparsed || error instanceof CalledWrongly) {
      io.err(`${error.message}\n\n${command.usage}`)
      return 2
    }
    // The disk is full, a folder may not be entered: the person can do something about it, and a stack is no help.
    if (error instanceof Error && 'syscall' in error) {
      io.err(`This could not be done: ${error.message}`)
      return 1
    }
    throw error
  }
}

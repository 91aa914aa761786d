/** A demonstration server and the command lines of several people: each home holds one person's own keys. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { runSafehand } from '#shell/cli/safehand'
import { Browser } from '#test/house'
import { aDemonstration, remote } from './support.ts'

export const amir = 'amir.khan@northbrook-police.example'
export const lena = 'lena.fischer@harbour-trust.example'
export const why = ['--purpose', 'Strategy meeting', '--limits', 'For the meeting only', '--reason', 'protect-someone']
export const sensitive = ['--class', 'restricted', '--personal', 'yes']
export const confirmed = ['--confirm', 'switchboard:Rang the switchboard and was put through', '--left-out', 'none']

/** What the commands answer with --json, each some of it. */
interface Answer {
  token: string
  problem: string
  detail: string
  transferId: string
  phrases?: { phrase: string }[]
  keys: unknown[]
  files: number
  ran: string[]
}

interface Mail {
  subject: string
  text: string
  links: { url: string }[]
}

/** Whose command line it is, what is typed into it, and who watches. */
export interface Person {
  home?: string
  env?: Record<string, string>
  input?: string
  /** Answers what is asked on the terminal; without it there is none. */
  say?: (question: string) => string
  onStatus?: (line: string) => void
}

export type CommandLine = Awaited<ReturnType<typeof aCommandLine>>

/** Starts a demonstration with these settings, and a token for the social worker, whose command line is the usual one. */
export async function aCommandLine(
  t: { after(clean: () => Promise<void>): void },
  settings: Record<string, string> = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-cli-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const server = await aDemonstration(t, settings)
  const data = join(server.folder, 'data')
  let token = ''

  async function cli(args: string[], { home = 'priya', env = {}, input = '', say, onStatus }: Person = {}) {
    const lines = { out: [] as string[], err: [] as string[] }
    const code = await runSafehand(args, {
      out: (text) => void lines.out.push(text),
      err: (text) => void lines.err.push(text),
      input: () => Promise.resolve(input),
      ...(say ? { ask: (question) => Promise.resolve(say(question)) } : {}),
      ...(onStatus ? { status: onStatus } : {}),
      env: { HOME: join(folder, home), SAFEHAND_SERVER: server.url, SAFEHAND_TOKEN: token, ...env },
    })
    const out = lines.out.join('\n')
    const json = (args.includes('--json') ? JSON.parse(out) : {}) as Answer
    return { code, out, err: lines.err.join('\n'), json }
  }

  async function tokenOf(person: string): Promise<string> {
    const made = await cli(['token', '--person', person, '--data', data, '--json'])
    assert.equal(made.code, 0, made.err)
    return made.json.token
  }
  token = await tokenOf('priya.nair@exampleshire.example')

  const mails = async (to: string) =>
    (await cli(['outbox', '--data', data, '--to', to, '--json'])).json as unknown as Mail[]
  const newestLink = async (to: string) =>
    (await mails(to)).flatMap((mail) => mail.links).find(({ url }) => url.includes('/collect/'))!.url
  const newestCode = async (to: string) =>
    /^ {4}([0-9A-Z]{8})$/m.exec((await mails(to)).find(({ subject }) => subject.includes('code'))!.text)![1]!

  /** Sends with --json, and finds the link in the recipient's mail. */
  async function send(source: string, to: string, options = [...sensitive, ...confirmed], person: Person = {}) {
    const sent = await cli(['send', source, '--to', to, ...why, ...options, '--json'], person)
    const link = sent.code === 0 ? await newestLink(to) : ''
    return { ...sent, words: sent.json.phrases?.[0]?.phrase ?? '', link }
  }

  /** Proves the mailbox, so that the link can be collected from this home without more ado. */
  async function prove(link: string, to: string, home: string): Promise<void> {
    const asked = await cli(['collect', link], { home })
    assert.match(asked.err, /^A code has been mailed\./)
    const proved = await cli(['collect', link, '--code', await newestCode(to)], { home })
    assert.match(proved.err, /^Purpose, limits and handling have not been confirmed\./)
  }

  /** A folder with names in several scripts, an empty file and an empty folder. */
  async function aCaseFile(name: string): Promise<string> {
    const path = join(folder, name)
    await mkdir(join(path, 'Dogfennau – ŵy', '空'), { recursive: true })
    await writeFile(join(path, 'Dogfennau – ŵy', 'läge 日本語 🗂.txt'), 'äöü')
    await writeFile(join(path, 'empty'), '')
    return path
  }

  type Found = { id: string; organisationId: string; name: string }

  /** The service desk finds somebody in the directory and changes what is kept of them or their organisation. */
  async function desk(email: string, change: (found: Found) => { path: string; body: object }): Promise<void> {
    const grace = await Browser.of(remote(server.url), 'Grace Oduya')
    const { id } = await grace.post<{ id: string }>('/api/transfers', {})
    const { found } = await grace.post<{ found: Found[] }>(`/api/transfers/${id}/who/search`, { q: email })
    const { path, body } = change(found[0]!)
    await grace.post(path, body)
  }

  return { server, folder, data, cli, tokenOf, mails, newestLink, newestCode, send, prove, aCaseFile, desk }
}

/** Everything in a folder: each folder's and file's path, a file's with its digest. */
export async function treeOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    const digest = entry.isFile()
      ? createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      : 'folder'
    return `${relative(folder, path)} ${digest}`
  })
  return (await Promise.all(lines)).toSorted()
}

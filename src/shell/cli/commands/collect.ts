import { createWriteStream } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { limits } from '#core/kit/limits'
import { fail, orThrow } from '#core/kit/outcome'
import {
  acknowledge,
  admit,
  fetchContent,
  fetchLock,
  fetchManifest,
  openCollection,
  openOffered,
  readLink,
  signFor,
  unlock,
  type Link,
  type Offered,
} from '#shell/cli/collecting'
import type { Api } from '#shell/cli/api'
import { CalledWrongly, type Call, type Command } from '#shell/cli/command'
import { progressBar, sizeWords } from '#shell/cli/progress'
import { saveAll, saveBeside } from '#shell/cli/saving'

/** `safehand collect`: the recipient's side, without a browser. */
export const collect: Command = {
  summary: 'Collect a parcel from its mailed link',
  usage: `safehand collect LINK [--out FOLDER] [--code CODE] [--words WORDS|-] [--identity FILE] [--yes]

  LINK               the link in the email, in quotes, with all that follows the # sign
  --out FOLDER       where the files go (default: a folder named after the reference)
  --code CODE        the code that was mailed when you ran the command without it
  --words WORDS      the seven words you were told; - reads them from standard input, where nobody else sees them
  --identity FILE    the file of your age key, where the parcel was locked to it
  --yes              you have read purpose, limits and handling, and confirm all three
  --ciphertext FOLDER  save lock.age, manifest.age and content.age for age itself, and stop; nothing is signed

On a terminal what is missing is asked for. Nothing is ever overwritten. The receipt you sign is saved with the files.
Exit code 0: collected. 1: refused, failed, or a code or your confirmation is needed first. 2: called wrongly.`,
  options: {
    out: { type: 'string' },
    code: { type: 'string' },
    words: { type: 'string' },
    identity: { type: 'string' },
    yes: { type: 'boolean' },
    ciphertext: { type: 'string' },
  },
  async run(call) {
    const { positionals, values, io } = call
    if (positionals.length !== 1) throw new CalledWrongly('Give the link from the email, in quotes.')
    const link = readLink(positionals[0]!)
    const api = await openCollection(link, io)
    const offered = await admit(api, link, values.code as string | undefined, io)
    await confirmTerms(call, offered)
    const key = await acknowledge(api, link.recipientId)
    if (values.ciphertext !== undefined) return saveCiphertext(call, api, link, offered)
    return open(call, api, link, offered, key)
  },
}

/** Shows what the parcel is for and how it is to be handled; goes on when the person has confirmed all three. */
async function confirmTerms({ values, io, json }: Call, offered: Offered): Promise<void> {
  const { reference, sender, purpose, limits: limitsOfUse, handling, keepUntil, contentSizeBytes, signature } = offered
  if (!json) {
    io.out(
      [
        `Parcel ${reference}, ${sizeWords(contentSizeBytes)}`,
        `From      ${sender ? `${sender.name}, ${sender.organisation}` : 'somebody who is no longer there'}`,
        `Sealed by ${signature === null ? 'a program that did not sign: only the service vouches for who it was' : 'a device of the sender’s'}`,
        `Purpose   ${purpose}`,
        `Limits    ${limitsOfUse || 'none given'}`,
        `Handling  ${handling}`,
        `Until     ${keepUntil.slice(0, 10)}`,
      ].join('\n'),
    )
  }
  if (values.yes === true) return
  const isConfirmed =
    io.ask !== undefined && /^y(es)?$/i.test(await io.ask('Have you read purpose, limits and handling? yes or no:'))
  if (!isConfirmed)
    orThrow(fail('collect-unconfirmed', json ? { fields: { purpose, limits: limitsOfUse, handling } } : {}))
}

async function open(
  { values, io, json }: Call,
  api: Api,
  link: Link,
  offered: Offered,
  key: Awaited<ReturnType<typeof acknowledge>>,
): Promise<number> {
  const given = {
    words: values.words === '-' ? await io.input!() : (values.words as string | undefined),
    identity: values.identity === undefined ? undefined : await readIdentity(values.identity as string),
  }
  const lock = await unlock(offered, await fetchLock(api, link.recipientId), given, io)
  const parcel = orThrow(await openOffered(api, io, link.recipientId, offered, lock))
  const { message, reference } = parcel.manifest
  const folder = resolve((values.out as string | undefined) ?? fileName(reference))
  if (!json && message) io.out(`Message   ${message}`)
  const files = await saveAll(parcel, folder)
  const receipt = await signFor(api, link.recipientId, offered, parcel, key)
  const receiptFile = await saveBeside(folder, `${fileName(reference)}-receipt.tlog-proof`, receipt)
  if (json) io.out(JSON.stringify({ reference, folder, files, message, receiptFile }))
  else io.out(`\nCollected: ${files} ${files === 1 ? 'file' : 'files'} in ${folder}\nReceipt: ${receiptFile}`)
  return 0
}

/** A reference as a name that is safe anywhere: it came from outside. */
const fileName = (reference: string): string => reference.replace(/[^A-Za-z0-9-]/g, '-') || 'parcel'

/** The secret key in an age key file. */
async function readIdentity(path: string): Promise<string> {
  const unreadable = (why: string) => orThrow<string>(fail('file-unreadable', { detail: `${path}: ${why}.` }))
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return unreadable('There is no such file')
  if (found.size > limits.lockBytes) return unreadable('It is too long for a key')
  const identity = /^AGE-SECRET-KEY-(PQ-)?1[02-9A-Z]+$/m.exec(await readFile(path, 'utf8'))?.[0]
  return identity ?? unreadable('There is no age key in it')
}

/** Saves the three sealed files as they are, for any age program to open. */
async function saveCiphertext(
  { values, io, json }: Call,
  api: Api,
  { recipientId }: Link,
  offered: Offered,
): Promise<number> {
  const folder = resolve(values.ciphertext as string)
  await mkdir(folder, { recursive: true })
  const { age, identity } = await fetchLock(api, recipientId)
  const progress = progressBar(io, 'Saving')
  let doneBytes = 0
  const content = fetchContent(api, recipientId, 0, offered.contentSizeBytes, (count) =>
    progress((doneBytes += count), offered.contentSizeBytes),
  )
  const save = async (name: string, bytes: Uint8Array | string) =>
    writeFile(join(folder, name), bytes, { flag: 'wx', mode: 0o600 })
  try {
    await save('lock.age', age)
    if (identity) await save('lock.key', `${identity}\n`)
    await save('manifest.age', await fetchManifest(api, recipientId))
    await pipeline(content, createWriteStream(join(folder, 'content.age'), { flags: 'wx', flush: true }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    orThrow(fail('file-there', { detail: `It is ${(error as NodeJS.ErrnoException).path}` }))
  }
  const lines = [
    `Saved in ${folder}. To open it with age (1.3 or later for post-quantum locks):`,
    `  age -d ${identity ? '-i lock.key ' : offered.lockKind === 'key' ? '-i YOUR-KEY-FILE ' : ''}-o parcel.key lock.age`,
    '  age -d -i parcel.key content.age | tar x',
  ]
  io.out(json ? JSON.stringify({ reference: offered.reference, folder }) : lines.join('\n'))
  return 0
}

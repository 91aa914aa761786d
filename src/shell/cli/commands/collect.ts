import { mkdir, readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { limits } from '#core/kit/limits'
import { fail, orThrow } from '#core/kit/outcome'
import type { OpenedParcel } from '#core/seal/open'
import {
  acknowledge,
  admit,
  collectingOf,
  fetchContent,
  fetchLock,
  fetchManifest,
  forgetCollecting,
  keepCollecting,
  openCollection,
  openOffered,
  readLink,
  signFor,
  unlock,
  type Collecting,
  type Link,
  type Offered,
} from '#shell/cli/collecting'
import type { Api } from '#shell/cli/api'
import { CalledWrongly, type Call, type Command, type Io } from '#shell/cli/command'
import { forgetOldWork } from '#shell/cli/own-files'
import { progressBar, sizeWords } from '#shell/cli/progress'
import { checkFree, checkNames, isFinal, saveAgain, saveAll, saveBeside, saveOn, type Place } from '#shell/cli/saving'

/** `safehand collect`: the recipient's side, without a browser. */
export const collect: Command = {
  summary: 'Collect a parcel from its mailed link',
  usage: `safehand collect LINK [--out FOLDER|-] [--code CODE] [--words WORDS|-] [--identity FILE] [--yes]

  LINK               the link in the email, in quotes, with all that follows the # sign
  --out FOLDER       where the files go (default: a folder named after the reference); - writes the only file of a
                     parcel to standard output, and its receipt into the folder you are in
  --code CODE        the code that was mailed when you ran the command without it
  --words WORDS      the seven words you were told; - reads them from standard input, where nobody else sees them
  --identity FILE    the file of your age key, where the parcel was locked to it
  --yes              you have read purpose, limits and handling, and confirm all three
  --ciphertext FOLDER  save lock.age, manifest.age and content.age for age itself, and stop; nothing is signed

On a terminal what is missing is asked for. Nothing is ever overwritten. The receipt you sign is saved with the files, when
all of them are there. If it is ended before that, in whatever way, run the same command again: it goes on where it was.
Until then what is not whole has a name like .safehand-….part. With --out - it begins again, and whoever reads the output
must look at the exit code: what came before a failure is genuine, and not all.
Exit code 0: collected. 1: refused, failed, or a code or your confirmation is needed first. 2: called wrongly.`,
  options: {
    out: { type: 'string' },
    code: { type: 'string' },
    words: { type: 'string' },
    identity: { type: 'string' },
    yes: { type: 'boolean' },
    ciphertext: { type: 'string' },
  },
  async run({ io: terminal, ...given }) {
    const { positionals, values } = given
    if (positionals.length !== 1) throw new CalledWrongly('Give the link from the email, in quotes.')
    const isPiped = values.out === '-'
    if (isPiped && !terminal.write)
      throw new CalledWrongly('--out - writes to a pipe or a file: what is in it could deceive a terminal.')
    const io = isPiped ? { ...terminal, out: terminal.err } : terminal
    const link = readLink(positionals[0]!)
    await forgetOldWork(io.env)
    const api = await openCollection(link, io)
    const offered = await admit(api, link, values.code as string | undefined, io)
    const call = { ...given, io }
    await confirmTerms(call, offered)
    const collecting = await collectingOf(io.env, link, offered)
    const collection = { api, link, offered, collecting }
    const key = await acknowledge(api, link.recipientId, offered, collecting)
    await (values.ciphertext === undefined ? open(call, collection, key) : saveCiphertext(call, collection))
    await forgetCollecting(io.env, link)
    return 0
  },
}

interface Collection {
  api: Api
  link: Link
  offered: Offered
  collecting: Collecting
}

/** Where a collection is saved: in a folder that is found free, or was at the time when it began. */
async function placeOf(
  { env }: Io,
  { link, collecting }: Collection,
  folder: string,
  check: () => void,
): Promise<Place> {
  if (collecting.folder !== folder) {
    check()
    await keepCollecting(env, link, { ...collecting, folder })
  }
  return { folder, name: collecting.name }
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
  collection: Collection,
  key: Awaited<ReturnType<typeof acknowledge>>,
): Promise<void> {
  const { api, offered, collecting } = collection
  const { recipientId } = collection.link
  const given = {
    words: values.words === '-' ? await io.input!() : (values.words as string | undefined),
    identity: values.identity === undefined ? undefined : await readIdentity(values.identity as string),
  }
  const lock = await unlock(offered, await fetchLock(api, recipientId), given, io)
  const parcel = orThrow(await openOffered(api, io, recipientId, offered, lock))
  const { message, reference } = parcel.manifest
  if (!json && message) io.out(`Message   ${message}`)
  const isPiped = values.out === '-'
  const folder = resolve(isPiped ? '.' : ((values.out as string | undefined) ?? fileName(reference)))
  const place = isPiped
    ? { folder, name: collecting.name }
    : await placeOf(io, collection, folder, () => checkFree(folder, parcel))
  const files = isPiped ? await writeOnly(io, parcel) : await saveOrForget(io, collection, parcel, place)
  const receipt = await signFor(api, recipientId, offered, parcel, key)
  const receiptFile = await saveBeside(place, `${fileName(reference)}-receipt.tlog-proof`, receipt)
  const where = isPiped ? 'written' : `in ${folder}`
  if (json) io.out(JSON.stringify({ reference, folder, files, message, receiptFile }))
  else io.out(`\nCollected: ${files} ${files === 1 ? 'file' : 'files'} ${where}\nReceipt: ${receiptFile}`)
}

/** Saves everything; where the parcel can never be saved whole, there is nothing to go on with. */
async function saveOrForget({ env }: Io, { link }: Collection, parcel: OpenedParcel, place: Place): Promise<number> {
  try {
    return await saveAll(parcel, place)
  } catch (error) {
    if (isFinal(error)) await forgetCollecting(env, link)
    throw error
  }
}

/** Writes the only file of a parcel to standard output. Comes back when all of it was right, and was taken. */
async function writeOnly({ write }: Io, parcel: OpenedParcel): Promise<number> {
  const files = parcel.manifest.index.filter(({ type }) => type === 'file')
  if (files.length !== 1) orThrow(fail('parcel-many-files', { detail: `It has ${files.length}.` }))
  for await (const { type, bytes } of parcel.entries()) if (type === 'file') await write!(bytes)
  return 1
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
async function saveCiphertext({ values, io, json }: Call, collection: Collection): Promise<void> {
  const { api, offered } = collection
  const { recipientId } = collection.link
  const folder = resolve(values.ciphertext as string)
  await mkdir(folder, { recursive: true })
  const names = ['lock.age', 'lock.key', 'manifest.age', 'content.age']
  const place = await placeOf(io, collection, folder, () => checkNames(folder, names))
  const { age, identity } = await fetchLock(api, recipientId)
  await saveAgain(place, 'lock.age', age)
  if (identity) await saveAgain(place, 'lock.key', `${identity}\n`)
  await saveAgain(place, 'manifest.age', await fetchManifest(api, recipientId))
  const progress = progressBar(io, 'Saving')
  await saveOn(place, 'content.age', (start) => {
    let doneBytes = start
    const onBytes = (count: number) => progress((doneBytes += count), offered.contentSizeBytes)
    return fetchContent(api, recipientId, start, offered.contentSizeBytes, onBytes)
  })
  const lines = [
    `Saved in ${folder}. To open it with age (1.3 or later for post-quantum locks):`,
    `  age -d ${identity ? '-i lock.key ' : offered.lockKind === 'key' ? '-i YOUR-KEY-FILE ' : ''}-o parcel.key lock.age`,
    '  age -d -i parcel.key content.age | tar x',
  ]
  io.out(json ? JSON.stringify({ reference: offered.reference, folder }) : lines.join('\n'))
}

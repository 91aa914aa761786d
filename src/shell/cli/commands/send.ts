import { resolve } from 'node:path'
import { limits } from '#core/kit/limits'
import { ProblemError } from '#core/kit/outcome'
import { Api, serverAddress } from '#shell/cli/api'
import { findSending, forgetSending, jsonDigest, keepSending, type BegunSending } from '#shell/cli/begun-sendings'
import { CalledWrongly, printProblem, type Call, type Command, type Io } from '#shell/cli/command'
import { addRecipient, answerQuestions, chooseMethod, decisionOn, inWords, type Newcomer } from '#shell/cli/describing'
import { enrolDevice, type Device } from '#shell/cli/device'
import { forgetOldWork } from '#shell/cli/own-files'
import { sizeWords, waitingWords } from '#shell/cli/progress'
import { begunSealing, isComplete, sealAndSend, wordsAnew, type SendRequest } from '#shell/cli/sealing'
import { readInput, sourcesOf, type LocalSource } from '#shell/cli/sources'

const usage = `safehand send PATH… --to EMAIL --purpose WORDS --reason REASON --class CLASS [options]

  --to EMAIL             who it is for; several times for several people
  --kind KIND            for somebody who is not in the directory: individual or organisation,
    --name NAME            with their name,
    --organisation NAME    their organisation's name,
    --sector SECTOR        and what kind of organisation it is if that is new too, such as school or police
  --purpose WORDS        why it is shared, in words that the recipient will read
  --reason REASON        protect-someone, deliver-a-service, criminal-justice, legal-duty, statutory-return,
                         answer-a-request or other
  --class CLASS          how sensitive it is: public, controlled, restricted, published
  --personal yes|no      whether it is about people who can be recognised
  --urgency URGENCY      at-risk-now, today or no-rush (the default)
    --could-happen WORDS   at risk now: what could happen if you wait,
    --why-now WORDS        and why it cannot
  --answer FACT=VALUE    the answer to any other question; not-sure is always one
  --information WORDS    what kind of information it is, for the record (default: Files)
  --limits WORDS         limits on its use
  --left-out WORDS       you looked through it, and this is what you left out as not needed; none: nothing
  --case REF             your case reference
  --message WORDS        a message that is sealed with the files
  --confirm HOW:DETAIL   you have checked that the recipients are the right people and may have it.
                         HOW: known, switchboard, directory, in-person or other; DETAIL: what you checked
  --days N               for how long it can be collected (default ${limits.parcelDays}, at most ${limits.parcelDaysMax})
  --method METHOD        managed_transfer (the default) or encrypted_email
  --as NAME              PATH is -: one file of this name from standard input, such as … | safehand send - --as data.csv
  --transfer ID          go on with a transfer that was begun
  --server URL           or SAFEHAND_SERVER
  --token TOKEN          or SAFEHAND_TOKEN, which other users of this machine cannot see

Folders are sent with all that is in them. The seven words for each recipient are printed once and kept nowhere.
Your device's keys are kept in ~/.config/safehand. If it is ended before it is done, in whatever way, run the same command
again within ${limits.sealingHours} hours: it goes on where it was. What changed meanwhile is sealed anew, under other keys.
What comes from standard input is sent when that ends, also when the program before it failed.
Exit code 0: sent. 1: refused, something must be done first, or it failed. 2: called wrongly.`

const text = { type: 'string' } as const

/** `safehand send`: the same way as the pages, by the same API. */
export const send: Command = {
  summary: 'Decide, seal and send files and folders',
  usage,
  options: {
    to: { type: 'string', multiple: true },
    answer: { type: 'string', multiple: true },
    kind: text,
    name: text,
    organisation: text,
    sector: text,
    purpose: text,
    reason: text,
    class: text,
    personal: text,
    urgency: text,
    'could-happen': text,
    'why-now': text,
    information: text,
    limits: text,
    'left-out': text,
    case: text,
    message: text,
    confirm: text,
    days: text,
    method: text,
    transfer: text,
    as: text,
    server: text,
    token: text,
  },
  async run(call) {
    const said = read(call)
    const { env } = call.io
    await forgetOldWork(env)
    const input = said.as === undefined ? undefined : await readInput(env, said.as, call.io.bytes!())
    try {
      const sources = input ? [input.source] : await sourcesOf(call.positionals)
      const onWaiting = () => call.io.status?.(waitingWords)
      const api = new Api({ server: said.server, token: said.token, onWaiting })
      const device = await enrolDevice(api, env)
      const sending = await sendingOf(api, env, said)
      if (input) input.source.modifiedAtMs = sending.at
      return await sendOrExplain(api, call, { said, sending, sources, device })
    } finally {
      await input?.close()
    }
  },
}

/** The sending that this command began before it was ended, where it can be gone on with; or a new one. */
async function sendingOf(api: Api, env: NodeJS.ProcessEnv, said: Said): Promise<BegunSending> {
  const { command, transfer: asked } = said
  const found = await findSending(env, { command, transferId: asked })
  if (found && (asked !== undefined || (await isOpen(api, found)))) return found
  if (found) await forgetSending(env, found)
  const transferId = asked ?? (await api.post<{ id: string }>('/api/transfers', {})).id
  const sending = { transferId, command, at: Date.now() }
  await keepSending(env, sending)
  return sending
}

/** Whether anything is left to do for a sending. */
async function isOpen(api: Api, sending: BegunSending): Promise<boolean> {
  try {
    const { transfer } = await api.get<Page>(`/api/transfers/${sending.transferId}`)
    return transfer.state === 'draft' || transfer.state === 'ready' || (await isComplete(api, sending))
  } catch (error) {
    if (error instanceof ProblemError && error.problem.slug === 'not-found') return false
    throw error
  }
}

interface Work {
  said: Said
  sending: BegunSending
  sources: LocalSource[]
  device: Device
}

async function sendOrExplain(api: Api, call: Call, work: Work): Promise<number> {
  const { transferId } = work.sending
  try {
    await sendAll(api, call, work)
    await forgetSending(call.io.env, work.sending)
    return 0
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    const code = printProblem(error.problem, call, { transferId })
    const state = work.sending.sealing ? 'It has not been ended' : 'Nothing has been sent'
    if (!call.json) call.io.err(`\n${state}. To go on with this transfer, add --transfer ${transferId}`)
    return code
  }
}

async function sendAll(api: Api, call: Call, { said, sending, sources, device }: Work): Promise<void> {
  const { io } = call
  const { transferId } = sending
  const sizeBytes = sources.reduce((total, source) => total + source.sizeBytes, 0)
  const sent = { transferId, sizeBytes, decision: [] as unknown, keys: [] }
  if (await isComplete(api, sending)) {
    io.err('It had been sent, by a command that was ended before it showed the words. These are new, with a new link.')
    return report(api, call, { ...sent, phrases: await wordsAnew(api, device, sending) })
  }
  const request = { sources, sizeBytes, availableDays: said.days, message: said.message }
  // With other words than it was begun with, it is described again, and sealed anew.
  const isSame = said.command === sending.command || (said.to.length === 0 && !said.details)
  if (!isSame) sending.command = said.command
  const going = isSame && sending.sealing ? await goOn(api, io, sending, request) : undefined
  const decision = going
    ? (await decisionOn(api, transferId, said.method)).says
    : await describe(api, call, { said, transferId, sizeBytes })
  return report(api, call, { ...sent, decision, ...(await sealAndSend(api, io, device, { sending, request, going })) })
}

/** The parcel that is under way, if the transfer still says what it said when that began. */
async function goOn(api: Api, io: Io, sending: BegunSending, request: SendRequest) {
  const { transfer, recipients } = await api.get<Page>(`/api/transfers/${sending.transferId}`)
  const { purpose, limits: limitsOfUse, reference } = sending.sealing!.begun
  const isSame = transfer.purposeWords === purpose && (transfer.limitsWords ?? '') === limitsOfUse
  const ids = recipients.map(({ id }) => id)
  const going = isSame ? await begunSealing(api, io.env, sending, request, ids) : undefined
  const anew = `What was begun of ${reference} cannot be gone on with. It is sealed anew, under other keys.`
  io.err(going ? `Going on with ${reference}.` : anew)
  return going
}

interface Said {
  server: string
  token: string
  to: string[]
  newcomer: Newcomer | undefined
  answers: Map<string, string>
  /** For the record; undefined leaves what a transfer that was begun says already. */
  details: Record<string, string> | undefined
  confirm: string | undefined
  leftOut: string | undefined
  method: string
  message: string | undefined
  days: number
  transfer: string | undefined
  /** The name of what comes from standard input; undefined when files are sent. */
  as: string | undefined
  /** Digest of all that was said but the token and the transfer's id: the same again goes on with the same sending. */
  command: string
}

/** What was said on the command line. @throws CalledWrongly */
function read({ values, positionals, io }: Call): Said {
  const given = values as Record<string, string | undefined>
  const server = given.server ?? io.env.SAFEHAND_SERVER
  const token = given.token ?? io.env.SAFEHAND_TOKEN
  const to = (values.to ?? []) as string[]
  const isInput = positionals.includes('-')
  if (positionals.length === 0) throw new CalledWrongly('Name the files or folders to send.')
  if (isInput !== (given.as !== undefined) || (isInput && positionals.length > 1))
    throw new CalledWrongly('For one file from standard input, give - as the only PATH, and its name with --as NAME.')
  if (!server) throw new CalledWrongly('Say which server: --server URL, or SAFEHAND_SERVER.')
  if (!token) throw new CalledWrongly('A token is needed: --token, or SAFEHAND_TOKEN. Make one on your account’s page.')
  if (to.length === 0 && !given.transfer) throw new CalledWrongly('Say who it is for: --to EMAIL.')
  if (!given.purpose && !given.transfer) throw new CalledWrongly('Say why it is shared: --purpose WORDS.')
  if (given.transfer && !/^[0-9a-f-]{36}$/.test(given.transfer))
    throw new CalledWrongly('--transfer takes the id of a transfer.')
  const days = Number(given.days ?? limits.parcelDays)
  if (!Number.isInteger(days) || days < 1 || days > limits.parcelDaysMax)
    throw new CalledWrongly(`--days takes a number from 1 to ${limits.parcelDaysMax}.`)
  return {
    server: serverAddress(server),
    token,
    to,
    newcomer: newcomerOf(given),
    answers: answersOf(given, (values.answer ?? []) as string[]),
    details: given.purpose
      ? {
          purposeWords: given.purpose,
          informationWords: given.information ?? 'Files',
          ...(given.limits ? { limitsWords: given.limits } : {}),
          ...(given.case ? { caseReference: given.case } : {}),
        }
      : undefined,
    confirm: given.confirm,
    leftOut: given['left-out'],
    method: given.method ?? 'managed_transfer',
    message: given.message,
    days,
    transfer: given.transfer,
    as: given.as,
    command: jsonDigest([
      serverAddress(server),
      isInput ? '-' : positionals.map((path) => resolve(path)),
      wordsOf(values),
    ]),
  }
}

/** Everything that decides what is sent to whom, in one order. */
const wordsOf = ({ token: _token, transfer: _transfer, json: _json, ...words }: Call['values']) =>
  Object.entries(words).toSorted(([a], [b]) => (a < b ? -1 : 1))

function newcomerOf({ kind, name, organisation, sector }: Record<string, string | undefined>): Newcomer | undefined {
  if (kind === undefined && name === undefined) return undefined
  if ((kind !== 'individual' && kind !== 'organisation') || !name) {
    throw new CalledWrongly('For somebody new, say --kind individual or --kind organisation, and --name NAME.')
  }
  return { kind, fullName: name, ...(organisation ? { organisation } : {}), ...(sector ? { sector } : {}) }
}

/** Facts by name: those with an option of their own, and any other by --answer. */
function answersOf(given: Record<string, string | undefined>, answers: string[]): Map<string, string> {
  const others = answers.map((each) => {
    const [, fact, value] = /^([a-z-]+)=(.+)$/.exec(each) ?? []
    if (!fact || !value) throw new CalledWrongly(`--answer takes FACT=VALUE, not ${each}.`)
    return [fact, value] as const
  })
  const own = [
    ['purpose', given.reason],
    ['council-class', given.class],
    ['personal', given.personal],
    ['urgency', given.urgency ?? 'no-rush'],
    ['artefact', 'file'],
    ['could-happen', given['could-happen']],
    ['why-now', given['why-now']],
  ] as const
  return new Map([...own.flatMap(([fact, value]) => (value === undefined ? [] : [[fact, value] as const])), ...others])
}

/** Says who, what and why, takes the decision, chooses the method and clears what is to be done first. */
async function describe(
  api: Api,
  { io, json }: Call,
  { said, transferId, sizeBytes }: { said: Said; transferId: string; sizeBytes: number },
) {
  for (const email of said.to) await addRecipient(api, transferId, email, said.newcomer)
  const details = said.details ?? (await detailsOf(api, transferId))
  const { next } = await api.post<{ next: string }>(`/api/transfers/${transferId}/details`, details)
  await answerQuestions(api, io, { answers: said.answers, sizeBytes, next })
  const decision = await decisionOn(api, transferId, said.method)
  if (!json) io.out(inWords(decision.says))
  await chooseMethod(api, transferId, said.method, said)
  return decision.says
}

/** What a transfer that was begun says already for the record. */
async function detailsOf(api: Api, transferId: string): Promise<Record<string, string>> {
  const { transfer } = await api.get<{ transfer: Record<string, string | null> }>(`/api/transfers/${transferId}`)
  if (!transfer.purposeWords) throw new CalledWrongly('Say why it is shared: --purpose WORDS.')
  const names = ['purposeWords', 'informationWords', 'limitsWords', 'caseReference']
  return Object.fromEntries([
    ['informationWords', 'Files'],
    ...names.flatMap((name) => (transfer[name] ? [[name, transfer[name]]] : [])),
  ])
}

interface Page {
  transfer: { state: string; reference: string; expiresAt: string; purposeWords: string; limitsWords: string | null }
  recipients: { id: string; email: string; telephone: string | null }[]
}

type Sent = Awaited<ReturnType<typeof sealAndSend>> & { transferId: string; sizeBytes: number; decision: unknown }

/** Reference, address, and the words with how to tell them. */
async function report(
  api: Api,
  { io, json }: Call,
  { transferId, sizeBytes, decision, phrases, keys }: Sent,
): Promise<void> {
  const { transfer, recipients } = await api.get<Page>(`/api/transfers/${transferId}`)
  const { reference, expiresAt } = transfer
  const url = `${api.server}/transfers/${transferId}`
  const told = phrases.map((each) => {
    const recipient = recipients.find(({ id }) => id === each.recipientId)
    return { ...each, email: recipient?.email, telephone: recipient?.telephone ?? null }
  })
  if (json)
    return io.out(JSON.stringify({ reference, transferId, url, expiresAt, sizeBytes, decision, phrases: told, keys }))
  io.out(`\nSent: ${reference}, ${sizeWords(sizeBytes)}, to be collected by ${expiresAt.slice(0, 10)}\n${url}`)
  for (const { name, fingerprint } of keys) io.out(`Locked to a key: ${name}, fingerprint ${fingerprint}`)
  for (const { name, phrase, telephone } of told) {
    io.out(`\nSeven words for ${name}:\n\n    ${phrase}\n`)
    io.out(
      `Tell them when they have proved their mailbox; you get an email then. By telephone${telephone ? ` (${telephone})` : ''}, in person,`,
    )
    io.out('by text from a work phone or by letter; never by email. Then record it on the transfer’s page.')
  }
  if (told.length > 0) io.out('These words are shown once and kept nowhere.')
}

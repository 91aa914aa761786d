/** Every place where the product reads something that somebody else wrote, with valid examples of it. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fromBase64, utf8 } from '#core/kit/bytes'
import { parseAddress } from '#core/kit/address'
import { canonicalJson, type Json } from '#core/kit/canonical-json'
import { ok, orThrow, ProblemError, type Outcome } from '#core/kit/outcome'
import { loadCases, readFacts } from '#core/policy/cases'
import { loadRulebook } from '#core/policy/rulebook'
import { loadVocabulary } from '#core/policy/vocabulary'
import { parseCheckpoint } from '#core/register/checkpoint'
import { parseCosignature } from '#core/register/cosignature'
import { encodeEvidence, parseEvidence } from '#core/register/event'
import { formatVkey, openNote, parseNote, parseVkey } from '#core/register/note'
import { parseTrustPolicy, trustPolicyFor } from '#core/register/policy'
import { parseProof } from '#core/register/proof'
import { aReceipt, aSigner, someEvidence } from '#core/register/small-register'
import { encodeBundle, parseBundle } from '#core/register/tile'
import { verifyReceipt } from '#core/register/verify'
import { openAge, sealWhole } from '#core/seal/age-file'
import { checkPaths } from '#core/seal/entry-names'
import { flowOf, wholeOf } from '#core/seal/flow'
import { checkRecipient, identityFrom, makeLock, openLock, recipientOf } from '#core/seal/locks'
import { parseManifest } from '#core/seal/parcel'
import { aFile, aFolder, aManifest, parcelId } from '#core/seal/parcel.fixture'
import { readPhrase } from '#core/seal/passphrase'
import { statementBytes, statementText } from '#core/seal/receipt-key'
import { entryHeader, layout, measured, readTar, writeTar, type IndexEntry } from '#core/seal/tar-index'
import { webTools } from '#core/seal/tools'
import { check, email, fields, fromForm, line, list, text } from '#edge/web/fields'
import { rangeOf } from '#features/parcels/collecting'
import { digestOf } from '#features/parcels/sealing'
import { normaliseCode } from '#features/people/codes'
import { readLink } from '#shell/cli/collecting'
import { councilCases, shippedVocabulary, smallVocabulary, smallWords, aRule, rulebookText } from '#test/policy'
import { readConfig } from '#config'

/** One reader: `read` answers or says what is wrong; anything else that it throws is a fault. */
export interface Parser<T extends string | Uint8Array = string | Uint8Array> {
  name: string
  examples: T[]
  read: (input: T) => unknown
  /** Its own limit, to which inputs are grown; in characters or bytes. */
  most: number
}

const tools = await webTools()
const asBytes = <T extends Uint8Array>(parser: Parser<T>): Parser => parser as unknown as Parser
const asText = (parser: Parser<string>): Parser => parser as unknown as Parser

/** Outcomes, and ProblemErrors of what speaks by throwing them. */
async function said(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem }
    throw error
  }
}
/** A reader that answers with nothing for what it cannot read. */
const orNothing = (value: unknown): Outcome<unknown> => ok(value)

const signer = aSigner()
const receipt = await aReceipt()
const trusted = orThrow(parseTrustPolicy(trustPolicyFor(signer.vkey)))
const note = receipt.slice(receipt.indexOf('\n\n') + 2)
const witness = formatVkey(aSigner('witness.example', 4, 9).vkey)
const policyText = `log ${formatVkey(signer.vkey)}\nwitness neighbour ${witness}\ngroup both any neighbour\nquorum both\n`

const register: Parser[] = [
  asText({ name: 'a receipt', examples: [receipt], most: 300_000, read: (input) => verifyReceipt(input, trusted) }),
  asText({ name: 'a proof', examples: [receipt], most: 300_000, read: parseProof }),
  asText({
    name: 'a note',
    examples: [note],
    most: 70_000,
    read: (input) => [parseNote(input), openNote(input, [signer.vkey])],
  }),
  asText({
    name: 'a checkpoint',
    examples: [note.slice(0, note.indexOf('\n\n') + 1)],
    most: 70_000,
    read: parseCheckpoint,
  }),
  asText({ name: 'a key line', examples: [formatVkey(signer.vkey), witness], most: 70_000, read: parseVkey }),
  asText({ name: 'a trust policy', examples: [policyText], most: 262_144, read: parseTrustPolicy }),
  asBytes({
    name: 'a cosignature',
    examples: [new Uint8Array(72).fill(3)],
    most: 100_000,
    read: (input) => orNothing(parseCosignature(input as never)),
  }),
  asBytes({ name: 'evidence', examples: [encodeEvidence(someEvidence())], most: 300_000, read: parseEvidence }),
  asBytes({
    name: 'a bundle of leaves',
    examples: [encodeBundle([utf8('one'), utf8('two'), new Uint8Array(300)])],
    most: 300_000,
    read: parseBundle,
  }),
]

const identity = identityFrom(new Uint8Array(32).fill(2), false)
const recipient = await recipientOf(identity)
const lock = orThrow(
  await makeLock(
    { kind: 'key', recipientId: 'r', to: { recipient } },
    { parcelIdentity: identity, parcelId, manifestSha256: 'ab'.repeat(32) },
    tools,
  ),
)
const lockAge = fromBase64(lock.age)
const lockText = await wholeOf(orThrow(await openAge(flowOf(lockAge), { identity }, tools)).plain)
const aged = await sealWhole(new Uint8Array(70_000).fill(5), { recipient })

const sources = [aFolder('a'), aFile('a/b.txt', 'some text'), aFile(`${'long/'.repeat(30)}é.txt`, 'x'.repeat(700))]
const { offsets } = layout(sources.map(measured))
const index: IndexEntry[] = sources.map((source, place) => ({
  ...measured(source),
  digest: source.type === 'file' ? 'ab'.repeat(32) : null,
  offset: offsets[place]!,
}))
const digests = new Map<number, string>()
const tar = await wholeOf(
  writeTar(sources, tools, (place, digest) => void digests.set(place, Buffer.from(digest).toString('hex'))),
)
const known = index.map((entry, place) => ({ ...entry, digest: digests.get(place) ?? null }))
const statement = statementText({
  version: 1,
  parcelRoot: 'cd'.repeat(32),
  lockId: parcelId,
  acknowledged: { purpose: 'a', limits: 'b', handling: 'c' },
  checkpoint: note,
})

const seal: Parser[] = [
  asBytes({ name: 'a manifest', examples: [aManifest()], most: 1_000_000, read: parseManifest }),
  asBytes({
    name: 'a lock',
    examples: [lockAge],
    most: 17_000,
    read: (input) => said(() => openLock(input, { identity }, { parcelId, lockId: lock.id }, tools)),
  }),
  asBytes({
    name: 'what is inside a lock',
    examples: [lockText],
    most: 12_000,
    read: (input) =>
      said(async () =>
        openLock(await sealWhole(input as never, { recipient }), { identity }, { parcelId, lockId: lock.id }, tools),
      ),
  }),
  asBytes({
    name: 'an age file',
    examples: [lockAge, aged],
    most: 300_000,
    read: (input) =>
      said(async () => {
        const opened = await openAge(flowOf(input), { identity }, tools)
        return opened.ok ? ok(await wholeOf(opened.value.plain)) : opened
      }),
  }),
  asBytes({
    name: 'a tar',
    examples: [tar, entryHeader(known[1]!)],
    most: 1_000_000,
    read: (input) => said(() => Array.fromAsync(readTar(flowOf(input), { index: known, version: 2 }, tools, () => {}))),
  }),
  asText({ name: 'a statement', examples: [statement], most: 20_000, read: statementBytes }),
  asText({
    name: 'seven words',
    examples: ['abandon ability able about above absent absorb'],
    most: 100_000,
    read: readPhrase,
  }),
  asText({
    name: 'an age recipient',
    examples: [recipient],
    most: 20_000,
    read: (input) => checkRecipient(input, false),
  }),
  asText({
    name: 'names of files',
    examples: ['a/b/c.txt', 'a\u0000A\u0000b/a'],
    most: 100_000,
    read: (input) => checkPaths(input.split('\u0000').map((path) => ({ path, type: 'file' as const }))),
  }),
]

const vocabulary = smallVocabulary()
const shipped = shippedVocabulary()
const rulebook = readFileSync(new URL('../../rulebooks/council.yaml', import.meta.url), 'utf8')
const words = readFileSync(new URL('../../rulebooks/vocabulary.yaml', import.meta.url), 'utf8')

const policy: Parser[] = [
  asText({
    name: 'a vocabulary',
    examples: [smallWords, words],
    most: 200_000,
    read: (input) => loadVocabulary('words.yaml', input),
  }),
  asText({
    name: 'a small rulebook',
    examples: [rulebookText(aRule() + aRule({ id: 'R2', when: '{ near: yes }' }))],
    most: 200_000,
    read: (input) => loadRulebook('a.yaml', input, vocabulary),
  }),
  asText({
    name: 'the council’s rulebook',
    examples: [rulebook],
    most: 200_000,
    read: (input) => loadRulebook('a.yaml', input, shipped),
  }),
  asText({
    name: 'cases',
    examples: [councilCases()],
    most: 200_000,
    read: (input) => loadCases('cases.yaml', input, shipped),
  }),
  asText({
    name: 'facts',
    examples: ['class: high\nsize: { at-least: 1 MB }\nnear: yes'],
    most: 100_000,
    read: (input) => readFacts(input, vocabulary),
  }),
]

const form = fields({ name: line('a name'), mail: email(), note: text('a note'), all: list('all', line('one'), 5) })
/** Canonical JSON by its own contract: it throws for what is none. */
function canonical(input: string): Outcome<unknown> {
  try {
    return ok(canonicalJson(JSON.parse(input) as Json))
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError || error instanceof SyntaxError) return ok()
    throw error
  }
}

const web: Parser[] = [
  asText({
    name: 'canonical JSON',
    examples: [statement, '{"a":[1,2,{"b":"\\u00e9"}]}'],
    most: 300_000,
    read: canonical,
  }),
  asText({
    name: 'a form',
    examples: ['name=Ada&mail=ada%40police.example&note=a%0D%0Ab&all=x&all=y', 'on-day=1&on-month=2&on-year=2027'],
    most: 200_000,
    read: (input) => {
      const pairs = [...new URLSearchParams(input)]
      const groups = Object.entries(Object.groupBy(pairs, ([name]) => name))
      const given = Object.fromEntries(groups.map(([name, all]) => [name, all!.map(([, value]) => value)]))
      return [check(form, fromForm(form, given)), check(form, given)]
    },
  }),
  asText({
    name: 'an email address',
    examples: ["ada.o'neill+x@mail.northbrook-police.example", 'a@xn--e1a.example'],
    most: 100_000,
    read: parseAddress,
  }),
  asText({
    name: 'a range',
    examples: ['bytes=0-499', 'bytes=-5', 'bytes=9-'],
    most: 16_000,
    read: (input) => orNothing(rangeOf(input, 1_000)),
  }),
  asText({
    name: 'a digest',
    examples: [`sha-256=:${createHash('sha256').update('x').digest('base64')}:`],
    most: 16_000,
    read: (input) => orNothing(digestOf(input)),
  }),
  asText({
    name: 'a mailed code',
    examples: ['7KQX-20AB'],
    most: 100_000,
    read: (input) => orNothing(normaliseCode(input)),
  }),
  asText({
    name: 'a mailed link',
    examples: [`https://safehand.example/collect/${parcelId}#aGVsbG8`],
    most: 100_000,
    read: (input) => said(async () => readLink(input)),
  }),
  asText({
    name: 'a setting',
    examples: ['https://safehand.example', '8080', '127.0.0.1', 'yes'],
    most: 100_000,
    read: (input) =>
      ['SAFEHAND_URL', 'SAFEHAND_PORT', 'SAFEHAND_HOST', 'SAFEHAND_DATA'].map((name) =>
        readConfig({}, { HOME: '/nowhere', [name]: input }),
      ),
  }),
]

export const parsers: Parser[] = [...register, ...seal, ...policy, ...web]

import { open } from 'node:fs/promises'
import { fromUtf8 } from '#core/kit/bytes'
import { canonicalJson } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { wholeNumber, type Checkpoint } from '#core/register/checkpoint'
import type { SubtreeRoot } from '#core/register/merkle'
import { parseVkey } from '#core/register/note'
import { parseTrustPolicy, trustPolicyFor, type TrustPolicy } from '#core/register/policy'
import { parseProof } from '#core/register/proof'
import { relate, type Relation } from '#core/register/relation'
import { rootsFromTiles } from '#core/register/tile'
import { openTrusted, verifyReceipt, type VerifiedReceipt } from '#core/register/verify'
import { bodyOf } from '#edge/fetched'
import { CHECKPOINT_PATH, tileFolder, tileReader, type Tiles } from '#edge/keeper/tiles'
import { printProblem, type Command } from '#shell/cli/command'

/** `safehand verify`: from the receipt and the key alone, so it works with the server stopped or gone. */
export const verify: Command = {
  summary: 'Check a receipt, without asking anybody',
  usage: [
    'safehand verify FILE --key KEY [--json]',
    'safehand verify FILE --trust POLICY [--json]',
    'safehand verify --consistent FILE FILE --key KEY|--trust POLICY [--tiles FOLDER|URL] [--json]',
    '',
    '  FILE     the receipt, as it was saved (.tlog-proof)',
    '  --key    the key of the register, as the organisation publishes it',
    '  --trust  a file that lists registers and witnesses (c2sp.org/tlog-policy)',
    '',
    '  --consistent  say whether two checkpoints, or those of two receipts, can be of one register',
    '  --tiles       the published register, which must show it when their sizes differ',
    '',
    'Nothing is sent anywhere; only --tiles URL asks for published tiles.',
    'Exit code 0: genuine, or consistent. 1: not, or not shown. 2: called wrongly.',
  ].join('\n'),
  options: {
    key: { type: 'string' },
    trust: { type: 'string' },
    consistent: { type: 'boolean' },
    tiles: { type: 'string' },
  },
  async run({ positionals, values, json, io }) {
    const wanted = values.consistent ? 2 : 1
    const isCalledWell =
      (values.key === undefined) !== (values.trust === undefined) && (values.consistent || !values.tiles)
    if (positionals.length !== wanted || !isCalledWell) {
      io.err(`Name one receipt, or two with --consistent, and whom you trust by --key or --trust.\n\n${this.usage}`)
      return 2
    }
    const trusted = values.key === undefined ? await readPolicy(String(values.trust)) : policyOfKey(String(values.key))
    if (!trusted.ok) return printProblem(trusted.problem, { io, json })
    if (values.consistent) {
      const checked = await checkConsistent(positionals, trusted.value, values.tiles as string | undefined)
      if (!checked.ok) return printProblem(checked.problem, { io, json })
      const { relation, why } = checked.value
      const isConsistent = relation === 'same' || relation === 'extends'
      io.out(
        json
          ? JSON.stringify({ consistent: isConsistent, ...checked.value })
          : sentences[relation] + (why ? `\n${why}` : ''),
      )
      return isConsistent ? 0 : 1
    }
    const receipt = await readText(positionals[0]!, limits.receiptBytes)
    const verified = receipt.ok ? verifyReceipt(receipt.value, trusted.value) : receipt
    if (!verified.ok) return printProblem(verified.problem, { io, json })
    io.out(json ? JSON.stringify({ genuine: true, ...verified.value }) : inWords(verified.value))
    return 0
  },
}

const sentences: Record<Relation, string> = {
  same: 'The same: both are of one size and have one root.',
  extends: 'Consistent: the larger one only added to the smaller one.',
  fork: 'FORKED. No register has both: whoever signed them shows different people different pasts. Keep both files, they prove it.',
  unshown:
    'NOT SHOWN. Their sizes differ, so it takes published tiles that lead to the larger one: give them with --tiles, or ask the organisation to show that one continues the other.',
}

/** What two files' checkpoints are to each other, and why it could not be told where reading tiles failed. */
async function checkConsistent(
  files: string[],
  trusted: TrustPolicy,
  tiles: string | undefined,
): Promise<Outcome<{ relation: Relation; why?: string }>> {
  const [a, b] = await Promise.all(files.map((file) => readCheckpoint(file, trusted)))
  if (!a!.ok) return a!
  if (!b!.ok) return b!
  if (a!.value.origin !== b!.value.origin) return fail('proof-origin-wrong', { detail: 'They are of two registers.' })
  try {
    const roots = tiles === undefined ? undefined : await rootsAt(tiles, Math.max(a!.value.size, b!.value.size))
    return ok({ relation: await relate(a!.value, b!.value, roots) })
  } catch (error) {
    return ok({ relation: 'unshown', why: (error as Error).message })
  }
}

/** The signed checkpoint in a file, which may be a receipt's. */
async function readCheckpoint(file: string, trusted: TrustPolicy): Promise<Outcome<Checkpoint>> {
  const text = await readText(file, limits.receiptBytes)
  if (!text.ok) return text
  const proof = parseProof(text.value)
  return openTrusted(proof.ok ? proof.value.checkpoint : text.value, trusted)
}

/** Roots of subtrees from tiles published in a folder or at an address, for a register of at least this size. */
async function rootsAt(where: string, atLeast: number): Promise<SubtreeRoot> {
  const tiles = /^https?:/.test(where) ? tilesAt(where.replace(/\/$/, '')) : tileFolder(where)
  // What is published may have grown, and then has wider partial tiles. The size is believed for that alone.
  const head = await tiles.read(CHECKPOINT_PATH)
  const size = wholeNumber(head ? (fromUtf8(head).split('\n')[1] ?? '') : '') ?? 0
  return rootsFromTiles(Math.max(size, atLeast), tileReader(tiles))
}

const tilesAt = (address: string): Pick<Tiles, 'read'> => ({
  async read(path) {
    const response = await fetch(`${address}/${path}`, { signal: AbortSignal.timeout(limits.witnessWaitMs) })
    if (response.status === 404) return undefined
    if (!response.ok) throw new Error(`${address}/${path}: ${response.status}`)
    return bodyOf(response, limits.noteBytes)
  },
})

function policyOfKey(key: string): Outcome<TrustPolicy> {
  const vkey = parseVkey(key)
  return vkey.ok ? parseTrustPolicy(trustPolicyFor(vkey.value)) : vkey
}

async function readPolicy(path: string): Promise<Outcome<TrustPolicy>> {
  const text = await readText(path, limits.trustPolicyBytes)
  return text.ok ? parseTrustPolicy(text.value) : text
}

/** The text of a file; of one that is too long no more than the limit is read. */
async function readText(path: string, limitBytes: number): Promise<Outcome<string>> {
  try {
    const file = await open(path)
    try {
      const { buffer, bytesRead } = await file.read(new Uint8Array(limitBytes + 1), 0)
      if (bytesRead > limitBytes) return fail('file-unreadable', { detail: `${path}: It is too long.` })
      return ok(fromUtf8(buffer.subarray(0, bytesRead)))
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    const why =
      code === 'ENOENT'
        ? 'There is no such file'
        : code.startsWith('E') && !code.startsWith('ERR')
          ? code
          : 'It is not text'
    return fail('file-unreadable', { detail: `${path}: ${why}.` })
  }
}

function inWords({ event, at, body, origin, index, size, witnesses, isUnwitnessed }: VerifiedReceipt): string {
  return [
    'Genuine.',
    `Register  ${origin}, event ${index} of ${size}`,
    `Event     ${event}`,
    `When      ${at}`,
    `Says      ${canonicalJson(body)}`,
    isUnwitnessed
      ? 'UNWITNESSED: only the keeper of this register vouches that it shows everybody the same.'
      : `Witnesses ${witnesses.join(', ')}`,
  ].join('\n')
}

import { open } from 'node:fs/promises'
import { fromUtf8 } from '#core/kit/bytes'
import { canonicalJson } from '#core/kit/canonical-json'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { parseVkey } from '#core/register/note'
import { parseTrustPolicy, trustPolicyFor, type TrustPolicy } from '#core/register/policy'
import { verifyReceipt, type VerifiedReceipt } from '#core/register/verify'
import { printProblem, type Command } from '#shell/cli/command'

/** `safehand verify`: from the receipt and the key alone, so it works with the server stopped or gone. */
export const verify: Command = {
  summary: 'Check a receipt, without asking anybody',
  usage: [
    'safehand verify FILE --key KEY [--json]',
    'safehand verify FILE --trust POLICY [--json]',
    '',
    '  FILE     the receipt, as it was saved (.tlog-proof)',
    '  --key    the key of the register, as the organisation publishes it',
    '  --trust  a file that lists registers and witnesses (c2sp.org/tlog-policy)',
    '',
    'Nothing is sent anywhere. Exit code 0: genuine. 1: not. 2: called wrongly.',
  ].join('\n'),
  options: { key: { type: 'string' }, trust: { type: 'string' } },
  async run({ positionals, values, json, io }) {
    const [file, ...more] = positionals
    if (file === undefined || more.length > 0 || (values.key === undefined) === (values.trust === undefined)) {
      io.err(`Name one receipt, and whom you trust by --key or --trust.\n\n${this.usage}`)
      return 2
    }
    const trusted = values.key === undefined ? await readPolicy(String(values.trust)) : policyOfKey(String(values.key))
    if (!trusted.ok) return printProblem(trusted.problem, { io, json })
    const receipt = await readText(file, limits.receiptBytes)
    const verified = receipt.ok ? verifyReceipt(receipt.value, trusted.value) : receipt
    if (!verified.ok) return printProblem(verified.problem, { io, json })
    io.out(json ? JSON.stringify({ genuine: true, ...verified.value }) : inWords(verified.value))
    return 0
  },
}

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

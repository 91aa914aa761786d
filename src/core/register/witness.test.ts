import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { checkpointText } from '#core/register/checkpoint'
import { emptyRoot, proveSubtree, rootOf } from '#core/register/merkle'
import { formatSignature, keyTypes, openNote, parseNote, signNote } from '#core/register/note'
import { aSigner, leafHashes, tilesInMemory } from '#core/register/small-register'
import { rootsFromTiles } from '#core/register/tile'
import { cosign, formatSubmission, mayCosign, openSubmission, takeCosignature } from '#core/register/witness'

const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'accepted' : outcome.problem.slug)
const log = aSigner()
const origin = log.vkey.name
const witness = aSigner('witness.example', keyTypes.ed25519Cosignature, 3)
const leaves = leafHashes(300)
const stateAt = (size: number) => ({ origin, size, root: rootOf(leaves.slice(0, size)) as Uint8Array<ArrayBuffer> })

async function asking(old: number, size: number, root: Uint8Array = stateAt(size).root, signer = log, name = origin) {
  const { read } = tilesInMemory(leaves.slice(0, size))
  const proof = old > 0 && old <= size ? await proveSubtree(0, old, size, rootsFromTiles(size, read)) : []
  const note = await signNote(checkpointText({ origin: name, size, root }), signer)
  return { old, proof, note }
}
const judge = async (asked: Parameters<typeof formatSubmission>[0], latest?: ReturnType<typeof stateAt>) =>
  mayCosign(orThrow(openSubmission(formatSubmission(asked), [log.vkey])), latest)

test('a witness signs the first checkpoint that it sees, and then what continues it', async () => {
  for (const size of [0, 1, 255, 256, 300]) assert.equal(refusal(await judge(await asking(0, size))), 'accepted')
  for (const [old, size] of [
    [1, 2],
    [3, 7],
    [255, 256],
    [256, 257],
    [256, 300],
    [299, 300],
  ] as const)
    assert.equal(refusal(await judge(await asking(old, size), stateAt(old))), 'accepted', `${old} to ${size}`)
})

test('it signs again what it signed, and nothing else of that size', async () => {
  assert.equal(refusal(await judge(await asking(7, 7), stateAt(7))), 'accepted')
  assert.equal(refusal(await judge(await asking(0, 0), stateAt(0))), 'accepted')
  const other = await asking(7, 7, rootOf(leaves.slice(1, 8)))
  assert.equal(refusal(await judge(other, stateAt(7))), 'witness-root-differs')
  assert.equal(refusal(await judge(await asking(0, 0, leaves[0]))), 'witness-root-differs')
})

test('a proof that begins at another size than it signed is refused, larger or smaller', async () => {
  assert.equal(refusal(await judge(await asking(3, 7), stateAt(4))), 'witness-size-differs')
  assert.equal(refusal(await judge(await asking(3, 7), stateAt(2))), 'witness-size-differs')
  assert.equal(refusal(await judge(await asking(3, 7))), 'witness-size-differs')
  assert.equal(refusal(await judge(await asking(0, 7), stateAt(3))), 'witness-size-differs')
})

test('a register that does not continue what it signed is refused', async () => {
  const other = await asking(3, 7)
  const elsewhere = { ...stateAt(3), root: rootOf(leaves.slice(1, 4)) as Uint8Array<ArrayBuffer> }
  assert.equal(refusal(await judge(other, elsewhere)), 'witness-inconsistent')
  assert.equal(refusal(await judge({ ...other, proof: [] }, stateAt(3))), 'witness-inconsistent')
  const more = [...other.proof, emptyRoot()]
  assert.equal(refusal(await judge({ ...other, proof: more }, stateAt(3))), 'witness-inconsistent')
  assert.equal(refusal(await judge({ ...(await asking(0, 7)), proof: [emptyRoot()] })), 'witness-inconsistent')
  assert.equal(
    refusal(await judge({ ...(await asking(7, 7)), proof: [emptyRoot()] }, stateAt(7))),
    'witness-inconsistent',
  )
})

test('each way in which a request is wrong has its own problem', async () => {
  const good = await asking(3, 7)
  const text = formatSubmission(good)
  const hashes = (count: number) => formatSubmission({ ...good, proof: Array<Uint8Array>(count).fill(emptyRoot()) })
  const cases: [string, string][] = [
    [text, 'accepted'],
    [hashes(63), 'accepted'],
    [hashes(64), 'witness-request-malformed'],
    ['', 'witness-request-malformed'],
    ['\n\n', 'witness-request-malformed'],
    [good.note, 'witness-request-malformed'],
    [text.replace('old 3', 'old 03'), 'witness-request-malformed'],
    [text.replace('old 3', 'old -3'), 'witness-request-malformed'],
    [text.replace('old 3', 'old'), 'witness-request-malformed'],
    [text.replace('old 3', 'new 3'), 'witness-request-malformed'],
    [text.replace('old 3', 'old 8'), 'witness-request-malformed'],
    [text.replace('old 3', 'old 7'), 'accepted'],
    [text.replaceAll('\n', '\r\n'), 'witness-request-malformed'],
    [text.slice(0, -1), 'witness-request-malformed'],
    [text.replace('\n7\n', '\n07\n'), 'witness-request-malformed'],
    [text.replace('\n7\n', '\n8\n'), 'witness-not-signed'],
    [formatSubmission(await asking(3, 7, undefined, aSigner(origin, 1, 8))), 'witness-not-signed'],
    [formatSubmission(await asking(3, 7, undefined, log, 'other.example')), 'witness-log-unknown'],
  ]
  for (const [request, slug] of cases) assert.equal(refusal(openSubmission(request, [log.vkey])), slug, request)
})

test('of a register with two keys either may sign; lines of strangers and doubled lines are not kept', async () => {
  const next = aSigner(origin, keyTypes.ed25519, 8)
  const asked = await asking(0, 7, undefined, next)
  assert.equal(refusal(openSubmission(formatSubmission(asked), [log.vkey, next.vkey])), 'accepted')
  const stranger = formatSignature({ name: 'x.example', keyId: log.vkey.id, signature: new Uint8Array(64) })
  const line = asked.note.slice(asked.note.indexOf('\u2014'))
  const padded = formatSubmission({ ...asked, note: asked.note + line.repeat(3) + stranger })
  assert.equal(orThrow(openSubmission(padded, [next.vkey])).note, asked.note)
})

test('a cosignature is taken from an answer, and nothing else that it holds', async () => {
  const { note } = await asking(0, 7)
  const { text } = orThrow(parseNote(note))
  const line = await cosign(text, 1_800_000_000, witness)
  const other = await cosign(text, 1_800_000_000, aSigner('other.example', keyTypes.ed25519Cosignature, 4))
  assert.equal(orThrow(takeCosignature(text, other + line, witness.vkey)), line)
  assert.deepEqual(orThrow(openNote(note + line, [log.vkey, witness.vkey])).signedBy, [log.vkey, witness.vkey])
  const elsewhere = await cosign(text.replace('\n7\n', '\n8\n'), 1_800_000_000, witness)
  const cases: [string, string][] = [
    ['', 'note-malformed'],
    ['<html>', 'note-malformed'],
    [other, 'note-signature-unknown'],
    [elsewhere, 'note-signature-wrong'],
    [`${line}\n${line}`, 'note-malformed'],
    [`x\n\n${line}`, 'note-malformed'],
  ]
  for (const [answer, slug] of cases) assert.equal(refusal(takeCosignature(text, answer, witness.vkey)), slug, answer)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orThrow, ProblemError } from '#core/kit/outcome'
import { aFile, contentsOf, opens, sealedOk, seals, sha256Of } from '#core/seal/parcel.fixture'
import { webTools } from '#core/seal/tools'
import { nodeTools } from '#edge/seal/node-tools'

/** Large enough to be worked on in another thread. */
const large = new Uint8Array(20 * 2 ** 20).map((_, i) => i ^ (i >> 8) ^ (i >> 16))
const sources = [aFile('before', 'Before.'), aFile('large', large), aFile('after', 'After.')]
const sealed = await sealedOk({ sources, tools: nodeTools, partSizeBytes: 2 ** 20 })

test('what another thread seals opens in this one, and the other way round', async () => {
  const wanted = new Map(
    await Promise.all(sources.map(async (source) => [source.path, await sha256Of(source.read())] as const)),
  )
  const here = await sealedOk({ sources, tools: await webTools(), partSizeBytes: 2 ** 20 })
  for (const [parcel, tools] of [
    [sealed, await webTools()],
    [here, nodeTools],
    [sealed, nodeTools],
  ] as const) {
    const opened = orThrow(await opens(parcel, { tools }))
    assert.deepEqual(await contentsOf(opened), wanted)
    assert.equal(opened.isWhole(), true)
  }
})

test('what another thread finds wrong is told here, by its own name', async () => {
  const content = sealed.content.slice()
  content[15_000_000]! ^= 1
  for (const [change, slug] of [
    [{ content }, 'content-altered'],
    [{ content: sealed.content.subarray(0, -1) }, 'content-truncated'],
  ] as const) {
    const opened = orThrow(await opens(sealed, { ...change, tools: nodeTools }))
    await assert.rejects(contentsOf(opened), (error) => error instanceof ProblemError && error.problem.slug === slug)
    assert.equal(opened.isWhole(), false)
  }
})

test('a file that cannot be read to its end, or a part that cannot be stored, ends the other thread too', async () => {
  const cut = { ...aFile('large', large.subarray(0, 17 * 2 ** 20)), sizeBytes: large.length }
  const changed = await seals({ sources: [cut], tools: nodeTools })
  assert.equal(changed.ok ? 'ok' : changed.problem.slug, 'file-changed')
  const full = async (n: number) => {
    if (n === 3) throw new Error('The disk is full')
  }
  let isLetGo = false
  async function* read() {
    try {
      yield* aFile('large', large).read() as AsyncIterable<Uint8Array>
    } finally {
      isLetGo = true
    }
  }
  const open = { ...aFile('large', large), read }
  await assert.rejects(seals({ sources: [open], tools: nodeTools, putPart: full }), /The disk is full/)
  assert.equal(isLetGo, true, 'the file that was being read is closed')
})

test('whoever stops early lets the other thread end', async () => {
  const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length
  const before = threads()
  const opened = orThrow(await opens(sealed, { tools: nodeTools }))
  for await (const { path } of opened.entries()) if (path === 'large') break
  assert.equal(opened.isWhole(), false)
  assert.equal(threads(), before)
})

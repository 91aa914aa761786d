import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { orThrow, ProblemError } from '#core/kit/outcome'
import { aFile, aFolder, opens, sealedOk } from '#core/seal/parcel.fixture'
import { nodeTools } from '#edge/seal/node-tools'
import { saveAll } from '#shell/cli/saving'

/** More small files than wait for the disk at once, with a large one among them. */
const texts = new Map(Array.from({ length: 150 }, (_, n) => [`case/${n % 7}/note ${n}.txt`, `Note ${n}.`.repeat(n)]))
const largePath = 'case/3/scan.bin'
texts.set(largePath, 'scan '.repeat(100_000))
const paths = [...texts.keys()].toSorted()
// As the command line lists a folder: itself before what is in it.
const sources = [aFolder('case'), ...paths.map((path) => aFile(path, texts.get(path)!))]
const sealed = await sealedOk({ sources, tools: nodeTools })

async function aPlace(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-saving-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return { folder, name: 'one' }
}

async function filesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  return found.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name))
}

async function assertAllThere(folder: string): Promise<void> {
  assert.deepEqual((await filesIn(folder)).toSorted(), paths.map((path) => join(folder, path)).toSorted())
  for (const path of paths) assert.equal(await readFile(join(folder, path), 'utf8'), texts.get(path))
}

const openedOf = async (change: Parameters<typeof opens>[1]) => orThrow(await opens(sealed, change))

test('many small files and a large one among them are saved as they were sealed', async (t) => {
  const place = await aPlace(t)
  assert.equal(await saveAll(await openedOf({ tools: nodeTools }), place), paths.length)
  await assertAllThere(place.folder)
})

test('cut off anywhere, what has a name is whole, and the next time goes on to the end', async (t) => {
  const place = await aPlace(t)
  for (const share of [0.1, 0.5, 0.95]) {
    const content = sealed.content.subarray(0, sealed.content.length * share)
    await assert.rejects(saveAll(await openedOf({ content, tools: nodeTools }), place), ProblemError)
    for (const file of await filesIn(place.folder)) {
      const path = file.slice(place.folder.length + 1)
      if (!file.endsWith('.part')) assert.equal(await readFile(file, 'utf8'), texts.get(path))
    }
  }
  assert.equal(await saveAll(await openedOf({ tools: nodeTools }), place), paths.length)
  await assertAllThere(place.folder)
})

test('a name that somebody took meanwhile is left to them, and said', async (t) => {
  const place = await aPlace(t)
  const opened = await openedOf({ tools: nodeTools })
  const taken = join(place.folder, paths.at(-1)!)
  const during = {
    ...opened,
    async *entries(had: Parameters<typeof opened.entries>[0]) {
      for await (const entry of opened.entries(had)) {
        yield entry
        if (entry.path !== largePath) continue
        await mkdir(dirname(taken), { recursive: true })
        await writeFile(taken, 'Theirs.')
      }
    },
  }
  await assert.rejects(
    saveAll(during, place),
    (error) => error instanceof ProblemError && error.problem.slug === 'file-there',
  )
  assert.equal(await readFile(taken, 'utf8'), 'Theirs.')
})

import { orThrow } from '#core/kit/outcome'
import type { Release } from '#edge/house'
import type { Db } from '#edge/store/database'
import { publishedBeside, restoreRelease } from '#features/rulebooks/publishing'
import { CalledWrongly, type Call } from '#shell/cli/command'
import { withInstalled } from '#shell/cli/installed'
import { loadPolicy } from '#shell/start'

/** Does something with the rulebooks of an installation; also with those that its release can no longer read. */
const withRulebooks = (call: Call, work: (db: Db, release: Release) => Promise<number>) =>
  withInstalled(call, async ({ db }, config) => work(db, orThrow(await loadPolicy(config.rulebooks)).release))

/** `safehand rulebook in-force`: which text of each rulebook decides, and whether the release brings another. */
export const inForceHere = (call: Call): Promise<number> =>
  withRulebooks(call, async (db, release) => {
    const books = await publishedBeside(db, release)
    if (call.json) call.io.out(JSON.stringify(books))
    else
      for (const { id, version, sha256, isPublished, isReadable, release: own } of books) {
        call.io.out(`${id} ${version} ${sha256}`)
        if (isPublished)
          call.io.out(`  Published by officers here. This release brings version ${own.version}, ${own.sha256}.`)
        if (!isReadable) call.io.out('  This release cannot read it: see `safehand rulebook restore`.')
      }
    return books.every(({ isReadable }) => isReadable) ? 0 : 1
  })

/** `safehand rulebook restore ID`: the release's own file decides again, where what was published cannot be read. */
export function restoreHere(call: Call, [id, ...more]: string[]): Promise<number> {
  if (id === undefined || more.length > 0) throw new CalledWrongly('Name one rulebook.')
  return withRulebooks(call, async (db, release) => {
    const book = (await publishedBeside(db, release)).find((each) => each.id === id)
    if (!book) throw new CalledWrongly(`There is no rulebook ‘${id}’ here.`)
    const isDone = call.values['yes'] === true && book.isPublished
    if (isDone) orThrow(await restoreRelease(db, release, id, new Date()))
    const words = !book.isPublished
      ? 'The release’s own file is in force. Nothing was changed.'
      : isDone
        ? `Version ${book.release.version} of the release is in force. An officer can publish another.`
        : `This would put version ${book.release.version} of the release into force, in the place of version ${book.version}, which officers published.\nAdd --yes to do it.`
    call.io.out(call.json ? JSON.stringify({ ...book, isDone }) : words)
    return 0
  })
}

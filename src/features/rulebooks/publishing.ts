import { fail, ok, type Failure, type Outcome } from '#core/kit/outcome'
import { loadRulebook } from '#core/policy/rulebook'
import type { Release } from '#edge/house'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction, type Db } from '#edge/store/database'
import type { Actor, Visit, Waiting } from '#edge/web/route'
import { approvers, contentHash, isOpen, look } from '#features/rulebooks/drafts'
import { sha256Of, versionIn } from '#features/rulebooks/in-force'
import { passes } from '#features/rulebooks/proving'
import {
  draftById,
  insertVersion,
  lockDraft,
  lockPublishing,
  newestPublication,
  newestVersions,
  offeredTo,
  updateDraft,
  type Draft,
} from '#features/rulebooks/queries'
import { readDraft, type ReadDraft } from '#features/rulebooks/reading'

interface Which {
  rulebook: string
  id: string
}

/** Why a draft fails, as a problem: the fault, or which part of looking at it. */
const failing = (detail?: string): Failure => fail('draft-fails', detail === undefined ? {} : { detail })

/** The draft as it can be read now, all its cases passing and nothing found; or `draft-fails`, `proofs-busy`. */
async function provedNow(visit: Visit, draft: Draft): Promise<Outcome<ReadDraft>> {
  const read = await readDraft(visit.house, draft)
  if (!read.ok) return failing(read.problem.detail)
  const proof = await look(visit.house, draft, read.value)
  if (!proof.ok) return proof
  return passes(proof.value) ? read : failing()
}

/**
 * Offers a draft to a second officer.
 *
 * @param content - `contentHash` of what is offered
 * @returns nothing; `not-found`, `draft-closed`, `changed-meanwhile`, or `draft-fails`
 */
export async function offer(visit: Visit, { rulebook, id }: Which, content: string): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  const draft = await draftById(house.db, rulebook, id)
  if (!draft) return fail('not-found')
  const proved = isOpen(draft) ? await provedNow(visit, draft) : fail('draft-closed')
  if (!proved.ok) return proved
  return inTransaction(house.db, async (tx) => {
    const locked = await lockDraft(tx, rulebook, id)
    if (!locked) return fail('draft-closed')
    if (contentHash(locked) !== content || contentHash(draft) !== content) return fail('changed-meanwhile')
    if (locked.state === 'offered') return ok({})
    const authors = [...new Set([...locked.authors, actor.id])]
    await updateDraft(tx, id, { state: 'offered', authors, offeredBy: actor.id, offeredAt: now })
    const { book, sha256 } = proved.value
    const body = { by: actor.id, draft: id, rulebook, version: book.version, sha256 }
    await recordEvent(tx, 'rulebook-offered', body, { at: now })
    return ok({})
  })
}

/**
 * Publishes a draft that somebody else wrote and offered: from this moment on it decides, on every node. It is read, its
 * cases run and all of it analysed once more before.
 *
 * @param content - `contentHash` of what is approved
 * @returns the version; `not-found`, `draft-closed`, `draft-by-author`, `changed-meanwhile` or `draft-fails`
 */
export async function approve(visit: Visit, { rulebook, id }: Which, content: string): Promise<Outcome<unknown>> {
  const { house, actor, now } = visit
  const draft = await draftById(house.db, rulebook, id)
  if (!draft) return fail('not-found')
  const may = mayApprove(draft, actor.id, content)
  const proved = may.ok ? await provedNow(visit, draft) : may
  if (!proved.ok) return proved
  const { book, inForce, sha256, newest } = proved.value
  return inTransaction(house.db, async (tx) => {
    await lockPublishing(tx)
    const locked = await lockDraft(tx, rulebook, id)
    if (!locked) return fail('draft-closed')
    const still = mayApprove(locked, actor.id, content)
    if (!still.ok) return still
    // What was proved is what is in force now with this in its place, and nothing else.
    if ((await newestPublication(tx)) !== newest) return fail('changed-meanwhile')
    const previous = house.rulebookVersions.find((each) => each.id === rulebook)!.sha256
    const { text, cases, offeredBy } = locked
    await insertVersion(tx, {
      ...{ rulebook, version: book.version, sha256, text, cases, draftId: id },
      ...{ offeredBy, approvedBy: actor.id, publishedAt: now },
    })
    await updateDraft(tx, id, { state: 'published' })
    const versions = { version: book.version, sha256, previousVersion: inForce.version, previous }
    await recordEvent(
      tx,
      'rulebook-published',
      { by: actor.id, offeredBy, draft: id, rulebook, ...versions },
      { at: now },
    )
    return ok({ rulebook, version: book.version, sha256 })
  })
}

function mayApprove(draft: Draft, personId: string, content: string): Outcome<undefined> {
  if (!isOpen(draft)) return fail('draft-closed')
  if (draft.authors.includes(personId)) return fail('draft-by-author')
  return draft.state === 'offered' && contentHash(draft) === content ? ok() : fail('changed-meanwhile')
}

/** Takes a draft out of the way for good. @returns nothing; `not-found` or `draft-closed` */
export const withdraw = ({ house, actor, now }: Visit, { rulebook, id }: Which): Promise<Outcome<unknown>> =>
  inTransaction(house.db, async (tx) => {
    const draft = await lockDraft(tx, rulebook, id)
    if (!draft) return fail((await draftById(tx, rulebook, id)) ? 'draft-closed' : 'not-found')
    await updateDraft(tx, id, { state: 'withdrawn' })
    const body = { by: actor.id, draft: id, rulebook, sha256: sha256Of(draft.text) }
    await recordEvent(tx, 'rulebook-draft-withdrawn', body, { at: now })
    return ok({})
  })

/** Drafts that wait for this officer's approval. */
export async function waiting(db: Db, actor: Actor): Promise<Waiting[]> {
  if (!approvers.some((role) => actor.roles.includes(role))) return []
  return (await offeredTo(db, actor.id)).map(({ id, rulebook, offeredAt }) => ({
    what: `Approve a change of the rulebook ‘${rulebook}’`,
    url: `/rulebooks/${rulebook}/drafts/${id}`,
    since: offeredAt!,
  }))
}

/** What decides of each rulebook of the release: its own text, or what was published. Also where it cannot be read. */
export async function publishedBeside(db: Db, release: Release) {
  const published = await newestVersions(db)
  return release.books.map(({ id, text }) => {
    const newest = published.find(({ rulebook }) => rulebook === id)
    const own = { version: versionIn(text), sha256: sha256Of(text) }
    const isPublished = newest !== undefined && newest.sha256 !== own.sha256
    const isReadable = loadRulebook(id, newest?.text ?? text, release.vocabulary).ok
    return {
      id,
      version: newest?.version ?? own.version,
      sha256: newest?.sha256 ?? own.sha256,
      isPublished,
      isReadable,
      release: own,
    }
  })
}

/**
 * Puts the release's own text of a rulebook back into force, by whoever runs the server: the way on when a new release
 * cannot read what was published. The register says that no officer did it.
 */
export const restoreRelease = (db: Db, release: Release, rulebook: string, now: Date): Promise<Outcome<unknown>> =>
  inTransaction(db, async (tx) => {
    await lockPublishing(tx)
    const text = release.books.find(({ id }) => id === rulebook)?.text
    if (text === undefined) return fail('not-found')
    const [version, sha256] = [versionIn(text), sha256Of(text)]
    const previous = (await newestVersions(tx)).find((each) => each.rulebook === rulebook)?.sha256 ?? sha256
    await insertVersion(tx, { rulebook, version, sha256, text, cases: '', publishedAt: now })
    await recordEvent(tx, 'rulebook-published', { by: null, rulebook, version, sha256, previous }, { at: now })
    return ok({})
  })

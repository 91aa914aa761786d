import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction } from '#edge/store/database'
import type { Role, Visit } from '#edge/web/route'
import { sha256Of } from '#features/rulebooks/in-force'
import {
  draftById,
  insertDraft,
  lockDraft,
  lockPublishing,
  openDrafts,
  updateDraft,
  type Draft,
} from '#features/rulebooks/queries'
import { prove, type Proof } from '#features/rulebooks/proving'
import { readDraft, tidyText, type ReadDraft } from '#features/rulebooks/reading'

/** Who writes drafts. */
export const drafters = ['information-governance'] as const satisfies Role[]
/** Who approves what somebody else wrote. */
export const approvers = ['information-governance', 'data-protection-officer'] as const satisfies Role[]
/** Who reads drafts. */
export const draftReaders = [...approvers, 'auditor'] as const satisfies Role[]

export const isOpen = ({ state }: Pick<Draft, 'state'>): boolean => state === 'draft' || state === 'offered'

/** What stands for all that a draft says. */
export const contentHash = ({ text, cases }: Pick<Draft, 'text' | 'cases'>): string =>
  sha256Of(`${sha256Of(text)} ${sha256Of(cases)}`)

export interface Typed {
  text: string
  cases?: string | undefined
}

/**
 * Keeps a new draft and looks at it.
 *
 * @returns the draft; `rulebook-unreadable` with every fault; `not-found`; or `drafts-too-many`
 */
export async function makeDraft(visit: Visit, rulebook: string, typed: Typed): Promise<Outcome<Draft>> {
  const { house, actor, now } = visit
  const content = { text: tidyText(typed.text), cases: tidyText(typed.cases ?? '') }
  const read = await readDraft(house, { rulebook, ...content })
  if (!read.ok) return read
  const made = await inTransaction(house.db, async (tx) => {
    await lockPublishing(tx)
    if ((await openDrafts(tx, rulebook)).length >= limits.draftsOpen) return fail('drafts-too-many')
    const row = { rulebook, ...content, state: 'draft' as const, authors: [actor.id], madeAt: now, changedAt: now }
    const draft = await insertDraft(tx, row)
    await recordEvent(tx, 'rulebook-drafted', drafted(draft, read.value, actor.id), { at: now })
    return ok(draft)
  })
  if (made.ok) await look(house, made.value, read.value)
  return made
}

const drafted = (draft: Draft, read: ReadDraft, by: string) => ({
  by,
  draft: draft.id,
  rulebook: draft.rulebook,
  version: read.book.version,
  sha256: read.sha256,
})

/**
 * Changes an open draft; an offer of it ends.
 *
 * @param was - `contentHash` of what was changed, so that nobody undoes another's change unseen
 * @returns the draft; as `makeDraft`; `draft-closed` or `changed-meanwhile`
 */
export async function changeDraft(
  visit: Visit,
  { rulebook, id }: { rulebook: string; id: string },
  { was, ...typed }: Typed & { was: string },
): Promise<Outcome<Draft>> {
  const { house, actor, now } = visit
  if (!(await draftById(house.db, rulebook, id))) return fail('not-found')
  const content = { text: tidyText(typed.text), cases: tidyText(typed.cases ?? '') }
  const read = await readDraft(house, { rulebook, ...content })
  if (!read.ok) return read
  const changed = await inTransaction(house.db, async (tx) => {
    const draft = await lockDraft(tx, rulebook, id)
    if (!draft) return fail('draft-closed')
    if (contentHash(draft) === contentHash(content)) return ok(draft)
    if (contentHash(draft) !== was) return fail('changed-meanwhile')
    const authors = [...new Set([...draft.authors, actor.id])]
    const set = { ...content, authors, state: 'draft' as const, changedAt: now, offeredBy: null, offeredAt: null }
    await updateDraft(tx, id, { ...set, proof: null })
    await recordEvent(tx, 'rulebook-drafted', drafted(draft, read.value, actor.id), { at: now })
    return ok({ ...draft, ...set, proof: null })
  })
  if (changed.ok) await look(house, changed.value, read.value)
  return changed
}

/**
 * Looks at a draft, and keeps what was found with it while it says the same.
 *
 * @returns the proof; or `proofs-busy`, and the draft is as it was
 */
export async function look(house: House, { rulebook, id }: Draft, read: ReadDraft): Promise<Outcome<Proof>> {
  const proof = await prove(read)
  if (!proof.ok) return proof
  await inTransaction(house.db, async (tx) => {
    const draft = await lockDraft(tx, rulebook, id)
    if (draft && sha256Of(draft.text) === read.sha256) await updateDraft(tx, id, { proof: JSON.stringify(proof.value) })
    return ok()
  })
  return proof
}

/** A draft with what is known of it now: whether it can be read, and what looking at it came to, if that still holds. */
export async function lookedAt(house: House, draft: Draft): Promise<{ read: Outcome<ReadDraft>; proof?: Proof }> {
  const read = await readDraft(house, draft)
  const proof = draft.proof as Proof | null
  return read.ok && proof?.of === read.value.of ? { read, proof } : { read }
}

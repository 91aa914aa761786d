import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { fields, isId, line, optional, text } from '#edge/web/fields'
import { action, screen, type Route, type Visit } from '#edge/web/route'
import { affectedBy, type Affected } from '#features/rulebooks/affected'
import { differences, proofWords } from '#features/rulebooks/draft-words'
import {
  approvers,
  changeDraft,
  contentHash,
  drafters,
  draftReaders,
  isOpen,
  look,
  lookedAt,
  makeDraft,
} from '#features/rulebooks/drafts'
import { inForce, sha256Of, versionIn } from '#features/rulebooks/in-force'
import { passes } from '#features/rulebooks/proving'
import { approve, offer, withdraw } from '#features/rulebooks/publishing'
import { draftById, namesOf, openDrafts, versionsOf, type Draft } from '#features/rulebooks/queries'
import { readDraft, type ReadDraft } from '#features/rulebooks/reading'
import { methodName, outcomeWord } from '#features/rulebooks/words'

const drafts = '/rulebooks/:rulebook/drafts'
const one = `${drafts}/:draft`

export const stateWords: Record<Draft['state'], { text: string; colour: string }> = {
  draft: { text: 'Being written', colour: 'blue' },
  offered: { text: 'Waiting for approval', colour: 'yellow' },
  published: { text: 'Published', colour: 'green' },
  withdrawn: { text: 'Withdrawn', colour: 'grey' },
}

const which = ({ params }: Visit) => ({ rulebook: params.rulebook!, id: params.draft! })
const drafting = ({ params }: Visit) => `/rulebooks/${params.rulebook}/drafts`
const holds = ({ actor }: Visit, roles: readonly string[]) => actor.roles.some((role) => roles.includes(role))

/** The rulebook of this address, as it is in force; or `not-found`. */
async function bookOf({ house, params }: Visit) {
  const { books, inForce: now } = await inForce(house)
  const place = books.findIndex(({ id }) => id === params.rulebook)
  if (place < 0) return fail('not-found')
  const { id, title, version } = now.policy.rulebooks[place]!
  const { text: words, cases } = books[place]!
  const own = house.release.books[place]!.text
  const release = { version: versionIn(own), sha256: sha256Of(own) }
  return ok({ id, title, version, sha256: sha256Of(words), words, cases, release })
}

const list = screen({
  path: drafts,
  who: draftReaders,
  summary: 'Drafts of a rulebook, and the versions that were published',
  view: 'rulebooks/views/drafts',
  load: async (visit) => {
    const book = await bookOf(visit)
    if (!book.ok) return book
    const { words: _words, cases: _cases, ...rulebook } = book.value
    const open = await openDrafts(visit.house.db, rulebook.id)
    return ok({
      title: 'Drafts and versions',
      rulebook,
      drafts: open.map(({ text: words, authors: _authors, ...draft }) => ({
        ...draft,
        version: versionIn(words),
        state: stateWords[draft.state],
      })),
      versions: await versionsOf(visit.house.db, rulebook.id),
      mayDraft: holds(visit, drafters),
      backUrl: `/rulebooks/${rulebook.id}`,
    })
  },
})

const newPage = screen({
  path: `${drafts}/new`,
  who: drafters,
  summary: 'Change a rulebook: write a new version',
  view: 'rulebooks/views/draft-form',
  pageOnly: true,
  load: async (visit) => {
    const book = await bookOf(visit)
    if (!book.ok) return book
    return ok({
      title: 'Write a new version',
      rulebook: book.value,
      typed: { text: book.value.words, cases: book.value.cases },
      to: drafting(visit),
      columns: 'govuk-grid-column-full',
      backUrl: drafting(visit),
    })
  },
})

const content = {
  text: text('the rulebook', limits.draftCharacters),
  cases: optional(text('your cases', limits.draftCharacters)),
}

const make = action({
  path: drafts,
  who: drafters,
  summary: 'Keep a draft of a rulebook’s new version',
  fields: fields(content),
  bodyBytes: limits.draftFormBytes,
  again: newPage,
  run: (visit, body) => makeDraft(visit, visit.params.rulebook!, body),
  then: ({ id }, visit) => `${drafting(visit)}/${id}`,
})

async function draftOf(visit: Visit): Promise<Outcome<Draft>> {
  const { rulebook, id } = which(visit)
  const draft = await draftById(visit.house.db, rulebook, id)
  return draft ? ok(draft) : fail('not-found')
}

const show = screen({
  path: one,
  who: draftReaders,
  summary: 'A draft: what it changes, whether it is sound, and who may publish it',
  view: 'rulebooks/views/draft',
  load: async (visit) => {
    const book = await bookOf(visit)
    if (!book.ok) return book
    const draft = await draftOf(visit)
    return draft.ok ? ok(await shown(visit, draft.value, book.value)) : draft
  },
})

/** A draft as its page shows it. */
async function shown(visit: Visit, draft: Draft, book: { id: string; title: string; version: string }) {
  const { house, actor } = visit
  const { read, proof } = isOpen(draft) ? await lookedAt(house, draft) : { read: undefined, proof: undefined }
  const isSound = proof !== undefined && passes(proof)
  const { text: words, cases, authors, proof: _proof, ...rest } = draft
  return {
    title: 'Draft of a rulebook',
    rulebook: { id: book.id, title: book.title, version: book.version },
    draft: { ...rest, text: words, cases, state: stateWords[draft.state], version: versionIn(words) },
    sha256: sha256Of(words),
    content: contentHash(draft),
    authorNames: await namesOf(house.db, authors),
    faults: read && !read.ok ? Object.values(read.problem.fields ?? {}) : [],
    differences: read?.ok ? differences(house, read.value.inForce, read.value.book) : undefined,
    proof: proof && proofWords(house.policy.vocabulary, proof),
    isSound,
    isLooked: proof !== undefined,
    mayChange: isOpen(draft) && holds(visit, drafters),
    mayOffer: draft.state === 'draft' && isSound && holds(visit, drafters),
    mayApprove: draft.state === 'offered' && isSound && holds(visit, approvers) && !authors.includes(actor.id),
    isAuthor: authors.includes(actor.id),
    columns: 'govuk-grid-column-full',
    backUrl: drafting(visit),
  }
}

const changePage = screen({
  path: `${one}/change`,
  who: drafters,
  summary: 'Change a draft',
  view: 'rulebooks/views/draft-form',
  pageOnly: true,
  load: async (visit) => {
    const book = await bookOf(visit)
    if (!book.ok) return book
    const draft = await draftOf(visit)
    if (!draft.ok) return draft
    if (!isOpen(draft.value)) return fail('draft-closed')
    const { id, title, version } = book.value
    return ok({
      title: 'Change the draft',
      rulebook: { id, title, version },
      typed: { text: draft.value.text, cases: draft.value.cases },
      was: contentHash(draft.value),
      isOffered: draft.value.state === 'offered',
      to: `${drafting(visit)}/${draft.value.id}`,
      columns: 'govuk-grid-column-full',
      backUrl: `${drafting(visit)}/${draft.value.id}`,
    })
  },
})

const sha256 = (title: string) => line(title, 64)
const toDraft = (_result: unknown, visit: Visit) => `${drafting(visit)}/${visit.params.draft}`

const change = action({
  path: one,
  who: drafters,
  summary: 'Change a draft; `was` is the hash of what is changed, as its page shows it',
  fields: fields({ ...content, was: sha256('the hash of the draft') }),
  bodyBytes: limits.draftFormBytes,
  again: changePage,
  run: (visit, body) => changeDraft(visit, which(visit), body),
  then: toDraft,
})

/** A draft that can be read, for what is done with what it says. */
async function readable(visit: Visit): Promise<Outcome<{ draft: Draft; read: ReadDraft }>> {
  const draft = await draftOf(visit)
  if (!draft.ok) return draft
  if (!isOpen(draft.value)) return fail('draft-closed')
  const read = await readDraft(visit.house, draft.value)
  return read.ok ? ok({ draft: draft.value, read: read.value }) : read
}

const lookAgain = action({
  path: `${one}/look`,
  who: approvers,
  summary: 'Run a draft’s cases, analyse it and compare it with what is in force, again',
  fields: fields({}),
  again: show,
  run: async (visit) => {
    const found = await readable(visit)
    return found.ok ? look(visit.house, found.value.draft, found.value.read) : found
  },
  then: toDraft,
})

const affected = screen({
  path: `${one}/transfers`,
  who: approvers,
  summary: 'Open transfers that a draft would decide otherwise; `after` is the last one looked at',
  view: 'rulebooks/views/draft-transfers',
  load: async (visit) => {
    const found = await readable(visit)
    if (!found.ok) return found
    const { after } = visit.query
    if (after !== undefined && !isId(after)) return fail('not-found')
    const { before, after: policy } = found.value.read
    const page = await affectedBy(visit.house.db, before, policy, after)
    const words = ({ method, outcome, outstanding }: Affected['before']) =>
      [`${methodName(policy.vocabulary, method)}: ${outcomeWord(outcome)}`, ...outstanding].join('. ')
    return ok({
      title: 'Open transfers that would change',
      ...page,
      affected: page.affected.map((each) => ({ ...each, was: words(each.before), would: words(each.after) })),
      backUrl: toDraft(undefined, visit),
    })
  },
})

const offering = action({
  path: `${one}/offer`,
  who: drafters,
  summary: 'Offer a draft to a second officer for publication',
  fields: fields({ content: sha256('the hash of the draft') }),
  again: show,
  run: (visit, body) => offer(visit, which(visit), body.content),
  then: toDraft,
})

const approving = action({
  path: `${one}/approve`,
  who: approvers,
  summary: 'Approve a new version of a rulebook that somebody else wrote: it decides from then on',
  fields: fields({ content: sha256('the hash of the draft') }),
  again: show,
  stepUp: true,
  run: (visit, body) => approve(visit, which(visit), body.content),
  then: toDraft,
})

const withdrawing = action({
  path: `${one}/withdraw`,
  who: drafters,
  summary: 'Withdraw a draft',
  fields: fields({}),
  again: show,
  run: (visit) => withdraw(visit, which(visit)),
  then: (_result, visit) => drafting(visit),
})

export const draftingRoutes: Route[] = [
  list,
  newPage,
  make,
  show,
  changePage,
  change,
  lookAgain,
  affected,
  offering,
  approving,
  withdrawing,
]

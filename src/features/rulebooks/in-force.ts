import { createHash } from 'node:crypto'
import { limits } from '#core/kit/limits'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { loadRulebook } from '#core/policy/rulebook'
import { stack } from '#core/policy/stack'
import type { Rulebook } from '#core/policy/terms'
import type { House, PolicyInForce, Release } from '#edge/house'
import { newestPublication, newestVersions } from '#features/rulebooks/queries'

/** A rulebook's text, by its rulebook's id. */
export interface BookText {
  id: string
  text: string
}

/** Of a text's UTF-8, in hex: what `sha256sum` says of the file. */
export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The version that a text gives itself, also where it cannot be read whole. */
export const versionIn = (text: string): string => /^version: *(.+)$/m.exec(text)?.[1] ?? ''

/** Policies made ready, by the hashes of what they were made of; the one used longest ago goes first. */
const compiled = new Map<string, PolicyInForce>()

/**
 * Reads and stacks rulebooks with the release's vocabulary.
 *
 * @returns the policy; or `rulebook-unreadable` with every fault by `id:line:column`
 */
export function compile({ vocabulary, vocabularySha256, offered }: Release, books: BookText[]): Outcome<PolicyInForce> {
  const versions = books.map(({ id, text }) => ({ id, sha256: sha256Of(text) }))
  const key = JSON.stringify([vocabularySha256, offered, versions])
  const known = compiled.get(key)
  compiled.delete(key)
  if (known) {
    compiled.set(key, known)
    return ok(known)
  }
  const rulebooks: Rulebook[] = []
  for (const { id, text } of books) {
    const read = loadRulebook(id, text, vocabulary)
    if (!read.ok) return read
    rulebooks.push(read.value)
  }
  const made = {
    policy: stack(vocabulary, rulebooks, offered),
    rulebookVersions: rulebooks.map(({ id, version }, place) => ({
      id,
      version,
      sha256: versions[place]!.sha256,
      vocabulary: vocabularySha256,
    })),
  }
  compiled.set(key, made)
  if (compiled.size > limits.policiesKept) compiled.delete(compiled.keys().next().value!)
  return ok(made)
}

/** What each process holds of the publications: the newest it has seen, and the policy with it. */
const held = new WeakMap<Release, { newest: number; inForce: PolicyInForce; books: InForce[] }>()

/** A rulebook's text in force: the one published last, else the release's own. */
export interface InForce extends BookText {
  /** Its own cases, as published with it: beside those of the release. */
  cases: string
}

/**
 * The policy in force at this moment, on every node: one look at an index, and no more while nothing was published. What
 * was published in the database counts more than the release's own file.
 *
 * @throws ProblemError `rulebook-not-ours` when this release cannot read what was published; nothing is decided then
 */
export async function inForce({ release, system }: Pick<House, 'release' | 'system'>) {
  const newest = await newestPublication(system)
  const known = held.get(release)
  if (known?.newest === newest) return known
  const published = await newestVersions(system)
  const books = release.books.map(({ id, text }): InForce => {
    const found = published.find(({ rulebook }) => rulebook === id)
    return { id, text: found?.text ?? text, cases: found?.cases ?? '' }
  })
  const made = compile(release, books)
  if (!made.ok) orThrow(fail('rulebook-not-ours', { detail: made.problem.detail!, fields: made.problem.fields! }))
  const now = {
    newest: Math.max(0, ...published.map(({ number }) => number)),
    inForce: orThrow(made),
    books,
  }
  held.set(release, now)
  return now
}

/** The policy in force for a visit: see `inForce`. */
export const policyInForce = async (house: Pick<House, 'release' | 'system'>): Promise<PolicyInForce> =>
  (await inForce(house)).inForce

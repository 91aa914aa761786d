import { utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, ok, type Failure, type Outcome } from '#core/kit/outcome'
import { type ProblemSlug } from '#core/kit/problems'

/** Left-to-right and right-to-left marks, embeddings, overrides and isolates: they make a name read as another. */
const bidirectional = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
// oxlint-disable-next-line no-control-regex -- these are what is refused
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/u
const reservedCharacter = /[<>:"|?*\\]/
const reservedName = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])( *\.|$)/i

/**
 * Whether a path may be the name of a file or folder in a parcel: relative, parts separated by `/`, and safe to make
 * on any of the common systems. The name comes from whoever sealed the parcel and is never trusted.
 *
 * @returns nothing, or the first `file-name-…` problem, whose detail names the entry by its place only
 */
export function checkPath(path: string, place: number): Outcome<undefined> {
  const refuse = (slug: ProblemSlug): Failure => fail(slug, { detail: placeOf(place) })
  if (!path.isWellFormed()) return refuse('file-name-malformed')
  if (path.startsWith('/') || path.startsWith('\\') || /^[a-z]:/i.test(path)) return refuse('file-name-absolute')
  if (control.test(path) || bidirectional.test(path)) return refuse('file-name-hidden-characters')
  if (utf8(path).length > limits.entryPathBytes) return refuse('file-name-too-long')
  const names = path.split('/')
  if (names.length - 1 > limits.entryFolders) return refuse('file-name-too-long')
  for (const name of names) {
    if (name === '..') return refuse('file-name-outside')
    if (name === '' || name === '.') return refuse('file-name-malformed')
    if (utf8(name).length > limits.entryNameBytes) return refuse('file-name-too-long')
    if (reservedCharacter.test(name) || reservedName.test(name) || /[. ]$/.test(name))
      return refuse('file-name-reserved')
  }
  return ok()
}

/**
 * Whether all the names of a parcel can lie beside each other on any system: none twice, none inside a file, and no
 * two, nor any folder on the way to them, that differ only in capitals or in how an accent is written.
 */
export function checkPaths(entries: readonly { path: string; type: 'file' | 'folder' }[]): Outcome<undefined> {
  const types = new Map<string, 'file' | 'folder'>()
  const refuse = (slug: ProblemSlug, place: number) => fail(slug, { detail: placeOf(place) })
  for (const [place, { path, type }] of entries.entries()) {
    const checked = checkPath(path, place)
    if (!checked.ok) return checked
    if (types.has(path)) return refuse('file-name-twice', place)
    types.set(path, type)
  }
  const spellings = new Map<string, string>()
  for (const [place, { path }] of entries.entries()) {
    // From the entry up through its folders, until one whose own folders have been looked at before.
    for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const folded = at.normalize('NFKC').toLowerCase()
      const other = spellings.get(folded)
      if (other !== undefined && other !== at) return refuse('file-name-case', place)
      if (at !== path && types.get(at) === 'file') return refuse('file-name-twice', place)
      if (at !== path && other === at) break
      spellings.set(folded, at)
    }
  }
  return ok()
}

const placeOf = (place: number): string => `It is number ${place + 1} in the list of files.`

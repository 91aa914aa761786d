/** What canonical JSON may hold here: RFC 8785 without fractions, so that no two writers can differ. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/**
 * The one text of a JSON value: keys sorted by UTF-16 code unit, no white space.
 *
 * @throws RangeError for a number that is not a safe integer, TypeError for anything not JSON or a lone surrogate
 * @source RFC 8785 (JSON Canonicalization Scheme); integers only by choice
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`Canonical JSON holds whole numbers only, not ${value}`)
    return String(value)
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('Canonical JSON holds well-formed text only')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object') throw new TypeError(`Not JSON: ${typeof value}`)
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${canonicalJson(key)}:${canonicalJson(value[key]!)}`).join(',')}}`
}

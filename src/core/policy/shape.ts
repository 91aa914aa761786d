import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Node } from 'yaml'
import { limits } from '#core/kit/limits'
import { ok, fail, type Outcome } from '#core/kit/outcome'
import type { Vocabulary } from '#core/policy/terms'

export type JsonSchema = { [key: string]: unknown }

/** One thing wrong in a file: where, and what to write instead. Lines and columns count from 1. */
export interface Finding {
  line: number
  column: number
  says: string
}

/** What a shape needs while it reads: where it is, what it has found wrong, and the words that are known. */
export interface Reader {
  lines: LineCounter
  findings: Finding[]
  lastOffset: number
  vocabulary: Vocabulary
}

type YamlNode = Node | null | undefined

/**
 * How one kind of value is written in a rulebook file. The same shape reads the value, with line numbers, and describes
 * itself as JSON Schema, so that the published schema cannot drift from what is accepted.
 *
 * `read` notes what is wrong in the reader and then returns nothing usable: a value counts only if nothing was found.
 */
export interface Shape<T> {
  read: (node: YamlNode, reader: Reader) => T
  schema: (vocabulary: Vocabulary) => JsonSchema
  optional?: boolean
}

/** Notes what is wrong at this place. What it returns is never used, because a file with a finding is not loaded. */
export function complain(reader: Reader, node: YamlNode, says: string): never {
  const { line, col } = reader.lines.linePos(node?.range?.[0] ?? reader.lastOffset)
  reader.findings.push({ line, column: col, says })
  return undefined as never
}

/**
 * Reads one YAML file by its shape.
 *
 * @returns the value, or the problem `rulebook-unreadable` whose fields are `file:line:column` → sentence
 */
export function readYaml<T>(file: string, text: string, shape: Shape<T>, vocabulary: Vocabulary): Outcome<T> {
  const lines = new LineCounter()
  const reader: Reader = { lines, findings: [], lastOffset: 0, vocabulary }
  if (text.length > limits.rulebookCharacters) {
    reader.findings.push({
      line: 1,
      column: 1,
      says: `This file is longer than ${limits.rulebookCharacters} characters. Split it or shorten it.`,
    })
    return unreadable(file, reader.findings)
  }
  let value: T | undefined
  try {
    value = readDocument(text, shape, reader)
  } catch (cause) {
    // The YAML parser is recursive: thousands of brackets exhaust the stack, which is the file's fault, not ours.
    if (!(cause instanceof RangeError)) throw cause
    reader.findings.push({ line: 1, column: 1, says: 'Lists and fields are nested too deeply to read. Write it flat.' })
  }
  return reader.findings.length > 0 ? unreadable(file, reader.findings) : ok(value as T)
}

function readDocument<T>(text: string, shape: Shape<T>, reader: Reader): T | undefined {
  const document = parseDocument(text, { lineCounter: reader.lines, prettyErrors: false, logLevel: 'silent' })
  for (const error of [...document.errors, ...document.warnings]) {
    reader.lastOffset = error.pos[0]
    const says =
      error.code === 'DUPLICATE_KEY'
        ? 'This name is given twice. Keep one.'
        : `This is not well-formed YAML: ${error.message}.`
    complain(reader, null, says)
  }
  visit(document, (_key, node) => {
    if (isAlias(node)) complain(reader, node, 'Aliases (*name) are not allowed. Write the value out.')
    else if ((isMap(node) || isSeq(node) || isScalar(node)) && (node.anchor || node.tag))
      complain(reader, node, 'Anchors (&name) and tags (!name) are not allowed. Write the value plainly.')
  })
  return reader.findings.length > 0 ? undefined : shape.read(document.contents, reader)
}

function unreadable(file: string, findings: Finding[]) {
  const sorted = findings.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, limits.rulebookFindings)
  const fields: Record<string, string> = {}
  for (const { line, column, says } of sorted) fields[`${file}:${line}:${column}`] ??= says
  return fail('rulebook-unreadable', { detail: `${file}, line ${sorted[0]!.line}: ${sorted[0]!.says}`, fields })
}

/** "Did you mean 'x'?", or the whole short list when nothing is near. */
export function nearest(word: string, words: Iterable<string>): string {
  const known = [...words]
  const [best] = known.map((other) => ({ other, far: distance(word, other) })).toSorted((a, b) => a.far - b.far)
  if (!best) return 'Nothing is known here.'
  if (best.far <= Math.max(2, word.length / 3)) return `Did you mean '${best.other}'?`
  return known.length <= 12 ? `Use one of: ${known.join(', ')}.` : `The nearest is '${best.other}'.`
}

/** Levenshtein's distance: letters put in, taken out or changed. Long words are cut, since nobody mistypes that much. */
function distance(from: string, to: string): number {
  const [a, b] = [from.slice(0, 40).toLowerCase(), to.slice(0, 40).toLowerCase()]
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]!
}

const kebab = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** A scalar as it was written: `1.0` stays `1.0`, `yes` stays `yes`. */
export function written(node: YamlNode): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined
  return typeof node.value === 'string' ? node.value : node.source
}

/** Plain words, at most so many characters. */
export function text(about: string, most: number = limits.textCharacters): Shape<string> {
  return {
    schema: () => ({ type: 'string', minLength: 1, maxLength: most, description: about }),
    read(node, reader) {
      const value = written(node)?.trim()
      if (!value) return complain(reader, node, `Write ${about} here.`)
      if (value.length > most) return complain(reader, node, `This is longer than ${most} characters. Shorten it.`)
      return value
    },
  }
}

/** A name this file gives to something, in small letters, digits, `-` and `_` (rule and clause ids may have capitals). */
export function name(about: string): Shape<string> {
  const pattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$/
  return matching(about, pattern, 'letters, digits, - and _ only, at most 60')
}

function matching(about: string, pattern: RegExp, how: string): Shape<string> {
  return {
    schema: () => ({ type: 'string', pattern: pattern.source, description: about }),
    read(node, reader) {
      const value = written(node) ?? ''
      return pattern.test(value) ? value : complain(reader, node, `'${value.slice(0, 60)}' is not ${about}: ${how}.`)
    },
  }
}

/** A day of the calendar, as 2026-04-30. */
export function day(about: string): Shape<string> {
  const shape = matching(about, /^\d{4}-\d{2}-\d{2}$/, 'write a day as 2026-04-30')
  return {
    ...shape,
    read(node, reader) {
      const value = shape.read(node, reader)
      if (!value) return value
      const [year, month, date] = value.split('-').map(Number) as [number, number, number]
      const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
      const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0
      if (date < 1 || date > days) return complain(reader, node, `${value} is not a day of the calendar.`)
      return value
    },
  }
}

/** A whole number of at most twelve digits. */
export function amount(about: string): Shape<number> {
  const shape = matching(about, /^\d{1,12}$/, 'write a whole number')
  return {
    schema: () => ({ type: 'integer', minimum: 0, description: about }),
    read: (node, reader) => Number(shape.read(node, reader)),
  }
}

/** One of a fixed list of words. */
export function oneOf<const W extends string>(about: string, ...words: W[]): Shape<W> {
  return known(about, () => words) as Shape<W>
}

/** One of the words the vocabulary declares, for example a method. */
export function known(about: string, words: (vocabulary: Vocabulary) => Iterable<string>): Shape<string> {
  return {
    schema: (vocabulary) => ({ enum: [...words(vocabulary)], description: about }),
    read(node, reader) {
      const value = written(node)
      const choices = [...words(reader.vocabulary)]
      if (value !== undefined && choices.includes(value)) return value
      return complain(reader, node, `'${value ?? ''}' is not ${about}. ${nearest(value ?? '', choices)}`)
    },
  }
}

export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return { ...shape, optional: true }
}

/** A list; a single value may be written without the dash. */
export function list<T>(shape: Shape<T>): Shape<T[]> {
  return {
    schema: (vocabulary) => ({
      anyOf: [{ type: 'array', items: shape.schema(vocabulary), minItems: 1 }, shape.schema(vocabulary)],
    }),
    read: (node, reader) =>
      isSeq(node) ? node.items.map((item) => shape.read(item as YamlNode, reader)) : [shape.read(node, reader)],
  }
}

/** Names and their values, in the order written. `settle` is told the result at once, so that later parts may use it. */
export function entries<T>(
  key: Shape<string>,
  value: Shape<T>,
  settle?: (map: Map<string, T>, reader: Reader) => void,
): Shape<Map<string, T>> {
  return {
    schema: (vocabulary) => ({
      type: 'object',
      propertyNames: key.schema(vocabulary),
      additionalProperties: value.schema(vocabulary),
    }),
    read(node, reader) {
      if (!isMap(node)) return complain(reader, node, "Write this as 'name: value' lines.")
      const map = new Map<string, T>()
      for (const pair of node.items) {
        reader.lastOffset = (pair.key as Node).range?.[0] ?? reader.lastOffset
        const name = key.read(pair.key as YamlNode, reader)
        const read = value.read(pair.value as YamlNode, reader)
        // What could not be read is not there for the parts after it.
        if (name !== undefined && read !== undefined) map.set(name, read)
      }
      settle?.(map, reader)
      return map
    },
  }
}

type Fields = Record<string, Shape<unknown>>
type RecordOf<F extends Fields> = { [K in keyof F]: F[K] extends Shape<infer T> ? T : never }

/** A record with named fields: fields are read in the order declared here, and an unknown one is refused. */
export function record<F extends Fields>(
  about: string,
  fields: F,
  check?: (value: RecordOf<F>, node: Node, reader: Reader) => void,
): Shape<RecordOf<F>> {
  const names = Object.keys(fields).map(kebab)
  return {
    schema: (vocabulary) => ({
      type: 'object',
      description: about,
      additionalProperties: false,
      required: Object.entries(fields).flatMap(([field, shape]) => (shape.optional ? [] : [kebab(field)])),
      properties: Object.fromEntries(
        Object.entries(fields).map(([field, shape]) => [kebab(field), shape.schema(vocabulary)]),
      ),
    }),
    read(node, reader) {
      if (!isMap(node)) return complain(reader, node, `Write ${about} as 'name: value' lines.`)
      const before = reader.findings.length
      for (const { key } of node.items)
        if (!names.includes(written(key as YamlNode) ?? ''))
          complain(
            reader,
            key as YamlNode,
            `'${written(key as YamlNode) ?? ''}' is not a field of ${about}. ${nearest(written(key as YamlNode) ?? '', names)}`,
          )
      const value: Record<string, unknown> = {}
      for (const [field, shape] of Object.entries(fields)) {
        reader.lastOffset = node.range?.[0] ?? reader.lastOffset
        if (node.has(kebab(field))) value[field] = shape.read(node.get(kebab(field), true) as YamlNode, reader)
        else if (!shape.optional) complain(reader, node, `'${kebab(field)}' is missing from ${about}.`)
      }
      if (reader.findings.length === before) check?.(value as RecordOf<F>, node, reader)
      return value as RecordOf<F>
    },
  }
}

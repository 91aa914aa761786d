import {
  Composer,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  Parser,
  visit,
  type Document,
  type Node,
} from 'yaml'
import { limits } from '#core/kit/limits'
import { ok, fail, type Outcome } from '#core/kit/outcome'
import type { Quantity, Vocabulary } from '#core/policy/terms'

export type JsonSchema = { [key: string]: unknown }
export type YamlNode = Node | null | undefined

/** One thing wrong in a file: where, and what to write instead. Looking up the nearest word waits until it is shown. */
interface Finding {
  offset: number
  says: string | (() => string)
}

/** What a shape needs while it reads: where it is, what it has found wrong, and the words that are known. */
export interface Reader {
  findings: Finding[]
  lastOffset: number
  vocabulary: Vocabulary
  /** Of the rulebook that is being read; a vocabulary has none. */
  parameters?: Map<string, Quantity | string>
}

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
  /** What counts when nothing is said. */
  otherwise?: T | undefined
}

export type TypeOf<S> = S extends Shape<infer T> ? T : never

/** Notes what is wrong at this place. What it returns is never used, because a file with a finding is not loaded. */
export function complain(reader: Reader, at: YamlNode | number, says: Finding['says']): never {
  const offset = typeof at === 'number' ? at : (at?.range?.[0] ?? reader.lastOffset)
  reader.findings.push({ offset, says })
  return undefined as never
}

/** Notes that what is written is none of the words known here, and which of them is nearest. */
export function unknown(
  reader: Reader,
  node: YamlNode,
  about: string,
  words: Iterable<string>,
  word = written(node) ?? '',
): never {
  return complain(reader, node, () => {
    const says = word === '' ? `Write ${about} here` : `'${shown(word)}' is not ${about}`
    return `${says}. ${nearest(word, words)}`
  })
}

/** What cannot be seen, looks like an ordinary space and is none, ends a line in an old way, or was not UTF-8. */
const invisible = /[^\P{C}\t\n\r]|[^\P{Z} ]|\r(?!\n)|\uFFFD/u
/** What a file says, as it may be repeated in a sentence. */
const shown = (word: string) => word.slice(0, 60).replaceAll(new RegExp(invisible, 'gu'), '?')

/**
 * Reads one YAML file by its shape.
 *
 * @returns the value, or the problem `rulebook-unreadable` whose fields are `file:line:column` → sentence
 */
export function readYaml<T>(
  file: string,
  text: string,
  shape: Shape<T>,
  words: Pick<Reader, 'vocabulary' | 'parameters'>,
): Outcome<T> {
  const reader: Reader = { findings: [], lastOffset: 0, ...words }
  // Some editors begin a file with a mark of its encoding.
  const plain = text.replace(/^\uFEFF/, '')
  const root = readDocument(plain, reader)
  const value = reader.findings.length > 0 ? undefined : shape.read(root, reader)
  if (reader.findings.length === 0) return ok(value as T)
  const first = reader.findings.toSorted((a, b) => a.offset - b.offset).slice(0, limits.rulebookFindings)
  const fields: Record<string, string> = {}
  for (const { offset, says } of first) {
    const before = plain.slice(0, offset).split('\n')
    fields[`${file}:${before.length}:${before.at(-1)!.length + 1}`] ??= typeof says === 'string' ? says : says()
  }
  const [place, says] = Object.entries(fields)[0]!
  return fail('rulebook-unreadable', { detail: `${file}, line ${place.split(':').at(-2)}: ${says}`, fields })
}

/** The file as YAML in its plainest form: one document, all of it said where it stands, nothing that cannot be seen. */
function readDocument(text: string, reader: Reader): YamlNode {
  if (text.length > limits.rulebookCharacters)
    return complain(reader, 0, `This file is longer than ${limits.rulebookCharacters} characters. Shorten it.`)
  const hidden = invisible.exec(text)
  if (hidden) {
    const code = hidden[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
    return complain(
      reader,
      hidden.index,
      `The character U+${code} here cannot be seen or read. Delete it, or save the file as plain text in UTF-8.`,
    )
  }
  // Names given twice are found by `pairsOf`: the parser's own search compares every name with every other.
  const composer = new Composer({ uniqueKeys: false, logLevel: 'silent' })
  const [document, second] = composer.compose(tokensOf(text, reader), true, text.length)
  const errors = [...document!.errors, ...document!.warnings]
  // Errors after the first are mostly what follows from it; tabs and tags are not.
  const all = errors.filter(({ code }) => code === errors[0]!.code && /^TA[BG]_/.test(code))
  for (const error of all.length > 0 ? all.slice(0, limits.rulebookFindings) : errors.slice(0, 1))
    complain(reader, ...inWords(document!, error))
  if (reader.findings.length > 0) return undefined
  if (second) return complain(reader, second.range[0], 'A second document begins here (---). Keep one in a file.')
  visit(document!, (_key, node) => {
    if (isAlias(node)) complain(reader, node, 'Aliases (*name) are not allowed. Write the value out.')
    else if ((isMap(node) || isSeq(node) || isScalar(node)) && (node.anchor || node.tag))
      complain(reader, node, 'Anchors (&name) and tags (!name) are not allowed. Write the value plainly.')
  })
  return document!.contents
}

/** The parser calls itself for what is inside something: a tower of brackets is stopped before the stack is exhausted. */
function* tokensOf(text: string, reader: Reader) {
  const parser = new Parser()
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      yield token
      if (token.type === 'error') return
    }
    if (parser.stack.length > limits.rulebookDepth)
      return complain(reader, parser.offset, 'Lists and fields are nested too deeply here. Write it flat.')
  }
  yield* parser.end()
}

const yamlErrors: Record<string, string | undefined> = {
  TAB_AS_INDENT: 'A tab stands at the beginning of this line. Use spaces.',
  TAG_RESOLVE_FAILED: 'Tags (!name) are not allowed. Write the value plainly.',
  BLOCK_AS_IMPLICIT_KEY: "There is a second ': ' in this line. Put the value in quotation marks, or begin a new line.",
  MULTILINE_IMPLICIT_KEY: "There is no ': ' in this line. Write a name, a colon, a space and a value.",
  MISSING_CHAR: "There is no ': ' in this line. Write a name, a colon, a space and a value.",
  BAD_SCALAR_START: 'A value that begins with this sign needs quotation marks.',
}

/** Where an error of YAML begins, and what to do about it. */
function inWords(
  document: Document,
  { code, pos, message }: Document['errors'][number] | Document['warnings'][number],
): [number, string] {
  let begun: number | undefined
  visit(document, (_key, node) => {
    const isEnclosed = (isCollection(node) && node.flow) || (isScalar(node) && /^QUOTE/.test(node.type ?? ''))
    if (isEnclosed && node.range?.[1] === pos[0]) begun = node.range[0]
  })
  if (/must be sufficiently indented|Missing closing/.test(message) && begun !== undefined)
    return [begun, 'The bracket or the quotation mark that opens here is not closed.']
  const says = yamlErrors[code]
  if (says) return [pos[0], says]
  return [pos[0], `This is not well-formed YAML: ${message}.`]
}

/** The `name: value` lines of a record, each name once; nothing if it is none. */
export function pairsOf(node: YamlNode, about: string, reader: Reader) {
  if (!isMap(node)) return complain(reader, node, `Write ${about} as 'name: value' lines.`) ?? []
  if (node.items.length > limits.rulebookEntries)
    return complain(reader, node, `There are more than ${limits.rulebookEntries} lines here. Shorten it.`) ?? []
  const seen = new Set<string>()
  return node.items.flatMap((pair) => {
    const [key, value] = [pair.key as YamlNode, pair.value as YamlNode]
    const word = written(key)
    reader.lastOffset = key?.range?.[0] ?? reader.lastOffset
    if (word === undefined) return complain(reader, key, 'Write one word before the colon.') ?? []
    if (word === '<<') return complain(reader, key, 'Merge keys (<<) are not allowed. Write the lines out.') ?? []
    if (seen.has(word)) return complain(reader, key, `'${shown(word)}' is given twice. Keep one.`) ?? []
    seen.add(word)
    return [{ word, key, value, offset: reader.lastOffset }]
  })
}

/** "Did you mean 'x'?", or the whole short list when nothing is near. */
export function nearest(word: string, words: Iterable<string>): string {
  const known = [...words]
  const [best] = known.map((other) => ({ other, far: distance(word, other) })).toSorted((a, b) => a.far - b.far)
  if (!best) return 'Nothing is known here.'
  if (best.far < word.length && best.far <= Math.max(2, word.length / 3)) return `Did you mean '${best.other}'?`
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
      if (invisible.test(value))
        return complain(reader, node, 'An escape (\\…) here stands for what cannot be seen. Delete it.')
      if (value.length > most) return complain(reader, node, `This is longer than ${most} characters. Shorten it.`)
      return value
    },
  }
}

/** A name this file gives to something. */
export const name = (about: string): Shape<string> =>
  matching(about, /^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$/, 'letters, digits, - and _ only, at most 60')

/** The number of a clause as its source gives it: `D13`, `4.2`. */
export const clauseId = matching(
  'a clause id',
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$/,
  'letters, digits, full stops, - and _ only, at most 60',
)

function matching(about: string, pattern: RegExp, how: string): Shape<string> {
  return {
    schema: () => ({ type: 'string', pattern: pattern.source, description: about }),
    read(node, reader) {
      const value = written(node) ?? ''
      if (value in {}) return complain(reader, node, `'${value}' is a word of the program's own. Choose another.`)
      return pattern.test(value) ? value : complain(reader, node, `'${shown(value)}' is not ${about}: ${how}.`)
    },
  }
}

/** A shape whose value, once it could be read, is looked at again or made into another. */
export function after<T, U>(shape: Shape<T>, next: (value: T, reader: Reader, node: YamlNode) => U): Shape<U> {
  return {
    schema: shape.schema,
    read(node, reader) {
      const value = shape.read(node, reader)
      return value === undefined ? (undefined as never) : next(value, reader, node)
    },
  }
}

/** A day of the calendar, as 2026-04-30. */
export const day = (about: string): Shape<string> =>
  after(matching(about, /^\d{4}-\d{2}-\d{2}$/, 'write a day as 2026-04-30'), (value, reader, node) => {
    const [year, month, date] = value.split('-').map(Number) as [number, number, number]
    const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
    const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0
    return date >= 1 && date <= days ? value : complain(reader, node, `${value} is not a day of the calendar.`)
  })

/** A whole number of at most twelve digits. */
export const amount = (about: string): Shape<number> => ({
  ...after(matching(about, /^\d{1,12}$/, 'write a whole number'), Number),
  schema: () => ({ type: 'integer', minimum: 0, description: about }),
})

/** One of a fixed list of words. */
export function oneOf<const W extends string>(about: string, ...words: W[]): Shape<W> {
  return known(about, () => words) as Shape<W>
}

/** One of the words the vocabulary declares, for example a method. */
export function known(about: string, words: (vocabulary: Vocabulary) => Iterable<string>): Shape<string> {
  return {
    schema: (vocabulary) => ({ enum: [...words(vocabulary)], description: about }),
    read(node, reader) {
      const choices = [...words(reader.vocabulary)]
      const value = written(node)
      return value !== undefined && choices.includes(value) ? value : unknown(reader, node, about, choices)
    },
  }
}

/** What may be left out, and what counts then. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined>
export function optional<T>(shape: Shape<T>, otherwise: NoInfer<T>): Shape<T>
export function optional<T>(shape: Shape<T>, otherwise?: T): Shape<T | undefined> {
  return { ...shape, optional: true, otherwise }
}

/** What a list holds; a single value stands for itself. An empty list says nothing, so it is left out instead. */
export function itemsOf(node: YamlNode, reader: Reader, least: 0 | 1 = 1): YamlNode[] {
  if (!isSeq(node)) return [node]
  if (node.items.length < least) return complain(reader, node, 'This list is empty. Fill it or leave it out.') ?? []
  if (node.items.length > limits.rulebookEntries)
    return complain(reader, node, `This list has more than ${limits.rulebookEntries} entries. Shorten it.`) ?? []
  return node.items as YamlNode[]
}

/** A list; a single value may be written without the dash. */
export function list<T>(shape: Shape<T>, least: 0 | 1 = 1): Shape<T[]> {
  return {
    schema: (vocabulary) => ({
      anyOf: [{ type: 'array', items: shape.schema(vocabulary), minItems: least }, shape.schema(vocabulary)],
    }),
    read: (node, reader) => itemsOf(node, reader, least).map((item) => shape.read(item, reader)),
  }
}

/** Names and their values, in the order written. What could not be read is not there. */
export function entries<T>(key: Shape<string>, value: Shape<T>): Shape<Map<string, T>> {
  return {
    schema: (vocabulary) => ({
      type: 'object',
      propertyNames: key.schema(vocabulary),
      additionalProperties: value.schema(vocabulary),
    }),
    read(node, reader) {
      const map = new Map<string, T>()
      for (const { key: keyNode, value: valueNode, offset } of pairsOf(node, 'this', reader)) {
        reader.lastOffset = offset
        const id = key.read(keyNode, reader)
        const read = value.read(valueNode, reader)
        if (id !== undefined && read !== undefined) map.set(id, read)
      }
      return map
    },
  }
}

/** A value and where it stands, for what can be checked only once everything is read. */
export const placed = <T>(shape: Shape<T>): Shape<{ value: T; node: YamlNode }> =>
  after(shape, (value, _reader, node) => ({ value, node }))

type Fields = Record<string, Shape<unknown>>
export type RecordOf<F extends Fields> = { [K in keyof F]: TypeOf<F[K]> }

/**
 * A record with named fields: fields are read in the order declared here, and an unknown one is refused.
 *
 * @param check - what must hold between fields; `at` says where one stands
 */
export function record<F extends Fields>(
  about: string,
  fields: F,
  check?: (value: RecordOf<F>, reader: Reader, at: (field: keyof F & string) => YamlNode) => void,
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
      const before = reader.findings.length
      const pairs = new Map(pairsOf(node, about, reader).map((pair) => [pair.word, pair]))
      if (!isMap(node)) return undefined as never
      for (const { word, key } of pairs.values())
        if (!names.includes(word)) unknown(reader, key, `a field of ${about}`, names)
      const value: Record<string, unknown> = {}
      for (const [field, shape] of Object.entries(fields)) {
        const pair = pairs.get(kebab(field))
        reader.lastOffset = pair?.offset ?? node.range![0]
        value[field] = pair ? shape.read(pair.value, reader) : shape.otherwise
        if (!pair && !shape.optional) complain(reader, node, `'${kebab(field)}' is missing from ${about}.`)
      }
      if (reader.findings.length === before)
        check?.(value as RecordOf<F>, reader, (field) => pairs.get(kebab(field))?.key ?? node)
      return value as RecordOf<F>
    },
  }
}

import { setImmediate } from 'node:timers/promises'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import { decide } from '#core/policy/decide'
import type { Policy } from '#core/policy/stack'
import type { Facts } from '#core/policy/terms'
import {
  addressOf,
  chosenIn,
  chosenOf,
  chosenWords,
  factsAsked,
  factsFrom,
  selectGroups,
  type Answer,
  type Asked,
  type Chosen,
} from '#features/rulebooks/answers'
import { methodName, roleNames, verdictOf, verdicts, type Verdict } from '#features/rulebooks/words'

export interface Cell {
  verdict: Verdict
  sign: string
  word: string
  /** The best way, whom to ask, or why it cannot be. */
  detail: string
  url: string
}

interface Row {
  label: string
  cells: Cell[]
}

/**
 * The outcome for every pair of answers to two questions: of one method, or of the best there is. The other facts are
 * pinned or not known.
 *
 * @param usual - what is taken as known when the address says nothing
 * @returns the model of its page, or `facts-unreadable`
 */
export async function matrixOf(
  policy: Policy,
  query: Record<string, string | undefined>,
  usual: Facts,
): Promise<Outcome<Record<string, unknown>>> {
  const asked = factsAsked(policy)
  const axes = asked.filter(({ id }) => policy.vocabulary.facts.get(id)!.type !== 'method')
  const read = chosenIn(asked, query)
  if (!read.ok) return read
  const { rows: usualRows, columns: usualColumns } = usualAxes(policy, axes)
  const rows = axisOf(axes, query['_rows'], usualRows)
  if (!rows.ok) return rows
  const columns = axisOf(axes, query['_columns'], usualColumns)
  if (!columns.ok) return columns
  if (rows.value === columns.value) return fail('facts-unreadable', { detail: 'Choose two different questions.' })
  const method = query['_method'] ?? ''
  if (method !== '' && !policy.methods.includes(method))
    return fail('facts-unreadable', { detail: 'There is no such method.', fields: { _method: 'Choose a method.' } })
  const isUsual = Object.keys(query).length === 0
  const pins = new Map(isUsual ? chosenOf(policy, asked, usual) : read.value)
  pins.delete(rows.value.id)
  pins.delete(columns.value.id)
  const body = await rowsOf(policy, rows.value, columns.value, pins, method)
  const used = new Set(body.flatMap(({ cells }) => cells.map(({ verdict }) => verdict)))
  return ok({
    about: method === '' ? 'The best way' : methodName(policy.vocabulary, method),
    side: { id: rows.value.id, question: rows.value.question },
    top: { id: columns.value.id, question: columns.value.question, labels: columns.value.answers.map(labelOf) },
    body,
    picture: pictureOf(body, columns.value.answers.map(labelOf)),
    legend: Object.entries(verdicts).flatMap(([id, words]) => (used.has(id as Verdict) ? { id, ...words } : [])),
    pinned: chosenWords(asked, pins),
    isUsual,
    axes: axes.map(({ id, question }) => ({ value: id, text: question })),
    methods: [
      { value: '', text: 'The best way there is' },
      ...policy.methods.map((id) => ({ value: id, text: methodName(policy.vocabulary, id) })),
    ],
    method,
    groups: selectGroups(asked, pins),
    turnUrl: addressOf('matrix', pins, { _rows: columns.value.id, _columns: rows.value.id, _method: method }),
  })
}

const labelOf = ({ label }: Answer) => label

/** A classification, and what can be answered in the most ways. */
function usualAxes({ rulebooks }: Policy, axes: readonly Asked[]) {
  const columns = axes.find(({ id }) => rulebooks.some(({ scheme }) => scheme === id))
  const [rows] = axes
    .filter((axis) => axis !== columns && axis.asked === 'deciding')
    .toSorted((a, b) => b.answers.length - a.answers.length)
  return { rows, columns }
}

function axisOf(axes: readonly Asked[], given: string | undefined, usual: Asked | undefined): Outcome<Asked> {
  const found = given ? axes.find(({ id }) => id === given) : usual
  return found ? ok(found) : fail('facts-unreadable', { detail: 'Choose two questions from the lists.' })
}

async function rowsOf(policy: Policy, rows: Asked, columns: Asked, pins: Chosen, method: string): Promise<Row[]> {
  const all: Row[] = []
  for (const row of rows.answers) {
    const cases = columns.answers.map((column): Chosen => new Map([...pins, [rows.id, row], [columns.id, column]]))
    all.push({ label: row.label, cells: cases.map((chosen) => cellOf(policy, chosen, method)) })
    // A large matrix is hundreds of decisions: others are served between its rows.
    await setImmediate()
  }
  return all
}

function cellOf(policy: Policy, chosen: Chosen, method: string): Cell {
  const { vocabulary } = policy
  const decided = decide(policy, factsFrom(chosen))
  const url = addressOf('what-if', chosen, method === '' ? {} : { _method: method })
  const cell = (is: Verdict, detail: string, at = url): Cell => {
    const { sign, word } = verdicts[is]
    return { verdict: is, sign, word, detail, url: at }
  }
  if (!decided.ok) return cell('impossible', decided.problem.detail ?? '')
  const { methods, recommended, order, ask } = decided.value
  const shown = methods[method === '' ? (recommended[0] ?? order[0]!) : method]!
  const verdict = verdictOf(shown)
  const askWords = (roles: string[]) => (roles.length > 0 ? `Ask: ${roleNames(vocabulary, roles)}` : '')
  const isUsable = verdict === 'allow' || verdict === 'with'
  const due = shown.obligations.filter(({ met }) => met !== true).length
  const left = due > 0 && verdict === 'with' ? `${due} to do` : ''
  if (method !== '') return cell(verdict, isUsable ? left : askWords(shown.ask), `${url}#method-${method}`)
  return cell(verdict, isUsable ? methodName(vocabulary, shown.method) : askWords(ask))
}

// The picture's measures, in its own units; text is 16 of them high and at most about 9 wide a letter.
const size = { cellWidth: 108, cellHeight: 48, rowLetters: 26, columnLetters: 11, line: 18, letter: 8.6 }

/** Where everything of the picture is. */
function pictureOf(body: readonly Row[], columnLabels: readonly string[]) {
  const columns = columnLabels.map((label) => linesOf(label, size.columnLetters))
  const rows = body.map(({ label }) => linesOf(label, size.rowLetters))
  const left = Math.ceil(Math.max(...rows.flat().map(({ length }) => length)) * size.letter) + 16
  const top = Math.max(...columns.map(({ length }) => length)) * size.line + 12
  const rowHeight = Math.max(size.cellHeight, Math.max(...rows.map(({ length }) => length)) * size.line + 8)
  return {
    width: left + columns.length * size.cellWidth + 1,
    height: top + rows.length * rowHeight + 1,
    cellWidth: size.cellWidth,
    cellHeight: rowHeight,
    columns: columns.flatMap((lines, column) =>
      lines.map((text, line) => ({
        text,
        x: left + (column + 0.5) * size.cellWidth,
        y: top - 10 - (lines.length - 1 - line) * size.line,
      })),
    ),
    rows: rows.flatMap((lines, row) =>
      lines.map((text, line) => ({
        text,
        x: left - 10,
        y: top + (row + 0.5) * rowHeight + 6 + (line - (lines.length - 1) / 2) * size.line,
      })),
    ),
    cells: body.flatMap(({ cells }, row) =>
      cells.map(({ verdict, url }, column) => ({
        verdict,
        sign: verdicts[verdict].sign,
        url,
        x: left + column * size.cellWidth,
        y: top + row * rowHeight,
      })),
    ),
  }
}

/** A label in lines of about so many letters, broken between words. */
function linesOf(label: string, letters: number): string[] {
  const lines: string[] = []
  for (const word of label.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && `${last} ${word}`.length <= letters) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

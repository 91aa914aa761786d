import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { loadPolicy } from '#shell/start'

test('a rulebook that does not ship is refused with the nearest that does', async () => {
  const loaded = await loadPolicy(['council', 'minstry'])
  assert.ok(!loaded.ok)
  assert.equal(loaded.problem.slug, 'setting-wrong')
  assert.match(loaded.problem.detail!, /SAFEHAND_RULEBOOKS: there is no rulebook ‘minstry’\. Did you mean 'ministry'\?/)
})

test('no name reaches a file outside the rulebooks’ folder', async () => {
  for (const id of ['../package', '/etc/passwd', 'vocabulary', 'cases', ''])
    assert.equal((await loadPolicy([id])).ok, false, id)
})

test('each set of rulebooks is stacked in the order named, with version and hash of each', async () => {
  const loaded = await loadPolicy(['ministry', 'council', 'practitioner'])
  assert.ok(loaded.ok)
  const { policy, rulebookVersions } = loaded.value
  assert.deepEqual(
    policy.rulebooks.map(({ id }) => id),
    ['ministry', 'council', 'practitioner'],
  )
  for (const { version, sha256 } of rulebookVersions) {
    assert.match(version, /^\d+\.\d+\.\d+$/)
    assert.match(sha256, /^[0-9a-f]{64}$/)
  }
})

// docs/clauses.md holds the list of all clauses. It and the rulebooks are compared, so that neither claims too much.

const books = { D: 'council', W: 'practitioner', M: 'ministry' }
const all = await loadPolicy(Object.values(books))
assert.ok(all.ok)
const { rulebooks } = all.value.policy
const rules = new Map(rulebooks.flatMap((book) => book.rules.map((rule) => [rule.id, { book: book.id, rule }])))
const cited = (id: string) => [...rules.values()].filter(({ rule }) => rule.clauses.some((clause) => clause.id === id))

/** D6–D9 as D6, D7, D8, D9. */
function clausesIn(range: string): string[] {
  const [, letter, first, , last] = /^([DWM])(\d+)(–\1(\d+))?$/.exec(range) ?? []
  assert.ok(letter && first, `${range} is a clause or a range of them`)
  const count = Number(last ?? first) - Number(first) + 1
  return Array.from({ length: count }, (_, place) => `${letter}${Number(first) + place}`)
}

const table = (await readFile(new URL('../../docs/clauses.md', import.meta.url), 'utf8'))
  .split('\n')
  .filter((line) => /^\| [DWM]\d/.test(line))
  .map((line) => {
    const [range, kind, by] = line.split('|').slice(1, -1)
    return { ids: clausesIn(range!.trim()), kind: kind!.trim(), by: by!.trim() }
  })

test('all 173 clauses are in docs/clauses.md, each once and in order, with a kind and what honours it', () => {
  const wanted = ['D1–D49', 'W1–W82', 'M1–M42'].flatMap(clausesIn)
  assert.equal(wanted.length, 173)
  assert.deepEqual(
    table.flatMap(({ ids }) => ids),
    wanted,
  )
  const kinds = ['RULE', 'STEP', 'FIELD', 'FEATURE', 'NOTICE', 'DEF', 'CTX']
  for (const { ids, kind, by } of table) {
    assert.ok(kinds.includes(kind), `${ids[0]}: ${kind}`)
    assert.ok(by.length > 0, ids[0])
  }
})

test('every clause that is a RULE is cited by a rule of its own policy’s rulebook', () => {
  for (const { ids, kind } of table)
    for (const id of kind === 'RULE' ? ids : [])
      assert.ok(
        cited(id).some(({ book }) => book === books[id[0] as keyof typeof books]),
        id,
      )
})

test('every rule that cites a clause is named beside it, and every rule named there cites it', () => {
  for (const { ids, by } of table)
    for (const id of ids)
      assert.deepEqual(
        (by.match(/[DWM]-R\d+[a-z-]*/g) ?? []).toSorted(),
        cited(id)
          .map(({ rule }) => rule.id)
          .toSorted(),
        id,
      )
})

test('every clause that a rulebook cites is in the table', () => {
  const known = new Set(table.flatMap(({ ids }) => ids))
  for (const { rule } of rules.values())
    for (const { id } of rule.clauses) assert.ok(known.has(id), `${rule.id}: ${id}`)
})

test('each rulebook says when its guidance is of and when it is next reviewed', () => {
  for (const { id, guidanceDate, reviewDate } of rulebooks) assert.ok(guidanceDate < reviewDate, id)
})

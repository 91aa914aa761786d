import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { orThrow } from '#core/kit/outcome'
import { decide, type MethodDecision } from '#core/policy/decide'
import { possibleIn } from '#core/policy/stack'
import type { Facts } from '#core/policy/terms'
import { loadPolicy } from '#shell/start'
import { anyFacts } from '#test/facts'

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

const alone = await Promise.all(
  rulebooks.map(async ({ id, scheme }) => ({ id, scheme, policy: orThrow(await loadPolicy([id])).policy })),
)
/** Any facts that can be true together. */
const someFacts = anyFacts(all.value.policy).map((facts) =>
  Object.entries(facts).reduce<Facts>((kept, [id, value]) => {
    const more = { ...kept, [id]: value }
    return possibleIn(all.value.policy, more).ok ? more : kept
  }, {}),
)
const isUsable = (outcome: string) => outcome === 'ALLOW' || outcome === 'ALLOW_WITH'

test('stacked, the three policies are never laxer than one of them by itself', () => {
  fc.assert(
    fc.property(someFacts, (facts) => {
      const together = orThrow(decide(all.value.policy, facts))
      for (const { id, scheme, policy } of alone)
        for (const one of Object.values(orThrow(decide(policy, facts)).methods)) {
          const joined: MethodDecision = together.methods[one.method]!
          const where = `${one.method} by ${id}`
          if (one.outcome === 'BLOCK' && !one.silent) assert.equal(joined.outcome, 'BLOCK', where)
          if (one.referTo.length > 0 || one.needs.includes(scheme)) assert.ok(!isUsable(joined.outcome), where)
          if (!isUsable(one.outcome) || !isUsable(joined.outcome)) continue
          for (const due of one.obligations)
            assert.ok(
              joined.obligations.some((each) => each.id === due.id && each.met === due.met),
              where,
            )
          for (const limit of Object.keys(one.limits)) assert.ok(joined.limits[limit] !== undefined, where)
        }
    }),
    { numRuns: 300 },
  )
})

test('SECRET is refused whatever else is known, by every method', () => {
  fc.assert(
    fc.property(someFacts, fc.constantFrom('secret', 'top-secret'), (facts, level) => {
      const { published: _, 'council-class': __, ...others } = facts
      const decided = orThrow(decide(all.value.policy, { ...others, 'government-class': level }))
      assert.ok(Object.values(decided.methods).every(({ outcome }) => outcome === 'BLOCK'))
      assert.ok(decided.methods.telephone!.ask.includes('information-security'))
    }),
    { numRuns: 300 },
  )
})

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { orThrow } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { loadVocabulary } from '#core/policy/vocabulary'
import { domainsOf, isCjsmAddress, isInternalAddress, membersOf, searchTerms } from '#features/organisations/addresses'
import { dayOf, instantOf, workingDaysAfter } from '#features/organisations/calendar'
import { councilClasses, sectorIds } from '#features/organisations/words'

const vocabulary = orThrow(loadVocabulary('vocabulary.yaml', await readFile('rulebooks/vocabulary.yaml', 'utf8')))

test('the directory knows the sectors and classes that rulebooks know', () => {
  assert.deepEqual([...sectorIds].sort(), [...vocabulary.facts.get('sector')!.options!.keys()].sort())
  assert.deepEqual(Object.keys(councilClasses), [...vocabulary.facts.get('council-class')!.options!.keys()])
})

test('an address below cjsm.net is a criminal justice one, a look-alike is not', () => {
  assert.ok(isCjsmAddress('ada@police.example.cjsm.net'))
  assert.ok(isCjsmAddress('ada@cjsm.net'))
  assert.ok(isCjsmAddress('Ada@Police.CJSM.NET'))
  assert.ok(!isCjsmAddress('ada@notcjsm.net'))
  assert.ok(!isCjsmAddress('ada@cjsm.net.example'))
  assert.ok(!isCjsmAddress('cjsm.net@example.org'))
})

test('only an address in a listed domain is internal: one in a domain below it is not', () => {
  const own = { domains: ['exampleshire.example'] }
  assert.ok(isInternalAddress(own, 'ada@Exampleshire.Example'))
  assert.ok(!isInternalAddress(own, 'ada@schools.exampleshire.example'))
  assert.ok(!isInternalAddress(own, 'ada@notexampleshire.example'))
  assert.ok(!isInternalAddress(own, 'exampleshire.example@partner.example'))
})

test('domains are read one a line, without the at sign, each once', () => {
  assert.deepEqual(domainsOf(' @A.Example\n\nb.example \na.example'), ['a.example', 'b.example'])
  assert.deepEqual(domainsOf(''), [])
  assert.deepEqual(domainsOf('not a domain'), {
    wrong: 'not a domain is not a domain. Enter one a line, like example.gov.uk',
  })
})

test('an organisation may have as many domains as the limit, and not one more', () => {
  const domains = (count: number) => domainsOf(Array.from({ length: count }, (_, n) => `d${n}.example`).join('\n'))
  assert.ok(Array.isArray(domains(limits.domainsPerOrganisation - 1)))
  assert.ok(Array.isArray(domains(limits.domainsPerOrganisation)))
  assert.ok('wrong' in domains(limits.domainsPerOrganisation + 1))
})

test('a team may have as many members as the limit, and not one more, and has one at least', () => {
  const members = (count: number) => membersOf(Array.from({ length: count }, (_, n) => `Member ${n}`).join('\n'))
  assert.ok(Array.isArray(members(limits.mailboxMembers - 1)))
  assert.ok(Array.isArray(members(limits.mailboxMembers)))
  assert.ok('wrong' in members(limits.mailboxMembers + 1))
  assert.ok('wrong' in members(0))
})

test('a member may have as many characters as a line, and not one more', () => {
  for (const over of [-1, 0]) assert.ok(Array.isArray(membersOf('x'.repeat(limits.lineCharacters + over))))
  assert.ok('wrong' in membersOf('x'.repeat(limits.lineCharacters + 1)))
})

test('a search is looked at for as many words as the limit, without signs that a search could misread', () => {
  assert.deepEqual(searchTerms("O'Neill & (north | !brook):* \u0000"), ['o', 'neill', 'north', 'brook'])
  assert.equal(searchTerms('a b c d e f g h').length, limits.searchWords)
})

test('two working days after a Friday afternoon is Tuesday afternoon', () => {
  assert.deepEqual(workingDaysAfter(new Date('2026-03-06T16:40:00Z'), 2), new Date('2026-03-10T16:40:00Z'))
})

test('two working days after a weekend begin on Monday', () => {
  assert.deepEqual(workingDaysAfter(new Date('2026-03-07T10:00:00Z'), 2), new Date('2026-03-10T10:00:00Z'))
  assert.deepEqual(workingDaysAfter(new Date('2026-03-08T10:00:00Z'), 2), new Date('2026-03-10T10:00:00Z'))
})

test('a working day is counted as it is here: late on a summer Sunday in UTC it is Monday', () => {
  assert.deepEqual(workingDaysAfter(new Date('2026-06-07T23:30:00Z'), 1), new Date('2026-06-08T23:30:00Z'))
  assert.equal(dayOf(new Date('2026-06-07T23:30:00Z')), '2026-06-08')
})

test('a day is kept so that it reads as the same day in summer and winter', () => {
  for (const day of ['2026-01-01', '2026-07-01', '2026-12-31']) assert.equal(dayOf(instantOf(day)), day)
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { casesOf } from '#features/rulebooks/cases'
import { findingsOf } from '#features/rulebooks/findings'
import { compile } from '#features/rulebooks/in-force'
import { tryOut } from '#features/rulebooks/trying'
import { aHouse, day, page } from '#test/house'

const { house, browser } = await aHouse({ after })
const helen = await browser('Helen Marsh')
const tom = await browser('Tom Fletcher')

interface Matrix {
  side: { id: string }
  top: { id: string; labels: string[] }
  body: { label: string; cells: { verdict: string; word: string; detail: string; url: string }[] }[]
  legend: { id: string }[]
  pinned: { question: string; answer: string }[]
}
const matrix = (query: string) => helen.get<Matrix>(`/api/rulebooks/matrix?${query}`)
const known = 'audience=organisation&address=ordinary&published=no&personal=no&internal-use-only=no&artefact=file'
const ready = `${known}&size=at-most-12000000&recipient-authorised=yes&required-method=none-on-file&mailbox=person&urgency=no-rush`

test('any member of staff reads the rulebook; those who examine it are offered more', async () => {
  for (const as of [helen, tom]) {
    const { body } = await as.call('GET', '/rulebooks/council', undefined, page)
    for (const { id, title, clauses } of house.policy.rulebooks[0]!.rules) {
      assert.ok(body.includes(`id="rule-${id}"`), id)
      assert.ok(body.includes(title), title)
      for (const clause of clauses) assert.ok(body.includes(`<strong>${clause.id}</strong>`), clause.id)
    }
    assert.equal(body.includes('/rulebooks/matrix?'), as === helen)
  }
  assert.equal((await tom.problem('GET', '/api/rulebooks/matrix')).slug, 'not-allowed')
  assert.equal((await helen.problem('GET', '/api/rulebooks/nobody-has-this')).slug, 'not-found')
})

test('a rule is said in words: when, what, how it is lifted, and its amounts with their units', async () => {
  const { body } = await helen.call('GET', '/rulebooks/council', undefined, page)
  const words = body.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ')
  assert.match(words, /All files on one email together emailLimit 12 MB/)
  assert.match(words, /Is it marked for internal use only\? Yes .*Anything but One of ours/)
  assert.match(words, /Effect Refused .*Lifted by Owner of the information, when:/)
  assert.match(words, /How large is it, all files together\? more than 12 MB \(emailLimit\)/)
  assert.match(words, /A fact is needed that nobody knows/)
})

test('a rulebook whose review is past says so from the day after', async () => {
  const later = await aHouse({ after })
  const isOverdue = async () => {
    const as = await later.browser('Helen Marsh')
    const pages = ['/rulebooks', '/rulebooks/council'].map((path) => as.call('GET', path, undefined, page))
    return (await Promise.all(pages)).map(({ body }) => /Review overdue|Its review was due/.test(body))
  }
  const reviewed = new Date(`${later.house.policy.rulebooks[0]!.reviewDate}T12:00:00Z`)
  later.advance(reviewed.valueOf() - later.house.now().valueOf())
  assert.deepEqual(await isOverdue(), [false, false])
  later.advance(day)
  assert.deepEqual(await isOverdue(), [true, true])
})

test('every link from a rule leads to a matrix', async () => {
  const { ruleList } = await helen.get<{ ruleList: { matrixUrl?: string }[] }>('/api/rulebooks/council')
  const urls = ruleList.flatMap(({ matrixUrl }) => matrixUrl ?? [])
  assert.ok(urls.length > 25)
  for (const url of urls) assert.equal((await helen.call('GET', `/api${url}`)).statusCode, 200, url)
})

test('the matrix of ordinary email allows what is public and refuses the rest', async () => {
  const { body, top, legend } = await matrix(`_rows=sector&_columns=council-class&_method=standard_email&${ready}`)
  assert.deepEqual(top.labels, ['Public', 'Controlled', 'Restricted'])
  const council = body.find(({ label }) => label === 'Council')!
  assert.deepEqual(
    council.cells.map(({ verdict }) => verdict),
    ['allow', 'block', 'block'],
  )
  assert.deepEqual(
    legend.map(({ id }) => id),
    ['allow', 'block'],
  )
})

test('the matrix of the best way names it, or whom to ask', async () => {
  const { body } = await matrix(`_rows=sector&_columns=council-class&${ready}`)
  const cell = (label: string, at: number) => body.find((row) => row.label === label)!.cells[at]!
  assert.deepEqual([cell('Council', 0).verdict, cell('Council', 0).detail], ['allow', 'Ordinary email'])
  assert.deepEqual([cell('Police', 2).verdict, cell('Police', 2).detail], ['refer', 'Ask: Service desk'])
})

/** Two facts with an answer each that an implication of the vocabulary rules out together. */
function aContradiction() {
  const { implications, facts } = house.policy
  const name = (place: number, mask: number) =>
    [...facts[place]!.bits].find(([value, bit]) => typeof value === 'string' && bit & mask)?.[0] as string
  const { fact, bits, then, because } = implications[0]!
  const other = then[0]!
  return {
    ids: [facts[fact]!.id, facts[other]!.id] as const,
    values: [name(fact, bits), name(other, facts[other]!.all & ~then[1]!)] as const,
    because,
  }
}

test('what contradicts itself is shown as what cannot be, with the reason', async () => {
  const { ids, because } = aContradiction()
  const { body } = await matrix(`_rows=${ids[0]}&_columns=${ids[1]}`)
  const impossible = body.flatMap((row) => row.cells).filter(({ verdict }) => verdict === 'impossible')
  assert.ok(impossible.some(({ detail, word }) => detail === because && word === 'Cannot be'))
})

test('a cell leads to the explanation of the same case and method', async () => {
  const { body } = await matrix(`_rows=sector&_columns=council-class&_method=standard_email&${ready}`)
  const { url } = body.find(({ label }) => label === 'Police')!.cells[2]!
  const { body: html } = await helen.call('GET', url, undefined, page)
  const open = html.slice(html.indexOf('id="method-standard_email"'))
  assert.match(open, /^[^§]*?<details class="[^"]*" open>/)
  assert.match(open, /Ordinary email: you cannot use this here.*\(D21\)/s)
  assert.match(open, /href="\/rulebooks\/council#rule-D-R6"/)
})

test('the picture and the table say the same, without colour', async () => {
  const { body: html } = await helen.call(
    'GET',
    `/rulebooks/matrix?_rows=sector&_columns=council-class&${ready}`,
    undefined,
    page,
  )
  const signs = [...html.matchAll(/class="sh-matrix__sign"[^>]*>([^<]+)</g)].map(([, sign]) => sign)
  const cells = [...html.matchAll(/<td[^>]*><span class="sh-sign[^>]*><span>([^<]+)</g)].map(([, sign]) => sign)
  assert.equal(signs.length, 36)
  assert.deepEqual(signs, cells)
})

test('what if: each method has its outcome and reasons, and the next question leads on', async () => {
  interface WhatIf {
    given: unknown[]
    next?: { question: string; why: string; answers: { url: string }[] }
    sections: { methods: { id: string; word: string }[] }[]
    silent: string[]
  }
  let url = '/rulebooks/what-if'
  for (let asked = 0; asked < 20; asked += 1) {
    const { next, given, sections, silent } = await helen.get<WhatIf>(`/api${url}`)
    assert.equal(given.length, asked)
    assert.equal(sections.flatMap(({ methods }) => methods).length + silent.length, house.policy.methods.length)
    if (!next) return assert.ok(asked > 2)
    assert.ok(next.why)
    url = next.answers[0]!.url
  }
  assert.fail('it asks without end')
})

test('answers that contradict each other are said on the page, with what was chosen still there', async () => {
  const { ids, values } = aContradiction()
  const query = `${ids[0]}=${values[0]}&${ids[1]}=${values[1]}`
  const { body } = await helen.call('GET', `/rulebooks/what-if?${query}`, undefined, page)
  assert.match(body, /There is a problem/)
  for (const value of values) assert.ok(body.includes(`<option value="${value}" selected>`), value)
  assert.doesNotMatch(body, /id="method-/)
})

test('an address with words that the rulebooks do not know is refused, and says which would be right', async () => {
  for (const query of ['audiense=inside', 'audience=everybody', 'size=4', 'constructor=x', 'audience=<b>']) {
    for (const path of ['what-if', 'matrix']) {
      const { status, slug, fields } = await helen.problem('GET', `/api/rulebooks/${path}?${query}`)
      assert.deepEqual([status, slug], [422, 'facts-unreadable'], query)
      assert.ok(fields && Object.keys(fields).length === 1)
    }
  }
  for (const query of ['_rows=nothing', '_columns=required-method', '_method=pigeon', '_rows=sector&_columns=sector'])
    assert.equal((await helen.problem('GET', `/api/rulebooks/matrix?${query}`)).slug, 'facts-unreadable', query)
})

interface Cases {
  files: { cases: { id: string; isPassed: boolean; checks: { what: string; isSame: boolean }[]; url: string }[] }[]
  passed: number
  failed: number
  left: number
}

/** A file of so many cases, each expecting that nothing known refers to somebody. */
const caseFile = (ids: string[], outcome = 'REFER') =>
  `format: safehand-cases/1\nrulebooks: [council]\nassume: {}\ncases:\n${ids
    .map((id) => `  - { id: ${id}, title: A case, facts: {}, expect: { outcome: ${outcome} } }\n`)
    .join('')}`

/** The cases when the release has only these files. A policy and a release of their own: both are what is kept by. */
const casesWith = (...texts: string[]) =>
  casesOf({
    ...house,
    policy: { ...house.policy },
    release: { ...house.release, cases: texts.map((text, place) => ({ file: `${place}.yaml`, text })) },
  })

test('the cases are run with the rulebooks in force, and all that ship pass', async () => {
  const { files, passed, failed } = await helen.get<Cases>('/api/rulebooks/cases')
  assert.ok(passed > 20)
  assert.equal(failed, 0)
  const all = files.flatMap(({ cases }) => cases)
  assert.equal(all.length, passed)
  for (const { id, url, checks } of all) {
    assert.ok(checks.length > 0, id)
    assert.equal((await helen.call('GET', `/api${url}`)).statusCode, 200, id)
  }
})

test('a case that fails says what was expected and what came out', async () => {
  const { failed, passed, files } = await casesWith(caseFile(['a', 'b'], 'ALLOW'), caseFile(['c']))
  assert.deepEqual([failed, passed], [2, 1])
  assert.deepEqual(files[0]!.cases[0]!.checks, [{ what: 'Outcome', expected: 'Yes', got: 'Ask first', isSame: false }])
})

test('cases of rulebooks that do not decide here are not run', async () => {
  const { files } = await casesWith(caseFile(['a']).replace('[council]', '[council, ministry]'))
  assert.deepEqual(files, [])
})

test('no more cases are run than the limit, and how many are left is said', async () => {
  const ids = (count: number, name: string) => Array.from({ length: count }, (_, place) => `${name}${place}`)
  for (const [more, left] of [
    [-1, 0],
    [0, 0],
    [1, 1],
  ] as const) {
    const half = limits.casesShown / 2
    const ran = await casesWith(caseFile(ids(half, 'a')), caseFile(ids(half + more, 'b')))
    assert.equal(ran.left, left)
    assert.equal(ran.passed, limits.casesShown + Math.min(0, more))
  }
})

interface Analysed {
  analysis?: { cases: string; findings: { heading: string; rules: { rule: string }[]; url: string }[] }
}

test('the analysis of the rulebooks in force has nothing to say, and is made once', async () => {
  const [first, ...others] = await Promise.all(
    Array.from({ length: 5 }, () => helen.get<Analysed>('/api/rulebooks/analysis')),
  )
  assert.deepEqual(first!.analysis?.findings, [])
  assert.match(first!.analysis!.cases, /^[\d,]{6,}$/)
  for (const other of others) assert.deepEqual(other, first)
})

test('a finding names its rules and leads to a case to try, while others are served', async () => {
  const { release } = house
  const text = release.books[0]!.text.replace(
    'when: { address: internal }\n',
    'when: { address: internal, size: { above: 900 GB, at-most: 12 MB } }\n',
  )
  const { policy } = orThrow(compile(release, [{ id: 'council', text }]))
  let turns = 0
  const turning = setInterval(() => (turns += 1), 5)
  const { analysis } = orThrow(await findingsOf({ ...house, policy }))
  clearInterval(turning)
  assert.ok(turns > 10, 'the event loop went on')
  const { rules, heading } = analysis!.findings!.find((each) => each.rules.some(({ rule }) => rule === 'D-R5'))!
  assert.equal(heading, 'A rule without a case')
  assert.deepEqual(
    rules.map(({ rule }) => rule),
    ['D-R5'],
  )
  for (const { url } of analysis!.findings!)
    assert.equal(
      orThrow(tryOut(policy, Object.fromEntries(new URLSearchParams(url.split('?')[1])))).errorList,
      undefined,
    )
})

/** One broken file of each kind: the exact line and column, what is wrong, and the nearest right word. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { limits } from '#core/kit/limits'
import type { Outcome } from '#core/kit/outcome'
import { loadCases, readFacts } from '#core/policy/cases'
import { loadRulebook } from '#core/policy/rulebook'
import { stack } from '#core/policy/stack'
import { loadVocabulary } from '#core/policy/vocabulary'
import { aRule, rulebookText, shippedFiles, shippedVocabulary, smallVocabulary, smallWords } from '#test/policy'

const book = `format: safehand-rulebook/1
id: first
title: A rulebook
version: 1.0.0
guidance-date: 2026-01-01
review-date: 2027-01-01
scheme: class
ask: desk
parameters:
  most: 10 MB
  keepDays: 28 days
  proof: letter
rules:
  - id: R1
    title: Small things by mail
    when: { class: [low, mid], size: { at-most: most } }
    methods: mail
    then: allow
    require: [clear]
    limits: [keepDays, proof]
    clauses:
      - { id: C1, says: Small things may go by mail. }
  - id: R2
    title: Nothing highly secret leaves
    when: { class: high }
    methods: all
    then: refuse
    strength: overridable
    lifted-by: { role: owner, when: { lifted: yes } }
    instead: Bring it yourself.
    clauses: { id: C2, says: What is highly secret stays. }
`

/** All that is found wrong: `line:column sentence`. */
function faults(loaded: Outcome<unknown>): string[] {
  assert(!loaded.ok, 'the file was accepted')
  assert.equal(loaded.problem.slug, 'rulebook-unreadable')
  return Object.entries(loaded.problem.fields ?? {}).map(
    ([place, says]) => `${place.slice(place.indexOf(':') + 1)} ${says}`,
  )
}
const bookFaults = (text: string) => faults(loadRulebook('a.yaml', text, smallVocabulary()))
const wordFaults = (text: string) => faults(loadVocabulary('words.yaml', text))

/** What is broken; pairs of what is replaced and by what; what is found. */
type Row = [string, string[], string[]]

function changed(text: string, changes: string[]): string {
  let next = text
  for (let at = 0; at < changes.length; at += 2) {
    assert(next.includes(changes[at]!), `${changes[at]} is there to be changed`)
    next = next.replace(changes[at]!, () => changes[at + 1]!)
  }
  return next
}

const broken: Row[] = [
  [
    'an unknown field',
    ['    then: allow', '    than: allow'],
    ["14:5 'then' is missing from a rule.", "18:5 'than' is not a field of a rule. Did you mean 'then'?"],
  ],
  [
    'an unknown fact',
    ['class: [low, mid], size', 'klass: [low, mid], size'],
    ["16:13 'klass' is not a fact. Did you mean 'class'?"],
  ],
  ['an unknown value', ['[low, mid]', '[low, midd]'], ["16:26 'midd' is not a value of 'class'. Did you mean 'mid'?"]],
  [
    'a misspelt method',
    ['methods: mail', 'methods: [mail, parsel]'],
    ["17:21 'parsel' is not a method. Did you mean 'parcel'?"],
  ],
  [
    'an unknown tag',
    ['methods: mail', 'methods: { tagged: seeled }'],
    ["17:24 'seeled' is not a tag. Did you mean 'sealed'?"],
  ],
  ['an unknown obligation', ['[clear]', '[cleer]'], ["19:15 'cleer' is not an obligation. Did you mean 'clear'?"]],
  ['an unknown role', ['ask: desk', 'ask: dest'], ["8:6 'dest' is not a role. Did you mean 'desk'?"]],
  ['an unknown unit', ['10 MB', '10 MBs'], ["10:9 'MBs' is not a unit. Did you mean 'MB'?"]],
  ['a quantity without a unit', ['10 MB', '10'], ["10:9 Write a number and its unit here, as '28 days'."]],
  ['a fraction of a whole', ['28 days', '2.5 days'], ['11:13 2.5 days is not a whole number of days, or is too many.']],
  [
    'an unknown limit',
    ['[keepDays, proof]', '[keepDay, proof]'],
    ["20:14 'keepDay' is not a limit. Did you mean 'keepDays'?"],
  ],
  ['an unknown effect', ['then: allow', 'then: alow'], ["18:11 'alow' is not an effect. Did you mean 'allow'?"]],
  [
    'an unknown fact as classification',
    ['scheme: class', 'scheme: clas'],
    ["7:9 'clas' is not a choice among the facts. Did you mean 'class'?"],
  ],
  [
    'a classification that is no choice',
    ['scheme: class', 'scheme: near'],
    ["7:9 'near' is not a choice among the facts. Use one of: class."],
  ],
  [
    'a missing clause',
    ['    clauses:\n      - { id: C1, says: Small things may go by mail. }\n', ''],
    ["14:5 'clauses' is missing from a rule."],
  ],
  ['a missing head line', ['scheme: class\n', ''], ["1:1 'scheme' is missing from a rulebook."]],
  [
    'a missing parameter',
    ['{ at-most: most }', '{ at-most: mots }'],
    ["16:49 'mots' is not among this rulebook's parameters. Did you mean 'most'?"],
  ],
  [
    'a parameter in the wrong unit',
    ['{ at-most: most }', '{ at-most: keepDays }'],
    ["16:49 Here parameter 'keepDays' must be in bytes; it is in days."],
  ],
  [
    'a literal in the wrong unit',
    ['{ at-most: most }', '{ above: 3 days }'],
    ['16:47 This is counted in bytes, not in days.'],
  ],
  [
    'a limit with no such choice',
    ['proof: letter', 'proof: leter'],
    ["20:24 Here parameter 'proof' must be one of word, letter, signature; it is 'leter'. Did you mean 'letter'?"],
  ],
  [
    'an obligation whose parameter is missing',
    ['[clear]', '[fit]', '  most: 10 MB\n', ''],
    [
      "15:49 'most' is not among this rulebook's parameters. Use one of: keepDays, proof.",
      "18:15 'most' is not among this rulebook's parameters. Use one of: keepDays, proof.",
    ],
  ],
  ['an impossible date', ['2027-01-01', '2027-02-29'], ['6:14 2027-02-29 is not a day of the calendar.']],
  [
    'a date written otherwise',
    ['2027-01-01', '1 January 2027'],
    ["6:14 '1 January 2027' is not the date of the next review: write a day as 2026-04-30."],
  ],
  ['a review before the guidance', ['2027-01-01', '2025-01-01'], ["6:1 'review-date' is not after 'guidance-date'."]],
  ['a duplicate rule', ['id: R2', 'id: R1'], ['23:5 Rule R1 is there twice. Give one another id.']],
  [
    'a duplicate field',
    ['    then: allow\n', '    then: allow\n    then: refer\n'],
    ["19:5 'then' is given twice. Keep one."],
  ],
  [
    'a clause cited twice',
    [
      'clauses: { id: C2, says: What is highly secret stays. }',
      'clauses: [{ id: C2, says: It stays. }, { id: C2, says: It does. }]',
    ],
    ['31:5 Clause C2 is cited twice.'],
  ],
  [
    'a refusal that offers nothing',
    ['    instead: Bring it yourself.\n', ''],
    ["27:5 A rule that refuses says the nearest allowed thing in 'instead'."],
  ],
  [
    'a referral to nobody',
    ['then: allow', 'then: refer'],
    ["14:5 A rule that refers, and no other, says whom to in 'refer-to'."],
  ],
  [
    'someone referred to for nothing',
    ['then: allow', 'then: allow\n    refer-to: desk'],
    ["19:5 A rule that refers, and no other, says whom to in 'refer-to'."],
  ],
  [
    'an overridable rule that nobody may lift',
    ['    lifted-by: { role: owner, when: { lifted: yes } }\n', ''],
    ["28:5 Say who may lift this rule, and by which fact, in 'lifted-by'."],
  ],
  [
    'a hard rule that somebody may lift',
    ['strength: overridable', 'strength: hard'],
    ["29:5 A hard rule cannot be lifted: use 'strength: overridable' or 'soft'."],
  ],
  [
    'a requirement of nothing',
    ['    then: allow\n    require: [clear]', '    then: require'],
    ["18:5 The obligations are missing: name them in 'require'."],
  ],
  [
    'an allowance when nobody is sure',
    ['when: { class: [low, mid], size: { at-most: most } }', 'when: not-sure'],
    ["16:5 The rule for 'not-sure' refers to a role."],
  ],
  [
    'a comparison that is not known',
    ['at-most: most', 'under: most'],
    ["16:40 'under' is not a field of a comparison. Use one of: above, at-most."],
  ],
  [
    'a quantity that is not compared',
    ['size: { at-most: most }', 'size: 3 MB'],
    ['16:38 Write { above: … } or { at-most: … } here.'],
  ],
  [
    'a comparison with nothing',
    ['size: { at-most: most }', 'size: {}'],
    ['16:38 Write { above: … } or { at-most: … } here.'],
  ],
  [
    'a condition that is none',
    ['when: { class: high }', 'when: always'],
    ["25:11 Write a condition as 'name: value' lines."],
  ],
  [
    'a test that is not known',
    ['class: high', 'class: { nor: high }'],
    [
      "25:20 'not' is missing from a test of 'class'.",
      "25:22 'nor' is not a field of a test of 'class'. Did you mean 'not'?",
    ],
  ],
  [
    'the judged method outside a rule',
    ['ask: desk', 'ask: desk\nscope: { partner: $method }'],
    ["9:19 '$method' is not a value of 'partner'. Use one of: mail, parcel, walk, none."],
  ],
  ['an empty list', ['methods: mail', 'methods: []'], ['17:14 This list is empty. Fill it or leave it out.']],
  ['a list where one word is due', ['ask: desk', 'ask: [desk]'], ['8:6 Write a role here. Use one of: desk, owner.']],
  ['nothing where a word is due', ['ask: desk', 'ask:'], ['8:5 Write a role here. Use one of: desk, owner.']],
  ['nothing where a sentence is due', ['title: A rulebook', 'title: ""'], ['3:8 Write a title here.']],
  [
    'a name with a space',
    ['id: first', 'id: the first'],
    ["2:5 'the first' is not an id: letters, digits, - and _ only, at most 60."],
  ],
  [
    "a name of the program's own",
    ['id: first', 'id: constructor'],
    ["2:5 'constructor' is a word of the program's own. Choose another."],
  ],
  [
    'another format',
    ['safehand-rulebook/1', 'safehand-rulebook/2'],
    ["1:9 'safehand-rulebook/2' is not a format. Did you mean 'safehand-rulebook/1'?"],
  ],
  [
    'an alias',
    ['when: { class: high }', 'when: *usual'],
    ['25:11 Aliases (*name) are not allowed. Write the value out.'],
  ],
  [
    'an anchor',
    ['class: high', 'class: &usual high'],
    ['25:27 Anchors (&name) and tags (!name) are not allowed. Write the value plainly.'],
  ],
  [
    'a merge key',
    ['    then: allow', '    <<: { then: allow }'],
    ["14:5 'then' is missing from a rule.", '18:5 Merge keys (<<) are not allowed. Write the lines out.'],
  ],
  [
    'a known tag of YAML',
    ['title: A rulebook', 'title: !!binary aGk='],
    ['3:17 Anchors (&name) and tags (!name) are not allowed. Write the value plainly.'],
  ],
  [
    'a tag that would run something',
    ['title: A rulebook', 'title: !!js/function "alert()"'],
    ['3:8 Tags (!name) are not allowed. Write the value plainly.'],
  ],
  ['a tab', ['    then: allow', '\tthen: allow'], ['18:1 A tab stands at the beginning of this line. Use spaces.']],
  [
    'a bracket left open',
    ['[low, mid]', '[low, mid'],
    ['16:20 The bracket or the quotation mark that opens here is not closed.'],
  ],
  [
    'a quotation mark left open',
    ['title: A rulebook', 'title: "A rulebook'],
    ['3:8 The bracket or the quotation mark that opens here is not closed.'],
  ],
  [
    'a second colon',
    ['title: A rulebook', 'title: Mail: what may go'],
    ["3:8 There is a second ': ' in this line. Put the value in quotation marks, or begin a new line."],
  ],
  [
    'a missing colon',
    ['ask: desk', 'ask desk'],
    ["8:1 There is no ': ' in this line. Write a name, a colon, a space and a value."],
  ],
  [
    'a value that needs quotation marks',
    ['title: A rulebook', 'title: @home'],
    ['3:8 A value that begins with this sign needs quotation marks.'],
  ],
  [
    'a name that is a list',
    ['ask: desk', '? [ask, desk]\n: yes'],
    ["1:1 'ask' is missing from a rulebook.", '8:3 Write one word before the colon.'],
  ],
  ['a second document', ['rules:', '---\nrules:'], ['13:1 A second document begins here (---). Keep one in a file.']],
  [
    'a NUL',
    ['title: A rulebook', 'title: A\u0000rulebook'],
    ['3:9 The character U+0000 here cannot be seen or read. Delete it, or save the file as plain text in UTF-8.'],
  ],
  [
    'a space that is none',
    ['ask: desk', 'ask:\u00A0desk'],
    ['8:5 The character U+00A0 here cannot be seen or read. Delete it, or save the file as plain text in UTF-8.'],
  ],
  [
    'a letter that was not UTF-8',
    ['title: A rulebook', 'title: A rulebook for Powys\uFFFD'],
    ['3:28 The character U+FFFD here cannot be seen or read. Delete it, or save the file as plain text in UTF-8.'],
  ],
  [
    'an escape that cannot be seen',
    ['title: A rulebook', 'title: "A \\e[31mred rulebook"'],
    ['3:8 An escape (\\…) here stands for what cannot be seen. Delete it.'],
  ],
  [
    'an old line end',
    ['ask: desk\n', 'ask: desk\r'],
    ['8:10 The character U+000D here cannot be seen or read. Delete it, or save the file as plain text in UTF-8.'],
  ],
]
for (const [what, changes, found] of broken)
  test(`a rulebook with ${what} is refused at its line`, () =>
    assert.deepEqual(bookFaults(changed(book, changes)), found))

const brokenWords: Row[] = [
  [
    'a unit of units in a circle',
    ['days: {} }', 'days: {}, week: { amount: 7, of: fortnight }, fortnight: { amount: 2, of: week } }'],
    [
      '2:73 A unit cannot come back to itself: week → fortnight → week.',
      '2:114 A unit cannot come back to itself: fortnight → week → fortnight.',
    ],
  ],
  [
    'a unit of itself',
    ['days: {} }', 'days: { amount: 1, of: days } }'],
    ['2:63 A unit cannot come back to itself: days → days.'],
  ],
  ['a unit of nothing known', ['of: bytes', 'of: byts'], ["2:25 'byts' is not a unit. Did you mean 'bytes'?"]],
  ['a unit of none', ['amount: 1000000,', 'amount: 0,'], ['2:25 This amount cannot be counted with.']],
  [
    'a conclusion that comes back as its opposite',
    ['implications:\n', 'implications:\n  - { when: { near: yes }, then: { class: low }, because: So. }\n'],
    ["26:5 'class: high' contradicts itself: class: high → near: yes → class: low."],
  ],
  ['a quantity without a unit', ['unit: bytes, asked', 'asked'], ["13:9 A quantity, and nothing else, has a 'unit'."]],
  [
    'a choice without options',
    [', options: { low: { label: Low }, mid: { label: Middle }, high: { label: High } }', ''],
    [
      "11:10 A choice or a method, and nothing else, has 'options'.",
      "26:22 'high' is not a value of 'class'. Nothing is known here.",
    ],
  ],
  [
    'a role that is not there',
    ['not-sure: owner', 'not-sure: ower'],
    ["16:100 'ower' is not a role. Did you mean 'owner'?"],
  ],
  [
    'an obligation met by no fact',
    ['met-when: { cleared: yes }', 'met-when: { clared: yes }'],
    ["18:56 'clared' is not a fact. Did you mean 'cleared'?"],
  ],
  [
    'an implication from two facts',
    ['when: { class: high }', 'when: { class: high, near: no }'],
    ["26:7 An implication goes from one fact under 'when' to facts under 'then', none of them a quantity."],
  ],
  [
    'an implication to a quantity',
    ['then: { near: yes }', 'then: { size: { above: 1 MB } }'],
    ["26:7 An implication goes from one fact under 'when' to facts under 'then', none of them a quantity."],
  ],
  [
    'a limit without measure',
    ['unit: days, stricter', 'stricter'],
    ["23:13 A limit has either a 'unit' or 'choices'."],
  ],
  ['a method without name', ['name: Mail, tags', 'tags'], ["7:9 'name' is missing from a method."]],
  ['a name given twice', ['  near: {', '  class: { }\n  near: {'], ["12:3 'class' is given twice. Keep one."]],
]
for (const [what, changes, found] of brokenWords)
  test(`a vocabulary with ${what} is refused at its line`, () =>
    assert.deepEqual(wordFaults(changed(smallWords, changes)), found))

test('every fault of a file is named, in the order of its lines', () => {
  const text = changed(book, ['[low, mid]', 'lo', 'then: refuse', 'then: refues', 'role: owner', 'role: ower'])
  assert.deepEqual(
    bookFaults(text).map((fault) => fault.split(':')[0]),
    ['16', '27', '29'],
  )
})

test('line ends of Windows and a mark of the encoding change nothing', () => {
  assert(loadRulebook('a.yaml', `\uFEFF${book.replaceAll('\n', '\r\n')}`, smallVocabulary()).ok)
  const text = changed(book, ['ask: desk', 'ask: dest'])
  assert.deepEqual(bookFaults(`\uFEFF${text.replaceAll('\n', '\r\n')}`), bookFaults(text))
})

test('a file in UTF-16 is refused at its first character', () => {
  for (const bytes of [Buffer.from(`\uFEFF${book}`, 'utf16le'), Buffer.from(book, 'utf16le').swap16()])
    assert.match(bookFaults(bytes.toString('utf8')).join(), /^1:1 The character U\+(FFFD|0000) here .* UTF-8\.$/)
})

test('no more faults are named than anyone would read at once', () => {
  const rules = (count: number) =>
    Array.from({ length: count }, (_, place) => aRule({ id: `R${place}`, then: 'alow' })).join('')
  const most = limits.rulebookFindings
  const named = [most - 1, most, most + 1].map((count) => bookFaults(rulebookText(rules(count))).length)
  assert.deepEqual(named, [most - 1, most, most])
})

/** Whether each of the texts is read, made for one less than the limit, the limit, and one more. */
const readAround = (limit: number, textOf: (count: number) => string) =>
  [limit - 1, limit, limit + 1].map((count) => loadRulebook('a.yaml', textOf(count), smallVocabulary()).ok)
const upToTheLimit = [true, true, false]

test('a rulebook is read up to the limit of its length', () => {
  const padded = (length: number) => `${book}#${'x'.repeat(length - book.length - 1)}`
  assert.deepEqual(readAround(limits.rulebookCharacters, padded), upToTheLimit)
})

test('a list and a record are read up to the limit of their entries', () => {
  const clauses = (count: number) =>
    rulebookText(
      aRule({ clauses: `[${Array.from({ length: count }, (_, n) => `{ id: C${n}, says: A }`).join(', ')}]` }),
    )
  assert.deepEqual(readAround(limits.rulebookEntries, clauses), upToTheLimit)
  const parameters = (count: number) =>
    rulebookText(aRule(), { parameters: `{ ${Array.from({ length: count }, (_, n) => `p${n}: 1 days`).join(', ')} }` })
  assert.deepEqual(readAround(limits.rulebookEntries, parameters), upToTheLimit)
})

test('a condition is read up to the limit of its groups', () =>
  assert.deepEqual(
    readAround(limits.conditionGroups, (count) =>
      rulebookText(aRule({ when: `[${Array.from({ length: count }, () => '{ near: yes }').join(', ')}]` })),
    ),
    upToTheLimit,
  ))

test('a quantity is compared with no more amounts than the limit', () =>
  assert.deepEqual(
    readAround(limits.quantityBounds, (count) =>
      rulebookText(
        Array.from({ length: count }, (_, n) => aRule({ id: `R${n}`, when: `{ size: { above: ${n} MB } }` })).join(''),
      ),
    ),
    upToTheLimit,
  ))

test('a fact has no more values than the limit', () => {
  const options = (count: number) => Array.from({ length: count }, (_, n) => `v${n}: { label: V }`).join(', ')
  const more = (count: number) =>
    loadVocabulary(
      'words.yaml',
      changed(smallWords, [
        '  near: {',
        `  many: { type: choice, asked: deciding, order: 9, question: Q, why: W, options: { ${options(count)} } }\n  near: {`,
      ]),
    ).ok
  assert.deepEqual([limits.factValues - 1, limits.factValues, limits.factValues + 1].map(more), upToTheLimit)
})

test('brackets are read up to the limit of their depth, and say so beyond it', () => {
  // The parser counts the document and the record around the value too.
  const nested = (depth: number) =>
    changed(book, ['title: A rulebook', `title: ${'['.repeat(depth - 2)}${']'.repeat(depth - 2)}`])
  const says = (depth: number) => bookFaults(nested(depth)).join()
  const { rulebookDepth } = limits
  assert.deepEqual(
    [rulebookDepth - 1, rulebookDepth, rulebookDepth + 1].map((depth) => /nested too deeply/.test(says(depth))),
    [false, false, true],
  )
})

const fill = (piece: (n: number) => string) => {
  let text = ''
  for (let n = 0; text.length < limits.rulebookCharacters - 100; n += 1) text += piece(n)
  return text.slice(0, limits.rulebookCharacters)
}
const hostile: [string, string][] = [
  ['a bomb of aliases', fill((n) => `b${n}: &b${n} [*b${n - 1}, *b${n - 1}]\n`)],
  ['a tower of brackets', fill(() => '[')],
  ['a tower of braces', fill(() => '{a: ')],
  ['a tower of dashes', fill(() => '- ')],
  ['a tower of questions', fill(() => '? ')],
  ['brackets that close nothing', fill(() => ']')],
  ['names without end', fill((n) => `k${n}:\n`)],
  ['names on one line', `{${fill((n) => `k${n}: 1, `)}`],
  ['tags', fill((n) => `- !!js/function a${n}\n`)],
  ['tabs', `a:\n${fill(() => '\tb: c\n')}`],
  ['quotation marks', fill(() => '"')],
  ['documents', fill(() => '---\na: 1\n')],
  [
    'long words that are nearly right',
    `rules:\n  - methods: [${fill(() => 'parcelparcelparcelparcelparcelparcel, ').slice(0, -100)}]\n`,
  ],
]
for (const [what, text] of hostile)
  test(`as many ${what} as fit are a problem, not a stop`, () =>
    assert.doesNotMatch(bookFaults(text.slice(0, limits.rulebookCharacters)).join(), /Maximum call stack|undefined/))

/** A shipped file with some of its words and lines taken out, doubled, or put in each other's place. */
function mutated(text: string): fc.Arbitrary<string> {
  const [words, lines] = [text.split(/(?<=[\s,:{}[\]])/), text.split(/(?<=\n)/)]
  const odd = [
    '&a ',
    '*a ',
    '!!js/function ',
    '<<: ',
    '\t',
    '\0',
    '\r',
    '---\n',
    '"',
    "'",
    '[',
    '}',
    '? ',
    ': ',
    '- ',
    '~',
    '__proto__: ',
    '99999999999999999999',
  ]
  const change = (pieces: string[]) =>
    fc.record({
      at: fc.nat(pieces.length - 1),
      from: fc.nat(pieces.length - 1),
      how: fc.nat(3),
      put: fc.constantFrom(...odd),
    })
  return fc.constantFrom(words, lines).chain((pieces) =>
    fc.array(change(pieces), { minLength: 1, maxLength: 4 }).map((changes) => {
      const next = [...pieces]
      for (const { at, from, how, put } of changes)
        next.splice(at, how === 1 ? 0 : 1, ...[[], [pieces[at]!], [pieces[from]!], [put, pieces[at]!]][how]!)
      return next.join('')
    }),
  )
}

test('whatever is done to a file that ships, it is read or refused by its lines, and what is read can be used', () => {
  const vocabulary = shippedVocabulary()
  for (const { name, text } of shippedFiles()) {
    const lines = text.split('\n').length + 10
    fc.assert(
      fc.property(mutated(text), (input) => {
        const read =
          name === 'vocabulary.yaml'
            ? loadVocabulary(name, input)
            : name.startsWith('cases')
              ? loadCases(name, input, vocabulary)
              : loadRulebook(name, input, vocabulary)
        if (read.ok && 'rules' in read.value) stack(vocabulary, [read.value], [])
        if (read.ok) return
        assert.equal(read.problem.slug, 'rulebook-unreadable')
        const places = Object.keys(read.problem.fields!).map((place) => place.split(':').slice(-2).map(Number))
        assert(places.length > 0 && places.length <= limits.rulebookFindings)
        for (const [line, column] of places) assert(line! >= 1 && line! <= lines && column! >= 1, `${line}:${column}`)
      }),
      { numRuns: 25 },
    )
  }
})

test('garbage is a typed problem, never a throw', () => {
  const vocabulary = smallVocabulary()
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' }), mutated(book)), (text) => {
      for (const read of [
        loadRulebook('a', text, vocabulary),
        loadVocabulary('a', text),
        loadVocabulary('a', text, vocabulary),
        loadCases('a', text, vocabulary),
        readFacts(text, vocabulary),
      ])
        assert(read.ok || read.problem.slug === 'rulebook-unreadable')
    }),
    { numRuns: 300 },
  )
})

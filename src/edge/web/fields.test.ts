import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import Type from 'typebox'
import { limits } from '#core/kit/limits'
import {
  check,
  choice,
  choices,
  day,
  email,
  fields,
  fromForm,
  id,
  integer,
  isId,
  line,
  list,
  optional,
  telephone,
  text,
  yesNo,
} from '#edge/web/fields'

const wrongWith = (schema: ReturnType<typeof fields>, body: unknown) => {
  const checked = check(schema, body)
  return checked.ok ? {} : checked.problem.fields
}
const one = <T extends Parameters<typeof fields>[0][string]>(property: T) => ({
  takes: (value: unknown) => check(fields({ it: property }), { it: value }).ok,
  says: (value: unknown) => wrongWith(fields({ it: property }), { it: value })?.it,
})

test('a line may have as many characters as its limit, and not one more', () => {
  const field = one(line('the case reference', 10))
  assert.ok(field.takes('a'.repeat(9)))
  assert.ok(field.takes('a'.repeat(10)))
  assert.equal(field.says('a'.repeat(11)), 'The case reference must be 10 characters or fewer')
})

test('a line that is left out or empty is asked for', () => {
  const schema = fields({ it: line('the case reference') })
  assert.equal(wrongWith(schema, {})?.it, 'Enter the case reference')
  assert.equal(wrongWith(schema, { it: '' })?.it, 'Enter the case reference')
})

test('a line has no line ends or other control characters', () => {
  for (const bad of ['a\nb', 'a\rb', 'a\u0000b', 'a\u2028b'])
    assert.equal(one(line('the name')).says(bad), 'Enter the name in the correct format')
})

test('a text may have lines, as many characters as its limit, and not one more', () => {
  const field = one(text('the reason', 10))
  assert.ok(field.takes('line\nline\t.'.slice(0, 9)))
  assert.ok(field.takes('line\nline.'))
  assert.equal(field.says('line\nline..'), 'The reason must be 10 characters or fewer')
  assert.equal(field.says('a\u0007b'), 'Enter the reason in the correct format')
})

test('half a character is refused', () => {
  assert.equal(one(text('the reason')).says('a\ud800'), 'Enter the reason in the correct format')
  assert.ok(one(text('the reason')).takes('a\u{1f600}'))
})

test('a choice is one of its list', () => {
  const field = one(choice('a sector', ['police', 'school']))
  assert.ok(field.takes('police'))
  assert.equal(field.says('bakery'), 'Choose a sector from the list')
  assert.equal(wrongWith(fields({ it: choice('a sector', ['police']) }), {})?.it, 'Choose a sector')
})

test('choices may be all of their list, and not one more', () => {
  const field = one(choices('the purposes', ['a', 'b', 'c']))
  assert.ok(field.takes(['a', 'b']))
  assert.ok(field.takes(['a', 'b', 'c']))
  assert.equal(field.says(['a', 'b', 'c', 'a']), 'The purposes: 3 at most')
  assert.equal(field.says(['a', 'z']), 'Choose the purposes from the list')
})

test('a list may have as many entries as its limit, and not one more', () => {
  const field = one(list('the organisations', line('an organisation'), 3))
  assert.ok(field.takes(['x', 'y']))
  assert.ok(field.takes(['x', 'y', 'z']))
  assert.equal(field.says(['w', 'x', 'y', 'z']), 'The organisations: 3 at most')
})

test('an email address may have as many characters as its limit, and not one more', () => {
  const domain = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example`
  const longest = `${'x'.repeat(limits.emailCharacters - domain.length - 1)}@${domain}`
  const field = one(email('their email address'))
  assert.ok(field.takes(longest.slice(1)))
  assert.ok(field.takes(longest))
  assert.equal(field.says(`x${longest}`), `Their email address must be ${limits.emailCharacters} characters or fewer`)
})

test('an email address that mail cannot be sent to is refused with what to change', () => {
  assert.ok(one(email()).takes("ada.o'neill+x@mail.northbrook-police.example"))
  assert.match(one(email()).says('ada northbrook@police.example')!, /without spaces/)
  assert.match(one(email()).says('ada')!, /one @/)
  assert.match(one(email()).says('Ada <ada@police.example>')!, /only/)
  assert.match(one(email()).says('ada@police.example\nBcc: all@police.example')!, /Enter|Check/)
})

test('a telephone number may have as many characters as its limit, and not one more', () => {
  const field = one(telephone())
  assert.ok(field.takes('0'.repeat(limits.telephoneCharacters - 1)))
  assert.ok(field.takes('0'.repeat(limits.telephoneCharacters)))
  assert.match(field.says('0'.repeat(limits.telephoneCharacters + 1))!, /characters or fewer/)
  assert.match(field.says('none')!, /^Enter a telephone number/)
})

test('a day is a real day of the calendar', () => {
  const field = one(day('the day it ends'))
  assert.ok(field.takes('2028-02-29'))
  for (const bad of ['2027-02-29', '2027-13-01', '2027-04-31', '0000-01-01', '20270401', 'soon'])
    assert.match(field.says(bad)!, /^Enter the day it ends as a real date/, bad)
})

test('a number keeps within its bounds', () => {
  const field = one(integer('the number of people', 1, 3))
  assert.equal(field.says(0), 'The number of people must be 1 or more')
  assert.ok(field.takes(1))
  assert.ok(field.takes(2))
  assert.ok(field.takes(3))
  assert.equal(field.says(4), 'The number of people must be 3 or less')
})

test('an id is an id and nothing else', () => {
  assert.ok(isId('0190f3a2-7c1e-7000-8000-000000000000'))
  for (const bad of ['', '../etc/passwd', "' OR 1=1", '0190F3A2-7C1E-7000-8000-000000000000']) {
    assert.ok(!isId(bad))
    assert.equal(one(id('a person')).says(bad), bad === '' ? 'Enter a person' : 'Choose a person from the list')
  }
})

test('a field that is not asked for is refused', () => {
  assert.equal(
    wrongWith(fields({ it: line('it') }), { it: 'x', roles: 'administrator' })?.roles,
    'There is no such field here',
  )
})

test('a body that is no object is malformed', () => {
  for (const body of [null, 'x', 3, ['x']]) {
    const checked = check(fields({}), body)
    assert.equal(checked.ok ? '' : checked.problem.slug, 'malformed-request')
  }
})

test('a form is read as the program interface would send it', () => {
  const schema = fields({
    name: line('a name'),
    note: optional(text('a note')),
    on: day('a day'),
    sure: yesNo('whether'),
    all: choices('all', ['a', 'b']),
    n: integer('n', 0, 9),
  })
  const given = {
    name: '  Ada ',
    note: ' ',
    'on-day': '3',
    'on-month': ' 4',
    'on-year': '2027',
    sure: 'true',
    all: 'a',
    n: '7',
    _button: 'save',
  }
  assert.deepEqual(fromForm(schema, given), { name: 'Ada', on: '2027-04-03', sure: true, all: ['a'], n: 7 })
})

test('a list of a form loses the entries that were left empty', () => {
  const schema = fields({ settles: optional(list('what it settles', Type.String(), 3)) })
  assert.deepEqual(fromForm(schema, { settles: ['', 'a=b', ' '] }), { settles: ['a=b'] })
  assert.deepEqual(fromForm(schema, { settles: ['', ''] }), {})
})

test('whatever is sent gets sentences and never an error', () => {
  const schema = fields({
    name: line('a name'),
    mail: email(),
    on: day('a day'),
    all: choices('all', ['a']),
    sure: yesNo('whether'),
    who: id(),
    call: telephone(),
    n: integer('n', 0, 9),
  })
  const garbage = fc.dictionary(
    fc.constantFrom('name', 'mail', 'on', 'on-day', 'on-year', 'all', 'sure', 'who', 'call', 'n', '__proto__', 'x'),
    fc.anything(),
  )
  fc.assert(
    fc.property(garbage, (body) => {
      for (const checked of [check(schema, body), check(schema, fromForm(schema, body))])
        if (!checked.ok) for (const words of Object.values(checked.problem.fields ?? {})) assert.match(words, /^[A-Z]/)
    }),
  )
})

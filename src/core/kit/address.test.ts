import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAddress } from '#core/kit/address'
import { limits } from '#core/kit/limits'
import { ok } from '#core/kit/outcome'

const sentence = (typed: string): string | undefined => {
  const outcome = parseAddress(typed)
  return outcome.ok ? undefined : outcome.problem.detail
}

test('a plain address is kept, its domain in lower case', () => {
  assert.deepEqual(parseAddress(" Mair.O'Neill+files@Millbrook.Example "), ok("Mair.O'Neill+files@millbrook.example"))
  assert.deepEqual(parseAddress('a@xn--t-0fa.cymru'), ok('a@xn--t-0fa.cymru'))
})

test('each way of being wrong has its own sentence', () => {
  const wrong: [RegExp, string[]][] = [
    [/^Enter an email address\.$/, ['', '  ']],
    [
      /one email address only/,
      [
        'Mair <mair@millbrook.example>',
        'a@b.example, c@d.example',
        'a@b.example;c@d.example',
        '"a b"@c.example',
        'a@[192.0.2.1]',
        'mailto:a@b.example',
        'a(x)@b.example',
        'a\\b@c.example',
      ],
    ],
    [
      /without spaces/,
      [
        'a b@c.example',
        'a@b.example\r\nBcc x@y.example',
        'a\0@b.example',
        'a\u202e@b.example',
        'a\u200b@b.example',
        'a\t@b.example',
      ],
    ],
    [/without accents/, ['siân@millbrook.example', 'a@tŷ.cymru', 'a@millbrοok.example']],
    [/with one @/, ['plain', '@b.example', 'a@', 'a@b@c.example']],
    [/before the @/, ['.a@b.example', 'a.@b.example', 'a..b@c.example', `${'a'.repeat(65)}@b.example`]],
    [
      /after the @/,
      [
        'a@localhost',
        'a@b..example',
        'a@-b.example',
        'a@b-.example',
        'a@192.0.2.1',
        `a@${'b'.repeat(64)}.example`,
        'a@b_c.example',
        'a@b.example.',
      ],
    ],
  ]
  for (const [expected, all] of wrong)
    for (const typed of all) assert.match(sentence(typed) ?? 'accepted', expected, JSON.stringify(typed))
})

test('an address may be as long as the limit and no longer', () => {
  const ofLength = (length: number) => {
    const head = `${'a'.repeat(60)}@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(50)}.`
    return head + 'e'.repeat(length - head.length)
  }
  assert.equal(sentence(ofLength(limits.emailCharacters - 1)), undefined)
  assert.equal(sentence(ofLength(limits.emailCharacters)), undefined)
  assert.match(sentence(ofLength(limits.emailCharacters + 1))!, /characters or fewer/)
})

test('whatever is typed, what is accepted is one safe line that is accepted again unchanged', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.emailAddress(),
        fc.emailAddress().map((address) => `${address}\r\n`),
      ),
      (typed) => {
        const outcome = parseAddress(typed)
        if (!outcome.ok) return
        assert.match(outcome.value, /^[\x21-\x7e]+@[a-z0-9.-]+$/)
        assert.deepEqual(parseAddress(outcome.value), outcome)
      },
    ),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compose, type Letter } from '#edge/mail/compose'

/** A letter to a recipient outside; a test changes only what it is about. */
const aLetter = (change: Partial<Letter> = {}): Letter => ({
  subject: { en: 'OFFICIAL-SENSITIVE: parcel SH-2026-0042', cy: 'OFFICIAL-SENSITIVE: parsel SH-2026-0042' },
  body: {
    en: [
      'A parcel is waiting for you.',
      { link: { text: 'Collect it', url: 'https://safehand.example/p/1#t' } },
      { code: 'ABCD-EFGH' },
      { list: ['one', 'two'] },
    ],
    cy: ['Mae parsel yn aros amdanoch.', { link: { text: 'Ei gasglu', url: 'https://safehand.example/p/1#t' } }],
  },
  ...change,
})

test('text and HTML say the same, with every link, code and list', () => {
  const { text, html, links } = compose(aLetter(), { language: 'en' })
  for (const piece of [
    'A parcel is waiting for you.',
    'https://safehand.example/p/1#t',
    'ABCD-EFGH',
    'one',
    'two',
    'Mae parsel',
  ]) {
    assert.ok(text.includes(piece) && html.includes(piece), piece)
  }
  assert.deepEqual(links, [{ text: 'Collect it', url: 'https://safehand.example/p/1#t' }])
})

test("the reader's language comes first and says that the other follows", () => {
  const english = compose(aLetter(), { language: 'en' })
  const welsh = compose(aLetter(), { language: 'cy' })
  assert.ok(english.text.startsWith("Mae'r neges hon yn Gymraeg isod.\n\nA parcel is waiting"))
  assert.ok(welsh.text.startsWith('This message is in English below.\n\nMae parsel'))
  assert.match(english.html, /<html lang="en">/)
  assert.match(welsh.html, /<html lang="cy">/)
  assert.ok(welsh.html.indexOf('<div lang="cy">') < welsh.html.indexOf('<div lang="en">'))
  assert.equal(welsh.subject, 'OFFICIAL-SENSITIVE: parsel SH-2026-0042 / OFFICIAL-SENSITIVE: parcel SH-2026-0042')
})

test('a letter without Welsh is in English alone, whoever reads it', () => {
  const { text, html, subject } = compose(
    { subject: { en: 'Code' }, body: { en: ['Here it is.'] } },
    { language: 'cy' },
  )
  assert.equal(text, 'Here it is.\n')
  assert.equal(subject, 'Code')
  assert.doesNotMatch(html, /lang="cy"/)
})

test('a subject that is the same in both languages is said once', () => {
  assert.equal(compose(aLetter({ subject: { en: 'SH-2026-0042' } }), { language: 'cy' }).subject, 'SH-2026-0042')
})

test('the register line is printed under both languages', () => {
  const { text, html } = compose(aLetter(), {
    language: 'en',
    registerLine: { size: 257, root: 'cm9vdA==', keyFingerprint: 'safehand.example+1a2b3c4d' },
  })
  for (const body of [text, html]) {
    assert.equal(body.split('cm9vdA==').length, 3)
    assert.match(body, /257 entries/)
    assert.match(body, /257 cofnod/)
    assert.match(body, /safehand\.example\+1a2b3c4d/)
  }
})

test('composing twice from one letter gives the same mail', () => {
  const letter = aLetter()
  const registerLine = { size: 1, root: 'r', keyFingerprint: 'k' }
  assert.deepEqual(compose(letter, { language: 'cy', registerLine }), compose(letter, { language: 'cy', registerLine }))
})

test('a subject is one line whatever it is made of', () => {
  const { subject } = compose(
    { subject: { en: ' SH-1\r\nBcc: all@millbrook.example\u2028x\u202ey ' }, body: { en: [] } },
    { language: 'en' },
  )
  assert.equal(subject, 'SH-1 Bcc: all@millbrook.example x y')
})

test('hostile text is text in HTML', () => {
  const hostile = `"><script>alert('1')</script>&amp;`
  const { html } = compose(
    {
      subject: { en: hostile },
      body: {
        en: [
          hostile,
          { code: hostile },
          { list: [hostile] },
          { link: { text: hostile, url: `https://x.example/"><b>` } },
        ],
      },
    },
    { language: 'en' },
  )
  assert.doesNotMatch(html, /<script|<b>/)
  assert.equal(html.split('&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;').length, 7)
})

test('a link to anything but a web page is our mistake', () => {
  assert.throws(() =>
    compose(
      { subject: { en: 's' }, body: { en: [{ link: { text: 'x', url: 'javascript:alert(1)' } }] } },
      { language: 'en' },
    ),
  )
})

test('whatever a letter says, the HTML keeps its shape and the subject its one line', () => {
  const shape = (html: string) => html.replace(/>[^<]*</g, '><').replace(/(href|lang|style)="[^"]*"/g, '$1')
  const plain = shape(
    compose({ subject: { en: 'x' }, body: { en: ['x', { code: 'x' }, { list: ['x'] }] } }, { language: 'en' }).html,
  )
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const oneLine = text.replaceAll('\n', ' ')
      const { html, subject } = compose(
        { subject: { en: text }, body: { en: [oneLine, { code: text }, { list: [text] }] } },
        { language: 'en' },
      )
      assert.equal(shape(html), plain)
      assert.doesNotMatch(subject, /[\r\n]/)
    }),
  )
})

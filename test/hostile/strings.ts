/** Text as nobody types it by accident: for fields, names, addresses and headers. */
import fc from 'fast-check'

/** Each would do something if it were taken for code, a path, a header, a pattern or a command. */
export const hostileTexts = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'><svg/onload=alert(1)>",
  'javascript:alert(1)',
  '{{7*7}}{% include "x" %}${7*7}<%= 7*7 %>#{7*7}',
  '../../../../etc/passwd',
  '..\\..\\windows\\win.ini',
  '/etc/passwd\u0000.txt',
  'a\r\nBcc: everyone@exampleshire.example\r\n\r\nBody',
  'a\nSet-Cookie: safehand=planted',
  '\u001b]0;title\u0007\u001b[2J\u001b[31m',
  'photo\u202egpj.exe',
  '\u2066\u2067\u2068\u2069\u200e\u200f\u061c',
  'a\u200bb\u200cc\u200dd\ufeffe\u00ad',
  '=cmd|\u0027 /C calc\u0027!A0',
  '+1+1',
  '@SUM(1+1)',
  "' OR '1'='1",
  "'; DROP TABLE transfers; --",
  '\\\'"`$(id)`id`|id;id&&id',
  '%00%0d%0a%ff%c0%af',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '\ud800',
  'a\udfffb',
  '\u0000',
  '\uffff\ufffe\ufdd0',
  '𝕳𝖊𝖑𝖑𝖔 👩‍👩‍👧‍👦 مرحبا שלום ŵyŷ ﷽',
  'ﬃ Å Å İ ı ß ẞ K',
  ' ',
  '\u00a0\u3000\u2028\u2029\u0085',
  'null',
  'NaN',
  '-0',
  '1e999',
  'true',
  '[object Object]',
  'not-sure',
] as const

/** A letter under so many accents that drawing, normalising or folding it may cost dearly. */
export const combiningFlood = (count: number): string => `e${'\u0301\u0323'.repeat(count)}`

/** Texts of every kind: those above, of all of Unicode with broken halves, and floods. */
export const anyText = (most = 300): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<string>(...hostileTexts) },
    { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: most }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.nat(0xffff), { maxLength: most }).map((units) => String.fromCharCode(...units)),
    },
    { weight: 1, arbitrary: fc.nat(most).map(combiningFlood) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom<string>(...hostileTexts), fc.string({ maxLength: 40 }))
        .map(([a, b]) => b + a + b),
    },
  )

/** A text of exactly so many UTF-16 units. */
export const textOf = (length: number): fc.Arbitrary<string> =>
  fc.constantFrom('a', 'é', '漢', '👩', ' ', '\u0301', '<', "'").map((unit) => unit.repeat(length).slice(0, length))

/** Anything but what was asked for. */
export const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  anyText(),
  fc.constantFrom<unknown>(null, true, false, 0, -1, -0, 1.5, 2 ** 31, 2 ** 53, 1e308, -1e308, 1e-7, '', [], {}),
  fc.array(anyText(40), { maxLength: 300 }),
  fc.dictionary(
    fc.oneof(anyText(30), fc.constantFrom('__proto__', 'constructor', 'length', '$ne', 'toJSON')),
    fc.constantFrom(null, 1, 'x'),
    {
      maxKeys: 20,
    },
  ),
  fc.jsonValue({ maxDepth: 4 }),
)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { checkPath, checkPaths } from '#core/seal/entry-names'
import { newPhrase, readPhrase } from '#core/seal/passphrase'
import { randomBytes } from '#core/seal/tools'

const slugOf = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.problem.slug)

test('a phrase has seven words of the list, each as likely as any other', () => {
  assert.equal(
    newPhrase(() => new Uint8Array(14)),
    Array(7).fill('abandon').join(' '),
  )
  assert.equal(
    newPhrase(() => new Uint8Array(14).fill(255)),
    Array(7).fill('zoo').join(' '),
  )
  // 42,000 words: that one of the 2,048 is not among them by chance happens once in 400,000 runs.
  const seen = new Set(
    Array.from({ length: 6_000 }, () => newPhrase(randomBytes))
      .join(' ')
      .split(' '),
  )
  assert.equal(seen.size, wordlist.length)
})

test('a phrase is read however it was typed or pasted', () => {
  const phrase = 'able zoo act action ability acid acoustic'
  for (const typed of [
    phrase,
    ' ABLE zoo-act\naction, ability. Acid acoustic\t',
    'able zoo act acti abil acid acou',
    '1. able 2. zoo 3. act 4. action 5. ability 6. acid 7. acoustics',
  ]) {
    assert.equal(orThrow(readPhrase(typed)), phrase, typed)
  }
})

test('a word that is not in the list is named by its place and never repeated', () => {
  const outcome = readPhrase('able zoo act action abilitee xylophone acid')
  assert(!outcome.ok)
  assert.equal(outcome.problem.slug, 'phrase-word')
  assert.equal(outcome.problem.detail, 'It is word 6.')
  const three = readPhrase('able zoo actx action ability acid acid')
  assert.equal(!three.ok && three.problem.detail, 'It is word 3.')
})

test('six or eight words are not a phrase', () => {
  assert.equal(slugOf(readPhrase(Array(6).fill('zoo').join(' '))), 'phrase-length')
  assert.equal(slugOf(readPhrase(Array(8).fill('zoo').join(' '))), 'phrase-length')
})

// Names

test('names that only some computers could keep are refused, each for its reason', () => {
  const refused: Record<string, string> = {
    '/a': 'file-name-absolute',
    'C:\\a': 'file-name-absolute',
    'c:a': 'file-name-absolute',
    '\\\\host\\a': 'file-name-absolute',
    '..': 'file-name-outside',
    'a/../b': 'file-name-outside',
    'a//b': 'file-name-malformed',
    'a/': 'file-name-malformed',
    './a': 'file-name-malformed',
    '': 'file-name-malformed',
    'a\ud800': 'file-name-malformed',
    'a\\b': 'file-name-reserved',
    'report:final': 'file-name-reserved',
    'what?': 'file-name-reserved',
    con: 'file-name-reserved',
    'a/NUL.txt': 'file-name-reserved',
    COM1: 'file-name-reserved',
    'lpt¹.log': 'file-name-reserved',
    'dot.': 'file-name-reserved',
    'space ': 'file-name-reserved',
    'a\u0000b': 'file-name-hidden-characters',
    'a\nb': 'file-name-hidden-characters',
    'a\u202eb': 'file-name-hidden-characters',
    'a\u2066b': 'file-name-hidden-characters',
    'a\u200fb': 'file-name-hidden-characters',
    'a\u0085b': 'file-name-hidden-characters',
  }
  for (const [path, slug] of Object.entries(refused))
    assert.equal(slugOf(checkPath(path, 0)), slug, JSON.stringify(path))
  for (const path of ['a', 'a b/c d.txt', 'con2', 'console.log', 'COM10', '.hidden', 'ü/日本語 🗂', '…', 'a..b'])
    assert.equal(slugOf(checkPath(path, 0)), 'ok', path)
})

test('names that would fall together on some computer are refused', () => {
  const file = (path: string) => ({ path, type: 'file' as const })
  const folder = (path: string) => ({ path, type: 'folder' as const })
  assert.equal(slugOf(checkPaths([file('a'), file('a')])), 'file-name-twice')
  assert.equal(slugOf(checkPaths([file('a/b'), file('a')])), 'file-name-twice')
  assert.equal(slugOf(checkPaths([file('a'), file('A')])), 'file-name-case')
  assert.equal(slugOf(checkPaths([file('Case/a'), file('case/b')])), 'file-name-case')
  assert.equal(slugOf(checkPaths([file('é'), file('e\u0301')])), 'file-name-case')
  assert.equal(slugOf(checkPaths([folder('a'), file('a/b'), file('c/d')])), 'ok')
})

test('a name may be as long as its limits and no longer', () => {
  const { entryNameBytes, entryPathBytes, entryFolders } = limits
  const path = (size: number) => `${'n'.repeat(99)}/`.repeat(20).slice(0, size)
  for (const [size, slug] of [
    [-1, 'ok'],
    [0, 'ok'],
    [1, 'file-name-too-long'],
  ] as const) {
    assert.equal(slugOf(checkPath('n'.repeat(entryNameBytes + size), 0)), slug)
    assert.equal(slugOf(checkPath(`${'f/'.repeat(entryFolders + size)}n`, 0)), slug)
    assert.equal(slugOf(checkPath(path(entryPathBytes + size), 0)), slug)
  }
})

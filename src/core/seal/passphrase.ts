import { wordlist } from '@scure/bip39/wordlists/english.js'
import { type Bytes } from '#core/kit/bytes'
import { fail, ok, type Outcome } from '#core/kit/outcome'

/** Seven of 2,048 words: 77 bits. */
export const phraseWords = 7

/** A word by itself, and by its first four letters, which no two words of the list share. */
const wordOf = new Map(wordlist.flatMap((word) => [[word, word] as const, [word.slice(0, 4), word] as const]))

/** A fresh phrase. People are given one and never choose it. */
export function newPhrase(randomBytes: (count: number) => Bytes): string {
  const numbers = new DataView(randomBytes(2 * phraseWords).buffer)
  // The list's length divides 65,536, so that every word is as likely as every other.
  return Array.from({ length: phraseWords }, (_, i) => wordlist[numbers.getUint16(2 * i) % wordlist.length]!).join(' ')
}

/**
 * What somebody typed or pasted, as the phrase it stands for: case, spaces, hyphens, numbering and anything after the
 * first four letters of a word do not matter.
 *
 * @returns the phrase in lower case with single spaces; or `phrase-length`, or `phrase-word`, which names a word by
 *   its place and never repeats it
 */
export function readPhrase(typed: string): Outcome<string> {
  const given =
    typed
      .slice(0, 1_000)
      .normalize('NFKC')
      .toLowerCase()
      .match(/[a-z]+/g) ?? []
  if (given.length !== phraseWords) {
    return fail('phrase-length', {
      detail: `${given.length} ${given.length === 1 ? 'word was' : 'words were'} entered.`,
    })
  }
  const words = given.map((word) => wordOf.get(word) ?? (word.length > 4 ? wordOf.get(word.slice(0, 4)) : undefined))
  const unknown = words.indexOf(undefined)
  if (unknown >= 0) return fail('phrase-word', { detail: `It is word ${unknown + 1}.` })
  return ok(words.join(' '))
}

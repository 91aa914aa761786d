/** What a person is shown of an old marking. It is never a fact of a case until she has confirmed it. */
export interface Suggestion {
  /** The old marking, as it is usually written. */
  marking: string
  /** Values of `government-class` and `sensitivity` it most often comes to; null where nothing may be suggested. */
  governmentClass: 'official' | 'official-sensitive' | null
  sensitivity: 'low' | 'medium' | 'high' | null
  /** What to ask before confirming. */
  ask: string
  clauses: string[]
}

interface Marking extends Suggestion {
  /** Other ways of writing it, in capitals and with single spaces. */
  also: string[]
}

const stop = 'Stop here and write nothing about it. Speak to information security in person.'

/**
 * Markings that ended in April 2014, and impact levels. A council's class is in none of these schemes: RESTRICTED here is
 * the government's old marking alone.
 *
 * @source clauses W6, W7, M38; readings C16, C26, C41, C42
 */
const markings: Marking[] = [
  {
    marking: 'UNCLASSIFIED',
    also: ['NOT PROTECTIVELY MARKED', 'NPM', 'IL0', 'IL1'],
    governmentClass: 'official',
    sensitivity: null,
    ask: 'Is it about people? Then say how much it could harm them.',
    clauses: ['W7'],
  },
  {
    marking: 'PROTECT',
    also: ['IL2'],
    governmentClass: 'official',
    sensitivity: 'low',
    ask: 'Is it a file about one person, with sensitive content? Then it is OFFICIAL-SENSITIVE.',
    clauses: ['W7'],
  },
  {
    marking: 'RESTRICTED',
    also: ['IL3'],
    governmentClass: 'official',
    sensitivity: 'medium',
    ask: 'Is it especially sensitive, for those alone who need to know? Then it is OFFICIAL-SENSITIVE.',
    clauses: ['W7'],
  },
  {
    marking: 'IL3 REST*',
    also: ['IL3 REST', 'IL3 RESTRICTED', 'IL3 RESTRICTED*', 'REST*', 'RESTRICTED*'],
    governmentClass: 'official-sensitive',
    sensitivity: 'high',
    ask: 'Is it still as sensitive as when it was marked?',
    clauses: ['M38'],
  },
  {
    marking: 'CONFIDENTIAL',
    also: ['IL4'],
    governmentClass: 'official-sensitive',
    sensitivity: 'high',
    ask: 'Ask whoever marked it. If it is about national security or a protected witness, it does not go from here.',
    clauses: ['W7'],
  },
  { marking: 'SECRET', also: ['IL5'], governmentClass: null, sensitivity: null, ask: stop, clauses: ['M22'] },
  { marking: 'TOP SECRET', also: ['IL6'], governmentClass: null, sensitivity: null, ask: stop, clauses: ['M22'] },
]

/**
 * What an old marking most often comes to today. It is a suggestion: whoever knows the information answers.
 *
 * @param written - as it stands on the document; capitals and spaces do not matter
 * @returns nothing for what is no old marking
 */
export function suggestionFor(written: string): Suggestion | undefined {
  const wanted = written.trim().toUpperCase().replaceAll(/\s+/g, ' ')
  const found = markings.find(({ marking, also }) => marking === wanted || also.includes(wanted))
  if (!found) return undefined
  const { also: _, ...suggestion } = found
  return suggestion
}

import { readdirSync, readFileSync } from 'node:fs'
import { orThrow } from '#core/kit/outcome'
import { loadRulebook } from '#core/policy/rulebook'
import { stack, type Policy } from '#core/policy/stack'
import type { Rulebook, Vocabulary } from '#core/policy/terms'
import { loadVocabulary } from '#core/policy/vocabulary'

const shipped = (path: string) => readFileSync(new URL(`../../rulebooks/${path}`, import.meta.url), 'utf8')

/** Every file of the rulebooks that ship, by its name in their folder. */
export const shippedFiles = () =>
  readdirSync(new URL('../../rulebooks', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.startsWith('examples'))
    .map((name) => ({ name, text: shipped(name) }))

/** The vocabulary and the rulebook that ship. */
export const shippedVocabulary = (): Vocabulary =>
  orThrow(loadVocabulary('vocabulary.yaml', shipped('vocabulary.yaml')))
export const council = (vocabulary: Vocabulary): Rulebook =>
  orThrow(loadRulebook('council.yaml', shipped('council.yaml'), vocabulary))
export const councilCases = () => shipped('cases/council/deciding.yaml')

export function councilPolicy(): Policy {
  const vocabulary = shippedVocabulary()
  return stack(vocabulary, [council(vocabulary)], [...vocabulary.methods.keys()])
}

/** Some of the rulebooks that ship, stacked. */
export function shippedPolicy(...names: string[]): Policy {
  const vocabulary = shippedVocabulary()
  const read = (name: string) => orThrow(loadRulebook(`${name}.yaml`, shipped(`${name}.yaml`), vocabulary))
  return stack(vocabulary, names.map(read), [...vocabulary.methods.keys()])
}

/** A vocabulary small enough to think about. */
export const smallWords = `format: safehand-vocabulary/1
units: { bytes: {}, MB: { amount: 1000000, of: bytes }, days: {} }
roles:
  desk: { name: Desk }
  owner: { name: Owner }
methods:
  mail: { name: Mail, tags: [electronic] }
  parcel: { name: Parcel, tags: [electronic, sealed] }
  walk: { name: Walk, tags: [guided] }
facts:
  class: { type: choice, asked: deciding, order: 1, question: How secret?, why: It decides., options: { low: { label: Low }, mid: { label: Middle }, high: { label: High } } }
  near: { type: yes-no, asked: deciding, order: 2, question: Is it near?, why: It decides. }
  size: { type: quantity, unit: bytes, asked: deciding, order: 3, question: How large?, why: It decides. }
  partner: { type: method, asked: derived, order: 4, question: What do they take?, why: It decides., options: { none: { label: None } } }
  cleared: { type: yes-no, asked: recording, order: 5, question: Cleared?, why: It decides. }
  lifted: { type: yes-no, asked: derived, order: 6, question: Lifted?, why: It decides., not-sure: owner }
obligations:
  clear: { phase: before, says: Clear it., met-when: { cleared: yes }, record: A clearance }
  unclear: { phase: before, says: Leave it unclear., met-when: { cleared: no }, record: No clearance }
  fit: { phase: at, says: Keep it small., met-when: { size: { at-most: most } }, record: The size }
  note: { phase: after, says: Note it., record: A note }
limits:
  keepDays: { name: Days kept, unit: days, stricter: smaller }
  proof: { name: Proof, choices: [word, letter, signature], stricter: larger }
implications:
  - { when: { class: high }, then: { near: yes }, because: What is highly secret stays near. }
`

export const smallVocabulary = (): Vocabulary => orThrow(loadVocabulary('words.yaml', smallWords))

/** A rulebook's text with these rules, as YAML list items; a head line may be replaced by its name. */
export function rulebookText(rules: string, head: Record<string, string> = {}): string {
  const lines = {
    format: 'safehand-rulebook/1',
    id: 'first',
    title: 'A rulebook',
    version: '1.0',
    'guidance-date': '2026-01-01',
    'review-date': '2027-01-01',
    scheme: 'class',
    ask: 'desk',
    parameters: '{ most: 10 MB, keepDays: 28 days, proof: letter }',
    ...head,
  }
  return `${Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')}rules:\n${rules}`
}

/** One rule, valid by default, written on one line. */
export function aRule(more: Record<string, string> = {}): string {
  const rule = {
    id: 'R1',
    title: 'A rule',
    methods: 'mail',
    then: 'allow',
    clauses: '[{ id: C1, says: So it is. }]',
    ...more,
  }
  return `  - { ${Object.entries(rule)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ')} }\n`
}

/** Stacks rulebooks written over the small vocabulary. */
export function smallPolicy(...texts: string[]): Policy {
  const vocabulary = smallVocabulary()
  const rulebooks = texts.map((text, place) => orThrow(loadRulebook(`${place}.yaml`, text, vocabulary)))
  return stack(vocabulary, rulebooks, ['mail', 'parcel', 'walk'])
}

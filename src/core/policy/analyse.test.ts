import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { orThrow } from '#core/kit/outcome'
import { limits } from '#core/kit/limits'
import { about, analyse, doingsOf, outcomesOf, type Finding } from '#core/policy/analyse'
import { decide, judge } from '#core/policy/decide'
import { spaceOf } from '#core/policy/space'
import { holds, possibleIn, stack, type Policy } from '#core/policy/stack'
import { loadRulebook } from '#core/policy/rulebook'
import { loadVocabulary } from '#core/policy/vocabulary'
import { anyAlmostWhole, anySmallPolicy, everyCase } from '../../../test/support/cases.ts'
import {
  aRule,
  councilPolicy,
  rulebookText,
  shippedPolicy,
  smallPolicy,
  smallWords,
} from '../../../test/support/policy.ts'

const analysed = (policy: Policy) => orThrow(analyse(policy))
const refuse = { id: 'R2', then: 'refuse', instead: 'Walk.' }
/** Whatever the case, there is somebody to ask: what is left to find is what the test is about. */
const asks = aRule({ id: 'R9', methods: 'walk', then: 'refer', 'refer-to': 'owner' })

/** What is found in a rulebook of these rules: kind, rules, methods and cases. */
const short = ({ kind, rules, methods, cases }: Finding) =>
  `${kind} ${rules
    .map(({ rule }) => rule)
    .toSorted()
    .join('+')} ${methods.join('+')} ${cases}`
const found = (rules: string, head = {}) => analysed(smallPolicy(rulebookText(rules, head))).findings
const inShort = (rules: string) => found(rules).map(short)

test('a case with no usable method and no one named to ask is a gap', () => {
  const [gap, ...others] = found(aRule({ when: '{ class: [low, mid] }' }))
  assert.equal(short(gap!), 'gap   1')
  assert.deepEqual(others, [])
  assert.deepEqual(gap!.where, [{ fact: 'class', question: 'How secret?', answer: 'High' }])
  assert.deepEqual(gap!.because, gap!.where)
  assert.deepEqual(gap!.example, { class: 'high', near: true })
})

test('a referral, a refusal that names whom to ask, or a refusal of every method leaves no gap', () => {
  const allow = aRule({ when: '{ class: [low, mid] }' })
  const high = { when: '{ class: high }' }
  assert.deepEqual(inShort(allow + asks), [])
  assert.deepEqual(inShort(allow + aRule({ ...refuse, ...high, ask: 'owner' })), [])
  assert.deepEqual(inShort(allow + aRule({ ...refuse, ...high, methods: 'all' })), [])
  assert.deepEqual(inShort(allow + aRule({ ...refuse, ...high, methods: 'parcel' })), ['gap R2  1'])
})

test('outside every scope there is no gap', () => {
  assert.deepEqual(found(aRule({ when: '{ class: [low, mid] }' }), { scope: '{ class: [low, mid] }' }), [])
})

test('an allowance that is refused wherever it applies is a contradiction', () => {
  const rules = asks + aRule() + aRule({ id: 'R3', when: '{ class: low }', methods: 'mail' })
  assert.deepEqual(inShort(rules + aRule({ ...refuse, when: '{ class: [low, mid] }' })), ['contradiction R2+R3 mail 2'])
})

test('an allowance that names one answer too many is a contradiction there, and an exception is none', () => {
  const allow = asks + aRule({ when: '{ class: [low, mid] }' })
  const [one, ...others] = found(allow + aRule({ ...refuse, when: '{ class: [mid, high] }' }))
  assert.equal(short(one!), 'contradiction R1+R2 mail 2')
  assert.deepEqual(others, [])
  assert.deepEqual(one!.where, [{ fact: 'class', question: 'How secret?', answer: 'Middle' }])
  assert.deepEqual(inShort(allow + aRule({ ...refuse, when: '{ near: no }' })), [])
  assert.deepEqual(inShort(asks + aRule() + aRule({ ...refuse, when: '{ class: mid }' })), [])
})

test('a refusal that somebody can lift contradicts nothing', () => {
  const lifted = { strength: 'soft', 'lifted-by': '{ role: owner, when: { lifted: yes } }' }
  assert.deepEqual(inShort(asks + aRule() + aRule({ ...refuse, ...lifted })), [])
})

test('two things asked of one method that are never both met are a contradiction', () => {
  const rules = asks + aRule({ require: 'clear' }) + aRule({ id: 'R2', then: 'require', require: 'unclear' })
  assert.deepEqual(inShort(rules), ['contradiction R1+R2 mail 6'])
})

test('a rule that no case meets, or that whatever meets it lifts, never fires', () => {
  const [never] = found(asks + aRule() + aRule({ ...refuse, when: '{ class: high, near: no }' }))
  assert.deepEqual([short(never!), never!.where], ['never-fires R2 mail 0', []])
  const lifted = { strength: 'soft', 'lifted-by': '{ role: owner, when: { near: yes } }' }
  const always = aRule({ ...refuse, ...lifted, when: '{ near: yes, class: low }' })
  assert.deepEqual(inShort(asks + aRule() + always), ['never-fires R2 mail 1'])
})

test('an obligation asked for only where it cannot be met is found, and one that is asked for until it is met is not', () => {
  const rule = { id: 'R2', then: 'require', require: 'clear' }
  const [one, ...others] = found(asks + aRule() + aRule({ ...rule, when: '{ cleared: no }' }))
  assert.deepEqual([short(one!), others], ['never-met R2 mail 3', []])
  const lifted = { strength: 'soft', 'lifted-by': '{ role: owner, when: { cleared: yes } }' }
  assert.deepEqual(inShort(asks + aRule() + aRule({ ...rule, ...lifted })), [])
})

test('a method that its rules together never leave free is never allowed', () => {
  const refer = aRule({ id: 'R2', then: 'refer', 'refer-to': 'owner' })
  assert.deepEqual(inShort(aRule() + refer), ['never-allowed R1+R2 mail 3'])
})

test('a method that one rulebook closes may be allowed by another, which is no finding', () => {
  const first = rulebookText(asks + aRule())
  const second = rulebookText(aRule(refuse), { id: 'second' })
  const { findings, closed } = analysed(smallPolicy(first, second))
  assert.deepEqual([findings, closed], [[], ['mail', 'parcel', 'walk']])
  const both = rulebookText(aRule({ when: '{ near: yes }' }) + aRule({ ...refuse, when: '{ near: no }' }), {
    id: 'second',
  })
  const apart = rulebookText(asks + aRule({ when: '{ near: no }' }) + aRule({ ...refuse, when: '{ near: yes }' }))
  assert.deepEqual(analysed(smallPolicy(apart, both)).findings.map(short), ['never-allowed R1+R1+R2+R2 mail 3'])
})

for (const names of [['council'], ['practitioner'], ['ministry'], ['council', 'practitioner', 'ministry']])
  test(`nothing is found in ${names.join(' with ')}`, () => {
    const { cases, findings } = analysed(shippedPolicy(...names))
    assert.deepEqual(findings.map(short), [])
    assert(cases > 1_000_000n)
  })

test('at most so many findings are put into words, and the others are counted', () => {
  const pairs = Array.from({ length: limits.rulebookFindings + 2 }, (_, place) =>
    aRule({ ...refuse, id: `N${place}`, when: '{ class: high, near: no }' }),
  )
  const { findings, more } = analysed(smallPolicy(rulebookText(asks + aRule() + pairs.join(''))))
  assert.deepEqual([findings.length, more], [limits.rulebookFindings, 2])
})

test('a policy and its analysis can be handed to a worker and back', () => {
  const policy = councilPolicy()
  assert.deepEqual(structuredClone(analysed(structuredClone(policy))), analysed(policy))
})

test('rules too intertwined to be analysed are said to be so', () => {
  const names = Array.from({ length: 24 }, (_, place) => [`a${place}`, `b${place}`]).flat()
  const sorted = names.toSorted()
  const facts = sorted.map(
    (name) => `  ${name}: { type: yes-no, asked: deciding, order: 9, question: So?, why: It decides. }\n`,
  )
  const words = smallWords.replace('obligations:\n', `${facts.join('')}obligations:\n`)
  const vocabulary = orThrow(loadVocabulary('words.yaml', words))
  const when = Array.from({ length: 24 }, (_, place) => `{ a${place}: yes, b${place}: yes }`).join(', ')
  const text = rulebookText(aRule({ when: `[${when}]` }))
  const policy = stack(vocabulary, [orThrow(loadRulebook('tangled.yaml', text, vocabulary))], ['mail'])
  const tangled = analyse(policy)
  assert(!tangled.ok && tangled.problem.slug === 'rulebooks-tangled')
})

/** The same findings, by looking at one case after the other. */
function oneByOne(policy: Policy): string[] {
  const cases = everyCase(policy).map((facts) => {
    const possible = orThrow(possibleIn(policy, facts))
    return { facts, possible, judged: judge(policy, possible), decision: orThrow(decide(policy, facts)) }
  })
  type Case = (typeof cases)[number]
  const lines: string[] = []
  const add = (kind: string, rules: string[], methods: string[], set: Case[]) =>
    lines.push(`${kind} ${rules.toSorted().join('+')} ${methods.join('+')} ${set.length}`)
  const fires = (place: number) => cases.filter(({ judged }) => judged.status[place] === 2)
  const does = (effect: string, place: number) => (each: Case) => {
    const { rule, due } = policy.rules[place]!
    const isUnmet = due.some(({ met }) => holds(met, each.possible) === 0)
    return each.judged.status[place] === 2 && (rule.then === effect || (rule.unmet === effect && isUnmet))
  }
  const refuses = (place: number) => does('refuse', place)
  const allows = policy.rules.filter(({ rule }) => rule.then === 'allow')
  const ids = (rules: { rule: { id: string } }[]) => rules.map(({ rule }) => rule.id)
  /** One rule if it is enough, or all that have a part in it. */
  const blame = (rules: Policy['rules'], set: Case[], isPart: (place: number) => (each: Case) => boolean) => {
    const enough = rules.find(({ place }) => set.every(refuses(place)))
    return enough ? [enough] : rules.filter(({ place }) => set.some(isPart(place)))
  }

  const gap = cases.filter((each) => {
    const methods = Object.values(each.decision.methods)
    return (
      policy.scopes.some((scope) => holds(scope, each.possible) === 2) &&
      methods.every(({ outcome }) => outcome === 'BLOCK') &&
      methods.some(({ silent }) => silent) &&
      !policy.rules.some(({ rule, place }) => rule.ask && refuses(place)(each))
    )
  })
  if (gap.length > 0) add('gap', ids(policy.rules.filter(({ place }) => gap.some(refuses(place)))), [], gap)

  for (const { rule, rulebook, place, methods } of allows)
    for (const method of methods) {
      const mine = fires(place)
      const rivals = policy.rulesOf[method]!.filter((each) => each.rulebook === rulebook && each.rule !== rule)
      const isDead = (set: Case[]) =>
        set.length > 0 && set.every((each) => rivals.some((by) => refuses(by.place)(each)))
      const tests = rule.when === 'not-sure' ? [] : rule.when.flat()
      const facts = tests.flatMap(({ fact, test }) => ('not' in test && test.not ? [] : fact))
      const dead = new Set(isDead(mine) ? mine : [])
      for (const fact of facts)
        for (const group of Map.groupBy(mine, (each) => each.facts[fact]).values())
          if (isDead(group)) for (const each of group) dead.add(each)
      const set = [...dead]
      if (set.length > 0)
        add('contradiction', [rule.id, ...ids(blame(rivals, set, refuses))], [policy.methods[method]!], set)
    }

  const asked = policy.rules.flatMap((rule) => rule.due.map((due) => ({ ...rule, ...due })))
  const isMet =
    ({ when, met }: (typeof asked)[number]) =>
    ({ possible }: Case) =>
      holds(when, possible) === 2 && holds(met, possible) === 2
  for (const [place, one] of asked.entries())
    for (const other of asked.slice(place + 1)) {
      const methods = one.methods
        .filter((method) => other.methods.includes(method))
        .map((method) => policy.methods[method]!)
      const both = fires(one.place).filter((each) => each.judged.status[other.place] === 2)
      if (one.words.id === other.words.id || one.rulebook !== other.rulebook || methods.length === 0) continue
      if (!cases.some(isMet(one)) || !cases.some(isMet(other)) || both.length === 0) continue
      if (!cases.some((each) => isMet(one)(each) && isMet(other)(each)))
        add('contradiction', ids([one, other]), methods, both)
    }
  for (const parts of Map.groupBy(policy.rules, ({ rule }) => rule).values())
    if (parts.every(({ place }) => fires(place).length === 0)) {
      const lifted = cases.filter(({ possible }) => parts.some(({ when }) => holds(when, possible) === 2))
      add(
        'never-fires',
        ids(parts.slice(0, 1)),
        parts.flatMap(({ methods }) => methods.map((at) => policy.methods[at]!)),
        lifted,
      )
    }
  for (const each of asked)
    if (each.met && fires(each.place).length > 0 && !cases.some(isMet(each)))
      add(
        'never-met',
        ids([each]),
        each.methods.map((at) => policy.methods[at]!),
        fires(each.place),
      )
  for (const [method, rules] of policy.rulesOf.entries()) {
    const name = policy.methods[method]!
    const allowing = allows.filter(({ methods, place }) => methods.includes(method) && fires(place).length > 0)
    const set = cases.filter(({ judged }) => allowing.some(({ place }) => judged.status[place] === 2))
    const usable = cases.some(({ decision }) => ['ALLOW', 'ALLOW_WITH'].includes(decision.methods[name]!.outcome))
    const isClosing = ({ rulebook, place }: (typeof rules)[number]) =>
      !allowing.some((each) => each.rulebook === rulebook) && set.every(refuses(place))
    if (set.length === 0 || usable || rules.some(isClosing)) continue
    const stops = (place: number) => (each: Case) => refuses(place)(each) || does('refer', place)(each)
    add('never-allowed', ids([...new Set([...allowing, ...blame(rules, set, stops)])]), [name], set)
  }
  return lines
}

test('over whole small spaces: what is found is what looking at each case finds', () => {
  fc.assert(
    fc.property(anySmallPolicy, (policy) => {
      const { cases, findings, more } = analysed(policy)
      assert.deepEqual([Number(cases), more], [everyCase(policy).length, 0])
      assert.deepEqual(findings.map(short), oneByOne(policy))
    }),
    { numRuns: 300 },
  )
})

test('over a few facts of the rulebooks that ship: each outcome has as many cases as deciding each finds', () => {
  const policy = shippedPolicy('council', 'practitioner', 'ministry')
  const space = spaceOf(policy)
  const doings = doingsOf(space, policy.rules)
  const outcomes = policy.methods.map((_, method) => outcomesOf(space, about(doings, method)))
  fc.assert(
    fc.property(anyAlmostWhole(policy), (given) => {
      const known = orThrow(possibleIn(policy, given))
      const within = space.where([[...known.entries()].flat()])
      const decisions = everyCase(policy, given).map((facts) => orThrow(decide(policy, facts)))
      assert.equal(Number(space.count(within)), decisions.length)
      for (const [place, method] of policy.methods.entries())
        for (const outcome of ['ALLOW', 'ALLOW_WITH', 'REFER', 'BLOCK'] as const) {
          const decided = decisions.filter(({ methods }) => methods[method]!.outcome === outcome)
          assert.equal(Number(space.count(space.and(within, outcomes[place]![outcome]))), decided.length)
        }
    }),
    { numRuns: 40 },
  )
})

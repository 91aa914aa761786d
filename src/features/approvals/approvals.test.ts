import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { loadVocabulary } from '#core/policy/vocabulary'
import { listMail } from '#edge/mail/outbox'
import { inTransaction, type Tx } from '#edge/store/database'
import type { Role } from '#edge/web/route'
import {
  adviceFacts,
  adviceOf,
  allowException,
  answerAdvice,
  askAdvice,
  certificationOf,
  certifyEmergency,
  exceptionsOf,
  grantInForce,
  panel,
  reviewEmergency,
  waiting,
} from '#features/approvals/approvals'
import { endGrant, insertGrant } from '#features/approvals/queries'
import { exceptionFacts, factsSettled, factWords, settledBy } from '#features/approvals/rules'
import { aColleague, aCouncil, aTransfer } from '#test/council'
import { freshDatabase } from '#test/database'
import { councilPolicy, shippedPolicy } from '#test/policy'

const { db } = await freshDatabase({ after })
const vocabulary = orThrow(loadVocabulary('vocabulary.yaml', await readFile('rulebooks/vocabulary.yaml', 'utf8')))
const now = new Date('2026-03-06T16:40:00Z')
const later = (minutes: number) => new Date(now.valueOf() + minutes * 60_000)
const publicUrl = 'https://safehand.example'
const council = await aCouncil(db)
const sender = await aColleague(db, council.id, ['service-desk', 'information-governance', 'information-asset-owner'])
const desk = await aColleague(db, council.id, ['service-desk'])
const governance = await aColleague(db, council.id, ['information-governance'])
const owner = await aColleague(db, council.id, ['information-asset-owner'])

const within = <T>(work: (tx: Tx) => Promise<Outcome<T>>) => inTransaction(db, work)
const slugOf = async (work: (tx: Tx) => Promise<Outcome<unknown>>) => {
  const outcome = await within(work)
  return outcome.ok ? 'done' : outcome.problem.slug
}
const doing = (by: { id: string }, at = now) => ({ byId: by.id, now: at, publicUrl })
const ask = async (
  transferId: string | null,
  changes: { facts?: string[]; role?: 'service-desk' | 'information-governance'; at?: Date } = {},
) =>
  orThrow(
    await within((tx) =>
      askAdvice(tx, {
        transferId,
        askedBy: sender.id,
        role: changes.role ?? 'service-desk',
        facts: changes.facts ?? ['council-class'],
        question: 'Which class is it?',
        now: changes.at ?? now,
        publicUrl,
      }),
    ),
  ).id
const answer =
  (id: string, by: { id: string; roles: Role[] }, facts: Record<string, string | boolean> = {}, at = later(1)) =>
  (tx: Tx) =>
    answerAdvice(tx, id, { answer: 'It is controlled.', facts, roles: by.roles }, doing(by, at))

test('a question is mailed to everyone who holds the role but the asker, and names nothing but the reference', async () => {
  const transfer = await aTransfer(db, sender.id)
  const id = await ask(transfer.id)
  const mails = await listMail(db, { transferId: transfer.id })
  assert.deepEqual(
    mails.map(({ to }) => to),
    [desk.email],
  )
  assert.equal(mails[0]!.subject, `A question waits for you: ${transfer.reference}`)
  assert.equal(mails[0]!.links[0]!.url, `${publicUrl}/advice/${id}`)
  assert.ok(!mails[0]!.text.includes('Which class'))
})

test('a question about no transfer can be asked, one about a transfer that is not there cannot', async () => {
  const id = await ask(null)
  assert.equal(await slugOf(answer(id, desk)), 'done')
  const nowhere = {
    transferId: '0190f3a2-7c1e-7000-8000-000000000000',
    askedBy: sender.id,
    role: 'service-desk' as const,
    facts: [],
    question: 'Hm?',
    now,
    publicUrl,
  }
  assert.equal(await slugOf((tx) => askAdvice(tx, nowhere)), 'not-found')
})

test('the newest answer to a question about a fact wins, and what others settled stays', async () => {
  const transfer = await aTransfer(db, sender.id)
  const [first, second] = [await ask(transfer.id), await ask(transfer.id, { at: later(1) })]
  assert.deepEqual(await adviceFacts(db, transfer.id), {})
  assert.equal(
    await slugOf(answer(second, desk, { 'council-class': 'restricted', 'service-desk-answer': true }, later(2))),
    'done',
  )
  assert.equal(await slugOf(answer(first, desk, { 'council-class': 'controlled' }, later(3))), 'done')
  assert.deepEqual(await adviceFacts(db, transfer.id), { 'council-class': 'controlled', 'service-desk-answer': true })
  assert.deepEqual(
    (await adviceOf(db, transfer.id)).map(({ answeredByName }) => answeredByName),
    [desk.name, desk.name],
  )
})

test('nobody answers a question about their own transfer, even with the role', async () => {
  const transfer = await aTransfer(db, sender.id)
  assert.equal(await slugOf(answer(await ask(transfer.id), sender)), 'approval-by-sender')
})

test('a question is answered in the role that was asked, and once', async () => {
  const id = await ask((await aTransfer(db, sender.id)).id)
  assert.equal(await slugOf(answer(id, governance)), 'not-allowed')
  assert.equal(await slugOf(answer(id, desk)), 'done')
  assert.equal(await slugOf(answer(id, desk)), 'changed-meanwhile')
})

test('two who answer at once: one of them does', async () => {
  const id = await ask((await aTransfer(db, sender.id)).id)
  const second = await aColleague(db, council.id, ['service-desk'])
  const slugs = await Promise.all([slugOf(answer(id, desk)), slugOf(answer(id, second))])
  assert.deepEqual(
    slugs.filter((slug) => slug !== 'done'),
    ['changed-meanwhile'],
  )
})

test('an answer settles only what was asked about, what the service desk knows, and never what a record must show', () => {
  const about = (askedOfRole: string, aboutFacts: string[]) =>
    settledBy({ askedOfRole, aboutFacts }, councilPolicy()).map(([id]) => id)
  assert.deepEqual(about('service-desk', ['council-class']), ['council-class', 'service-desk-answer'])
  assert.deepEqual(about('service-desk', ['required-method']), ['required-method', 'service-desk-answer'])
  assert.deepEqual(
    about('information-governance', [
      'agreement',
      'exception-agreement',
      'recipient-authorised',
      'members-checked',
      'emergency-certified',
      'personal',
    ]),
    ['personal'],
  )
  assert.deepEqual(about('information-governance', ['required-method', 'service-desk-answer', 'nonsense']), [])
})

test('what another rulebook asks for is settled by the role that knows it', () => {
  const ministry = shippedPolicy('ministry')
  const about = (askedOfRole: string) => settledBy({ askedOfRole, aboutFacts: [] }, ministry).map(([id]) => id)
  assert.deepEqual(about('information-asset-owner'), ['movement-form', 'owner-authorised'])
  assert.deepEqual(about('information-governance'), ['contract', 'non-disclosure'])
  assert.deepEqual(about('information-security'), [
    'recipient-cleared',
    'supplier-terms',
    'receiving-system',
    'system-theirs',
  ])
  assert.deepEqual(about('manager'), ['use-policy'])
  assert.deepEqual(about('service-desk'), [])
})

test('an answer’s facts have values that the rulebooks know, each fact once', () => {
  const settled = (...settles: string[]) =>
    factsSettled(
      settles,
      { askedOfRole: 'service-desk', aboutFacts: ['council-class', 'device-encrypted'] },
      councilPolicy(),
    )
  assert.deepEqual(settled(), {})
  assert.deepEqual(settled('council-class=controlled', 'device-encrypted=yes', 'service-desk-answer=no'), {
    'council-class': 'controlled',
    'device-encrypted': true,
    'service-desk-answer': false,
  })
  for (const bad of [
    ['council-class=secret'],
    ['council-class'],
    ['=controlled'],
    ['personal=yes'],
    ['agreement=in-force'],
    ['__proto__=x'],
    ['council-class=public', 'council-class=controlled'],
  ])
    assert.equal(settled(...bad), undefined, bad.join())
})

test('what has been said is shown in the words of the questions', () => {
  const words = factWords(
    {
      size: { atMost: 12_000_000 },
      personal: true,
      'council-class': 'restricted',
      audience: 'organisation',
      nonsense: 'x',
    },
    vocabulary,
  )
  assert.deepEqual(
    words.map((row) => row.answer),
    ['Another organisation', 'Restricted', 'Yes', 'at most 12,000,000 bytes'],
  )
})

const certify =
  (transferId: string, at = now) =>
  (tx: Tx) =>
    certifyEmergency(tx, {
      transferId,
      whatCouldHappen: 'A child could be hurt.',
      whyNow: 'The visit is at 17:30.',
      ...doing(sender, at),
    })

test('an emergency is certified once, reviewed within two working days, and its reviewers are told', async () => {
  const transfer = await aTransfer(db, sender.id)
  const done = orThrow(await within(certify(transfer.id)))
  assert.deepEqual(done.reviewDueAt, new Date('2026-03-10T16:40:00Z'), 'a Friday and two working days')
  assert.equal(await slugOf(certify(transfer.id)), 'already-certified')
  assert.deepEqual(
    (await listMail(db, { transferId: transfer.id })).map(({ to }) => to),
    [governance.email],
  )
  assert.equal((await certificationOf(db, transfer.id))?.whyNow, 'The visit is at 17:30.')
})

test('an emergency is reviewed by another, and once', async () => {
  const transfer = await aTransfer(db, sender.id)
  const { id } = orThrow(await within(certify(transfer.id)))
  const review = (by: { id: string }) => (tx: Tx) =>
    reviewEmergency(tx, id, { outcome: 'upheld', words: 'Rightly so.' }, doing(by, later(5)))
  assert.equal(await slugOf(review(sender)), 'approval-by-sender')
  assert.equal(await slugOf(review(governance)), 'done')
  assert.equal(await slugOf(review(governance)), 'changed-meanwhile')
  assert.equal((await certificationOf(db, transfer.id))?.reviewOutcome, 'upheld')
  assert.ok(
    (await listMail(db, { to: sender.email })).some(
      ({ subject }) => subject === `Your emergency was reviewed: ${transfer.reference}`,
    ),
  )
})

test('an exception is allowed by the role it belongs to, never by the sender', async () => {
  const transfer = await aTransfer(db, sender.id)
  const allow = (fact: (typeof exceptionFacts)[number], by: { id: string; roles: Role[] }) => (tx: Tx) =>
    allowException(tx, {
      transferId: transfer.id,
      fact,
      ground: 'legal-obligation',
      reason: 'A court ordered it.',
      roles: by.roles,
      ...doing(by),
    })
  assert.equal(await slugOf(allow('exception-agreement', sender)), 'approval-by-sender')
  assert.equal(await slugOf(allow('exception-agreement', owner)), 'not-allowed')
  assert.equal(await slugOf(allow('internal-use-lifted', governance)), 'not-allowed')
  assert.equal(await slugOf(allow('exception-agreement', governance)), 'done')
  assert.equal(await slugOf(allow('internal-use-lifted', owner)), 'done')
  assert.deepEqual((await exceptionsOf(db, transfer.id)).map(({ fact, role }) => `${fact} by ${role}`).toSorted(), [
    'exception-agreement by information-governance',
    'internal-use-lifted by information-asset-owner',
  ])
})

test('every exception establishes a fact that rulebooks know', () => {
  for (const fact of exceptionFacts) assert.equal(vocabulary.facts.get(fact)?.asked, 'derived', fact)
})

test('a grant covers its first and its last day, for the person or the role', async () => {
  const grant = (row: { role: Role; personId: null } | { role: null; personId: string }) =>
    db.transaction().execute((tx) =>
      insertGrant(tx, {
        method: 'managed_transfer',
        ...row,
        startsOn: '2026-03-01',
        endsOn: '2026-03-31',
        reason: 'Asked',
        grantedBy: desk.id,
        grantedAt: now,
      }),
    )
  const { id } = await grant({ personId: sender.id, role: null })
  await grant({ role: 'manager', personId: null })
  const may = async (personId: string, roles: Role[], day: string, method = 'managed_transfer') =>
    (await grantInForce(db, { method, personId, roles, day })) !== undefined
  assert.ok(await may(sender.id, [], '2026-03-01'))
  assert.ok(await may(sender.id, [], '2026-03-31'))
  assert.ok(!(await may(sender.id, [], '2026-02-28')))
  assert.ok(!(await may(sender.id, [], '2026-04-01')))
  assert.ok(!(await may(sender.id, [], '2026-03-01', 'post')))
  assert.ok(!(await may(owner.id, [], '2026-03-01')))
  assert.ok(await may(owner.id, ['manager'], '2026-03-01'))
  await db.transaction().execute((tx) => endGrant(tx, id, now))
  assert.ok(!(await may(sender.id, [], '2026-03-01')), 'ended')
})

test('what waits for a person is what they can do in their roles, oldest first', async () => {
  const [asker, helper] = [
    await aColleague(db, council.id, ['records-officer']),
    await aColleague(db, council.id, ['records-officer']),
  ]
  const transfer = await aTransfer(db, asker.id)
  const question = (at: Date) =>
    within((tx) =>
      askAdvice(tx, {
        transferId: transfer.id,
        askedBy: asker.id,
        role: 'records-officer',
        facts: [],
        question: 'May it leave?',
        now: at,
        publicUrl,
      }),
    )
  orThrow(await question(later(10)))
  orThrow(await question(now))
  assert.deepEqual(await waiting(db, asker, now), [], 'not their own')
  assert.deepEqual(
    (await waiting(db, helper, now)).map(({ since }) => since),
    [now, later(10)],
  )
  assert.deepEqual(await waiting(db, await aColleague(db, council.id), now), [])
})

test('an emergency waits for its reviewer, not for who certified it, and says when it is overdue', async () => {
  const transfer = await aTransfer(db, sender.id)
  orThrow(await within(certify(transfer.id)))
  const about = async (actor: typeof governance, at: Date) =>
    (await waiting(db, actor, at)).map(({ what }) => what).filter((what) => what.includes(transfer.reference))
  assert.deepEqual(await about(governance, now), [`Review the emergency of ${transfer.reference}`])
  assert.deepEqual(await about(governance, later(5 * 24 * 60)), [
    `Review the emergency of ${transfer.reference} (overdue)`,
  ])
  assert.deepEqual(await about(sender, now), [])
})

test('a transfer’s page shows nothing of approvals until there is something', async () => {
  const transfer = await aTransfer(db, sender.id)
  assert.equal(await panel(db, transfer.id, vocabulary), null)
  await ask(transfer.id)
  assert.equal(((await panel(db, transfer.id, vocabulary))!.model.advice as unknown[]).length, 1)
})

test('every approval is in the register, about its transfer', async () => {
  const transfer = await aTransfer(db, sender.id)
  const id = await ask(transfer.id)
  orThrow(await within(answer(id, desk)))
  orThrow(await within(certify(transfer.id)))
  const rows = await db
    .selectFrom('registerEvents')
    .where('transferId', '=', transfer.id)
    .select('name')
    .orderBy('at')
    .execute()
  assert.deepEqual(rows.map(({ name }) => name).toSorted(), ['advice-answered', 'advice-asked', 'emergency-certified'])
})

test('a question may be about as many facts as the limit; more are left out', async () => {
  const transfer = await aTransfer(db, sender.id)
  for (const over of [-1, 0, 1])
    await ask(transfer.id, { facts: Array.from({ length: limits.adviceFacts + over }, (_, n) => `fact-${n}`) })
  assert.deepEqual(
    (await adviceOf(db, transfer.id)).map(({ aboutFacts }) => aboutFacts.length).toSorted((a, b) => a - b),
    [limits.adviceFacts - 1, limits.adviceFacts, limits.adviceFacts],
  )
})

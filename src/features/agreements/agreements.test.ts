import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { loadVocabulary } from '#core/policy/vocabulary'
import { inTransaction } from '#edge/store/database'
import { agreementInForce, purposes, stateOf, wrongDates } from '#features/agreements/agreements'
import { agreementById, agreementsToReview, endAgreement, insertAgreement } from '#features/agreements/queries'
import { aColleague, aCouncil, anOrganisation } from '#test/council'
import { freshDatabase } from '#test/database'

const { db } = await freshDatabase({ after })
const council = await aCouncil(db)
const grace = await aColleague(db, council.id, ['information-governance'])
const now = new Date('2026-03-02T09:00:00Z')

const anAgreement = (
  organisationIds: string[],
  changes: { purposes?: string[]; startsOn?: string; endsOn?: string; reviewOn?: string; withdrawnAt?: Date } = {},
) =>
  db.transaction().execute((tx) =>
    insertAgreement(tx, {
      kind: 'information-sharing-agreement',
      title: 'Safeguarding',
      organisationIds,
      purposes: ['protect-someone'],
      information: 'Safeguarding records',
      startsOn: '2026-01-01',
      endsOn: '2026-12-31',
      reviewOn: null,
      enteredBy: grace.id,
      enteredAt: now,
      ...changes,
    }),
  )
const covers = async (organisationIds: string[], purpose = 'protect-someone', day = '2026-03-02') =>
  (await agreementInForce(db, { organisationIds, purpose, day }))?.id

test('the purposes of agreements are those that rulebooks know', async () => {
  const vocabulary = orThrow(loadVocabulary('vocabulary.yaml', await readFile('rulebooks/vocabulary.yaml', 'utf8')))
  assert.deepEqual(Object.keys(purposes), [...vocabulary.facts.get('purpose')!.options!.keys()])
})

test('an agreement covers its first and its last day, and neither the day before nor the day after', async () => {
  const { id } = await anOrganisation(db)
  const agreement = await anAgreement([id])
  for (const day of ['2026-01-01', '2026-12-31'])
    assert.equal(await covers([id], 'protect-someone', day), agreement.id, day)
  for (const day of ['2025-12-31', '2027-01-01'])
    assert.equal(await covers([id], 'protect-someone', day), undefined, day)
})

test('an agreement covers its purposes and no other', async () => {
  const { id } = await anOrganisation(db)
  await anAgreement([id])
  assert.equal(await covers([id], 'deliver-a-service'), undefined)
})

test('one agreement must cover every organisation: two with one each do not add up', async () => {
  const [one, two, three] = [
    (await anOrganisation(db)).id,
    (await anOrganisation(db)).id,
    (await anOrganisation(db)).id,
  ]
  await anAgreement([one])
  await anAgreement([two])
  assert.equal(await covers([one, two]), undefined)
  const both = await anAgreement([one, two, three], { endsOn: '2027-12-31' })
  assert.equal(await covers([one, two]), both.id)
})

test('nobody to share with is covered by nothing', async () => {
  await anAgreement([(await anOrganisation(db)).id])
  assert.equal(await covers([]), undefined)
})

test('a withdrawn agreement covers nothing, and is withdrawn once', async () => {
  const { id } = await anOrganisation(db)
  const agreement = await anAgreement([id])
  const withdraw = () => db.transaction().execute((tx) => endAgreement(tx, agreement.id, 'Replaced', now))
  assert.ok(await withdraw())
  assert.equal(await withdraw(), undefined)
  assert.equal(await covers([id]), undefined)
  assert.equal((await agreementById(db, agreement.id))?.withdrawnReason, 'Replaced')
})

test('an overdue review warns, and the agreement still covers', async () => {
  const { id } = await anOrganisation(db)
  const agreement = await anAgreement([id], { reviewOn: '2026-02-01' })
  assert.equal(await covers([id]), agreement.id)
  const due = async (day: string) => (await agreementsToReview(db, day)).some((row) => row.id === agreement.id)
  assert.ok(!(await due('2026-01-31')))
  assert.ok(await due('2026-02-01'))
  assert.ok(!(await due('2027-01-01')), 'an agreement that has ended is not reviewed')
})

test('an agreement is not started, in force, due for review, ended or withdrawn', () => {
  const agreement = { startsOn: '2026-01-01', endsOn: '2026-12-31', reviewOn: '2026-06-01', withdrawnAt: null }
  assert.equal(stateOf(agreement, '2025-12-31'), 'not-started')
  assert.equal(stateOf(agreement, '2026-01-01'), 'in-force')
  assert.equal(stateOf(agreement, '2026-06-01'), 'review-due')
  assert.equal(stateOf(agreement, '2027-01-01'), 'ended')
  assert.equal(stateOf({ ...agreement, withdrawnAt: now }, '2026-01-01'), 'withdrawn')
})

test('an agreement ends after it starts, and is reviewed in between', () => {
  const dates = { startsOn: '2026-01-01', endsOn: '2026-12-31' }
  assert.deepEqual(wrongDates(dates), {})
  assert.deepEqual(wrongDates({ ...dates, endsOn: '2026-01-02' }), {})
  assert.match(wrongDates({ ...dates, endsOn: '2026-01-01' }).endsOn!, /after/)
  for (const reviewOn of ['2026-01-01', '2026-12-31']) assert.deepEqual(wrongDates({ ...dates, reviewOn }), {})
  for (const reviewOn of ['2025-12-31', '2027-01-01'])
    assert.match(wrongDates({ ...dates, reviewOn }).reviewOn!, /between/)
})

test('an agreement lasts as many years as the limit, and not one day more', () => {
  const year = 2026 + limits.agreementYears
  assert.deepEqual(wrongDates({ startsOn: '2026-03-01', endsOn: `${year}-02-28` }), {})
  assert.deepEqual(wrongDates({ startsOn: '2026-03-01', endsOn: `${year}-03-01` }), {})
  assert.match(wrongDates({ startsOn: '2026-03-01', endsOn: `${year}-03-02` }).endsOn!, /at most/)
})

test('what makes no sense as an id is no agreement', async () => {
  assert.equal(await agreementById(db, 'new'), undefined)
  const withdrawn = await inTransaction(db, async (tx) => ({
    ok: true as const,
    value: await endAgreement(tx, "'; DROP TABLE agreements", 'x', now),
  }))
  assert.equal(orThrow(withdrawn), undefined)
})

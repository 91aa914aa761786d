/** A clock that jumps: the register, what was sent and what was destroyed do not depend on its going forward. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { orThrow } from '#core/kit/outcome'
import { parseVkey } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import { fsckRegister, noteIn } from '#edge/keeper/fsck'
import { checkWork } from '#features/parcels/checking'
import { destroyParcel, tidy } from '#features/parcels/keeping'
import { acknowledge, admit, bytesOf, openAll } from '#test/collecting'
import { aHouse, day, type Browser } from '#test/house'
import { aSentParcel, sergeant, type SealedForTest } from '#test/sending'

const { house, advance, browser } = await aHouse({ after })
// Agreements are in force from the day on which the house was made: a day before that nothing may be sent, rightly.
advance(2 * day)

async function assertSound(when: string) {
  orThrow(await house.keeper.once())
  const check = await fsckRegister(house.db, house.keeper.tiles, orThrow(parseVkey(house.keeper.vkey)))
  await checkWork({ ...house, now: house.now() }, false, noteIn(check))
  assert.deepEqual(check.findings, [], when)
}

const admitted = async (parcel: SealedForTest) =>
  admit(await browser(), await browser('Priya Nair'), parcel, sergeant.email)

/** Whoever it was sent to collects it, and holds a receipt that checks. */
async function collectWhole(parcel: SealedForTest, recipient?: Browser) {
  recipient ??= await admitted(parcel)
  await acknowledge(recipient, parcel)
  const { said } = await openAll(recipient, parcel)
  const at = `/api/collect/${parcel.recipients[0]}`
  await recipient.post(`${at}/opened`, said)
  orThrow(await house.keeper.once())
  const receipt = Buffer.from(await bytesOf(recipient, `${at}/receipt`)).toString()
  orThrow(verifyReceipt(receipt, orThrow(parseTrustPolicy(`log ${house.keeper.vkey}\nquorum none\n`))))
}

test('a clock that jumps back a day stops nothing: people sign in, send, collect, and hold receipts', async () => {
  const before = await aSentParcel(await browser('Priya Nair'))
  const recipient = await admitted(before)
  await assertSound('before')
  advance(-day)
  await assertSound('after it jumped back')
  await collectWhole(before, recipient)
  const since = await aSentParcel(await browser('Priya Nair'))
  await tidy(house)
  await assertSound('a day early')
  advance(day)
  await collectWhole(since)
  await assertSound('at the end')
})

test('a clock that jumps forward and is put right ends what it looked at, for good, and nothing else', async () => {
  const ended = await aSentParcel(await browser('Priya Nair'))
  advance(20 * day)
  await tidy(house)
  await destroyParcel(house, ended.parcelId)
  await assertSound('twenty days on')
  const ahead = await aSentParcel(await browser('Priya Nair'))
  advance(-20 * day)
  await tidy(house)
  await assertSound('put right')
  await collectWhole(ahead)
  const parcels = await house.db.selectFrom('parcels').select(['id', 'state']).execute()
  const stateOf = (id: string) => parcels.find((parcel) => parcel.id === id)!.state
  assert.deepEqual([stateOf(ended.parcelId), stateOf(ahead.parcelId)], ['destroyed', 'sealed'])
  assert.deepEqual(await Array.fromAsync(house.blobs.list(`parcels/${ended.parcelId}`)), [])
  await collectWhole(await aSentParcel(await browser('Priya Nair')))
  await assertSound('at the end')
})

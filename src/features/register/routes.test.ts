import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { orThrow } from '#core/kit/outcome'
import { parseCheckpoint } from '#core/register/checkpoint'
import { openNote, parseVkey } from '#core/register/note'
import { parseTrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import { openRegister, readOrMakeSigner } from '#edge/keeper/installation'
import { keepOnce } from '#edge/keeper/keeper'
import { rotate } from '#edge/keeper/rotate'
import { aHouse } from '#test/house'
import { aReadyTransfer } from '#test/sending'

const { house, open, browser } = await aHouse({ after })
const owner = open('owner').db

test('after a register is closed both are published, each at its own address, and its events still have receipts', async () => {
  const priya = await browser('Priya Nair')
  const id = await aReadyTransfer(priya)
  orThrow(await house.keeper.once())
  const reader = await browser()
  const shown = async (path: string, vkey: string) =>
    orThrow(parseCheckpoint(orThrow(openNote((await reader.call('GET', path)).body, [orThrow(parseVkey(vkey))])).text))
  assert.equal((await reader.get<{ key: string }>('/api/register/check')).key, house.keeper.vkey)
  assert.equal((await reader.problem('GET', '/register/2/checkpoint')).status, 404)

  const { tiles, signer } = orThrow(await openRegister(owner, house.config))
  const next = await readOrMakeSigner(owner, house.config, 2)
  const { size } = orThrow(await rotate({ db: owner, tiles, signer, next }))
  await aReadyTransfer(priya)
  const register = orThrow(await openRegister(owner, house.config))
  orThrow(await keepOnce({ db: owner, ...register }))

  const { key } = await reader.get<{ key: string }>('/api/register/check')
  const trust = orThrow(parseTrustPolicy(key))
  const [old, present] = key.split('\n').map((line) => line.replace('log ', ''))
  assert.equal((await shown('/register/checkpoint', old!)).size, size)
  assert.equal((await shown('/register/2/checkpoint', present!)).origin, 'localhost:8080/register/2')
  for (const path of [`/register/tile/0/000.p/${size}`, `/register/tile/entries/000.p/${size}`])
    assert.equal((await reader.call('GET', path)).statusCode, 200, path)
  const later = (await shown('/register/2/checkpoint', present!)).size
  assert.equal((await reader.call('GET', `/register/2/tile/entries/000.p/${later}`)).statusCode, 200)
  for (const path of [
    '3/checkpoint',
    '1/checkpoint',
    'x/checkpoint',
    '02/checkpoint',
    '3/tile/0/000.p/1',
    '../2/checkpoint',
  ])
    assert.equal((await reader.call('GET', `/register/${path}`)).statusCode, 404, path)

  const [event] = await house.db.selectFrom('registerEvents').where('transferId', '=', id).select('id').execute()
  const receipt = (await priya.call('GET', `/api/transfers/${id}/proofs/${event!.id}`)).body
  assert.equal(orThrow(verifyReceipt(receipt, trust)).origin, 'localhost:8080/register')
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { allRoutes } from '#shell/web/routes'
import { aHouse } from '#test/house'
import { effort } from './effort.ts'
import type { Description } from './requests.ts'
import { allOperations, inWords, storm } from './storm.ts'

const { seed } = effort
const { house, app } = await aHouse({ after })
const ops = allOperations((await app.inject('/api')).json<Description>(), allRoutes(house.policy))

test('no request made from our own description fails, hangs or tells of our insides', async (t) => {
  const { statuses, reached, faults } = await storm(app, house.db, ops, effort.injected)
  t.diagnostic(`seed ${seed}; ${effort.injected} requests; ${inWords(statuses)}`)
  t.diagnostic(`${reached.size} of ${ops.length} operations did what was asked`)
  assert.deepEqual(faults, [])
  assert.ok((statuses.get(200) ?? 0) > effort.injected / 20, 'enough requests are good enough to be carried out')
  assert.ok((statuses.get(422) ?? statuses.get(400) ?? 0) > 0)
})

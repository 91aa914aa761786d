import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadPolicy } from '#shell/start'

test('a rulebook that does not ship is refused with the nearest that does', async () => {
  const loaded = await loadPolicy(['council', 'minstry'])
  assert.ok(!loaded.ok)
  assert.equal(loaded.problem.slug, 'setting-wrong')
  assert.match(loaded.problem.detail!, /SAFEHAND_RULEBOOKS: there is no rulebook ‘minstry’\. Did you mean 'ministry'\?/)
})

test('no name reaches a file outside the rulebooks’ folder', async () => {
  for (const id of ['../package', '/etc/passwd', 'vocabulary', 'cases', ''])
    assert.equal((await loadPolicy([id])).ok, false, id)
})

test('each set of rulebooks is stacked in the order named, with version and hash of each', async () => {
  const loaded = await loadPolicy(['ministry', 'council', 'practitioner'])
  assert.ok(loaded.ok)
  const { policy, rulebookVersions } = loaded.value
  assert.deepEqual(
    policy.rulebooks.map(({ id }) => id),
    ['ministry', 'council', 'practitioner'],
  )
  for (const { version, sha256 } of rulebookVersions) {
    assert.match(version, /^\d+\.\d+\.\d+$/)
    assert.match(sha256, /^[0-9a-f]{64}$/)
  }
})

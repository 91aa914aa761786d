import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseTrustPolicy } from '#core/register/policy'
import { runSafehand } from '#shell/cli/safehand'

const folder = await mkdtemp(join(tmpdir(), 'safehand-keeper-'))
after(() => rm(folder, { recursive: true, force: true }))
const data = join(folder, 'data')
const env = { SAFEHAND_URL: 'https://safehand.example.gov.uk' }

async function cli(...args: string[]) {
  const lines = { out: '', err: '' }
  const io = { out: (text: string) => void (lines.out += text), err: (text: string) => void (lines.err += text), env }
  return { code: await runSafehand([...args, '--data', data], io), ...lines }
}

test('a register is closed only when told, and the keys of both are printed as verify takes them', async () => {
  const first = ['--organisation', 'Exampleshire County Council', '--domain', 'exampleshire.example']
  assert.equal(
    (await cli('init', ...first, '--name', 'Ines Duarte', '--email', 'ines.duarte@exampleshire.example')).code,
    0,
  )
  const planned = await cli('keeper', 'rotate')
  assert.match(planned.out, /Add --yes to do it\.$/)
  assert.ok(!existsSync(`${data}-keys/register-2.pem`))
  const done = await cli('keeper', 'rotate', '--yes')
  assert.equal(done.code, 0, done.err)
  assert.match(done.out, /^Closed with \d+ events\. Restart Safehand/)
  const { out } = await cli('keeper', 'trust')
  const policy = parseTrustPolicy(out)
  assert.ok(policy.ok)
  assert.deepEqual(
    policy.value.logs.map(({ name }) => name),
    ['safehand.example.gov.uk/register', 'safehand.example.gov.uk/register/2'],
  )
  assert.equal((await cli('fsck')).code, 0)
})

test('called wrongly, it says how it is called', async () => {
  for (const args of [['keeper'], ['keeper', 'turn'], ['keeper', 'trust', 'me'], ['erase'], ['backup']])
    assert.equal((await cli(...args)).code, 2, args.join(' '))
  for (const args of [
    ['keeper', '--help'],
    ['erase', '--help'],
    ['backup', '--help'],
    ['restore', '--help'],
  ])
    assert.equal((await cli(...args)).code, 0, args.join(' '))
})

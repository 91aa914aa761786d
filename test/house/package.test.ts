import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, serving } from '#test/serving'
import { commandsOf, root } from '#test/guide'

const folder = await mkdtemp(join(tmpdir(), 'safehand-package-'))
after(() => rm(folder, { recursive: true }))

/** The environment of somebody who has only what their machine has: none of the checkout's programs and settings. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|SAFEHAND_|DATABASE_)/i.test(name)),
  ),
  PATH: process.env
    .PATH!.split(delimiter)
    .filter((place) => !place.includes('node_modules'))
    .join(delimiter),
  DATA: join(folder, 'data'),
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
}
const run = (program: string, ...args: string[]) => promisify(execFile)(program, args, { cwd: folder, env })

await promisify(execFile)('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root })
const [packed] = await readdir(folder)
const inside = (await run('tar', '-tzf', packed!)).stdout.trim().split('\n')

test('the package holds the program, its pages, rulebooks and list of parts, and neither sources nor tests', () => {
  const has = (name: string) => assert.ok(inside.includes(`package/${name}`), name)
  for (const name of ['dist/main.js', 'dist/sbom.cdx.json', 'dist/assets/safehand.css', 'dist/assets/open-worker.js'])
    has(name)
  for (const name of ['dist/shell/web/layouts/base.njk', 'dist/features/parcels/views/collect.njk']) has(name)
  for (const name of ['rulebooks/council.yaml', 'deploy/safehand.service', 'LICENSE', 'docs/operate.md']) has(name)
  assert.deepEqual(
    inside.filter((name) => /\.ts$|\.test\.|^package\/(src|test|scripts|node_modules)\//.test(name)),
    [],
  )
})

test('in an empty folder the guide’s commands install it, make an installation and check it', async () => {
  const commands = commandsOf('docs/operate.md')
  assert.equal(commands[0], `npm install ./${packed}`)
  for (const command of commands) {
    const { status, stderr } = spawnSync('sh', ['-c', command], { cwd: folder, env, encoding: 'utf8' })
    assert.equal(status, 0, `${command}\n${stderr}`)
  }
})

test('the list of parts is that of the lock file without tools, and what we ask for is installed so', async () => {
  const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'))
  const bom = await json(join(folder, 'node_modules/safehand/dist/sbom.cdx.json'))
  assert.equal(bom.bomFormat, 'CycloneDX')
  assert.equal(bom.metadata.component.name, 'safehand')
  const listed = bom.components.map((part: { name: string; version: string }) => `${part.name}@${part.version}`)
  const { '': _own, ...locked } = (await json(join(root, 'package-lock.json'))).packages
  const running = Object.entries<{ version: string; dev?: boolean }>(locked).filter(([, { dev }]) => !dev)
  const names = running.map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
  assert.deepEqual(new Set(listed), new Set(names))
  for (const name of Object.keys((await json(join(root, 'package.json'))).dependencies)) {
    const { version } = await json(join(folder, 'node_modules', name, 'package.json'))
    assert.ok(listed.includes(`${name}@${version}`), `${name}@${version}`)
  }
})

test('the program finds the Node that came with it, whichever this machine has', async () => {
  const { stdout } = await run('node', 'node_modules/safehand/bin/safehand.js', '--help')
  assert.match(stdout, /^ {2}serve /m)
})

test('installed, it serves pages and receipts that its command line verifies, and ends when told', async (t) => {
  const port = await freePort()
  const server = await serving(
    t,
    join(folder, 'node_modules/.bin/safehand'),
    ['serve', '--data', env.DATA, '--port', String(port)],
    {
      cwd: folder,
      env,
    },
  )
  const url = `http://localhost:${port}`
  const page = await (await fetch(`${url}/sign-in`, { headers: { accept: 'text/html' } })).text()
  const [, style] = /<link[^>]+href="([^"]+\.css)"/.exec(page)!
  assert.equal((await fetch(url + style)).status, 200)

  const { stdout: token } = await run(
    'npx',
    'safehand',
    'token',
    '--person',
    'ines.duarte@exampleshire.example',
    '--data',
    env.DATA,
  )
  const ask = async <T>(path: string, method = 'GET') => {
    const answer = await fetch(`${url}/api${path}`, { method, headers: { authorization: `Bearer ${token.trim()}` } })
    assert.ok(answer.ok, `${path}: ${answer.status}`)
    return answer.headers.get('content-type')!.includes('json')
      ? ((await answer.json()) as T)
      : ((await answer.text()) as T)
  }
  const { id } = await ask<{ id: string }>('/transfers', 'POST')
  let proof: { id: string } | undefined
  while (!proof) {
    const { timeline } = await ask<{ timeline: { id: string; hasProof: boolean }[] }>(`/transfers/${id}`)
    proof = timeline.find(({ hasProof }) => hasProof)
    await delay(50)
  }
  let receipt: string | undefined
  // Until the event is signed and published, the answer is to ask again.
  while (receipt === undefined) {
    receipt = await ask<string>(`/transfers/${id}/proofs/${proof.id}`).catch(async (error: Error) => {
      if (!error.message.endsWith(': 503')) throw error
      await delay(250)
      return undefined
    })
  }
  await writeFile(join(folder, 'event.tlog-proof'), receipt)
  const { vkey } = await ask<{ vkey: string }>('/register/check')
  assert.match((await run('npx', 'safehand', 'verify', 'event.tlog-proof', '--key', vkey)).stdout, /^Genuine\./)
  assert.match((await run('npx', 'safehand', 'fsck', '--data', env.DATA)).stdout, /^Sound\./)

  server.child.kill('SIGTERM')
  assert.deepEqual(await server.ended, [0, null])
  await assert.rejects(readFile(join(env.DATA, 'postgres/data/postmaster.pid')), { code: 'ENOENT' })
})

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, test } from 'node:test'
import { assetsFolder, buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'
import { root } from '#test/guide'
import { aHouse, Browser } from '#test/house'
import { compressedBytes, fetchedWith, scriptsOf } from '#test/scripts'
import { admit } from '#test/collecting'
import { aReadyTransfer, aSentParcel } from '#test/sending'
import { pagesFrom } from '#test/walking'
import '../../scripts/build.ts'

const { house, browser } = await aHouse({ after })
const folder = assetsFolder(root)
const app = await buildApp(house, allRoutes(house.policy), { folder, url: '/assets/built', version: '0' })
after(() => app.close())

/** The most script that a page may bring with it, compressed, before anybody chose a file or gave the words. */
const mostBytes = 60_000

test('no page brings much script before it is asked to do something', async () => {
  const priya = await Browser.of(app, 'Priya Nair')
  const ready = await aReadyTransfer(priya)
  const parcel = await aSentParcel(priya)
  const recipient = await admit(await browser(), priya, parcel)
  const walked = [
    ...(await pagesFrom(priya, ['/', '/account', `/transfers/${ready}/seal`, '/register/check'])),
    ...(await pagesFrom(recipient, [`/collect/${parcel.recipients[0]}`])),
    ...(await pagesFrom(new Browser(app), ['/', '/sign-in'])),
  ]
  const seen = new Set<string>()
  for (const { path, html } of walked) {
    const scripts = scriptsOf(html)
    for (const name of scripts) seen.add(name)
    const bytes = compressedBytes(fetchedWith(scripts))
    assert.ok(bytes <= mostBytes, `${path} brings ${bytes} bytes of script`)
  }
  const built = readdirSync(folder).filter((name) => name.endsWith('.js') && !/^part-|-worker\.js$/.test(name))
  assert.deepEqual([...seen].toSorted(), built.toSorted(), 'each island was met on a page')
})

test('scripts and styles go compressed to whoever takes them so', async () => {
  for (const [name, type] of [
    ['page.js', 'application/javascript'],
    ['safehand.css', 'text/css'],
  ] as const) {
    const url = `/assets/built/${name}`
    const small = await app.inject({ url, headers: { 'accept-encoding': 'gzip' } })
    const plain = await app.inject({ url })
    assert.equal(small.headers['content-encoding'], 'gzip')
    assert.equal(plain.headers['content-encoding'], undefined)
    for (const { headers } of [small, plain]) {
      assert.match(String(headers['content-type']), new RegExp(type))
      assert.match(String(headers.vary), /accept-encoding/i)
    }
    assert.ok(small.rawPayload.length < plain.rawPayload.length / 2)
  }
})

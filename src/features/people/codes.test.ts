import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql, type KyselyPlugin } from 'kysely'
import { limits } from '#core/kit/limits'
import { ok, orThrow } from '#core/kit/outcome'
import { inTransaction } from '#edge/store/database'
import type { Action, Visit } from '#edge/web/route'
import { askCode, checkCode } from '#features/people/codes'
import { routes } from '#features/people/routes'
import { makeToken } from '#features/people/sessions'
import { aHouse } from '#test/house'
import { aSentParcel, newestCode, newestToken, sergeant } from '#test/sending'

const { house, browser } = await aHouse({ after })
const { db } = house
const subjectId = '0192f0c1-2222-7333-8444-555566667777'
const asking = (browserToken: string) =>
  ({ purpose: 'sign-in', subjectId, browser: browserToken, now: house.now() }) as const
const ask = async (browserToken: string) =>
  orThrow(await inTransaction(db, async (tx) => ok(await askCode(tx, asking(browserToken)))))
const slug = (outcome: { ok: true } | { ok: false; problem: { slug: string } }) =>
  outcome.ok ? 'right' : outcome.problem.slug

test('a code is eight of 32 characters, each as likely, and kept as its hash', async () => {
  const counts = new Map<string, number>()
  for (let n = 0; n < 400; n += 1) {
    const code = await ask(makeToken())
    assert.match(code, /^[0-9A-HJKMNP-TV-Z]{8}$/)
    for (const character of code) counts.set(character, (counts.get(character) ?? 0) + 1)
  }
  assert.equal(counts.size, 32)
  // 3,200 characters, 100 expected of each; five times the standard deviation either way.
  for (const [character, count] of counts) assert.ok(count > 50 && count < 150, `${character}: ${count}`)
  const code = await ask(makeToken())
  const kept = await db.selectFrom('mailedCodes').selectAll().execute()
  assert.ok(!JSON.stringify(kept.map((row) => Buffer.from(row.codeHash).toString('latin1'))).includes(code))
})

test('parallel guesses share no try: of twenty at once, as many are compared as there are tries', async () => {
  const token = makeToken()
  const right = await ask(token)
  const guesses = await Promise.all(
    Array.from({ length: 20 }, () =>
      checkCode(db, { ...asking(token), code: right === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA' }),
    ),
  )
  const said = guesses.map(slug)
  assert.equal(said.filter((each) => each === 'code-wrong').length, limits.codeTries)
  assert.equal(said.filter((each) => each === 'code-expired').length, 20 - limits.codeTries)
  assert.equal(slug(await checkCode(db, { ...asking(token), code: right })), 'code-expired')
})

test('the last try may be the right one; a code is right once, also when it is sent twenty times at once', async () => {
  const token = makeToken()
  const right = await ask(token)
  for (let n = 1; n < limits.codeTries; n += 1)
    assert.equal(slug(await checkCode(db, { ...asking(token), code: '00000000' })), 'code-wrong')
  assert.equal(slug(await checkCode(db, { ...asking(token), code: right })), 'right')
  const again = makeToken()
  const another = await ask(again)
  const all = await Promise.all(Array.from({ length: 20 }, () => checkCode(db, { ...asking(again), code: another })))
  assert.equal(all.filter((each) => each.ok).length, 1)
})

test('a code is good in the browser that asked, for what it was asked for, until its time', async () => {
  const token = makeToken()
  const code = await ask(token)
  const now = (ms: number) => new Date(house.now().valueOf() + ms)
  for (const [what, changed] of [
    ['another browser', { browser: makeToken() }],
    ['another purpose', { purpose: 'collect' }],
    ['another act', { actHash: Buffer.alloc(32) }],
    ['another subject', { subjectId: '0192f0c1-2222-7333-8444-555566667778' }],
    ['too late', { now: now(limits.codeMinutes * 60_000) }],
  ] as const)
    assert.equal(slug(await checkCode(db, { ...asking(token), ...changed, code })), 'code-expired', what)
  assert.equal(
    slug(await checkCode(db, { ...asking(token), now: now(limits.codeMinutes * 60_000 - 5_000), code })),
    'right',
  )
})

test('asking does the same work for an address that is known as for one that is not', async () => {
  const signIn = routes.find(({ path, kind }) => path === '/sign-in' && kind === 'action') as Action
  const work = async (email: string) => {
    const done: string[] = []
    const counting: KyselyPlugin = {
      transformQuery: ({ node }) => {
        done.push(node.kind)
        return node
      },
      transformResult: async ({ result }) => result,
    }
    const counted = { ...house, system: db.withPlugin(counting) }
    const visit = { house: counted, now: house.now(), browser: makeToken() } as unknown as Visit
    const answer = await signIn.run(visit, { email })
    return { done, answer }
  }
  const known = await work('priya.nair@exampleshire.example')
  const unknown = await work('nobody.nair@exampleshire.example')
  const partner = await work(sergeant.email)
  assert.ok(known.done.length >= 3)
  assert.deepEqual(unknown, known)
  assert.deepEqual(partner, known)
})

test('nothing is kept or mailed for an address that is not known', async () => {
  const count = async () =>
    (
      await sql<{
        n: number
      }>`select (select count(*) from mailed_codes) + (select count(*) from outgoing_mail) as n`.execute(db)
    ).rows[0]!.n
  const before = await count()
  await (await browser()).call('POST', '/sign-in', { email: 'nobody@exampleshire.example' })
  assert.equal(await count(), before)
})

test('a link’s token has 128 bits or more, stands behind the #, and is kept as its hash', async () => {
  const priya = await browser('Priya Nair')
  const parcel = await aSentParcel(priya)
  const token = await newestToken(priya, sergeant.email)
  assert.ok(Buffer.from(token, 'base64url').length >= 16)
  const { mails } = await priya.get<{ mails: { to: string; links: { url: string }[] }[] }>('/api/demonstration/outbox')
  const { url } = mails.flatMap(({ links }) => links).find((link) => link.url.includes('/collect/'))!
  assert.equal(new URL(url).pathname, `/collect/${parcel.recipients[0]}`)
  assert.equal(new URL(url).search, '')
  const { linkHash } = await db
    .selectFrom('recipients')
    .where('id', '=', parcel.recipients[0]!)
    .select('linkHash')
    .executeTakeFirstOrThrow()
  assert.equal(linkHash!.length, 32)
})

test('twenty failures end a link for life, wrong tokens and wrong codes together, also when they come at once', async () => {
  const priya = await browser('Priya Nair')
  const parcel = await aSentParcel(priya)
  const at = `/api/collect/${parcel.recipients[0]}`
  const right = await newestToken(priya, sergeant.email)
  const recipient = await browser()
  await recipient.post(`${at}/code`, { token: right })
  const code = await newestCode(priya, sergeant.email)
  const wrongCodes = await Promise.all(
    Array.from({ length: limits.codeTries }, () => recipient.problem('POST', `${at}/prove`, { code: '00000000' })),
  )
  assert.deepEqual([...new Set(wrongCodes.map((each) => each.slug))], ['code-wrong'])
  const left = limits.linkFailures - limits.codeTries
  const guesses = await Promise.all(
    Array.from({ length: left + 5 }, async () =>
      (await browser()).problem('POST', `${at}/code`, { token: 'x'.repeat(22) }),
    ),
  )
  assert.equal(guesses.filter((each) => each.slug === 'link-wrong').length, left)
  assert.equal(guesses.filter((each) => each.slug === 'link-locked').length, 5)
  assert.equal((await recipient.problem('POST', `${at}/code`, { token: right })).slug, 'link-locked')
  assert.equal((await recipient.problem('POST', `${at}/prove`, { code })).slug, 'link-locked')
})

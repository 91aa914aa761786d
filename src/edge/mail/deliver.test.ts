import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { fail, ok, orThrow } from '#core/kit/outcome'
import { startJobs } from '#edge/jobs/runner'
import type { Letter } from '#edge/mail/compose'
import { mailDelivery } from '#edge/mail/deliver'
import { deliverHeld, holdMail, listMail } from '#edge/mail/outbox'
import { inTransaction } from '#edge/store/database'
import { freshDatabase } from '#test/database'
import { startRelay } from '#test/smtp'

const { db, store, open } = await freshDatabase({ after })
const owner = open('owner').db
const from = 'Safehand <no-reply@exampleshire.example>'
const letter: Letter = {
  subject: { en: 'SH-2026-0042' },
  body: { en: ['Dŵr & tân', { link: { text: 'Collect', url: 'https://safehand.example/p/1#secret' } }] },
}

/** Puts one mail into the outbox. */
const hold = async (to = 'mair@millbrook.example') =>
  orThrow(await inTransaction(db, async (tx) => ok(await holdMail(tx, { to, letter, language: 'en' }))))
const rowOf = (id: string) => db.selectFrom('outgoingMail').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const messageId = (raw: string): string | undefined => /^Message-ID: (.*)$/m.exec(raw)?.[1]
const clear = () => sql`delete from jobs.job`.execute(db)

test('a mail held in a transaction that is undone is not in the outbox', async () => {
  await inTransaction(db, async (tx) => {
    await holdMail(tx, { to: 'gone@millbrook.example', letter, language: 'en' })
    return fail('not-found')
  })
  assert.deepEqual(await listMail(db, { to: 'gone@millbrook.example' }), [])
})

test('a mail to what is no address is refused and undoes its transaction', async () => {
  const outcome = await inTransaction(db, async (tx) =>
    ok(await holdMail(tx, { to: 'a@b.example\r\nBcc: c@d.example', letter, language: 'en' })),
  )
  assert.equal(!outcome.ok && outcome.problem.slug, 'address-malformed')
})

test('the outbox shows what is held, newest first, to one address or about one transfer', async () => {
  const transferId = '0198c0de-0000-7000-8000-000000000001'
  const first = await hold('list@millbrook.example')
  const second = orThrow(
    await inTransaction(db, async (tx) =>
      ok(await holdMail(tx, { to: 'list@Millbrook.example', letter, language: 'en', transferId })),
    ),
  )
  const mails = await listMail(db, { to: 'list@millbrook.example' })
  assert.deepEqual(
    mails.map(({ id }) => id),
    [second, first],
  )
  assert.deepEqual(
    (await listMail(db, { transferId })).map(({ id }) => id),
    [second],
  )
  assert.deepEqual(mails[0]!.links, [{ text: 'Collect', url: 'https://safehand.example/p/1#secret' }])
  assert.match(mails[0]!.text, /Dŵr & tân/)
  assert.equal(mails[0]!.state, 'held')
})

test('the outbox lists no more than its limit', async () => {
  await sql`insert into outgoing_mail (recipient, language, subject, text, html, links)
    select 'many@millbrook.example', 'en', 's', 't', 'h', '[]' from generate_series(1, ${limits.mailListMax - 1})`.execute(
    db,
  )
  const count = async () => (await listMail(db, { to: 'many@millbrook.example' })).length
  assert.equal(await count(), limits.mailListMax - 1)
  for (const expected of [limits.mailListMax, limits.mailListMax]) {
    await hold('many@millbrook.example')
    assert.equal(await count(), expected)
  }
  await owner.deleteFrom('outgoingMail').where('recipient', '=', 'many@millbrook.example').execute()
})

test('without SMTP a mail stays in the outbox', async () => {
  const id = await hold()
  await mailDelivery(db, { from })(id)
  assert.equal((await rowOf(id)).state, 'held')
})

test('a mail is handed over by its job, and what it said is then gone', async (t) => {
  await clear()
  const relay = await startRelay(t)
  const jobs = await startJobs(store)
  t.after(() => jobs.stop())
  const deliver = mailDelivery(db, { smtpUrl: relay.url, from })
  const done = Promise.withResolvers<void>()
  await jobs.work('deliver-mail', (ids) => deliver(ids.id!).then(done.resolve))
  const id = await hold()
  await done.promise
  const [mail] = relay.mails
  assert.match(mail!.from, /<no-reply@exampleshire\.example>/)
  assert.match(mail!.to, /<mair@millbrook\.example>/)
  assert.equal(messageId(mail!.raw), `<${id}@exampleshire.example>`)
  assert.match(mail!.raw, /^Auto-Submitted: auto-generated$/m)
  assert.match(mail!.raw, /D=C5=B5r & t=C3=A2n/)
  const { state, text, html, links, tries, settledAt } = await rowOf(id)
  assert.deepEqual(
    { state, text, html, links, tries },
    { state: 'sent', text: null, html: null, links: null, tries: 1 },
  )
  assert.ok(settledAt)
})

test('a job that runs again for a mail that is sent sends nothing', async (t) => {
  const relay = await startRelay(t)
  const deliver = mailDelivery(db, { smtpUrl: relay.url, from })
  const id = await hold()
  await deliver(id)
  await deliver(id)
  assert.equal(relay.mails.length, 1)
})

test('a relay that goes away after it took the mail gets the same mail again, recognisable as such', async (t) => {
  const relay = await startRelay(t)
  const deliver = mailDelivery(db, { smtpUrl: relay.url, from })
  const id = await hold()
  relay.replies.DATA = 'hang up'
  await assert.rejects(deliver(id))
  assert.equal((await rowOf(id)).state, 'held')
  relay.replies = {}
  await deliver(id)
  const [first, second] = relay.mails.map(({ raw }) => messageId(raw))
  assert.equal(first, second)
  assert.equal((await rowOf(id)).tries, 2)
})

test('a note of the hand-over that fails leaves the mail held, to be handed over again', async (t) => {
  const relay = await startRelay(t)
  const deliver = mailDelivery(db, { smtpUrl: relay.url, from })
  const id = await hold()
  await sql`alter table outgoing_mail add constraint broken check (state <> 'sent') not valid`.execute(owner)
  await assert.rejects(deliver(id), { code: '23514' })
  await sql`alter table outgoing_mail drop constraint broken`.execute(owner)
  await deliver(id)
  assert.equal(relay.mails.length, 2)
  assert.equal((await rowOf(id)).state, 'sent')
})

test('a mailbox that is refused for good is noted with the reply, and not tried again', async (t) => {
  const relay = await startRelay(t)
  const deliver = mailDelivery(db, { smtpUrl: relay.url, from })
  for (const [replies, expected] of [
    [{ RCPT: '550 no such mailbox' }, 550],
    [{ DATA: '554 no' }, 554],
  ] as const) {
    relay.replies = replies
    const id = await hold()
    await deliver(id)
    const { state, refusal } = await rowOf(id)
    assert.deepEqual({ state, refusal }, { state: 'refused', refusal: expected })
  }
})

test('a relay that says later, or is not there, leaves the mail held for another try', async (t) => {
  const relay = await startRelay(t)
  const id = await hold()
  for (const replies of [{ RCPT: '451 greylisted' }, { DATA: '452 full' }]) {
    relay.replies = replies
    await assert.rejects(mailDelivery(db, { smtpUrl: relay.url, from })(id))
  }
  await assert.rejects(mailDelivery(db, { smtpUrl: 'smtp://127.0.0.1:1', from })(id))
  assert.equal((await rowOf(id)).state, 'held')
})

test('once SMTP is set, what was held is enqueued once', async () => {
  await clear()
  await owner.deleteFrom('outgoingMail').execute()
  await hold()
  await hold()
  const enqueue = () => inTransaction(db, async (tx) => ok(await deliverHeld(tx)))
  assert.deepEqual(await enqueue(), ok(2))
  const { rows } = await sql`select from jobs.job where name = 'deliver-mail'`.execute(db)
  assert.equal(rows.length, 2)
})

/** Makes a certificate for an address and has this process trust it, until the test ends, if said. */
async function certificate(t: TestContext, { isTrusted }: { isTrusted: boolean }) {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')]
  const subject = ['-subj', '/CN=relay', '-addext', 'subjectAltName=IP:127.0.0.2']
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ed25519',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-days',
    '2',
    ...subject,
  ])
  assert.equal(made.status, 0, String(made.stderr))
  const pair = { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  const before = getCACertificates('default')
  if (isTrusted) setDefaultCACertificates([...before, pair.cert])
  t.after(() => setDefaultCACertificates(before))
  return pair
}

test('to another machine nothing is sent without TLS', async (t) => {
  const relay = await startRelay(t, { address: '127.0.0.2' })
  const id = await hold()
  await assert.rejects(mailDelivery(db, { smtpUrl: relay.url, from })(id))
  assert.ok(!relay.commands.includes('MAIL'))
  assert.equal((await rowOf(id)).state, 'held')
})

test('to another machine nothing is sent under a certificate that nobody vouches for', async (t) => {
  const relay = await startRelay(t, { address: '127.0.0.2', tls: await certificate(t, { isTrusted: false }) })
  const id = await hold()
  await assert.rejects(mailDelivery(db, { smtpUrl: relay.url, from })(id))
  assert.deepEqual(relay.commands, ['EHLO', 'STARTTLS'])
})

test('to another machine a mail goes under TLS and its right certificate', async (t) => {
  const relay = await startRelay(t, { address: '127.0.0.2', tls: await certificate(t, { isTrusted: true }) })
  const id = await hold()
  await mailDelivery(db, { smtpUrl: relay.url, from })(id)
  assert.equal((await rowOf(id)).state, 'sent')
  assert.equal(relay.mails.length, 1)
})

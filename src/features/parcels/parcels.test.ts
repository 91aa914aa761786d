import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { fromBase64, fromUtf8, toBase64 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { wholeOf } from '#core/seal/flow'
import { openLock } from '#core/seal/locks'
import { parseTrustPolicy } from '#core/register/policy'
import { verifyReceipt } from '#core/register/verify'
import { destroyParcel, tidy } from '#features/parcels/keeping'
import { nodeTools } from '#edge/seal/node-tools'
import { acknowledge, admit, bytesOf, collectingKey, openAll, type Shown } from '#test/collecting'
import { aHouse, day, type Browser } from '#test/house'
import {
  aFile,
  aReadyTransfer,
  aSentParcel,
  bytesHeaders,
  newestCode,
  newestMail,
  newestToken,
  putPart,
  sealAndUpload,
  sealForTest,
  sergeant,
  type SealedForTest,
} from '#test/sending'

const { house, open: openAs, browser, advance } = await aHouse({ after })
let priya = await browser('Priya Nair')

/** Lets time pass; everybody has to sign in again. */
async function wait(ms: number) {
  advance(ms)
  priya = await browser('Priya Nair')
}
const stranger = await browser()

const anyId = '0192f0c1-2222-7333-8444-555566667777'

/** A browser that has proved the sergeant's mailbox for his parcel. */
const anAdmittedRecipient = async (parcel: SealedForTest, email = sergeant.email) =>
  admit(await browser(), priya, parcel, email)

const key = collectingKey

/** Opens a parcel, and gives its files as text. */
async function open(recipient: Browser, parcel: SealedForTest) {
  const { files, said } = await openAll(recipient, parcel)
  return { files: new Map([...files].map(([path, bytes]) => [path, fromUtf8(bytes)])), said }
}

test('a parcel goes from the sender to the recipient, and both hold a proof that checks offline', async () => {
  const parcel = await aSentParcel(priya, [
    aFile('report.txt', 'The child is safe.'),
    aFile('photos/one.jpg', 'x'.repeat(70_000)),
  ])
  const recipient = await anAdmittedRecipient(parcel)
  await acknowledge(recipient, parcel)
  const { files, said } = await open(recipient, parcel)
  assert.equal(files.get('report.txt'), 'The child is safe.')
  await recipient.post(`/api/collect/${parcel.recipients[0]}/opened`, said)
  orThrow(await house.keeper.once())
  const receipt = (await recipient.call('GET', `/api/collect/${parcel.recipients[0]}/receipt`)).body
  const trust = orThrow(parseTrustPolicy(`log ${house.keeper.vkey}\nquorum none\n`))
  const verified = orThrow(verifyReceipt(receipt, trust))
  assert.equal(verified.event, 'parcel-opened')
  assert.equal(
    (await priya.get<{ transfer: { state: string } }>(`/api/transfers/${parcel.transferId}`)).transfer.state,
    'collected',
  )
  assert.match((await newestMail(priya, 'priya.nair@exampleshire.example')).subject, /^Opened/)
})

test('a statement about another parcel is refused, and so is one with a wrong signature', async () => {
  const first = await aSentParcel(priya)
  const recipient = await anAdmittedRecipient(first)
  await acknowledge(recipient, first)
  const { said } = await open(recipient, first)
  const at = `/api/collect/${first.recipients[0]}/opened`
  const flipped = fromBase64(said.receiptSignature)
  flipped[3]! ^= 1
  assert.equal(
    (await recipient.problem('POST', at, { ...said, receiptSignature: toBase64(flipped) })).slug,
    'statement-wrong',
  )
  const second = await aSentParcel(priya)
  const other = await anAdmittedRecipient(second)
  await acknowledge(other, second)
  assert.equal(
    (await other.problem('POST', `/api/collect/${second.recipients[0]}/opened`, said)).slug,
    'statement-wrong',
  )
})

test('nothing is released before the mailbox is proved, nor before purpose, limits and handling are acknowledged', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/collect/${parcel.recipients[0]}`
  for (const path of ['lock', 'manifest', 'content', 'receipt']) {
    assert.equal((await stranger.problem('GET', `${at}/${path}`)).slug, 'mailbox-not-proved')
    assert.equal((await priya.problem('GET', `${at}/${path}`)).slug, 'mailbox-not-proved')
  }
  const recipient = await anAdmittedRecipient(parcel)
  for (const path of ['lock', 'manifest', 'content'])
    assert.equal((await recipient.problem('GET', `${at}/${path}`)).slug, 'acknowledge-first')
  const half = { purpose: 'yes', limits: 'yes', key: toBase64(key.publicKey) }
  assert.deepEqual((await recipient.problem('POST', `${at}/acknowledge`, half)).fields, {
    handling: 'Confirm that you have read how to handle it',
  })
})

test('who has proved one mailbox is a stranger to every other parcel', async () => {
  const mine = await aSentParcel(priya)
  const recipient = await anAdmittedRecipient(mine)
  const other = await aSentParcel(priya)
  assert.equal((await recipient.problem('GET', `/api/collect/${other.recipients[0]}/lock`)).slug, 'mailbox-not-proved')
})

test('a code works once, in the browser that asked, and not after fifteen minutes', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/collect/${parcel.recipients[0]}`
  const token = await newestToken(priya, sergeant.email)
  const asking = await browser()
  await asking.post(`${at}/code`, { token })
  const code = await newestCode(priya, sergeant.email)
  const elsewhere = await browser()
  assert.equal((await elsewhere.problem('POST', `${at}/prove`, { code })).slug, 'code-expired')
  assert.equal((await asking.problem('POST', `${at}/prove`, { code: 'AAAA0000' })).slug, 'code-wrong')
  await asking.post(`${at}/prove`, { code: code.toLowerCase().replace(/(.{4})/, '$1 ') })
  assert.equal((await asking.problem('POST', `${at}/prove`, { code })).slug, 'code-expired')
  await elsewhere.post(`${at}/code`, { token })
  const late = await newestCode(priya, sergeant.email)
  advance(limits.codeMinutes * 60_000 + 1)
  assert.equal((await elsewhere.problem('POST', `${at}/prove`, { code: late })).slug, 'code-expired')
})

test('a code allows few tries', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/collect/${parcel.recipients[0]}`
  const guessing = await browser()
  await guessing.post(`${at}/code`, { token: await newestToken(priya, sergeant.email) })
  const code = await newestCode(priya, sergeant.email)
  for (let tries = 0; tries < limits.codeTries; tries += 1)
    assert.equal((await guessing.problem('POST', `${at}/prove`, { code: '00000000' })).slug, 'code-wrong')
  assert.equal((await guessing.problem('POST', `${at}/prove`, { code })).slug, 'code-expired')
})

test('a link locks for good after its wrong tries, also for the right token', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/collect/${parcel.recipients[0]}/code`
  for (let tries = 0; tries < limits.linkFailures; tries += 1)
    assert.equal((await stranger.problem('POST', at, { token: `wrong${tries}` })).slug, 'link-wrong')
  assert.equal(
    (await stranger.problem('POST', at, { token: await newestToken(priya, sergeant.email) })).slug,
    'link-locked',
  )
})

test('a link to nobody answers as a wrong link does', async () => {
  assert.deepEqual((await stranger.problem('POST', `/api/collect/${anyId}/code`, { token: 'x' })).slug, 'link-wrong')
})

test('a part is kept once: the same again is no change, another under its number is refused', async () => {
  const { parcelId, sealed } = await sealAndUpload(priya, await aReadyTransfer(priya))
  const parts = await priya.get<{ parts: { n: number; sizeBytes: number; sha256: string }[] }>(
    `/api/parcels/${parcelId}/parts`,
  )
  assert.deepEqual(
    parts.parts.map(({ sha256 }) => sha256),
    sealed.parts,
  )
  const other = Buffer.from('other bytes')
  const sha256 = Buffer.from(await nodeTools.sha256(other as never)).toString('hex')
  assert.equal(
    (await priya.problem('PUT', `/api/parcels/${parcelId}/parts/0`, other, bytesHeaders(sha256))).slug,
    'part-differs',
  )
  assert.deepEqual(await priya.get(`/api/parcels/${parcelId}/parts`), parts)
})

test('a parcel that was begun is gone on with when it is named: nothing of it is lost, and days and people may differ', async () => {
  const transferId = await aReadyTransfer(priya)
  const before = await sealForTest(priya, transferId)
  const { bytes, sha256 } = before.content[0]!
  await putPart(priya, before.parcelId, 0, bytes, sha256)
  type Begun = { parcelId: string; keepUntil: string; recipients: { id: string }[] }
  const begin = (parcelId?: string, availableDays = 3) =>
    priya.post<Begun>(`/api/transfers/${transferId}/parcel`, { sizeBytes: 1000, fileCount: 1, availableDays, parcelId })
  const going = await begin(before.parcelId)
  assert.equal(going.parcelId, before.parcelId)
  assert.ok(
    Date.parse(going.keepUntil) < house.now().valueOf() + 4 * day,
    'it is kept for the days that were said last',
  )
  assert.deepEqual(
    going.recipients.map(({ id }) => id),
    before.recipients,
  )
  const partsOf = (parcelId: string) =>
    priya.get<{ state: string; parts: { sha256: string }[] }>(`/api/parcels/${parcelId}/parts`)
  assert.deepEqual(
    (await partsOf(before.parcelId)).parts.map((part) => part.sha256),
    [sha256],
  )
  const anew = await begin()
  assert.notEqual(anew.parcelId, before.parcelId)
  assert.equal((await partsOf(before.parcelId)).state, 'abandoned')
  for (const ended of [before.parcelId, (await aSentParcel(priya)).parcelId, anyId])
    assert.notEqual((await begin(ended)).parcelId, ended, 'what is abandoned, sent, or another’s begins anew')
})

test('whoever opens the page for sealing of a parcel that was sent is led to its transfer, where new words are made', async () => {
  const { transferId } = await aSentParcel(priya)
  const page = await priya.call('GET', `/transfers/${transferId}/seal`, undefined, { accept: 'text/html' })
  assert.match(page.body, /<h1[^>]*>This has been sent</)
  assert.match(page.body, new RegExp(`href="/transfers/${transferId}"`))
  assert.doesNotMatch(page.body, /data-seal/)
})

test('a part with a wrong or missing digest, a strange number or too many bytes is refused and leaves nothing', async () => {
  const { parcelId } = await sealAndUpload(priya, await aReadyTransfer(priya))
  const bytes = Buffer.alloc(10)
  const at = `/api/parcels/${parcelId}/parts`
  assert.equal((await priya.problem('PUT', `${at}/1`, bytes, bytesHeaders('00'.repeat(32)))).slug, 'digest-differs')
  assert.equal(
    (await priya.problem('PUT', `${at}/1`, bytes, { 'content-type': 'application/octet-stream' })).slug,
    'digest-missing',
  )
  assert.equal(
    (
      await priya.problem('PUT', `${at}/1`, bytes, {
        'content-type': 'application/octet-stream',
        'content-digest': 'sha-256=:AA==:',
      })
    ).slug,
    'digest-missing',
  )
  const sha256 = Buffer.from(await nodeTools.sha256(bytes as never)).toString('hex')
  for (const n of ['-1', '1.5', 'x', String(limits.parcelPartsMax), '99999999999']) {
    assert.equal((await priya.problem('PUT', `${at}/${n}`, bytes, bytesHeaders(sha256))).slug, 'part-number')
  }
  const large = Buffer.alloc(limits.partSizeBytes + 1)
  const digest = Buffer.from(await nodeTools.sha256(large as never)).toString('hex')
  assert.equal((await priya.problem('PUT', `${at}/1`, large, bytesHeaders(digest))).slug, 'too-large')
  assert.equal((await priya.get<{ parts: unknown[] }>(at)).parts.length, 1)
})

test('after completion no part and no manifest is taken, and completing again changes nothing', async () => {
  const parcel = await aSentParcel(priya)
  const bytes = Buffer.from('late')
  const sha256 = Buffer.from(await nodeTools.sha256(bytes as never)).toString('hex')
  assert.equal(
    (await priya.problem('PUT', `/api/parcels/${parcel.parcelId}/parts/0`, bytes, bytesHeaders(sha256))).slug,
    'parcel-complete',
  )
  assert.equal(
    (await priya.problem('PUT', `/api/parcels/${parcel.parcelId}/manifest`, bytes, bytesHeaders(sha256))).slug,
    'parcel-complete',
  )
  const mails = async () => (await priya.get<{ mails: unknown[] }>('/api/demonstration/outbox')).mails.length
  const before = await mails()
  await priya.post(`/api/parcels/${parcel.parcelId}/complete`, parcel.completion)
  assert.equal(await mails(), before)
})

test('a parcel is completed only as it was sealed', async () => {
  const parcel = await sealAndUpload(priya, await aReadyTransfer(priya))
  const at = `/api/parcels/${parcel.parcelId}/complete`
  const { completion, sealed } = parcel
  const wrong: Record<string, unknown>[] = [
    { parts: [...sealed.parts, sealed.parts[0]] },
    { parts: ['00'.repeat(32)] },
    { contentSizeBytes: sealed.contentSizeBytes + 1 },
    { manifestSha256: '00'.repeat(32) },
    { parcelRoot: '00'.repeat(32) },
    { locks: [] },
    { locks: [...(completion.locks as object[]), ...(completion.locks as object[])] },
    { locks: (completion.locks as object[]).map((lock) => ({ ...lock, recipientId: anyId })) },
  ]
  for (const change of wrong)
    assert.equal(
      (await priya.problem('POST', at, { ...completion, ...change })).slug,
      'parcel-incomplete',
      JSON.stringify(Object.keys(change)),
    )
  const signed = { signature: toBase64(new Uint8Array(64)), signingKey: toBase64(key.publicKey) }
  assert.equal((await priya.problem('POST', at, { ...completion, ...signed })).slug, 'device-unknown')
  await priya.post(at, completion)
})

test('a parcel, its parts and its transfer are not there for anybody but their sender', async () => {
  const tom = await browser('Tom Fletcher')
  const { parcelId, transferId, completion } = await sealAndUpload(priya, await aReadyTransfer(priya))
  const sha256 = Buffer.from(await nodeTools.sha256(new Uint8Array(1))).toString('hex')
  assert.equal((await putPart(tom, parcelId, 1, Buffer.alloc(1), sha256)).statusCode, 404)
  assert.equal((await tom.problem('GET', `/api/parcels/${parcelId}/parts`)).slug, 'not-found')
  assert.equal((await tom.problem('POST', `/api/parcels/${parcelId}/complete`, completion)).slug, 'not-found')
  assert.equal((await tom.problem('GET', `/api/transfers/${transferId}/parcel`)).slug, 'not-found')
  assert.equal(
    (await tom.problem('POST', `/api/transfers/${transferId}/parcel`, { sizeBytes: 1, fileCount: 1, availableDays: 1 }))
      .slug,
    'not-found',
  )
  assert.equal((await stranger.problem('GET', `/api/parcels/${parcelId}/parts`)).slug, 'sign-in-needed')
})

test('28 days are allowed and 29 refused, when sending and when extending (D39)', async () => {
  const transferId = await aReadyTransfer(priya)
  const begin = (availableDays: number) =>
    priya.problem('POST', `/api/transfers/${transferId}/parcel`, { sizeBytes: 1, fileCount: 1, availableDays })
  assert.equal((await begin(29)).slug, 'form-incomplete')
  assert.equal((await begin(0)).slug, 'form-incomplete')
  const parcel = await aSentParcel(priya, undefined, 14)
  const at = `/api/transfers/${parcel.transferId}/extend`
  assert.equal((await priya.problem('POST', at, { days: 29 })).slug, 'parcel-days')
  assert.equal((await priya.problem('POST', at, { days: 14 })).slug, 'parcel-days')
  await priya.post(at, { days: 28 })
  const { transfer } = await priya.get<{ transfer: { sentAt: string; expiresAt: string } }>(
    `/api/transfers/${parcel.transferId}`,
  )
  assert.equal(Date.parse(transfer.expiresAt) - Date.parse(transfer.sentAt), 28 * day)
})

test('a recalled parcel opens for nobody, its bytes are gone, and the past stays on the record', async () => {
  const parcel = await aSentParcel(priya)
  const recipient = await anAdmittedRecipient(parcel)
  await acknowledge(recipient, parcel)
  await priya.post(`/api/transfers/${parcel.transferId}/recall`)
  for (const path of ['lock', 'manifest', 'content'])
    assert.equal(
      (await recipient.problem('GET', `/api/collect/${parcel.recipients[0]}/${path}`)).slug,
      'parcel-recalled',
    )
  await destroyParcel(house, parcel.parcelId)
  for await (const { key: left } of house.blobs.list(`parcels/${parcel.parcelId}`)) assert.fail(left)
  const { timeline } = await priya.get<{ timeline: { words: string }[] }>(`/api/transfers/${parcel.transferId}`)
  assert.ok(timeline.some(({ words }) => words.includes('proved their mailbox')))
  assert.ok(timeline.some(({ words }) => words.startsWith('Recalled')))
})

test('a disposal that is cut short is finished the next time', async () => {
  const parcel = await aSentParcel(priya)
  await priya.post(`/api/transfers/${parcel.transferId}/recall`)
  for (const when of ['before', 'after'] as const) {
    house.blobs.failNext('removeAll', when)
    await assert.rejects(destroyParcel(house, parcel.parcelId))
  }
  await destroyParcel(house, parcel.parcelId)
  await destroyParcel(house, parcel.parcelId)
  const row = await house.db
    .selectFrom('parcels')
    .where('id', '=', parcel.parcelId)
    .select(['state', 'destroyedAt'])
    .executeTakeFirstOrThrow()
  assert.equal(row.state, 'destroyed')
  assert.ok(row.destroyedAt)
})

test('a part whose storing fails, before or after it took effect, can be sent again', async () => {
  const { parcelId } = await sealAndUpload(priya, await aReadyTransfer(priya))
  const bytes = Buffer.from('a second part')
  const sha256 = Buffer.from(await nodeTools.sha256(bytes as never)).toString('hex')
  for (const when of ['before', 'after'] as const) {
    house.blobs.failNext('put', when)
    assert.equal((await putPart(priya, parcelId, 1, bytes, sha256)).statusCode, 503)
    assert.equal((await priya.get<{ parts: unknown[] }>(`/api/parcels/${parcelId}/parts`)).parts.length, 1)
  }
  assert.equal((await putPart(priya, parcelId, 1, bytes, sha256)).statusCode, 204)
})

test('‘this is not for me’ stops everything and tells the sender', async () => {
  const parcel = await aSentParcel(priya)
  const recipient = await anAdmittedRecipient(parcel)
  await recipient.post(`/api/collect/${parcel.recipients[0]}/not-for-me`)
  assert.equal((await recipient.problem('GET', `/api/collect/${parcel.recipients[0]}/lock`)).slug, 'parcel-not-for-you')
  assert.match((await newestMail(priya, 'priya.nair@exampleshire.example')).subject, /^Not for them/)
})

test('a phrase that was told is recorded with how and the number, and never the phrase', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/transfers/${parcel.transferId}/recipients/${parcel.recipients[0]}/told`
  assert.deepEqual((await priya.problem('POST', at, { how: 'telephone' })).fields, {
    number: 'Enter the number you used',
  })
  await priya.post(at, { how: 'telephone', number: '01632 960 101' })
  assert.equal(
    (await priya.problem('POST', at, { how: 'telephone', number: '01632 960 101', phrase: 'x' })).slug,
    'form-incomplete',
  )
  const { timeline } = await priya.get<{ timeline: { words: string }[] }>(`/api/transfers/${parcel.transferId}`)
  assert.ok(timeline.some(({ words }) => words.includes('told to Sergeant Amir Khan by telephone')))
})

test('the clock brings reminders after two days and three before the end, then the end itself', async () => {
  const parcel = await aSentParcel(priya, undefined, 14)
  const subjects = async () => {
    const { mails } = await priya.get<{ mails: { subject: string }[] }>('/api/demonstration/outbox')
    const { transfer } = await priya.get<{ transfer: { reference: string } }>(`/api/transfers/${parcel.transferId}`)
    return mails
      .filter(({ subject }) => subject.includes(transfer.reference))
      .map(({ subject }) => subject.split(/[:(]/)[0]!.trim())
  }
  const count = async (words: string) => (await subjects()).filter((subject) => subject === words).length
  await tidy(house)
  assert.equal(await count('A parcel is waiting for you'), 0)
  await wait(2 * day)
  await tidy(house)
  await tidy(house)
  assert.equal(await count('A parcel is waiting for you'), 1)
  assert.equal(await count('Not yet opened'), 1)
  await wait(9 * day)
  await tidy(house)
  assert.equal(await count('A parcel is waiting for you'), 2)
  await wait(3 * day)
  await tidy(house)
  assert.equal(await count('Not collected'), 1)
  const { state } = await house.db
    .selectFrom('transfers')
    .where('id', '=', parcel.transferId)
    .select('state')
    .executeTakeFirstOrThrow()
  assert.equal(state, 'expired')
  await tidy(house)
  for await (const { key: left } of house.blobs.list(`parcels/${parcel.parcelId}`)) assert.fail(left)
})

test('ranges of the content are those asked for, and others are refused', async () => {
  const parcel = await aSentParcel(priya, [aFile('large.bin', 'y'.repeat(200_000))])
  const recipient = await anAdmittedRecipient(parcel)
  await acknowledge(recipient, parcel)
  const at = `/api/collect/${parcel.recipients[0]}/content`
  const whole = await bytesOf(recipient, at)
  assert.equal(whole.length, parcel.sealed.contentSizeBytes)
  assert.deepEqual(await bytesOf(recipient, at, { range: 'bytes=100-199' }), whole.slice(100, 200))
  assert.deepEqual(await bytesOf(recipient, at, { range: 'bytes=-5' }), whole.slice(-5))
  for (const range of ['bytes=5-4', `bytes=${whole.length}-`, 'bytes=a-b', 'lines=1-2', 'bytes=-']) {
    assert.equal((await recipient.problem('GET', at, undefined, { range })).slug, 'range-wrong', range)
  }
})

test('the phrase is nowhere on the server: not in the database, the blobs, the mails or the register', async () => {
  const parcel = await aSentParcel(priya)
  const [phrase] = parcel.phrases.values()
  const dump: string[] = []
  const { db } = openAs('owner')
  for (const { schema, name } of await db.introspection.getTables()) {
    const { rows } = await sql`select * from ${sql.table(`${schema}.${name}`)}`.execute(db)
    // Bytes as text too, or a phrase in a column of bytes would not be seen.
    dump.push(
      JSON.stringify(rows, (_name, value) =>
        value?.type === 'Buffer' ? Buffer.from(value).toString('latin1') : value,
      ),
    )
  }
  for await (const { key: blob } of house.blobs.list(''))
    dump.push(Buffer.from(await wholeOf(await house.blobs.read(blob))).toString('latin1'))
  const words = phrase!.split(' ')
  const everything = dump.join('\n').toLowerCase()
  assert.ok(everything.includes(parcel.transferId), 'the search looks at the right place')
  assert.ok(!everything.includes(phrase!))
  assert.ok(!everything.includes(words.slice(0, 3).join(' ')))
})

test('another recipient is added to a parcel that is sent: confirmed first, then one small lock, nothing uploaded again', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/transfers/${parcel.transferId}`
  const { found } = await priya.post<{ found: { id: string }[] }>(`${at}/who/search`, { q: 'Jo' })
  const { next } = await priya.post<{ next: string }>(`${at}/who`, { to: `person:${found[0]!.id}` })
  assert.match(next, /\/confirm$/)
  const recipientId = next.split('/')[4]!
  const lock = {
    id: crypto.randomUUID(),
    recipientId,
    kind: 'passphrase',
    receiptPublicKey: toBase64(key.publicKey),
    age: toBase64(new Uint8Array(100)),
  }
  const locks = `/api/parcels/${parcel.parcelId}/locks`
  assert.equal(
    (await priya.problem('POST', locks, lock)).slug,
    'gates-open',
    'nobody is sent a lock before they are confirmed',
  )
  await priya.post(next.replace('/transfers', '/api/transfers'), {
    authorised: 'yes',
    how: 'switchboard',
    detail: 'Rang the school',
  })
  await priya.post(locks, lock)
  assert.match((await newestMail(priya, 'office@millbrook.example')).subject, /Exampleshire/)
  const { recipients } = await priya.get<{ recipients: { id: string; isInvited: boolean; linkHash?: unknown }[] }>(at)
  assert.deepEqual(
    recipients.map(({ isInvited }) => isInvited),
    [true, true],
  )
  assert.ok(
    recipients.every((recipient) => !('linkHash' in recipient)),
    'what only the server may know is not shown',
  )
})

test('a parcel that is sent goes to nobody whom the policy refuses', async () => {
  const parcel = await aSentParcel(priya)
  const at = `/api/transfers/${parcel.transferId}`
  const { found } = await priya.post<{ found: { id: string }[] }>(`${at}/who/search`, { q: 'Lena' })
  const { next } = await priya.post<{ next: string }>(`${at}/who`, { to: `person:${found[0]!.id}` })
  await priya.post(next.replace('/transfers', '/api/transfers'), { authorised: 'yes', how: 'known', detail: 'Met her' })
  const lock = {
    id: crypto.randomUUID(),
    recipientId: next.split('/')[4]!,
    kind: 'passphrase',
    receiptPublicKey: toBase64(key.publicKey),
    age: toBase64(new Uint8Array(100)),
  }
  assert.equal((await priya.problem('POST', `/api/parcels/${parcel.parcelId}/locks`, lock)).slug, 'method-not-allowed')
})

test('who has the address of an organisation is not taken for a member of the public', async () => {
  const id = await aReadyTransfer(priya)
  const given = { kind: 'individual', fullName: 'A. Person', email: 'someone@northbrook-police.example' }
  const { fields } = await priya.problem('POST', `/api/transfers/${id}/someone`, given)
  assert.match(fields!.email!, /Northbrook Police/)
  const organisation = { kind: 'organisation', fullName: 'A. Person', email: 'a.person@new.example' }
  for (const chosen of ['nonsense', '0192f0c1-2222-7333-8444-555566667777']) {
    assert.deepEqual(
      Object.keys(
        (await priya.problem('POST', `/api/transfers/${id}/someone`, { ...organisation, organisation: chosen }))
          .fields!,
      ),
      ['organisation'],
    )
  }
})

test('an automatic lock is released sealed to a key of its own, and the day’s identity goes after its last parcel', async () => {
  const secretary = { search: 'Jo', email: 'office@millbrook.example' }
  const grace = await browser('Grace Oduya')
  const { found } = await grace.post<{ found: { organisationId: string }[] }>('/api/organisations/search', {
    words: 'Millbrook',
  })
  const school = found[0]!.organisationId
  await grace.post(`/api/organisations/${school}/profile`, {
    tls: 'refused',
    tlsEvidence: 'A report came back',
    tlsCheckedOn: '2026-01-01',
  })
  const sealed = await sealAndUpload(priya, await aReadyTransfer(priya, secretary, 'encrypted_email'))
  await priya.post(`/api/parcels/${sealed.parcelId}/complete`, sealed.completion)
  const recipient = await anAdmittedRecipient(sealed, secretary.email)
  await acknowledge(recipient, sealed)
  const at = `/api/collect/${sealed.recipients[0]}`
  const answer = await recipient.call('GET', `${at}/lock`)
  const { parcel: shown } = await recipient.get<Shown>(at)
  const identity = String(answer.headers['safehand-identity'])
  orThrow(await openLock(new Uint8Array(answer.rawPayload), { identity }, shown, nodeTools))
  const sealedOn = house.now().toISOString().slice(0, 10)
  assert.ok((await house.keyring.days()).includes(sealedOn))
  await wait(15 * day)
  await tidy(house)
  assert.ok(!(await house.keyring.days()).includes(sealedOn))
})

test('keys and signatures that are not base64 are refused with a sentence', async () => {
  const parcel = await aSentParcel(priya)
  const recipient = await anAdmittedRecipient(parcel)
  const at = `/api/collect/${parcel.recipients[0]}/acknowledge`
  for (const wrong of ['A', 'AB==', '====', 'é', toBase64(new Uint8Array(31)), toBase64(new Uint8Array(33))]) {
    const given = { purpose: 'yes', limits: 'yes', handling: 'yes', key: wrong }
    const { status, fields } = await recipient.problem('POST', at, given)
    assert.equal(status, 422, wrong)
    assert.deepEqual(Object.keys(fields!), ['key'])
  }
})

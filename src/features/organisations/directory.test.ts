import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import { orThrow, type Outcome } from '#core/kit/outcome'
import { inTransaction, type Tx } from '#edge/store/database'
import {
  addContact,
  addMailbox,
  changeContact,
  changeMailbox,
  checkMailbox,
  liveMailboxCheck,
  mailboxById,
  organisationById,
  organisationOfAddress,
  ownOrganisation,
  personById,
  saveOrganisation,
  saveProfile,
  searchDirectory,
} from '#features/organisations/directory'
import { saveStaff } from '#features/organisations/staff'
import { aColleague, aCouncil, anOrganisation } from '#test/council'
import { freshDatabase } from '#test/database'

const { db } = await freshDatabase({ after })
const now = new Date('2026-03-02T16:40:00Z')
const dayMs = 86_400_000
const council = await aCouncil(db)
const police = await anOrganisation(db, {
  name: 'Northbrook Police',
  sector: 'police',
  domains: ['northbrook-police.example'],
})
const school = await anOrganisation(db, {
  name: 'Millbrook Primary School',
  sector: 'school',
  domains: ['millbrook.example', 'office.millbrook.example'],
})
const ada = await aColleague(db, council.id, ['administrator'], { fullName: 'Ada Marsh' })
const by = { byId: ada.id, now }

const within = <T>(work: (tx: Tx) => Promise<Outcome<T>>) => inTransaction(db, work)
const done = async <T>(work: (tx: Tx) => Promise<Outcome<T>>) => orThrow(await within(work))
const sentences = async (work: (tx: Tx) => Promise<Outcome<unknown>>) => {
  const outcome = await within(work)
  return outcome.ok ? {} : (outcome.problem.fields ?? { slug: outcome.problem.slug })
}
const events = async (name: string) =>
  (
    await db
      .selectFrom('registerEvents')
      .where('name', '=', name as never)
      .select('body')
      .execute()
  ).map(({ body }) => JSON.parse(body!) as Record<string, unknown>)

const team = {
  name: 'Referrals',
  address: 'referrals@millbrook.example',
  owner: 'The school secretary',
  members: 'Bea\nCal',
}
let mailbox = ''
before(async () => {
  await done((tx) =>
    addContact(
      tx,
      police.id,
      { fullName: 'Sam Okafor', email: 'sam.okafor@northbrook-police.example', jobTitle: 'Detective Sergeant' },
      by,
    ),
  )
  mailbox = (await done((tx) => addMailbox(tx, school.id, team, by))).id
})

test('there is one organisation of our own', async () => {
  assert.equal((await ownOrganisation(db)).id, council.id)
  await assert.rejects(anOrganisation(db, { isOwn: true }))
})

test('an address belongs to whoever lists the longest domain it is in', async () => {
  const lodge = await anOrganisation(db, { name: 'Lodge', domains: ['lodge.millbrook.example'] })
  const nameOf = async (email: string) => (await organisationOfAddress(db, email))?.name
  assert.equal(await nameOf('a@millbrook.example'), 'Millbrook Primary School')
  assert.equal(await nameOf('a@sub.millbrook.example'), 'Millbrook Primary School')
  assert.equal(await nameOf('a@sub.lodge.Millbrook.example'), lodge.name)
  assert.equal(await nameOf('a@elsewhere.example'), undefined)
  assert.equal(await nameOf('a@example'), undefined)
})

test('an address below our own domain is not ours unless it is listed', async () => {
  assert.equal((await organisationOfAddress(db, 'a@exampleshire.example'))?.id, council.id)
  assert.equal(await organisationOfAddress(db, 'a@schools.exampleshire.example'), undefined)
})

test('an organisation of an address or id that makes no sense is nobody', async () => {
  assert.equal(await organisationById(db, '../etc'), undefined)
  assert.equal(await personById(db, undefined), undefined)
  assert.equal(await mailboxById(db, "' OR 1=1"), undefined)
})

test('a search finds people by the beginning of a name, a job, an address or their organisation', async () => {
  const found = async (words: string) => (await searchDirectory(db, { words })).map(({ name }) => name)
  for (const words of [
    'okaf',
    'SAM',
    'sergeant',
    'northbrook-police',
    'sam okafor',
    'northbrook okafor',
    'police',
    'sam.okafor@north',
  ])
    assert.ok((await found(words)).includes('Sam Okafor'), words)
  for (const words of ['kafor', 'sam millbrook', '', '  ', '&|!'])
    assert.ok(!(await found(words)).includes('Sam Okafor'), words)
  assert.deepEqual(await found('referrals millbrook'), ['Referrals'])
})

test('a search says all that a transfer needs to know', async () => {
  const [row] = await searchDirectory(db, { words: 'okafor' })
  const { id, ...rest } = row!
  assert.equal((await personById(db, id))?.organisation, 'Northbrook Police')
  assert.deepEqual(rest, {
    kind: 'person',
    name: 'Sam Okafor',
    jobTitle: 'Detective Sergeant',
    organisation: 'Northbrook Police',
    organisationId: police.id,
    sector: 'police',
    email: 'sam.okafor@northbrook-police.example',
    telephone: null,
    isOwn: false,
  })
})

test('a search never finds a member of the public, nor someone who has left', async () => {
  await db
    .insertInto('people')
    .values({ kind: 'individual', fullName: 'Zelda Resident', email: 'zelda@home.example' })
    .execute()
  await db
    .insertInto('people')
    .values({
      kind: 'professional',
      fullName: 'Zelda Gone',
      email: 'zelda@partner.example',
      organisationId: police.id,
      active: false,
    })
    .execute()
  assert.deepEqual(await searchDirectory(db, { words: 'zelda' }), [])
})

test('a search finds as many as its limit, and not one more', async () => {
  for (let n = 0; n <= limits.directoryRows; n++)
    await done((tx) =>
      addContact(tx, police.id, { fullName: `Quill ${n}`, email: `quill${n}@northbrook-police.example` }, by),
    )
  assert.equal((await searchDirectory(db, { words: 'quill' })).length, limits.directoryRows)
  assert.equal(
    (await searchDirectory(db, { words: 'quill', limit: limits.directoryRows - 1 })).length,
    limits.directoryRows - 1,
  )
  assert.equal(
    (await searchDirectory(db, { words: 'quill', limit: limits.directoryRows + 1 })).length,
    limits.directoryRows + 1,
  )
})

test('a search asks the indexes, not every row', async () => {
  const { queryPlan } = await db.transaction().execute(async (tx) => {
    await sql`set local enable_seqscan = off`.execute(tx)
    const plan = await sql<{
      'QUERY PLAN': string
    }>`explain select 1 from people where to_tsvector('simple', regexp_replace(people.full_name || ' ' || coalesce(people.job_title, '') || ' ' || people.email, '[^[:alnum:]]+', ' ', 'g')) @@ to_tsquery('simple', 'sam:*')`.execute(
      tx,
    )
    return { queryPlan: JSON.stringify(plan.rows) }
  })
  assert.match(queryPlan, /people_words/)
})

test('anybody may add a contact, and it is recorded', async () => {
  const { id } = await done((tx) =>
    addContact(
      tx,
      police.id,
      {
        fullName: 'Jo Reid',
        email: 'jo.reid@northbrook-police.example',
        telephone: '01632 960 123',
        telephoneKind: 'direct',
        language: 'cy',
      },
      by,
    ),
  )
  const person = await personById(db, id)
  assert.equal(person?.kind, 'professional')
  assert.equal(person?.language, 'cy')
  assert.ok((await events('contact-added')).some((body) => body.person === id && body.by === ada.id))
})

test('an address is in the directory once, however it is written', async () => {
  const again = await sentences((tx) =>
    addContact(tx, police.id, { fullName: 'Sam Two', email: 'SAM.OKAFOR@northbrook-police.example' }, by),
  )
  assert.deepEqual(again, { email: 'This address is in the directory already, as Sam Okafor' })
})

test('a contact with the address of another organisation is refused', async () => {
  const refused = await sentences((tx) =>
    addContact(tx, school.id, { fullName: 'Kit', email: 'kit@northbrook-police.example' }, by),
  )
  assert.deepEqual(refused, { email: 'This is an address of Northbrook Police. Add it there' })
  const ours = await sentences((tx) =>
    addContact(tx, school.id, { fullName: 'Kit', email: 'kit@exampleshire.example' }, by),
  )
  assert.match(ours.email!, /Exampleshire/)
})

test('a telephone number has a kind', async () => {
  const refused = await sentences((tx) =>
    addContact(tx, school.id, { fullName: 'Kit', email: 'kit@millbrook.example', telephone: '01632 960 001' }, by),
  )
  assert.deepEqual(refused, { telephoneKind: 'Choose what kind of telephone number it is' })
})

test('a contact is not added to our own organisation, whose staff can sign in', async () => {
  assert.deepEqual(
    await sentences((tx) => addContact(tx, council.id, { fullName: 'Eve', email: 'eve@exampleshire.example' }, by)),
    { slug: 'not-allowed' },
  )
})

test('a registered key is a whole age recipient', async () => {
  const { id } = await done((tx) => addContact(tx, school.id, { fullName: 'Key', email: 'key@millbrook.example' }, by))
  const details = {
    fullName: 'Key',
    email: 'key@millbrook.example',
    partnerLogin: true,
    cjsmAccount: false,
    active: true,
  }
  const key = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
  await done((tx) => changeContact(tx, id, { ...details, ageRecipient: key }, by))
  assert.equal((await personById(db, id))?.ageRecipient, key)
  for (const bad of [key.slice(0, -1), key.replace('ql3', 'ql4'), 'ssh-ed25519 AAAA', 'age1'])
    assert.match(
      (await sentences((tx) => changeContact(tx, id, { ...details, ageRecipient: bad }, by))).ageRecipient!,
      /begins with age1/,
    )
  assert.ok(
    (await events('contact-changed')).some((body) => body.ageRecipient === key),
    'the register holds the key',
  )
})

test('a domain belongs to one organisation only', async () => {
  const taken = await sentences((tx) =>
    saveOrganisation(
      tx,
      { name: 'Impostor', sector: 'supplier', domains: 'other.example\nnorthbrook-police.example' },
      by,
    ),
  )
  assert.deepEqual(taken, { domains: 'northbrook-police.example is listed for Northbrook Police already' })
  await done((tx) =>
    saveOrganisation(
      tx,
      { name: 'Northbrook Police', sector: 'police', domains: 'northbrook-police.example' },
      by,
      police.id,
    ),
  )
})

test('two organisations that take the same domain at once: one of them gets it', async () => {
  const both = await Promise.all(
    ['One', 'Two'].map((name) =>
      within((tx) => saveOrganisation(tx, { name, sector: 'supplier', domains: 'contested.example' }, by)),
    ),
  )
  assert.equal(both.filter(({ ok }) => ok).length, 1)
})

test('what is known of a partner’s encryption has evidence and a day that has been', async () => {
  const saying = (profile: Partial<Parameters<typeof saveProfile>[2]>) =>
    sentences((tx) =>
      saveProfile(
        tx,
        police.id,
        { requiredMethods: {}, tls: 'refused', tlsEvidence: 'A report', tlsCheckedOn: '2026-03-02', ...profile },
        by,
      ),
    )
  assert.deepEqual(await saying({ tlsCheckedOn: '2026-03-03' }), {
    tlsCheckedOn: 'The day it was found out must be today or in the past',
  })
  const { tlsEvidence: _, ...without } = {
    requiredMethods: {},
    tls: 'refused' as const,
    tlsEvidence: '',
    tlsCheckedOn: '2026-03-02',
  }
  assert.deepEqual(await sentences((tx) => saveProfile(tx, police.id, without, by)), {
    tlsEvidence: 'Enter how it was found out',
  })
  assert.deepEqual(await saying({ requiredMethods: { restricted: 'cjsm_email' } }), {})
  const kept = await organisationById(db, police.id)
  assert.deepEqual(
    [kept?.tls, kept?.tlsEvidence, kept?.requiredMethods],
    ['refused', 'A report', { restricted: 'cjsm_email' }],
  )
})

const check = (listVersion: number, at = now) =>
  within((tx) =>
    checkMailbox(tx, mailbox, { listVersion, note: 'Read to the secretary by telephone' }, { ...by, now: at }),
  )

test('a check of a team’s members counts for its days, and not one moment longer', async () => {
  assert.equal(await liveMailboxCheck(db, mailbox, now), undefined)
  orThrow(await check(1))
  const lastMoment = now.valueOf() + limits.mailboxCheckDays * dayMs
  assert.ok(await liveMailboxCheck(db, mailbox, new Date(lastMoment - 1)))
  assert.ok(await liveMailboxCheck(db, mailbox, new Date(lastMoment)))
  assert.equal(await liveMailboxCheck(db, mailbox, new Date(lastMoment + 1)), undefined)
})

test('other members are a new version of the list, and the check of the old one no longer counts', async () => {
  orThrow(await check(1))
  const change = (members: string) =>
    done((tx) => changeMailbox(tx, mailbox, { name: team.name, owner: team.owner, members }, by))
  await change('Cal\nBea\nBea')
  assert.equal((await mailboxById(db, mailbox))?.listVersion, 1, 'the same people in another order are the same list')
  await change('Bea\nDee')
  assert.equal((await mailboxById(db, mailbox))?.listVersion, 2)
  assert.equal(await liveMailboxCheck(db, mailbox, now), undefined)
  const old = await check(1)
  assert.equal(old.ok ? '' : old.problem.slug, 'changed-meanwhile')
  orThrow(await check(2))
  assert.equal((await liveMailboxCheck(db, mailbox, now))?.listVersion, 2)
})

test('a change that is refused leaves nothing behind, in the tables or the register', async () => {
  const count = async () =>
    Number(
      (
        await db
          .selectFrom('registerEvents')
          .select((eb) => eb.fn.countAll().as('n'))
          .executeTakeFirstOrThrow()
      ).n,
    )
  const earlier = await count()
  await within(async (tx) => {
    orThrow(await addContact(tx, school.id, { fullName: 'Half', email: 'half@millbrook.example' }, by))
    return addContact(tx, school.id, { fullName: 'Half', email: 'half@millbrook.example' }, by)
  })
  assert.equal(await count(), earlier)
  assert.deepEqual(await searchDirectory(db, { words: 'half' }), [])
})

const colleague = {
  fullName: 'Bo Lane',
  email: 'bo.lane@exampleshire.example',
  roles: ['service-desk' as const],
  cjsmAccount: false,
  active: true,
}

test('a colleague has an address of ours, and a line manager of ours', async () => {
  assert.match(
    (await sentences((tx) => saveStaff(tx, { ...colleague, email: 'bo@home.example' }, by))).email!,
    /own domains/,
  )
  assert.match(
    (await sentences((tx) => saveStaff(tx, { ...colleague, lineManager: 'sam.okafor@northbrook-police.example' }, by)))
      .lineManager!,
    /Nobody of our staff/,
  )
  const { id } = await done((tx) => saveStaff(tx, { ...colleague, lineManager: ada.email }, by))
  assert.equal((await personById(db, id))?.lineManagerId, ada.id)
  await done((tx) => saveStaff(tx, { ...colleague, roles: [], active: false }, by, id))
  assert.equal((await personById(db, id))?.active, false)
})

test('an administrator cannot end their own access, and lock everyone out', async () => {
  const self = { fullName: 'Ada Marsh', email: ada.email, cjsmAccount: false }
  for (const change of [
    { roles: [], active: true },
    { roles: ['administrator' as const], active: false },
  ])
    assert.match(
      (await sentences((tx) => saveStaff(tx, { ...self, ...change }, by, ada.id))).roles!,
      /another administrator/,
    )
})

test('a partner’s contact is not changed as if they were staff', async () => {
  const [sam] = await searchDirectory(db, { words: 'okafor' })
  assert.deepEqual(await sentences((tx) => saveStaff(tx, colleague, by, sam!.id)), { slug: 'not-found' })
})

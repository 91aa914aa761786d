import { sql } from 'kysely'
import type { Db, Tx } from '#edge/store/database'
import type { Erasure } from '#features/copies/list'

export const transferByReference = (tx: Tx, reference: string) =>
  tx
    .selectFrom('transfers')
    .where('reference', '=', reference)
    .where('state', '!=', 'erased')
    .select(['id', 'reference', 'state'])
    .executeTakeFirst()

export const personByAddress = (tx: Tx, email: string) =>
  tx
    .selectFrom('people')
    .where(sql`lower(email)`, '=', email.toLowerCase())
    .select(['id', 'kind', 'fullName', 'active'])
    .executeTakeFirst()

/** Where somebody was a recipient, by address: taken off or not. */
export const receivedBy = (tx: Tx, email: string) =>
  tx
    .selectFrom('recipients')
    .innerJoin('transfers', 'transfers.id', 'recipients.transferId')
    .where(sql`lower(recipients.email)`, '=', email.toLowerCase())
    .select(['recipients.id', 'recipients.fullName', 'recipients.transferId', 'transfers.reference'])
    .execute()

/** References of the transfers that somebody sends. */
export const sentBy = (tx: Tx, personId: string) =>
  tx.selectFrom('transfers').where('senderId', '=', personId).where('state', '!=', 'erased').select('id').execute()

/** Why a transfer cannot be erased yet, each in words; none when it can. */
export async function openIn(tx: Tx, transferIds: string[]): Promise<{ reference: string; why: string }[]> {
  if (transferIds.length === 0) return []
  const { rows } = await sql<{ reference: string; why: string }>`
    select t.reference, w.why from transfers t cross join lateral (
      select 'it is not ended' as why
      where t.state not in ('withdrawn', 'recorded', 'recalled', 'expired', 'closed', 'collected')
      union all
      select 'its parcel can still be opened' from parcels p where p.transfer_id = t.id and p.state in ('sealing', 'sealed')
      union all
      select 'the bytes of its parcel are not destroyed yet' from parcels p
      where p.transfer_id = t.id and p.destroyed_at is null and p.state in ('recalled', 'expired', 'abandoned')
      union all
      select 'its emergency was not reviewed yet' from emergency_certifications c
      where c.transfer_id = t.id and c.reviewed_at is null
      union all
      select 'a problem reported about it was not recorded yet' from incidents i
      where i.transfer_id = t.id and i.recorded_at is null
    ) w
    where t.id = any(${transferIds}::uuid[]) order by t.reference, w.why`.execute(tx)
  return rows
}

/** Problems stay on the record, as the law asks for a record of breaches, and so do the events about them. */
const keptEvents = sql`('problem-reported', 'problem-recorded')`

/** Handles of the events that say something about these, and are not erased yet. */
export async function eventsAbout(
  tx: Tx,
  { transfers, recipients, people }: Pick<Erasure, 'transfers' | 'recipients' | 'people'>,
): Promise<string[]> {
  const about = (name: string, ids: string[]) =>
    sql`exists (select from unnest(${ids}::text[]) as one (id) where position(one.id in body) > 0 and body::jsonb ->> ${name} = one.id)`
  const { rows } = await sql<{ handle: string }>`
    select handle from register_events
    where body is not null and name not in ${keptEvents} and (
      transfer_id = any(${transfers}::uuid[])
      or transfer_id in (select transfer_id from recipients where id = any(${recipients}::uuid[]))
        and ${about('recipient', recipients)}
      or ${people.length > 0} and ${about('person', people)}
    ) order by id`.execute(tx)
  return rows.map(({ handle }) => handle)
}

/** How many rows of a kind say something about these. */
export async function counted(tx: Tx, { transfers, recipients }: Erasure, email?: string) {
  const { rows } = await sql<{ recipients: number; mails: number; records: number }>`
    select
      (select count(*) from recipients where transfer_id = any(${transfers}::uuid[]) or id = any(${recipients}::uuid[])) as recipients,
      (select count(*) from outgoing_mail where transfer_id = any(${transfers}::uuid[])
        or lower(recipient) = ${email?.toLowerCase() ?? null}) as mails,
      (select count(*) from sharing_records where transfer_id = any(${transfers}::uuid[])) as records`.execute(tx)
  return rows[0]!
}

/** Ids of erasures that this database has done. */
export const doneErasures = async (db: Db | Tx): Promise<Set<string>> =>
  new Set((await db.selectFrom('erasures').select('id').execute()).map(({ id }) => id))

export const noteErasure = (tx: Tx, row: { id: string; at: Date; reason: string | null }) =>
  tx.insertInto('erasures').values(row).execute()

/** One erasure at a time, in this transaction: the list is written by whoever holds this. */
export const lockErasing = (tx: Tx) => sql`select pg_advisory_xact_lock(${erasingLock})`.execute(tx)

/** Chosen once at random. */
const erasingLock = 8_410_337_215

/** Takes bodies and salts of events away, for good. Their leaves stay. */
export const eraseEvents = ({ transfers, events }: Erasure, tx: Tx) =>
  sql`
    update register_events set body = null, salt = null
    where handle = any(${events}::text[])
      or transfer_id = any(${transfers}::uuid[]) and name not in ${keptEvents}`.execute(tx)

/** Erases whole transfers: what stays is that there was one, its method and its dates. */
export async function eraseTransfers(tx: Tx, ids: string[]): Promise<void> {
  const of = (table: string) => sql`delete from ${sql.id(table)} where transfer_id = any(${ids}::uuid[])`.execute(tx)
  const recipients = sql`(select id from recipients where transfer_id = any(${ids}::uuid[]))`
  const parcels = sql`(select id from parcels where transfer_id = any(${ids}::uuid[]))`
  await eraseAccess(tx, recipients)
  for (const table of ['recipient_confirmations', 'phrase_tellings'])
    await sql`delete from ${sql.id(table)} where recipient_id in ${recipients}`.execute(tx)
  for (const table of ['locks', 'parcel_parts'])
    await sql`delete from ${sql.id(table)} where parcel_id in ${parcels}`.execute(tx)
  await of('recipients')
  await sql`
    update transfers set state = 'erased', reference = 'erased-' || id, facts = '{}', not_sure = '{}',
      recipient_kind = null, purpose_words = null, limits_words = null, left_out_words = null, information_words = null,
      case_reference = null, available_days = null, decision_id = null
    where id = any(${ids}::uuid[])`.execute(tx)
  for (const table of ['decisions', 'advice_requests', 'emergency_certifications', 'exceptions', 'sharing_records'])
    await of(table)
  await sql`
    update parcels set handling = '', manifest_sha256 = null, parcel_root = null, device_id = null, signature = null
    where transfer_id = any(${ids}::uuid[])`.execute(tx)
  await of('outgoing_mail')
}

/** Codes and admissions by which these recipients were let in. */
async function eraseAccess(tx: Tx, recipients: ReturnType<typeof sql>): Promise<void> {
  await sql`delete from mailed_codes where subject_id in ${recipients}`.execute(tx)
  await sql`delete from admissions where recipient_id in ${recipients}`.execute(tx)
}

/** Erases who somebody was, where a transfer itself stays: what was sent, when and that it was opened stay with it. */
export async function eraseRecipients(tx: Tx, ids: string[]): Promise<void> {
  const these = sql`(select unnest(${ids}::uuid[]))`
  await eraseAccess(tx, these)
  for (const table of ['recipient_confirmations', 'phrase_tellings'])
    await sql`delete from ${sql.id(table)} where recipient_id in ${these}`.execute(tx)
  await sql`
    delete from sharing_records s using recipients r
    where r.id in ${these} and s.transfer_id = r.transfer_id and lower(s.recipient_name) = lower(r.full_name)`.execute(
    tx,
  )
  await sql`
    delete from outgoing_mail m using recipients r
    where r.id in ${these} and m.transfer_id = r.transfer_id and lower(m.recipient) = lower(r.email)`.execute(tx)
  await sql`
    update recipients set full_name = 'Erased', email = 'erased:' || id, person_id = null, mailbox_id = null,
      organisation_id = null, job_title = null, department = null, telephone = null, link_hash = null,
      collecting_key = null, statement = null, remind_at = null
    where id in ${these}`.execute(tx)
}

/** Erases people of the directory, and colleagues who have left: a number stays where they acted in their office. */
export async function erasePeople(tx: Tx, ids: string[]): Promise<void> {
  const these = sql`(select unnest(${ids}::uuid[]))`
  await sql`delete from outgoing_mail m using people p where p.id in ${these} and lower(m.recipient) = lower(p.email)`.execute(
    tx,
  )
  await sql`
    update team_mailboxes t set members = array_remove(members, p.email) from people p
    where p.id in ${these} and p.email = any(t.members)`.execute(tx)
  await sql`delete from mailed_codes where subject_id in ${these}`.execute(tx)
  for (const table of ['browsers', 'passkeys', 'api_tokens', 'sign_ins'])
    await sql`delete from ${sql.id(table)} where person_id in ${these}`.execute(tx)
  // The key itself stays: what the person signed in their office is checked with it.
  await sql`update devices set label = 'Erased', sender_recipient = null where person_id in ${these}`.execute(tx)
  await sql`
    update people set full_name = 'Erased', email = 'erased:' || id, job_title = null, department = null,
      telephone = null, telephone_kind = null, postal_address = null, roles = '{}', line_manager_id = null,
      partner_login = false, cjsm_account = false, age_recipient = null, active = false
    where id in ${these}`.execute(tx)
}

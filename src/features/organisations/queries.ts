import { sql, type Expression, type Insertable, type RawBuilder, type SqlBool, type Updateable } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db, Tx } from '#edge/store/database'
import type { Tables } from '#edge/store/tables'
import { isId } from '#edge/web/fields'
import { domainAndParents, domainOf, searchTerms } from '#features/organisations/addresses'

// These are the expressions of the indexes that 0020-work makes; written differently, every search would read every row.
const organisationWords = sql`to_tsvector('simple', regexp_replace(organisations.name, '[^[:alnum:]]+', ' ', 'g'))`
const personWords = sql`to_tsvector('simple', regexp_replace(people.full_name || ' ' || coalesce(people.job_title, '') || ' ' || people.email, '[^[:alnum:]]+', ' ', 'g'))`
const mailboxWords = sql`to_tsvector('simple', regexp_replace(team_mailboxes.name || ' ' || team_mailboxes.address, '[^[:alnum:]]+', ' ', 'g'))`

const hasWord = (words: RawBuilder<unknown>, term: string): Expression<SqlBool> =>
  sql<SqlBool>`${words} @@ to_tsquery('simple', ${`${term}:*`})`

/** Our own organisation. There is always exactly one: `init` makes it. */
export const ownOrganisation = (db: Db) =>
  db.selectFrom('organisations').where('isOwn', '=', true).selectAll().executeTakeFirstOrThrow()

export async function organisationById(db: Db, id: string | undefined) {
  return isId(id) ? db.selectFrom('organisations').where('id', '=', id).selectAll().executeTakeFirst() : undefined
}
export type Organisation = NonNullable<Awaited<ReturnType<typeof organisationById>>>

/**
 * The organisation an address belongs to: the one that lists the longest domain the address is in.
 *
 * Our own organisation covers listed domains only, never those below them.
 *
 * @source reading C15
 */
export async function organisationOfAddress(db: Db, email: string): Promise<Organisation | undefined> {
  const domain = domainOf(email)
  const candidates = domainAndParents(domain)
  const rows = await db
    .selectFrom('organisations')
    .where(sql<SqlBool>`domains && ${candidates}::text[]`)
    .selectAll()
    .orderBy('createdAt')
    .execute()
  for (const candidate of candidates) {
    const found = rows.find(({ domains, isOwn }) => domains.includes(candidate) && (!isOwn || candidate === domain))
    if (found) return found
  }
  return undefined
}

/** Organisations by name, those that have every word of the search when there is one. */
export function organisationsBy(db: Db, words = '') {
  let query = db.selectFrom('organisations').selectAll()
  for (const term of searchTerms(words)) query = query.where(hasWord(organisationWords, term))
  return query.orderBy('isOwn', 'desc').orderBy('name').limit(limits.listRows).execute()
}

/** Every other organisation, for choosing from. */
export const otherOrganisations = (db: Db) =>
  db
    .selectFrom('organisations')
    .where('isOwn', '=', false)
    .select(['id', 'name'])
    .orderBy('name')
    .limit(limits.listRows)
    .execute()

export const organisationsById = (db: Db, ids: readonly string[]) =>
  ids.length === 0
    ? Promise.resolve([])
    : db.selectFrom('organisations').where('id', 'in', ids).select(['id', 'name', 'isOwn']).orderBy('name').execute()

/** The other organisation that lists one of these domains. Until the transaction ends, nobody else changes an organisation. */
export async function organisationWithDomain(tx: Tx, domains: readonly string[], except?: string) {
  await sql`LOCK TABLE organisations IN SHARE ROW EXCLUSIVE MODE`.execute(tx)
  return tx
    .selectFrom('organisations')
    .where(sql<SqlBool>`domains && ${domains}::text[]`)
    .$if(except !== undefined, (query) => query.where('id', '<>', except!))
    .select(['name', 'domains'])
    .executeTakeFirst()
}

export const insertOrganisation = (tx: Tx, row: Insertable<Tables['organisations']>) =>
  tx.insertInto('organisations').values(row).returning('id').executeTakeFirstOrThrow()
export const updateOrganisation = (tx: Tx, id: string, row: Updateable<Tables['organisations']>) =>
  tx.updateTable('organisations').set(row).where('id', '=', id).execute()

/** One person or team that something can be sent to. */
export interface DirectoryRow {
  kind: 'person' | 'team'
  id: string
  name: string
  jobTitle: string | null
  organisation: string
  organisationId: string
  sector: string
  email: string
  telephone: string | null
  isOwn: boolean
}

/**
 * People and teams whose name, job, address or organisation has every word of the search at the start of one of its
 * own, by name. Members of the public are not in the directory.
 *
 * @param search.limit - at most `limits.directoryRows` unless told otherwise
 */
export async function searchDirectory(db: Db, search: { words: string; limit?: number }): Promise<DirectoryRow[]> {
  const terms = searchTerms(search.words)
  if (terms.length === 0) return []
  const limit = search.limit ?? limits.directoryRows
  // Looked up first, so that the words of people are asked of an index too.
  const organisations = await Promise.all(
    terms.map((term) =>
      db
        .selectFrom('organisations')
        .where(hasWord(organisationWords, term))
        .select('id')
        .limit(limits.listRows)
        .execute(),
    ),
  )
  const matching = (words: RawBuilder<unknown>, organisationId: RawBuilder<unknown>): Expression<SqlBool>[] =>
    terms.map((term, place) => {
      const ids = organisations[place]!.map(({ id }) => id)
      return ids.length === 0
        ? hasWord(words, term)
        : sql<SqlBool>`(${hasWord(words, term)} OR ${organisationId} = ANY(${ids}::uuid[]))`
    })
  const people = db
    .selectFrom('people')
    .innerJoin('organisations', 'organisations.id', 'people.organisationId')
    .where('people.kind', '<>', 'individual')
    .where('people.active', '=', true)
    .where((eb) => eb.and(matching(personWords, sql`people.organisation_id`)))
    .select([
      'people.id',
      'fullName as name',
      'jobTitle',
      'organisations.name as organisation',
      'organisationId',
      'sector',
      'email',
      'telephone',
      'isOwn',
    ])
    .orderBy('fullName')
    .limit(limit)
    .execute()
  const teams = db
    .selectFrom('teamMailboxes')
    .innerJoin('organisations', 'organisations.id', 'teamMailboxes.organisationId')
    .where((eb) => eb.and(matching(mailboxWords, sql`team_mailboxes.organisation_id`)))
    .select([
      'teamMailboxes.id',
      'teamMailboxes.name',
      'organisations.name as organisation',
      'organisationId',
      'sector',
      'address as email',
      'switchboard as telephone',
      'isOwn',
    ])
    .orderBy('teamMailboxes.name')
    .limit(limit)
    .execute()
  // Both at once: when the database is lost, so are both, and each must be heard of.
  const [foundPeople, foundTeams] = await Promise.all([people, teams])
  const rows: DirectoryRow[] = [
    ...foundPeople.map((row) => ({ ...row, kind: 'person' as const, organisationId: row.organisationId! })),
    ...foundTeams.map((row) => ({ ...row, kind: 'team' as const, jobTitle: null })),
  ]
  return rows.sort((one, other) => one.name.localeCompare(other.name, 'en-GB')).slice(0, limit)
}

/** A person of the directory, or a member of the public we have written to, with the name of their organisation if any. */
export async function personById(db: Db, id: string | undefined) {
  if (!isId(id)) return undefined
  return db
    .selectFrom('people')
    .leftJoin('organisations', 'organisations.id', 'people.organisationId')
    .where('people.id', '=', id)
    .selectAll('people')
    .select(['organisations.name as organisation', 'organisations.sector', 'organisations.isOwn'])
    .executeTakeFirst()
}

export const personByEmail = (db: Db, email: string) =>
  db
    .selectFrom('people')
    .where(sql`lower(email)`, '=', email.toLowerCase())
    .select(['id', 'fullName', 'organisationId'])
    .executeTakeFirst()

export const peopleOf = (db: Db, organisationId: string) =>
  db
    .selectFrom('people')
    .where('organisationId', '=', organisationId)
    .selectAll()
    .orderBy('active', 'desc')
    .orderBy('fullName')
    .limit(limits.listRows)
    .execute()

/** Keeps a person, unless the address is somebody's already: then nothing comes back. */
export const insertPerson = (tx: Tx, row: Insertable<Tables['people']>) =>
  tx
    .insertInto('people')
    .values(row)
    .onConflict((conflict) => conflict.expression(sql`lower(email)`).doNothing())
    .returning('id')
    .executeTakeFirst()
export const updatePerson = (tx: Tx, id: string, row: Updateable<Tables['people']>) =>
  tx.updateTable('people').set(row).where('id', '=', id).execute()

const mailboxes = (db: Db) =>
  db
    .selectFrom('teamMailboxes')
    .innerJoin('organisations', 'organisations.id', 'teamMailboxes.organisationId')
    .selectAll('teamMailboxes')
    .select(['organisations.name as organisation', 'organisations.sector', 'organisations.isOwn'])

export async function mailboxById(db: Db, id: string | undefined) {
  return isId(id) ? mailboxes(db).where('teamMailboxes.id', '=', id).executeTakeFirst() : undefined
}
/** The mailbox, which nobody else changes until the transaction ends. */
export async function lockMailbox(tx: Tx, id: string | undefined) {
  return isId(id)
    ? tx.selectFrom('teamMailboxes').where('id', '=', id).selectAll().forUpdate().executeTakeFirst()
    : undefined
}
export const mailboxesOf = (db: Db, organisationId: string) =>
  mailboxes(db)
    .where('organisationId', '=', organisationId)
    .orderBy('teamMailboxes.name')
    .limit(limits.listRows)
    .execute()

/** Keeps a team mailbox, unless the address is some team's already: then nothing comes back. */
export const insertMailbox = (tx: Tx, row: Insertable<Tables['teamMailboxes']>) =>
  tx
    .insertInto('teamMailboxes')
    .values(row)
    .onConflict((conflict) => conflict.expression(sql`lower(address)`).doNothing())
    .returning('id')
    .executeTakeFirst()
export const updateMailbox = (tx: Tx, id: string, row: Updateable<Tables['teamMailboxes']>) =>
  tx.updateTable('teamMailboxes').set(row).where('id', '=', id).execute()

export const insertCheck = (tx: Tx, row: Insertable<Tables['mailboxChecks']>) =>
  tx.insertInto('mailboxChecks').values(row).returning('id').executeTakeFirstOrThrow()

/** The newest checks of a mailbox's members, with who made them. */
export const checksOf = (db: Db, mailboxId: string) =>
  db
    .selectFrom('mailboxChecks')
    .innerJoin('people', 'people.id', 'mailboxChecks.checkedBy')
    .where('mailboxId', '=', mailboxId)
    .selectAll('mailboxChecks')
    .select('people.fullName as checkedByName')
    .orderBy('checkedAt', 'desc')
    .limit(limits.directoryRows)
    .execute()

const dayMs = 86_400_000

/** The newest check of the mailbox's present list of members that is not too old, or nothing. @source clause D20, reading C14 */
export const liveMailboxCheck = (db: Db, mailboxId: string, now: Date) =>
  db
    .selectFrom('mailboxChecks')
    .innerJoin('teamMailboxes', (join) =>
      join
        .onRef('teamMailboxes.id', '=', 'mailboxChecks.mailboxId')
        .onRef('teamMailboxes.listVersion', '=', 'mailboxChecks.listVersion'),
    )
    .where('mailboxId', '=', mailboxId)
    .where('checkedAt', '>=', new Date(now.valueOf() - limits.mailboxCheckDays * dayMs))
    .selectAll('mailboxChecks')
    .orderBy('checkedAt', 'desc')
    .executeTakeFirst()

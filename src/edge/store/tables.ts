import type { RegisterTables } from '#edge/keeper/tables'
import type { MailTables } from '#edge/mail/tables'
import type { WorkTables } from '#edge/store/work-tables'

/**
 * Every table of the database, as Kysely sees it: names in camelCase here, snake_case in SQL.
 *
 * Each room types its own tables next to its queries; they are joined here and nowhere else.
 */
export interface Tables extends MailTables, RegisterTables, WorkTables {}

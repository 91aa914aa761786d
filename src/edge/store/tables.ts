/**
 * Every table of the database, as Kysely sees it: names in camelCase here, snake_case in SQL.
 *
 * Each room types its own tables next to its queries; they are joined here and nowhere else.
 */
// oxlint-disable-next-line typescript/no-empty-object-type
export interface Tables {}

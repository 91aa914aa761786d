import type { Kysely } from 'kysely'

/** One step of the database's shape. Names are numbered, and a released one never changes. */
export interface Migration {
  name: string
  up: (db: Kysely<unknown>) => Promise<void>
}

/** Every migration, in the order in which they run. */
export const migrations: readonly Migration[] = []

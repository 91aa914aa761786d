import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction } from 'kysely'
import { DatabaseError, Pool, TypeOverrides, types } from 'pg'
import { limits } from '#core/kit/limits'
import { ProblemError, type Outcome } from '#core/kit/outcome'
import { connectionString } from '#edge/store/embedded'
import type { Tables } from '#edge/store/tables'

export type Db = Kysely<Tables>
export type Tx = Transaction<Tables>

/** An open database. */
export interface Store {
  db: Db
  pool: Pool
  connectionString: string
  close(): Promise<void>
}

/**
 * Opens the database; connects when first asked something.
 *
 * `bigint` comes back as a number and throws when it is no safe integer; `date` as its text `YYYY-MM-DD`; `timestamptz`
 * as a Date; `numeric` (also the sum of bigints) as text.
 *
 * @param where - a connection string, or the socket folder of the embedded server
 */
export function openDatabase(where: { url: string } | { socketFolder: string }): Store {
  const url = 'url' in where ? where.url : connectionString(where.socketFolder, 'safehand')
  const overrides = new TypeOverrides()
  overrides.setTypeParser(types.builtins.INT8, safeInteger)
  overrides.setTypeParser(types.builtins.DATE, (text) => text)
  const pool = new Pool({
    connectionString: url,
    types: overrides,
    max: limits.databaseConnections,
    connectionTimeoutMillis: limits.databaseConnectWaitMs,
    statement_timeout: limits.databaseStatementMs,
    idle_in_transaction_session_timeout: limits.databaseIdleInTransactionMs,
    application_name: 'safehand',
  })
  // A connection that breaks is taken out of the pool. Whoever used it gets the error from what they asked; without
  // these listeners the error would end the process as well, whether the connection was in use or idle.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', () => {})
  const db = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  })
  return { db, pool, connectionString: url, close: () => db.destroy() }
}

function safeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw new RangeError(`The database holds a number that is too large to be exact: ${text}`)
  return value
}

/**
 * Does work in one transaction: all of it is done, or nothing.
 *
 * Undone when the work answers with a failure or throws; a thrown `ProblemError` comes back as that failure. When the
 * database could not order it beside other transactions (serialization failure, deadlock) the work runs again, at most
 * `transactionTries` times, so it must have no effect but through `tx`. When the connection breaks at the commit it
 * throws, and the work may or may not be done.
 */
export async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<Outcome<T>>): Promise<Outcome<T>> {
  for (let tries = 1; ; tries++) {
    try {
      return await db.transaction().execute(async (tx) => {
        const outcome = await work(tx)
        if (!outcome.ok) throw new ProblemError(outcome.problem)
        return outcome
      })
    } catch (error) {
      if (error instanceof ProblemError) return { ok: false, problem: error.problem }
      if (tries >= limits.transactionTries || !isWorthAnotherTry(error)) throw error
    }
  }
}

const serializationFailure = '40001'
const deadlockDetected = '40P01'

const isWorthAnotherTry = (error: unknown): boolean =>
  error instanceof DatabaseError && (error.code === serializationFailure || error.code === deadlockDetected)

import { randomUUID } from 'node:crypto'
import { Socket } from 'node:net'
import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction } from 'kysely'
import { DatabaseError, Pool, TypeOverrides, types } from 'pg'
import { limits } from '#core/kit/limits'
import { ProblemError, type Outcome } from '#core/kit/outcome'
import { ContextDialect, type Context } from '#edge/store/context'
import { connectionString } from '#edge/store/embedded'
import type { DatabaseRole } from '#edge/store/roles'
import type { Tables } from '#edge/store/tables'

export type Db = Kysely<Tables>
export type Tx = Transaction<Tables>

/** An open database. */
export interface Store {
  /** Of the server's own role: as the system. */
  db: Db
  /** The same database for somebody: every statement reaches only what is theirs. Only of the server's own role. */
  confine: (context: Context) => Db
  pool: Pool
  connectionString: string
  close: () => Promise<void>
}

/**
 * Opens the database; connects when first asked something.
 *
 * `bigint` comes back as a number and throws when it is no safe integer; `date` as its text `YYYY-MM-DD`; `timestamptz`
 * as a Date; `numeric` (also the sum of bigints) as text.
 *
 * @param where - a connection string, or the socket folder of the embedded server; and as whom, the server itself
 *   unless said. With a connection string its login becomes that role; the owner's is used as it is.
 */
export function openDatabase(
  where: ({ url: string } | { socketFolder: string; database?: string }) & { role?: DatabaseRole },
): Store {
  const role = where.role ?? 'app'
  const url = 'url' in where ? becoming(where.url, role) : onSocket(where.socketFolder, where.database, role)
  const overrides = new TypeOverrides()
  overrides.setTypeParser(types.builtins.INT8, safeInteger)
  overrides.setTypeParser(types.builtins.DATE, (text) => text)
  const pool = new Pool({
    connectionString: url,
    types: overrides,
    max: limits.databaseConnections,
    connectionTimeoutMillis: limits.databaseConnectWaitMs,
    // Kept while we run: to make ten again when many come after a rest takes longer than all that they ask. One that the
    // network forgot meanwhile is noticed.
    idleTimeoutMillis: 0,
    keepAlive: true,
    keepAliveInitialDelayMillis: limits.databaseKeepAliveMs,
    statement_timeout: limits.databaseStatementMs,
    idle_in_transaction_session_timeout: limits.databaseIdleInTransactionMs,
    application_name: 'safehand',
    // A context goes before each statement and is not waited for: `context.ts`.
    ...(role === 'app' && { pipeline: true, stream: gatheringSocket }),
  })
  // A connection that breaks is taken out of the pool. Whoever used it gets the error from what they asked; without
  // these listeners the error would end the process as well, whether the connection was in use or idle.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', () => {})
  const using = (dialect: PostgresDialect): Db =>
    new Kysely<Tables>({ dialect, plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })] })
  const confine = (context: Context) => using(new ContextDialect({ pool }, context))
  const db = role === 'app' ? confine({ as: 'system' }) : using(new PostgresDialect({ pool }))
  return { db, confine, pool, connectionString: url, close: () => pool.end() }
}

/** A socket from which what is sent in one turn leaves in one piece, so that the server wakes once for it. */
function gatheringSocket(): Socket {
  const socket = new Socket()
  // Not before: connecting puts back how a socket writes.
  return socket.once('connect', () => {
    const write = socket.write.bind(socket) as (...given: unknown[]) => boolean
    socket.write = (...given: unknown[]) => {
      if (socket.writableCorked === 0) {
        socket.cork()
        process.nextTick(() => socket.uncork())
      }
      return write(...given)
    }
  })
}

/** The login of a connection string becomes a role, for as long as the connection lasts. */
function becoming(url: string, role: DatabaseRole): string {
  if (role === 'owner') return url
  const as = new URL(url)
  as.searchParams.set('options', `-c role=safehand_${role}`)
  return as.href
}

/** On our own server each role has its own login: whoever has one connection cannot become another role by it. */
const onSocket = (socketFolder: string, database: string | undefined, role: DatabaseRole) =>
  connectionString(socketFolder, database ?? 'safehand', role === 'owner' ? undefined : `safehand_${role}`)

// Of the newest id: milliseconds, and 12 bits that count on within one. Owned by `newId`.
let lastTick = 0n

/**
 * An id for a row that its writer may not read back. Later ids of a process sort after its earlier ones, those of
 * different processes by their clocks. @source RFC 9562 §5.7 (UUID version 7), counter by §6.2 method 1
 */
export function newId(): string {
  const now = BigInt(Date.now()) << 12n
  lastTick = now > lastTick ? now : lastTick + 1n
  const tick = lastTick.toString(16).padStart(15, '0')
  // Version and variant of a random UUID, and the 62 random bits after them.
  const random = randomUUID().slice(18)
  return `${tick.slice(0, 8)}-${tick.slice(8, 12)}-7${tick.slice(12)}${random}`
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

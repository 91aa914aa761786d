import {
  CompiledQuery,
  PostgresDialect,
  PostgresDriver,
  sql,
  type DatabaseConnection,
  type Driver,
  type Kysely,
  type PostgresDialectConfig,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'
import { assert } from '#core/kit/outcome'

/**
 * For whom the database is asked. `access.ts` says which rows each of them reaches.
 *
 * system: nobody in particular, such as the clock, or whoever finds out who is calling. recipient: somebody who has
 * proved the mailbox of one recipient; with them go the transfer and its sender. stranger: everybody else.
 */
export type Context =
  | { as: 'system' }
  | { as: 'person'; person: string; roles: readonly string[] }
  | { as: 'recipient'; recipient: string; transfer: string; sender: string }
  | { as: 'stranger' }

/** The database's role for each kind of context. */
const roles = {
  system: 'safehand_system',
  person: 'safehand_staff',
  recipient: 'safehand_outside',
  stranger: 'safehand_outside',
}

/** The statements that say for whom the rest of a transaction is. They end with it, and need no plan, as a query would. */
function settingOf({ as, ...ids }: Context): string {
  const settings = Object.entries(ids).map(([name, value]) => [`safehand.${name}`, String(value)] as const)
  // Ids and the names of roles only: nothing that anybody typed ever stands here.
  for (const [name, value] of settings) assert(/^[\w,-]*$/.test(value), `a context is made of ids (${name})`)
  return [['role', roles[as]], ...settings].map(([name, value]) => `set local ${name} = '${value}'`).join('; ')
}

/**
 * A dialect whose every statement runs in a transaction that begins with the context, so that a connection of the pool
 * keeps nothing of whom it last worked for.
 */
export class ContextDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig
  readonly #setting: string

  constructor(config: PostgresDialectConfig, context: Context) {
    super(config)
    this.#config = config
    this.#setting = settingOf(context)
  }

  override createDriver(): Driver {
    return new ContextDriver(new PostgresDriver(this.#config), this.#setting)
  }
}

class ContextDriver implements Driver {
  readonly #inner: Driver
  readonly #setting: string

  constructor(inner: Driver, setting: string) {
    this.#inner = inner
    this.#setting = setting
  }

  init(): Promise<void> {
    return this.#inner.init()
  }
  destroy(): Promise<void> {
    return this.#inner.destroy()
  }
  async acquireConnection(): Promise<ContextConnection> {
    return new ContextConnection(await this.#inner.acquireConnection(), this)
  }
  releaseConnection({ inner }: ContextConnection): Promise<void> {
    return this.#inner.releaseConnection(inner)
  }

  async beginTransaction(connection: ContextConnection, settings: TransactionSettings): Promise<void> {
    connection.isInTransaction = true
    try {
      if (settings.isolationLevel === undefined && settings.accessMode === undefined) {
        // Not waited for: it goes with the first statement, one way to the database and back less. What comes first
        // after it, statement or commit, fails where it failed.
        connection.begun = this.begin(connection)
        connection.begun.catch(() => {})
        return
      }
      await this.#inner.beginTransaction(connection.inner, settings)
      await connection.inner.executeQuery(CompiledQuery.raw(this.#setting))
    } catch (error) {
      // Begun, it may be, but for nobody.
      await this.rollbackTransaction(connection).catch(() => {})
      throw error
    }
  }
  async begin({ inner }: ContextConnection): Promise<void> {
    await inner.executeQuery(CompiledQuery.raw(`begin; ${this.#setting}`))
  }
  async commitTransaction(connection: ContextConnection): Promise<void> {
    await connection.begun
    await this.#inner.commitTransaction(connection.inner)
    connection.isInTransaction = false
  }
  async rollbackTransaction(connection: ContextConnection): Promise<void> {
    // A connection that cannot be rolled back is thrown away, and its context with it.
    await this.#inner.rollbackTransaction(connection.inner)
    connection.isInTransaction = false
  }
  savepoint(...[connection, ...rest]: Parameters<Driver['savepoint'] & {}>): Promise<void> {
    return this.#inner.savepoint!((connection as ContextConnection).inner, ...rest)
  }
  rollbackToSavepoint(...[connection, ...rest]: Parameters<Driver['rollbackToSavepoint'] & {}>): Promise<void> {
    return this.#inner.rollbackToSavepoint!((connection as ContextConnection).inner, ...rest)
  }
  releaseSavepoint(...[connection, ...rest]: Parameters<Driver['releaseSavepoint'] & {}>): Promise<void> {
    return this.#inner.releaseSavepoint!((connection as ContextConnection).inner, ...rest)
  }
}

class ContextConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection
  readonly #driver: ContextDriver
  isInTransaction = false
  /** What said for whom the transaction is. */
  begun = Promise.resolve()

  constructor(inner: DatabaseConnection, driver: ContextDriver) {
    this.inner = inner
    this.#driver = driver
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.isInTransaction) {
      const [begun, done] = await Promise.allSettled([this.begun, this.inner.executeQuery<R>(query)])
      if (begun.status === 'rejected') throw begun.reason
      if (done.status === 'rejected') throw done.reason
      return done.value
    }
    // Sent together, without waiting for each answer: it takes one way to the database and back, not three. When one
    // fails the rest is refused, and the transaction ends undone.
    const [begun, done, ended] = await Promise.allSettled([
      this.#driver.begin(this),
      this.inner.executeQuery<R>(query),
      this.#driver.commitTransaction(this),
    ])
    if (begun.status === 'rejected') throw begun.reason
    if (done.status === 'rejected') throw done.reason
    if (ended.status === 'rejected') throw ended.reason
    return done.value
  }

  streamQuery(): never {
    throw new Error('Read page by page: a stream would keep its context open for as long as somebody reads it.')
  }
}

/**
 * Does a part of a transaction's work as the system: for what a person's act brings about where they themselves may not
 * look. Whoever uses it says why.
 */
export async function asSystem<T, D>(tx: Kysely<D>, work: () => Promise<T>): Promise<T> {
  const { rows } = await sql<{ was: string }>`
    select was, set_config('role', ${roles.system}, true)
    from (select current_setting('role') as was offset 0) as before`.execute(tx)
  try {
    return await work()
  } finally {
    // Fails only where the transaction has failed already.
    await sql`select set_config('role', ${rows[0]!.was}, true)`.execute(tx).catch(() => {})
  }
}

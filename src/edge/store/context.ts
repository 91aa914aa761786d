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
  type Transaction,
  type TransactionSettings,
} from 'kysely'
import { limits } from '#core/kit/limits'
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
        // It goes with the first statement, one way to the database and back less.
        connection.goOn(this.begin(connection))
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
    // Of a transaction that failed nothing is committed, whatever is sent; Postgres answers that it undid it.
    await inTurn(connection.sent, this.#inner.commitTransaction(connection.inner))
    connection.leaveTransaction()
  }
  async rollbackTransaction(connection: ContextConnection): Promise<void> {
    // A connection that cannot be rolled back is thrown away, and its context with it.
    await this.#inner.rollbackTransaction(connection.inner)
    connection.leaveTransaction()
  }
  async savepoint(...[connection, ...rest]: Parameters<Driver['savepoint'] & {}>): Promise<void> {
    await this.#inner.savepoint!(await answered(connection), ...rest)
  }
  async rollbackToSavepoint(...[connection, ...rest]: Parameters<Driver['rollbackToSavepoint'] & {}>): Promise<void> {
    await this.#inner.rollbackToSavepoint!(await answered(connection), ...rest)
  }
  async releaseSavepoint(...[connection, ...rest]: Parameters<Driver['releaseSavepoint'] & {}>): Promise<void> {
    await this.#inner.releaseSavepoint!(await answered(connection), ...rest)
  }
}

class ContextConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection
  readonly #driver: ContextDriver
  isInTransaction = false
  /**
   * What the transaction sent and nobody waited for: that it begins and for whom, and what `sendUnwaited` sent. Where it
   * failed, the next statement or the commit fails of it, and whatever comes after them.
   */
  sent: Promise<void> = Promise.resolve()
  #unwaited = 0

  constructor(inner: DatabaseConnection, driver: ContextDriver) {
    this.inner = inner
    this.#driver = driver
  }

  leaveTransaction(): void {
    this.isInTransaction = false
    this.sent = Promise.resolve()
    this.#unwaited = 0
  }

  /** Goes on without waiting for what was sent last. */
  goOn(last: Promise<unknown>): void {
    this.sent = inTurn(this.sent, last)
    this.sent.catch(() => {})
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (!this.isInTransaction) return this.#executeAlone(query)
    const done = this.inner.executeQuery<R>(query)
    if ('isUnwaited' in query && this.#unwaited < limits.databaseStatementsUnwaited) {
      this.#unwaited += 1
      this.goOn(done)
      return { rows: [] }
    }
    await inTurn(this.sent, done)
    this.#unwaited = 0
    return done
  }

  /**
   * Sent together, without waiting for each answer: it takes one way to the database and back, not three. When one fails
   * the rest is refused, and the transaction ends undone.
   */
  async #executeAlone<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const begun = this.#driver.begin(this)
    const done = this.inner.executeQuery<R>(query)
    await inTurn(begun, done, this.#driver.commitTransaction(this))
    return done
  }

  streamQuery(): never {
    throw new Error('Read page by page: a stream would keep its context open for as long as somebody reads it.')
  }
}

/** Waits for what was sent in this order, and throws the first failure: the database refuses the rest because of it. */
async function inTurn(...sent: Promise<unknown>[]): Promise<void> {
  for (const each of await Promise.allSettled(sent)) if (each.status === 'rejected') throw each.reason
}

// A failure that nobody has seen yet would be mended by going back to a savepoint: the rest would be committed, and the
// failure told of all the same.
async function answered(connection: DatabaseConnection): Promise<DatabaseConnection> {
  const { sent, inner } = connection as ContextConnection
  await sent
  return inner
}

/**
 * Sends a statement of a transaction without waiting for its answer: it leaves in one piece with the next statement, or
 * with the commit. When it fails, these throw its error and the transaction is undone. A work that itself fails before
 * either is undone and fails as it would have.
 *
 * As many as `databaseStatementsUnwaited` are under way; the next is waited for. So is each where the database is opened
 * without contexts.
 *
 * @param text - answers no rows, and is in words already: Kysely takes longer to find them than the rest takes
 */
export async function sendUnwaited<D>(tx: Transaction<D>, text: string, values: readonly unknown[]): Promise<void> {
  // What cannot be put into a message is never sent, and the commit would succeed without it.
  assert(values.every(isPlain), 'a statement that nobody waits for has plain values')
  await tx.executeQuery({ ...CompiledQuery.raw(text, [...values]), isUnwaited: true } as CompiledQuery)
}

const isPlain = (value: unknown): boolean =>
  typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array

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

import { join } from 'node:path'
import { sql } from 'kysely'
import { checkpointText } from '#core/register/checkpoint'
import { emptyRoot } from '#core/register/merkle'
import { formatVkey, signNote, type NoteSigner } from '#core/register/note'
import type { Head } from '#edge/keeper/head'
import { cosignedCheckpoints } from '#edge/keeper/witness'
import type { Db, Tx } from '#edge/store/database'

/** The registers that were closed, the first first. The present one has the number after the last. */
export const closedRegisters = (db: Db | Tx) => db.selectFrom('closedRegisters').selectAll().orderBy('number').execute()

/** The number of the present register: 1 unless one was closed. */
export const presentNumber = async (db: Db | Tx): Promise<number> => (await closedRegisters(db)).length + 1

/** Where a register is published, below the folder or address of the first. */
export const publishedUnder = (number: number): string => (number === 1 ? '' : `${number}/`)

/** The name of a register, from the name of the first. */
export const originOf = (first: string, number: number): string => (number === 1 ? first : `${first}/${number}`)

/** The file with a register's key. */
export const keyPath = (keysFolder: string, number: number): string =>
  join(keysFolder, number === 1 ? 'register.pem' : `register-${number}.pem`)

/**
 * Ends the present register as it stands, and begins the next with nothing in it, signed with its own key. Its events
 * keep their order and receipts; only the places by which the database finds them change.
 */
export async function beginNext(tx: Tx, head: Head, next: NoteSigner): Promise<Head> {
  const closed = await closedRegisters(tx)
  const firstPlace = -head.size - closed.reduce((total, { size }) => total + size, 0)
  await sql`set local statement_timeout = 0`.execute(tx)
  await sql`update register_events set seq = seq + ${firstPlace}::bigint where seq >= 0`.execute(tx)
  const { vkey, size, root: lastRoot } = head
  const cosigned = (await cosignedCheckpoints(tx)).find((one) => one.size === size)
  const last = cosigned?.note ?? head.checkpoint
  const row = { number: closed.length + 1, vkey, size, root: lastRoot, checkpoint: last, firstPlace }
  await tx.insertInto('closedRegisters').values(row).execute()
  // What witnesses signed was said of the register that is closed, and is kept with it.
  await tx.deleteFrom('registerCosigned').execute()
  const root = emptyRoot()
  const checkpoint = await signNote(checkpointText({ origin: next.vkey.name, size: 0, root }), next)
  const begun = { vkey: formatVkey(next.vkey), size: 0, root, checkpoint, published: null }
  await tx.updateTable('registerHead').set(begun).execute()
  return begun
}

/** A policy that trusts every register of this installation and asks for no witness. @source C2SP tlog-policy */
export async function trustOf(db: Db): Promise<string> {
  const head = await db.selectFrom('registerHead').select('vkey').executeTakeFirst()
  const keys = [...(await closedRegisters(db)), ...(head ? [head] : [])].map(({ vkey }) => `log ${vkey}\n`)
  return `${keys.join('')}quorum none`
}

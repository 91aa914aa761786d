import type { Generated } from 'kysely'
import type { EventName } from '#edge/keeper/event-names'

/**
 * Events, written by `recordEvent` and sequenced by the keeper alone.
 *
 * `salt` and `body` are null once erased. `seq` is null until the keeper has given the event its place; it is never
 * changed afterwards, nor is anything else but by erasure.
 */
export interface RegisterEventsTable {
  id: Generated<string>
  name: EventName
  transferId: string | null
  at: Date
  handle: string
  salt: Uint8Array | null
  body: string | null
  leaf: Uint8Array
  seq: number | null
}

/**
 * One row, owned by the keeper: the newest signed state, and the newest whose tiles are all published.
 *
 * Only `published` is shown to anybody: a reader of a checkpoint must find its tiles.
 */
export interface RegisterHeadTable {
  onlyRow: Generated<boolean>
  vkey: string
  size: number
  root: Uint8Array
  checkpoint: string
  published: string | null
}

/** A row while the database is one that was restored: nothing is signed until `keeper adopt` has taken it away. */
export interface RegisterRestoredTable {
  onlyRow: Generated<boolean>
  at: Generated<Date>
}

/** What witnesses signed: a line of each under the note of that size. Only the newest are kept. */
export interface RegisterCosignedTable {
  size: number
  witness: string
  checkpoint: string
  line: string
}

/** A register that was closed; its events' places begin at `firstPlace`, below zero. */
export interface ClosedRegistersTable {
  number: number
  vkey: string
  size: number
  root: Uint8Array
  checkpoint: string
  firstPlace: number
}

export interface RegisterTables {
  closedRegisters: ClosedRegistersTable
  registerCosigned: RegisterCosignedTable
  registerEvents: RegisterEventsTable
  registerHead: RegisterHeadTable
  registerRestored: RegisterRestoredTable
}

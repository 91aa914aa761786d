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

export interface RegisterTables {
  registerEvents: RegisterEventsTable
  registerHead: RegisterHeadTable
}

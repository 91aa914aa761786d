import type { Kysely } from 'kysely'
import * as mail from '#edge/store/migrations/0003-mail'
import * as register from '#edge/store/migrations/0010-register'
import * as work from '#edge/store/migrations/0020-work'
import * as restore from '#edge/store/migrations/0040-restore'
import * as erasure from '#edge/store/migrations/0041-erasure'
import * as closedRegisters from '#edge/store/migrations/0042-closed-registers'
import * as witnesses from '#edge/store/migrations/0050-witnesses'
import * as defence from '#edge/store/migrations/0060-defence'
import * as leftOut from '#edge/store/migrations/0080-left-out'
import * as rulebooks from '#edge/store/migrations/0070-rulebooks'

/** One step of the database's shape. Names are numbered, and a released one never changes. */
export interface Migration {
  name: string
  up: (db: Kysely<unknown>) => Promise<void>
}

/** Every migration, in the order in which they run. */
export const migrations: readonly Migration[] = [
  { name: '0003-mail', up: mail.up },
  { name: '0010-register', up: register.up },
  { name: '0020-work', up: work.up },
  { name: '0040-restore', up: restore.up },
  { name: '0041-erasure', up: erasure.up },
  { name: '0042-closed-registers', up: closedRegisters.up },
  { name: '0050-witnesses', up: witnesses.up },
  { name: '0060-defence', up: defence.up },
  { name: '0070-rulebooks', up: rulebooks.up },
  { name: '0080-left-out', up: leftOut.up },
]

import type { Policy } from '#core/policy/stack'
import type { Vocabulary } from '#core/policy/terms'
import type { Blobs } from '#edge/blobs/blobs'
import type { Keeper } from '#edge/keeper/keeper'
import type { Keyring } from '#edge/keyring'
import type { Context } from '#edge/store/context'
import type { Db } from '#edge/store/database'

/** How this installation is set up; made by `config.ts` and checked before anything starts. */
export interface Config {
  dataFolder: string
  /** Keys of the register and the keyring live here, outside the data folder and its backups. */
  keysFolder: string
  /** The list of erasures, outside the data folder and its backups. */
  erasuresFile: string
  host: string
  port: number
  /** Address people use, without a trailing slash. */
  publicUrl: string
  /** Set: use this Postgres. Unset: the embedded one under the data folder. */
  databaseUrl?: string
  /** The owner's login to it, where this process may change the tables. */
  databaseMigrateUrl?: string
  /** Set: mail is handed over. Unset: mail stays in the outbox. */
  smtpUrl?: string
  mailFrom: string
  /** Set: a policy file (C2SP tlog-policy) whose witnesses are asked to cosign the register. */
  witnessesFile?: string
  /** Set: metrics are answered here, apart from the pages. */
  metrics?: { host: string; port: number }
  demonstration: boolean
  /** Addresses and networks of the proxies whose word about the caller is taken. */
  trustProxy: string[]
  /** Post-quantum locks by default; false for recipients whose tools are older. */
  postQuantum: boolean
  /** Ids of the rulebooks that decide together. */
  rulebooks: string[]
}

/** What the release itself brings to the policy: the words, and the rulebooks and cases as its files have them. */
export interface Release {
  vocabulary: Vocabulary
  vocabularySha256: string
  /** The rulebooks that this installation decides by, in its order. */
  books: { id: string; text: string }[]
  /** Files of cases, by path. */
  cases: { file: string; text: string }[]
  /** The methods this installation can carry or guide. */
  offered: readonly string[]
}

/** The rulebooks that decide, stacked, and which they are. */
export interface PolicyInForce {
  policy: Policy
  /** `sha256` of the rulebook's text, `vocabulary` of the words it was read with, both in hex. */
  rulebookVersions: { id: string; version: string; sha256: string; vocabulary: string }[]
}

/** What every part of the organisation's work is handed. The policy is that of the visit; outside one, of the start. */
export interface House extends PolicyInForce {
  config: Config
  /** In a visit it reaches only what is the visitor's (`store/access.ts`); elsewhere it is the system's. */
  db: Db
  /** Reaches all that the server may, for what cannot be asked as the visitor. Whoever uses it says why. */
  system: Db
  /** The database for somebody. */
  confine: (context: Context) => Db
  blobs: Blobs
  keeper: Keeper
  keyring: Keyring
  /** Hashes what rates are counted for: see `ratesKeyOf`. */
  ratesKey: Uint8Array
  release: Release
  now(): Date
}

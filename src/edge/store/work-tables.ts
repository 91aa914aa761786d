import type { ColumnType, Generated } from 'kysely'
import type { Role } from '#edge/web/route'

/** A calendar day, `yyyy-mm-dd`. */
export type Day = string

/** Jsonb: read as parsed, written as JSON text. */
type Jsonb<T> = ColumnType<T, string, string>

interface OrganisationsTable {
  id: Generated<string>
  name: string
  sector: string
  isOwn: Generated<boolean>
  domains: Generated<string[]>
  switchboard: string | null
  postalAddress: string | null
  requiredMethods: ColumnType<Record<string, string>, string | undefined, string>
  tls: 'proven' | 'refused' | null
  tlsEvidence: string | null
  tlsCheckedAt: Date | null
  createdAt: Generated<Date>
}

interface PeopleTable {
  id: Generated<string>
  organisationId: string | null
  kind: 'staff' | 'professional' | 'individual'
  fullName: string
  email: string
  jobTitle: string | null
  department: string | null
  telephone: string | null
  telephoneKind: 'switchboard' | 'direct' | 'mobile' | null
  postalAddress: string | null
  roles: Generated<Role[]>
  lineManagerId: string | null
  language: Generated<'en' | 'cy'>
  partnerLogin: Generated<boolean>
  cjsmAccount: Generated<boolean>
  ageRecipient: string | null
  active: Generated<boolean>
  createdAt: Generated<Date>
}

interface BrowsersTable {
  tokenHash: Uint8Array
  personId: string | null
  signedInAt: Date | null
  createdAt: Generated<Date>
  expiresAt: Date
  id: Generated<string>
  seenAt: Generated<Date>
  label: Generated<string>
}

interface SignInsTable {
  personId: string
  lastAt: Date
  beforeAt: Date | null
}

interface RatesTable {
  key: Uint8Array
  used: number
  endsAt: Date
}

interface MailedCodesTable {
  id: Generated<string>
  purpose: 'sign-in' | 'collect' | 'confirm'
  subjectId: string
  browserHash: Uint8Array
  codeHash: Uint8Array
  /** What a confirmation is of; empty for the other purposes. */
  actHash: Generated<Uint8Array>
  triesLeft: number
  expiresAt: Date
  usedAt: Date | null
  createdAt: Generated<Date>
}

interface PasskeysTable {
  credentialId: string
  personId: string
  publicKey: Uint8Array
  counter: number
  transports: Generated<string[]>
  label: string
  createdAt: Generated<Date>
  usedAt: Date | null
}

interface PasskeyChallengesTable {
  browserHash: Uint8Array
  actHash: Generated<Uint8Array>
  challenge: string
  expiresAt: Date
}

interface ApiTokensTable {
  id: Generated<string>
  personId: string
  tokenHash: Uint8Array
  label: string
  createdAt: Generated<Date>
  expiresAt: Date
  revokedAt: Date | null
}

interface DevicesTable {
  id: Generated<string>
  personId: string
  signingKey: Uint8Array
  senderRecipient: string | null
  label: string
  enrolledAt: Generated<Date>
  revokedAt: Date | null
}

interface TeamMailboxesTable {
  id: Generated<string>
  organisationId: string
  name: string
  address: string
  owner: string
  members: Generated<string[]>
  listVersion: Generated<number>
  createdAt: Generated<Date>
}

interface MailboxChecksTable {
  id: Generated<string>
  mailboxId: string
  listVersion: number
  checkedBy: string
  checkedAt: Date
  note: string
}

interface AgreementsTable {
  id: Generated<string>
  kind: string
  title: string
  organisationIds: string[]
  purposes: string[]
  information: string
  startsOn: Day
  endsOn: Day
  reviewOn: Day | null
  withdrawnAt: Date | null
  withdrawnReason: string | null
  enteredBy: string
  enteredAt: Date
}

interface FacilityGrantsTable {
  id: Generated<string>
  method: string
  role: string | null
  personId: string | null
  startsOn: Day
  endsOn: Day
  reason: string
  grantedBy: string
  grantedAt: Date
  endedAt: Date | null
}

interface TransfersTable {
  id: Generated<string>
  number: Generated<number | null>
  reference: string
  senderId: string
  state: string
  facts: ColumnType<Record<string, unknown>, string | undefined, string>
  notSure: Generated<string[]>
  recipientKind: string | null
  purposeWords: string | null
  limitsWords: string | null
  /** When the sender looked through it for what is not needed, and what they left out. */
  lookedThroughAt: Date | null
  leftOutWords: string | null
  informationWords: string | null
  caseReference: string | null
  method: string | null
  availableDays: number | null
  decisionId: string | null
  createdAt: Date
  sentAt: Date | null
  expiresAt: Date | null
  closedAt: Date | null
}

interface DecisionsTable {
  id: Generated<string>
  transferId: string
  at: Date
  rulebooks: Jsonb<{ id: string; version: string; sha256: string }[]>
  facts: Jsonb<Record<string, unknown>>
  result: Jsonb<unknown>
}

interface RecipientsTable {
  id: Generated<string>
  transferId: string
  personId: string | null
  mailboxId: string | null
  organisationId: string | null
  kind: 'person' | 'team' | 'individual'
  fullName: string
  email: string
  jobTitle: string | null
  department: string | null
  telephone: string | null
  language: Generated<string>
  linkHash: Uint8Array | null
  mailboxProvedAt: Date | null
  acknowledgedAt: Date | null
  collectingKey: Uint8Array | null
  downloadedAt: Date | null
  openedAt: Date | null
  notForMeAt: Date | null
  withdrawnAt: Date | null
  failures: Generated<number>
  chased: Generated<string[]>
  remindAt: Date | null
  receiptEventId: string | null
  statement: string | null
  createdAt: Generated<Date>
}

interface AdmissionsTable {
  browserHash: Uint8Array
  recipientId: string
  admittedAt: Date
  expiresAt: Date
}

interface RecipientConfirmationsTable {
  id: Generated<string>
  recipientId: string
  authorised: boolean
  how: string
  detail: string
  byId: string
  at: Date
}

interface AdviceRequestsTable {
  id: Generated<string>
  transferId: string | null
  askedBy: string
  askedOfRole: string
  aboutFacts: Generated<string[]>
  question: string
  askedAt: Date
  answer: string | null
  answerFacts: ColumnType<Record<string, unknown> | null, string | null, string | null>
  answeredBy: string | null
  answeredAt: Date | null
}

interface EmergencyCertificationsTable {
  id: Generated<string>
  transferId: string
  whatCouldHappen: string
  whyNow: string
  byId: string
  at: Date
  reviewDueAt: Date
  reviewedBy: string | null
  reviewedAt: Date | null
  reviewOutcome: string | null
  reviewWords: string | null
}

interface ExceptionsTable {
  id: Generated<string>
  transferId: string
  fact: string
  ground: string
  reason: string
  role: string
  byId: string
  at: Date
}

interface ParcelsTable {
  id: Generated<string>
  transferId: string
  state: 'sealing' | 'sealed' | 'recalled' | 'expired' | 'destroyed' | 'abandoned'
  partSizeBytes: number
  pq: boolean
  declaredBytes: number
  handling: string
  contentSizeBytes: number | null
  manifestSizeBytes: number | null
  manifestSha256: string | null
  parcelRoot: string | null
  deviceId: string | null
  signature: Uint8Array | null
  createdAt: Date
  sealedAt: Date | null
  locksDestroyedAt: Date | null
  destroyedAt: Date | null
}

interface ParcelPartsTable {
  parcelId: string
  n: number
  sizeBytes: number
  sha256: string
}

interface LocksTable {
  id: string
  parcelId: string
  recipientId: string | null
  kind: 'passphrase' | 'sender' | 'key' | 'automatic'
  receiptPublicKey: Uint8Array
  age: Uint8Array | null
  createdAt: Date
  destroyedAt: Date | null
}

interface KeyringTable {
  day: Day
  recipient: string
  destroyedAt: Date | null
}

interface PhraseTellingsTable {
  id: Generated<string>
  recipientId: string
  how: 'telephone' | 'in-person' | 'text' | 'letter' | 'not-reached'
  number: string | null
  note: string | null
  byId: string
  at: Date
}

interface SharingRecordsTable {
  id: Generated<string>
  transferId: string
  method: string
  happenedAt: Date
  reason: string
  information: string
  authorisedBy: string | null
  how: string
  recipientName: string
  recipientJobTitle: string
  recipientOrganisation: string
  recipientTelephone: string
  note: string | null
  byId: string
  at: Date
}

interface IncidentsTable {
  id: Generated<string>
  transferId: string | null
  kind: string
  whatHappened: string
  whenNoticed: Date
  reportedBy: string | null
  reportedAt: Date
  recordedBy: string | null
  recordedWords: string | null
  recordedAt: Date | null
}

interface RulebookDraftsTable {
  id: Generated<string>
  rulebook: string
  text: string
  cases: string
  state: 'draft' | 'offered' | 'published' | 'withdrawn'
  /** Everybody who wrote it; none of them approves it. */
  authors: string[]
  madeAt: Date
  changedAt: Date
  offeredBy: string | null
  offeredAt: Date | null
  /** What looking at every case came to, and of which texts. */
  proof: ColumnType<unknown, string | null | undefined, string | null>
}

interface RulebookVersionsTable {
  /** One more than the publication before, of whatever rulebook. */
  number: number
  rulebook: string
  version: string
  /** Of the text's UTF-8, in hex. */
  sha256: string
  text: string
  cases: string
  /** Unset, as are both officers, where the release's own file was taken back into force at the server. */
  draftId: string | null
  offeredBy: string | null
  approvedBy: string | null
  publishedAt: Date
}

interface ErasuresTable {
  id: string
  at: Date
  reason: string | null
}

/** The tables of the organisation's work, as the migrations from 0020-work on make them. */
export interface WorkTables {
  organisations: OrganisationsTable
  people: PeopleTable
  browsers: BrowsersTable
  signIns: SignInsTable
  rates: RatesTable
  mailedCodes: MailedCodesTable
  passkeys: PasskeysTable
  passkeyChallenges: PasskeyChallengesTable
  apiTokens: ApiTokensTable
  devices: DevicesTable
  teamMailboxes: TeamMailboxesTable
  mailboxChecks: MailboxChecksTable
  agreements: AgreementsTable
  facilityGrants: FacilityGrantsTable
  transfers: TransfersTable
  decisions: DecisionsTable
  recipients: RecipientsTable
  admissions: AdmissionsTable
  recipientConfirmations: RecipientConfirmationsTable
  adviceRequests: AdviceRequestsTable
  emergencyCertifications: EmergencyCertificationsTable
  exceptions: ExceptionsTable
  parcels: ParcelsTable
  parcelParts: ParcelPartsTable
  locks: LocksTable
  keyring: KeyringTable
  phraseTellings: PhraseTellingsTable
  sharingRecords: SharingRecordsTable
  incidents: IncidentsTable
  erasures: ErasuresTable
  rulebookDrafts: RulebookDraftsTable
  rulebookVersions: RulebookVersionsTable
}

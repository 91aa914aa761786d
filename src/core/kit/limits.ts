/** Every limit has a name here and a test at limit − 1, limit and limit + 1. Units are in the names. */
export const limits = {
  // Words people type
  nameCharacters: 120,
  emailCharacters: 254,
  lineCharacters: 200,
  textCharacters: 2_000,
  referenceCharacters: 60,
  telephoneCharacters: 30,

  // Directory, agreements and approvals
  directoryRows: 20,
  searchWords: 6,
  listRows: 200,
  domainsPerOrganisation: 50,
  domainCharacters: 253,
  mailboxMembers: 200,
  membersCharacters: 20_000,
  addressCharacters: 400,
  mailboxCheckDays: 30,
  agreementParties: 50,
  agreementYears: 25,
  adviceFacts: 20,
  grantDays: 366,
  reviewWorkingDays: 2,

  // Requests
  formBytes: 256 * 1024,
  // The slowest genuine request is a part of 8 MiB at 256 kbit/s: 8 × 1,048,576 × 8 / 256,000 = 262 s.
  requestMs: 300_000,
  // At most so many parts are under way, each in memory until it is acknowledged; fewer where one would take longer.
  partsAtOnce: 3,
  partMs: 60_000,
  headersMs: 15_000,
  // Longer than a proxy keeps its idle connections to us (nginx: 60 s), so that none is closed under a request.
  keepAliveMs: 65_000,
  stallMs: 120_000,
  connectionCheckMs: 5_000,
  connections: 4_000,
  connectionsPerAddress: 1_000,
  requestsPerConnection: 1_000,
  unavailableRetrySeconds: 5,
  headerBytes: 16 * 1024,

  // Sign-in
  sessionHours: 12,
  sessionIdleMinutes: 60,
  // A page whose laptop slept may finish what it began, and nothing else.
  sessionFinishMinutes: 240,
  sessionNoteSeconds: 60,
  sessionsShown: 50,
  admissionHours: 12,
  codeCharacters: 8,
  codeTries: 5,
  codeMinutes: 15,
  confirmMinutes: 5,
  passkeyResponseCharacters: 8_000,
  apiTokenDays: 90,
  publicKeyBytes: 32,
  ageRecipientCharacters: 2_500,

  // Parcels
  partSizeBytes: 8 * 1024 * 1024,
  parcelDays: 14,
  parcelDaysMax: 28,
  parcelBytes: 2 ** 40,
  parcelLocks: 60,
  senderLocks: 10,
  completionBytes: 20 * 1024 * 1024,
  linkFailures: 20,
  statementCharacters: 20_000,
  sealingHours: 48,
  firstReminderDays: 2,
  lastReminderDays: 3,
  remindHours: 2,
  remindHoursMax: 168,
  tidyBatch: 200,

  // Lists
  homeTransfers: 50,
  recentPeople: 6,
  directoryResults: 12,
  timelineEvents: 500,
  organisationChoices: 300,

  // The sealed formats (core/seal)
  partSizeBytesMax: 64 * 1024 * 1024,
  parcelPartsMax: 131_072,
  parcelEntriesMax: 200_000,
  entryPathBytes: 1_024,
  entryNameBytes: 255,
  entryFolders: 64,
  manifestBytes: 64 * 1024 * 1024,
  lockBytes: 16 * 1024,
  ageHeaderBytes: 64 * 1024,
  scryptLogN: 15,
  scryptLogNMax: 18,
  digestWholeBytes: 16 * 1024 * 1024,
  digestSliceBytes: 512 * 1024,
  openInMemoryBytes: 200_000_000,
  checkpointCharacters: 10_000,

  // Register
  keeperRestMs: 1_000,
  leafBytes: 4 * 1024,
  eventNameCharacters: 60,
  eventBodyBytes: 32 * 1024,
  noteBytes: 64 * 1024,
  receiptBytes: 256 * 1024,
  trustPolicyBytes: 256 * 1024,
  publishedWaitMs: 60_000,
  publishedFileBytes: 2 * 1024 * 1024,
  keeperLockTries: 100,
  keeperLockWaitMs: 100,
  registerRoundEvents: 1_024,
  fsckFindings: 100,
  disposalLateMs: 24 * 60 * 60 * 1000,
  witnesses: 32,
  witnessRequestBytes: 72 * 1024,
  witnessRequestMs: 10_000,
  witnessConnections: 200,
  witnessWaitMs: 10_000,
  witnessRetryMs: 30_000,

  // Our own database server and our connections to it
  socketPathBytes: 103,
  databaseServerConnections: 200,
  databaseConnections: 10,
  databaseConnectWaitMs: 10_000,
  databaseKeepAliveMs: 60_000,
  databaseStatementMs: 60_000,
  databaseStatementsUnwaited: 32,
  databaseIdleInTransactionMs: 60_000,
  databaseStartWaitMs: 120_000,
  databaseLaunchPatienceMs: 10_000,
  databaseRecoveryWaitMs: 60_000,
  databaseRecoveryPollMs: 50,
  databaseRevivalWaitMs: 30_000,
  databaseStopWaitMs: 30_000,
  transactionTries: 5,

  // Blobs
  blobPieceBytes: 512 * 1024,
  blobArrivingMs: 24 * 60 * 60 * 1000,
  blobsCheckedAtOnce: 200,

  // Backups
  copyAheadBytes: 1024 * 1024,
  backupPieceBytes: 4 * 1024 * 1024,
  backupBlobsAtOnce: 200,
  backupContentsBytes: 1024 * 1024,

  // Mail
  mailListMax: 200,
  smtpWaitMs: 30_000,

  // Jobs
  jobConnections: 4,
  jobsAtOnce: 5,
  jobPollSeconds: 2,
  jobSeconds: 5 * 60,
  jobRetries: 30,
  jobRetrySeconds: 5,
  jobRetrySecondsMax: 60 * 60,
  jobWaitSeconds: 60 * 24 * 60 * 60,
  jobKeptSeconds: 24 * 60 * 60,
  jobStopMs: 20_000,

  // Watching
  watchRestMs: 2_000,
  watchPatienceMs: 3_000,
  eventWaitMs: 2 * 60_000,
  mailWaitMs: 30 * 60_000,
  diskFreeBytes: 2_000_000_000,
  stopRequestsMs: 30_000,
  idleCheckMs: 100,

  // The command line
  clientPatienceMs: 10 * 60_000,
  clientPauseMs: 250,
  clientPauseMsMax: 5_000,
  questionPages: 30,
  phraseTries: 3,

  // Rulebooks
  rulebookCharacters: 256 * 1024,
  rulebookFindings: 50,
  policiesKept: 8,
  casesShown: 1_000,
  draftCharacters: 100_000,
  // Every character of text and cases may take nine bytes in a form.
  draftFormBytes: 2 * 1024 * 1024,
  draftsOpen: 20,
  reviewYears: 5,
  proofMs: 30_000,
  proofMegabytes: 512,
  proofsAtOnce: 2,
  affectedTransfers: 50,
  factsWrong: 50,
  rulebookDepth: 40,
  rulebookEntries: 1_000,
  conditionGroups: 30,
  // A case is a row of 32-bit masks: one bit for each value, and three rulebooks' bounds of a quantity are stacked.
  factValues: 30,
  quantityBounds: 9,
  analysisDiagrams: 500_000,
} as const

/**
 * How often something may be done, counted in the database for all nodes together. `per` says what is counted: a
 * network address, everybody together, a person, or the one thing that the feature names. `failures` counts only what
 * went wrong.
 *
 * A whole council may sit behind one network address: 300 codes in ten minutes let 900 people sign in in half an hour.
 */
export const rates = {
  'codes-asked': { most: 300, minutes: 10, per: 'address' },
  'codes-asked-by-all': { most: 3_000, minutes: 10, per: 'all' },
  'codes-to-one': { most: 6, minutes: 60, per: 'one' },
  'confirmations-to-one': { most: 60, minutes: 60, per: 'one' },
  'wrong-codes': { most: 100, minutes: 60, per: 'address', failures: true },
  'links-asked': { most: 300, minutes: 10, per: 'address' },
  'uploads-begun': { most: 300, minutes: 60, per: 'person' },
  'problems-reported': { most: 20, minutes: 60, per: 'person' },
} as const satisfies Record<
  string,
  { most: number; minutes: number; per: 'address' | 'all' | 'person' | 'one'; failures?: true }
>
export type RateName = keyof typeof rates

/**
 * Everything that the register can say has happened. A feature adds its names here; a name that was used is never
 * taken out or given another meaning, as receipts with it may exist.
 */
export const eventNames = [
  // The register itself
  'register-closed',
  'erased',
  // People
  'token-made',
  'token-ended',
  'sign-in-key-made',
  'device-enrolled',
  'device-ended',
  'passkey-added',
  'passkey-ended',
  // Transfers
  'transfer-started',
  'facts-given',
  'decided',
  'recipient-added',
  'recipient-removed',
  'recipient-confirmed',
  'recipient-refused',
  'method-chosen',
  'decided-not-to-share',
  'looked-through',
  'transfer-closed',
  // Parcels
  'parcel-sealed',
  'lock-made',
  'lock-destroyed',
  'phrase-told',
  'phrase-not-reached',
  'mailbox-proved',
  'parcel-acknowledged',
  'lock-released',
  'parcel-downloaded',
  'parcel-opened',
  'not-for-me',
  'parcel-recalled',
  'parcel-extended',
  'parcel-expired',
  'parcel-destroyed',
  'recipient-chased',
  'not-collected',
  // Other methods and problems
  'sharing-recorded',
  'problem-reported',
  'problem-recorded',

  // Organisations
  'organisation-added',
  'organisation-changed',
  'partner-profile-changed',
  'contact-added',
  'contact-changed',
  'staff-added',
  'staff-changed',
  'mailbox-added',
  'mailbox-changed',
  'mailbox-checked',

  // Agreements
  'agreement-entered',
  'agreement-withdrawn',

  // Rulebooks
  'rulebook-drafted',
  'rulebook-offered',
  'rulebook-draft-withdrawn',
  'rulebook-published',

  // Approvals
  'facility-granted',
  'facility-grant-ended',
  'advice-asked',
  'advice-answered',
  'emergency-certified',
  'emergency-reviewed',
  'exception-allowed',
] as const

export type EventName = (typeof eventNames)[number]

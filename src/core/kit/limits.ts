/** Every limit has a name here and a test at limit − 1, limit and limit + 1. Units are in the names. */
export const limits = {
  // Words people type
  nameCharacters: 120,
  emailCharacters: 254,
  lineCharacters: 200,
  textCharacters: 2_000,
  referenceCharacters: 60,
  telephoneCharacters: 30,

  // Requests
  formBytes: 256 * 1024,

  // Parcels
  partSizeBytes: 8 * 1024 * 1024,
  parcelDaysMax: 28,
} as const

import { roles, type Role } from '#edge/web/route'

/** What kind of body an organisation is: the values that rulebooks know for `sector`. @source DOMAIN 4.1; clause D12 */
export const sectors = {
  council: 'Council',
  school: 'School or early years setting',
  'government-department': 'Government department',
  agency: 'Government agency',
  'our-agency': "An agency or arm's length body of ours",
  police: 'Police',
  'national-body': 'Another national body',
  'criminal-justice': 'Court, probation, prison or other criminal justice',
  health: 'Health',
  supplier: 'Supplier',
  voluntary: 'Charity or voluntary organisation',
  other: 'Something else',
} as const
export type Sector = keyof typeof sectors
export const sectorIds = Object.keys(sectors) as Sector[]

/** The council's classes of information. @source clauses D6, D19 */
export const councilClasses = { public: 'Public', controlled: 'Controlled', restricted: 'Restricted' } as const
export type CouncilClass = keyof typeof councilClasses

export const telephoneKinds = { switchboard: 'Switchboard', direct: 'Direct line', mobile: 'Mobile' } as const
export type TelephoneKind = keyof typeof telephoneKinds

export const languages = { en: 'English', cy: 'Welsh' } as const

/** Who keeps the directory: partner profiles, encryption capability, required methods, logins and keys. */
export const directoryKeepers = ['service-desk', 'administrator', 'information-governance'] as const satisfies Role[]

/** A closed list as radios, checkboxes and selects show it. */
export const items = (words: Readonly<Record<string, string>>) =>
  Object.entries(words).map(([value, text]) => ({ value, text }))

/** A role as people say it. */
export const roleName = (role: string): string => `${role.charAt(0).toUpperCase()}${role.slice(1).replaceAll('-', ' ')}`

/** The roles of our staff, as checkboxes and selects show them. */
export const roleItems = roles.map((role) => ({ value: role, text: roleName(role) }))

import { ok, orThrow } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { inTransaction, type Tx } from '#edge/store/database'
import type { Role } from '#edge/web/route'

const council = 'exampleshire.example'

interface Colleague {
  name: string
  job: string
  department: string
  roles: Role[]
  manager?: string
  cjsm?: boolean
}

/** The demonstration council's people: somebody in each role. All invented. */
const colleagues: Colleague[] = [
  {
    name: 'Dilys Rowan',
    job: 'Head of Children’s Services',
    department: 'Children’s Services',
    roles: ['manager', 'information-asset-owner'],
  },
  {
    name: 'Martin Ashdown',
    job: 'Team manager, Children’s Services',
    department: 'Children’s Services',
    roles: ['manager'],
    manager: 'Dilys Rowan',
  },
  {
    name: 'Priya Nair',
    job: 'Social worker',
    department: 'Children’s Services',
    roles: ['sender'],
    manager: 'Martin Ashdown',
  },
  {
    name: 'Tom Fletcher',
    job: 'Communications officer',
    department: 'Communications',
    roles: ['sender'],
    manager: 'Dilys Rowan',
  },
  {
    name: 'Sian Pritchard',
    job: 'Youth justice worker',
    department: 'Youth Justice',
    roles: ['sender'],
    manager: 'Martin Ashdown',
    cjsm: true,
  },
  { name: 'Grace Oduya', job: 'Service desk analyst', department: 'Digital', roles: ['service-desk'] },
  {
    name: 'Helen Marsh',
    job: 'Information governance officer',
    department: 'Legal',
    roles: ['information-governance'],
  },
  { name: 'Omar Siddiq', job: 'Data protection officer', department: 'Legal', roles: ['data-protection-officer'] },
  {
    name: 'Rhiannon Bell',
    job: 'Freedom of information and records officer',
    department: 'Legal',
    roles: ['records-officer'],
  },
  { name: 'Peter Lang', job: 'Internal auditor', department: 'Audit', roles: ['auditor'] },
  { name: 'Ines Duarte', job: 'Systems administrator', department: 'Digital', roles: ['administrator'] },
]

const partners = [
  {
    name: 'Northbrook Police',
    sector: 'police',
    domains: ['northbrook-police.example'],
    switchboard: '01632 960 100',
    required: { controlled: 'managed_transfer', restricted: 'managed_transfer' },
  },
  {
    name: 'Millbrook Primary School',
    sector: 'school',
    domains: ['millbrook.example'],
    switchboard: '01632 960 210',
    required: {},
  },
  {
    name: 'Harbour Trust',
    sector: 'voluntary',
    domains: ['harbour-trust.example'],
    switchboard: '01632 960 320',
    required: {},
  },
  {
    name: 'Department for Examples',
    sector: 'government-department',
    domains: ['examples-department.example'],
    switchboard: '01632 960 400',
    required: {},
  },
]

const contacts = [
  {
    name: 'Sergeant Amir Khan',
    email: 'amir.khan@northbrook-police.example',
    job: 'Detective Sergeant, Child Protection',
    organisation: 'Northbrook Police',
    telephone: '01632 960 101',
  },
  {
    name: 'Jo Whitfield',
    email: 'office@millbrook.example',
    job: 'School secretary',
    organisation: 'Millbrook Primary School',
    telephone: '01632 960 211',
    language: 'cy' as const,
  },
  {
    name: 'Lena Fischer',
    email: 'lena.fischer@harbour-trust.example',
    job: 'Family support lead',
    organisation: 'Harbour Trust',
    telephone: '01632 960 321',
  },
  {
    name: 'Maya Lindqvist',
    email: 'maya.lindqvist@examples-department.example',
    job: 'Returns manager',
    organisation: 'Department for Examples',
    telephone: '01632 960 401',
  },
]

/** Fills a demonstration that is new; does nothing to one that has people already. */
export async function seedDemonstration(house: House): Promise<void> {
  orThrow(
    await inTransaction(house.db, async (tx) => {
      const existing = await tx.selectFrom('organisations').where('isOwn', '=', true).select('id').executeTakeFirst()
      if (existing) return ok()
      const own = await addOrganisation(
        tx,
        {
          name: 'Exampleshire County Council',
          sector: 'council',
          domains: [council],
          switchboard: '01632 960 000',
          required: {},
        },
        true,
      )
      const people = new Map<string, string>()
      for (const colleague of colleagues) people.set(colleague.name, await addColleague(tx, own, colleague, people))
      const organisations = new Map<string, string>()
      for (const partner of partners) organisations.set(partner.name, await addOrganisation(tx, partner, false))
      for (const contact of contacts) {
        await tx
          .insertInto('people')
          .values({
            organisationId: organisations.get(contact.organisation)!,
            kind: 'professional',
            fullName: contact.name,
            email: contact.email,
            jobTitle: contact.job,
            telephone: contact.telephone,
            telephoneKind: 'direct',
            language: contact.language ?? 'en',
          })
          .execute()
      }
      await addPapers(tx, house, people, organisations, own)
      return ok()
    }),
  )
}

async function addOrganisation(
  tx: Tx,
  of: { name: string; sector: string; domains: string[]; switchboard: string; required: Record<string, string> },
  isOwn: boolean,
) {
  const row = await tx
    .insertInto('organisations')
    .values({
      name: of.name,
      sector: of.sector,
      domains: of.domains,
      switchboard: of.switchboard,
      requiredMethods: JSON.stringify(of.required),
      isOwn,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

async function addColleague(tx: Tx, organisationId: string, colleague: Colleague, people: Map<string, string>) {
  const row = await tx
    .insertInto('people')
    .values({
      organisationId,
      kind: 'staff',
      fullName: colleague.name,
      email: `${colleague.name.toLowerCase().replace(' ', '.')}@${council}`,
      jobTitle: colleague.job,
      department: colleague.department,
      roles: colleague.roles,
      lineManagerId: colleague.manager ? people.get(colleague.manager)! : null,
      cjsmAccount: colleague.cjsm ?? false,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

/** An agreement, the standing grant of parcels to senders, and a team mailbox. */
async function addPapers(
  tx: Tx,
  house: House,
  people: Map<string, string>,
  organisations: Map<string, string>,
  own: string,
) {
  const now = house.now()
  const today = now.toISOString().slice(0, 10)
  const inAYear = new Date(now.valueOf() + 365 * 86_400_000).toISOString().slice(0, 10)
  for (const [title, names, purposes] of [
    [
      'Safeguarding children: information sharing agreement',
      ['Northbrook Police', 'Millbrook Primary School'],
      ['protect-someone', 'criminal-justice', 'deliver-a-service'],
    ],
    ['Family support: information sharing agreement', ['Harbour Trust'], ['deliver-a-service']],
  ] as const) {
    await tx
      .insertInto('agreements')
      .values({
        kind: 'information-sharing-agreement',
        title,
        organisationIds: names.map((name) => organisations.get(name)!),
        purposes: [...purposes],
        information: 'Case information about children and families',
        startsOn: today,
        endsOn: inAYear,
        reviewOn: inAYear,
        enteredBy: people.get('Helen Marsh')!,
        enteredAt: now,
      })
      .execute()
  }
  for (const role of ['sender', 'manager', 'information-governance'] as const) {
    await tx
      .insertInto('facilityGrants')
      .values({
        method: 'managed_transfer',
        role,
        startsOn: today,
        endsOn: inAYear,
        reason: 'Standing grant for everyone who sends case files',
        grantedBy: people.get('Grace Oduya')!,
        grantedAt: now,
      })
      .execute()
  }
  await tx
    .insertInto('teamMailboxes')
    .values({
      organisationId: own,
      name: 'Duty team',
      address: `duty@${council}`,
      owner: 'Martin Ashdown',
      members: ['Priya Nair', 'Martin Ashdown'],
    })
    .execute()
}

import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fail, ok, orThrow, type Outcome } from '#core/kit/outcome'
import { readConfig } from '#config'
import { limits } from '#core/kit/limits'
import type { Config } from '#edge/house'
import { openRegister } from '#edge/keeper/installation'
import { recordEvent } from '#edge/keeper/record'
import { inTransaction, type Db } from '#edge/store/database'
import { migrate } from '#edge/store/migrate'
import { check, choice, email, fields, line } from '#edge/web/fields'
import { domainsOf } from '#features/organisations/addresses'
import { insertOrganisation } from '#features/organisations/queries'
import { saveStaff } from '#features/organisations/staff'
import { sectorIds, type Sector } from '#features/organisations/words'
import { CalledWrongly, type Call, type Command } from '#shell/cli/command'
import { openInstalled } from '#shell/cli/installed'

/** `safehand init`: everything a real installation needs before its first start. */
export const init: Command = {
  summary: 'Make a new installation: folders, keys, database, first administrator',
  usage: `safehand init --organisation NAME --domain DOMAIN --name NAME --email EMAIL [--data FOLDER]

  --organisation NAME  your organisation
  --domain DOMAIN      a domain of its own email system; several times for several
  --sector SECTOR      what kind of organisation it is (default: council)
  --name NAME          the first administrator,
  --email EMAIL        who signs in with this address
  --data FOLDER        where everything is kept (default: ~/safehand)

On a terminal what is missing is asked for. The keys are made beside the data folder, in FOLDER-keys or SAFEHAND_KEYS.
A folder that is in use is refused, and nothing is changed then.`,
  options: {
    organisation: { type: 'string' },
    domain: { type: 'string', multiple: true },
    sector: { type: 'string' },
    name: { type: 'string' },
    email: { type: 'string' },
    data: { type: 'string' },
  },
  async run(call) {
    const config = orThrow(readConfig({ data: call.values.data as string | undefined }, call.io.env))
    const first = orThrow(firstOf(await read(call)))
    orThrow(await isUnused(config))
    await mkdir(config.dataFolder, { recursive: true, mode: 0o700 })
    await mkdir(join(config.keysFolder, 'keyring'), { recursive: true, mode: 0o700 })
    try {
      orThrow(await install(config, first))
    } catch (error) {
      // Both were missing or empty when we began, so that all in them is ours.
      await rm(config.dataFolder, { recursive: true, force: true })
      await rm(config.keysFolder, { recursive: true, force: true })
      throw error
    }
    const { dataFolder, keysFolder } = config
    call.io.out(call.json ? JSON.stringify({ dataFolder, keysFolder, ...first }) : whatNext(config, first))
    return 0
  },
}

const asked = {
  organisation: 'The name of your organisation?',
  domain: 'A domain of its email system, like example.gov.uk?',
  name: 'The name of the first administrator?',
  email: 'Their email address?',
} as const

/** What was said, and what is asked for on a terminal. */
async function read({ values, io }: Call): Promise<Record<keyof typeof asked | 'sector', string>> {
  const given = { ...values, domain: ((values.domain ?? []) as string[]).join('\n') } as Record<
    string,
    string | undefined
  >
  for (const [name, question] of Object.entries(asked)) {
    if (given[name]) continue
    if (!io.ask) throw new CalledWrongly(`Say --${name}. ${question}`)
    given[name] = await io.ask(question)
  }
  const { organisation, domain, name, email: address, sector = 'council' } = given as Record<string, string>
  return { organisation: organisation!, domain: domain!, name: name!, email: address!, sector }
}

const form = fields({
  organisation: line('the name of the organisation', limits.nameCharacters),
  name: line('the name of the administrator', limits.nameCharacters),
  email: email('the address of the administrator'),
  sector: choice('a kind of organisation', sectorIds),
})

interface First {
  organisation: string
  domains: string[]
  sector: Sector
  name: string
  email: string
}

function firstOf({ domain, ...given }: Record<string, string>): Outcome<First> {
  const checked = check(form, given)
  if (!checked.ok) return checked
  const domains = domainsOf(domain!)
  return 'wrong' in domains
    ? fail('form-incomplete', { fields: { domain: domains.wrong } })
    : ok({ ...checked.value, domains })
}

/** Whether nothing is where we would put something, and the keys will lie outside what backups of the data hold. */
async function isUnused({ dataFolder, keysFolder }: Config): Promise<Outcome<undefined>> {
  const refuse = (detail: string) => fail('setting-wrong', { detail })
  if (!relative(dataFolder, keysFolder).startsWith('..')) {
    return refuse('The keys must lie outside the data folder and its backups: set SAFEHAND_KEYS to another folder.')
  }
  for (const folder of [dataFolder, keysFolder]) {
    const found = await stat(folder).catch(() => undefined)
    if (found && !found.isDirectory()) return refuse(`${folder} is not a folder.`)
    if (found && (await readdir(folder)).length > 0) return refuse(`${folder} is in use. Choose another with --data.`)
  }
  return ok()
}

async function install(config: Config, first: First): Promise<Outcome<unknown>> {
  const installed = await openInstalled(config, 'owner')
  if (!installed.ok) return installed
  const { store, close } = installed.value
  try {
    const migrated = await migrate(store.db)
    if (!migrated.ok) return migrated
    const founded = await found(store.db, first)
    return founded.ok ? await openRegister(store.db, config) : founded
  } finally {
    await close()
  }
}

/** The own organisation and its first administrator. */
function found(db: Db, { organisation, domains, sector, name, email: address }: First): Promise<Outcome<unknown>> {
  const by = { byId: 'init', now: new Date() }
  return inTransaction(db, async (tx) => {
    const existing = await tx.selectFrom('organisations').where('isOwn', '=', true).select('name').executeTakeFirst()
    if (existing) return fail('setting-wrong', { detail: `This database is in use: it belongs to ${existing.name}.` })
    const { id } = await insertOrganisation(tx, { name: organisation, domains, sector, isOwn: true })
    await recordEvent(
      tx,
      'organisation-added',
      { by: by.byId, organisation: id, name: organisation, sector, domains },
      { at: by.now },
    )
    return saveStaff(
      tx,
      { fullName: name, email: address, roles: ['administrator'], cjsmAccount: false, active: true },
      by,
    )
  })
}

const whatNext = (
  { dataFolder, keysFolder, databaseUrl }: Config,
  { organisation, name, email: address }: First,
): string =>
  `Made for ${organisation}:

  ${dataFolder}
    the data: parcels, published register${databaseUrl === undefined ? ', database' : ''}. Back it up.
  ${keysFolder}
    the keys of the register and of the server. Keep a copy in a safe, never with the backups of the data.
  ${name}, ${address}
    the first administrator.

Next:
  1. Set SAFEHAND_URL to the address people will use, like https://safehand.example.gov.uk. The register keeps that
     name for ever.
  2. Set SAFEHAND_SMTP to your mail relay: people sign in with a code by email.
  3. Start it: safehand serve --data ${dataFolder}
  4. Sign in as ${address}, and add your colleagues and what they may do. Before mail goes out:
     safehand token --sign-in --person ${address} --data ${dataFolder} prints a link that signs in once.`

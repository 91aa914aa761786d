/**
 * Who reaches which rows of which table: the whole of it, in one place. `migrate` makes the database so, and fails for
 * a table that has no line here.
 *
 * Five roles. system: the server for nobody in particular (the clock, sign-in, what a person's act brings about where
 * they may not look themselves). staff: the server for one member of staff. outside: the server for a recipient who has
 * proved a mailbox, or for a stranger. keeper: gives the register's events their places. erasure: forgets. None of them
 * owns a table, and nobody has what no line gives. What a context is: `context.ts`; the roles: `roles.ts`.
 */

type Command = 'select' | 'insert' | 'update' | 'delete'

/**
 * Which rows, as a condition in SQL; for an insert, the new row's. With `columns`, these alone. With `after`, what a
 * changed row must be like instead of being one that may be changed.
 */
type Rule = string | { rows: string; columns?: readonly string[]; after?: string }
type Rules = Partial<Record<Command, Rule>>
type AccessRole = 'system' | 'staff' | 'outside' | 'keeper' | 'erasure'
export type Line = Partial<Record<AccessRole, Rules>>

// A policy for one role whose condition is `true` costs nothing and lets every index be used; any other condition keeps
// Postgres from looking up what people search for (words, addresses in lower case) before it has looked at every row.
const every = 'true'
const all: Rules = { select: every, insert: every, update: every, delete: every }
const kept: Rules = { select: every, insert: every, update: every }
/** Written once: nobody changes or takes back what was said. */
const written: Rules = { select: every, insert: every }
const changing = (columns: readonly string[]) => ({ rows: every, columns })

const setting = (name: string) => `nullif(current_setting('safehand.${name}', true), '')`
const me = `${setting('person')}::uuid`
const myRoles = `string_to_array(${setting('roles')}, ',')`
const holds = (...roles: string[]) => `${myRoles} && array['${roles.join("', '")}']`
const recipient = `${setting('recipient')}::uuid`
const theirTransfer = `${setting('transfer')}::uuid`
const theirSender = `${setting('sender')}::uuid`

const own = (column: string): Rules => ({
  select: `${column} = ${me}`,
  insert: `${column} = ${me}`,
  update: `${column} = ${me}`,
  delete: `${column} = ${me}`,
})

/** What is taken out, found by these columns. */
const erasing = (...columns: string[]): Rules => ({ select: { rows: every, columns }, delete: every })
const isErased = `full_name = 'Erased'`

const withdrawing = ['withdrawn_at', 'withdrawn_reason']
const answering = ['answer', 'answer_facts', 'answered_by', 'answered_at']
const reviewing = ['reviewed_by', 'reviewed_at', 'review_outcome', 'review_words']
const drafting = ['text', 'cases', 'state', 'authors', 'changed_at', 'offered_by', 'offered_at', 'proof']
const recording = ['recorded_by', 'recorded_words', 'recorded_at']
const destroying = ['age', 'destroyed_at']

/** Roles that read every transfer's record, never its content. */
const readers = holds('information-governance', 'data-protection-officer', 'auditor')
/** Roles that allow an exception for a transfer, which they find by its reference. */
const allowers = holds('information-governance', 'information-asset-owner', 'records-officer')
const keepsRulebooks = holds('information-governance', 'data-protection-officer')
const keepsDirectory = holds('service-desk', 'administrator', 'information-governance')
const isAdministrator = holds('administrator')
const keepsAgreements = holds('information-governance', 'administrator')
const isServiceDesk = holds('service-desk')

/**
 * What conditions ask of other tables, whose own policies hold there too; of one id each. Functions, since Postgres then
 * plans what is asked once for a connection, not again for every statement. Never in a circle: children ask of transfers,
 * transfers of questions and incidents, incidents of people, and those of nothing.
 */
export const questions: Record<string, string> = {
  i_send: `exists (select from public.transfers where id = $1 and sender_id = ${me})`,
  i_send_to: 'exists (select from public.recipients where id = $1 and public.i_send(transfer_id))',
  i_reach_parcel: 'exists (select from public.parcels where id = $1)',
  i_am_asked_about: 'exists (select from public.advice_requests where transfer_id = $1)',
  i_read_incident_of: 'exists (select from public.incidents where transfer_id = $1)',
  i_manage: `exists (
    select from public.people as reporter left join public.people as manager on manager.id = reporter.line_manager_id
    where reporter.id = $1 and ${me} in (reporter.line_manager_id, manager.line_manager_id))`,
}
const isMine = 'i_send(transfer_id)'
const isOfMyRecipient = 'i_send_to(recipient_id)'
const isOfMyParcel = 'i_reach_parcel(parcel_id)'

/** What a sender says of a recipient, once. */
const aboutMyRecipient: Line = {
  system: written,
  staff: {
    select: `${readers} or ${isOfMyRecipient}`,
    insert: `by_id = ${me} and ${isOfMyRecipient}`,
  },
  erasure: erasing('recipient_id'),
}

export const access: Record<string, Line> = {
  migration: { system: { select: every } },

  // The directory
  organisations: {
    system: kept,
    staff: { select: every, insert: 'not is_own', update: keepsDirectory },
    outside: { select: 'is_own' },
  },
  people: {
    system: kept,
    staff: {
      select: every,
      insert: `kind = 'professional' or ${isAdministrator}`,
      update: `(kind <> 'staff' and ${keepsDirectory}) or ${isAdministrator}`,
    },
    outside: { select: `id = ${theirSender}` },
    erasure: {
      select: every,
      update: {
        rows: every,
        columns: [
          'full_name',
          'email',
          'job_title',
          'department',
          'telephone',
          'telephone_kind',
          'postal_address',
          'roles',
          'line_manager_id',
          'partner_login',
          'cjsm_account',
          'age_recipient',
          'active',
        ],
        after: isErased,
      },
    },
  },
  team_mailboxes: { system: kept, staff: kept, erasure: { select: every, update: changing(['members']) } },
  mailbox_checks: { system: written, staff: { select: every, insert: `checked_by = ${me}` } },
  agreements: {
    system: { ...written, update: changing(withdrawing) },
    staff: {
      select: every,
      insert: `entered_by = ${me} and ${keepsAgreements}`,
      update: { rows: keepsAgreements, columns: withdrawing },
    },
  },
  facility_grants: {
    system: { ...written, update: changing(['ended_at']) },
    staff: {
      select: every,
      insert: `granted_by = ${me} and ${isServiceDesk}`,
      update: { rows: isServiceDesk, columns: ['ended_at'] },
    },
  },

  // Signing in: found out by the system; afterwards everybody's own
  browsers: {
    system: all,
    staff: { select: `person_id = ${me}`, delete: `person_id = ${me}` },
    erasure: erasing('person_id'),
  },
  sign_ins: { system: kept, staff: { select: `person_id = ${me}` }, erasure: erasing('person_id') },
  mailed_codes: { system: all, staff: own('subject_id'), erasure: erasing('subject_id') },
  passkeys: { system: all, staff: own('person_id'), erasure: erasing('person_id') },
  passkey_challenges: { system: all },
  api_tokens: { system: kept, staff: own('person_id'), erasure: erasing('person_id') },
  devices: {
    system: kept,
    staff: own('person_id'),
    outside: { select: 'exists (select from parcels where parcels.device_id = devices.id)' },
    erasure: { select: { rows: every, columns: ['person_id'] }, update: changing(['label', 'sender_recipient']) },
  },
  admissions: { system: all, erasure: erasing('recipient_id') },
  rates: { system: all, staff: kept, outside: kept },

  // Transfers
  transfers: {
    system: kept,
    staff: {
      select: `sender_id = ${me} or ${readers} or ${allowers}
        or i_am_asked_about(id) or i_read_incident_of(id)`,
      insert: `sender_id = ${me}`,
      update: `sender_id = ${me}`,
    },
    outside: { select: `id = ${theirTransfer}` },
    erasure: {
      select: every,
      update: {
        rows: every,
        columns: [
          'state',
          'reference',
          'facts',
          'not_sure',
          'recipient_kind',
          'purpose_words',
          'limits_words',
          'left_out_words',
          'information_words',
          'case_reference',
          'available_days',
          'decision_id',
        ],
        after: `state = 'erased'`,
      },
    },
  },
  decisions: {
    system: written,
    staff: { select: `${readers} or ${isMine}`, insert: isMine },
    erasure: erasing('transfer_id'),
  },
  recipients: {
    system: kept,
    staff: {
      select: `${readers} or ${isMine}`,
      insert: isMine,
      update: isMine,
    },
    outside: { select: `id = ${recipient}`, update: `id = ${recipient}` },
    erasure: {
      select: every,
      update: {
        rows: every,
        columns: [
          'full_name',
          'email',
          'person_id',
          'mailbox_id',
          'organisation_id',
          'job_title',
          'department',
          'telephone',
          'link_hash',
          'collecting_key',
          'statement',
          'remind_at',
        ],
        after: isErased,
      },
      delete: every,
    },
  },
  recipient_confirmations: aboutMyRecipient,
  phrase_tellings: aboutMyRecipient,
  advice_requests: {
    system: { ...written, update: changing(answering) },
    staff: {
      select: `asked_by = ${me} or asked_of_role = any(${myRoles}) or ${readers}`,
      insert: `asked_by = ${me}`,
      update: {
        rows: `asked_of_role = any(${myRoles}) and asked_by <> ${me} and answered_at is null`,
        columns: answering,
        after: `answered_by = ${me}`,
      },
    },
    erasure: erasing('transfer_id'),
  },
  emergency_certifications: {
    system: { ...written, update: changing(reviewing) },
    staff: {
      select: `by_id = ${me} or ${readers}`,
      insert: `by_id = ${me} and ${isMine}`,
      update: {
        rows: `${holds('information-governance')} and by_id <> ${me} and reviewed_at is null`,
        columns: reviewing,
        after: `reviewed_by = ${me}`,
      },
    },
    erasure: erasing('transfer_id', 'reviewed_at'),
  },
  exceptions: {
    system: written,
    staff: {
      select: `${readers} or ${allowers} or ${isMine}`,
      insert: `by_id = ${me} and ${allowers}`,
    },
    erasure: erasing('transfer_id'),
  },
  sharing_records: {
    system: written,
    staff: {
      select: `${readers} or ${isMine}`,
      insert: `by_id = ${me} and ${isMine}`,
    },
    erasure: erasing('transfer_id', 'recipient_name'),
  },
  incidents: {
    system: { ...written, update: changing(recording) },
    staff: {
      select: `reported_by = ${me} or ${readers} or i_manage(reported_by)`,
      insert: `reported_by = ${me}`,
      update: {
        rows: `(${holds('information-governance')} or i_manage(reported_by)) and recorded_at is null`,
        columns: recording,
        after: `recorded_by = ${me}`,
      },
    },
    erasure: { select: { rows: every, columns: ['transfer_id', 'recorded_at'] } },
  },

  // Parcels
  parcels: {
    system: kept,
    staff: { select: isMine, insert: isMine, update: isMine },
    outside: { select: `transfer_id = ${theirTransfer}` },
    erasure: {
      select: every,
      update: changing(['handling', 'manifest_sha256', 'parcel_root', 'device_id', 'signature']),
    },
  },
  parcel_parts: {
    system: written,
    staff: { select: isOfMyParcel, insert: isOfMyParcel },
    outside: { select: isOfMyParcel },
    erasure: erasing('parcel_id'),
  },
  locks: {
    system: { ...written, update: changing(destroying) },
    staff: {
      select: isOfMyParcel,
      insert: isOfMyParcel,
      update: { rows: isOfMyParcel, columns: destroying },
    },
    outside: {
      select: `recipient_id = ${recipient}`,
      update: { rows: `recipient_id = ${recipient}`, columns: destroying },
    },
    erasure: erasing('parcel_id'),
  },
  keyring: { system: kept, staff: { insert: every } },

  // Rulebooks: everybody may read the rules; two officers change them
  rulebook_drafts: {
    system: { select: every },
    staff: {
      select: `${keepsRulebooks} or ${holds('auditor')}`,
      insert: `${holds('information-governance')} and authors = array[${me}]`,
      update: {
        rows: `${keepsRulebooks} and state in ('draft', 'offered')`,
        columns: drafting,
        after: keepsRulebooks,
      },
    },
  },
  rulebook_versions: {
    system: written,
    staff: { select: every, insert: `${keepsRulebooks} and approved_by = ${me} and offered_by <> ${me}` },
  },

  // Mail holds links and codes: whoever writes one cannot read it again
  outgoing_mail: {
    system: kept,
    staff: { insert: every },
    outside: { insert: every },
    erasure: erasing('transfer_id', 'recipient'),
  },

  // The register
  register_events: {
    system: written,
    staff: {
      select: `transfer_id is not null and (${readers} or ${isMine})`,
      insert: 'seq is null',
    },
    outside: {
      select: `exists (select from recipients where recipients.receipt_event_id = register_events.id)`,
      insert: 'seq is null',
    },
    keeper: { select: every, update: changing(['seq']) },
    erasure: {
      select: every,
      insert: `name = 'erased' and seq is null`,
      update: { rows: every, columns: ['salt', 'body'], after: 'salt is null and body is null' },
    },
  },
  register_head: {
    system: { select: every },
    staff: { select: every },
    outside: { select: every },
    keeper: kept,
  },
  register_cosigned: {
    system: { select: every },
    staff: { select: every },
    outside: { select: every },
    keeper: all,
  },
  erasures: { system: { select: every }, erasure: written },
  register_restored: { system: { select: every }, keeper: { select: every } },
  closed_registers: {
    system: { select: every },
    staff: { select: every },
    outside: { select: every },
    keeper: { select: every },
  },
}

const rolesOf: Record<AccessRole, string> = {
  system: 'safehand_system',
  staff: 'safehand_staff',
  outside: 'safehand_outside',
  keeper: 'safehand_keeper',
  erasure: 'safehand_erasure',
}

/** The statement for one question. */
export const statementOf = (name: string, question: string): string =>
  `create or replace function public.${name}(uuid) returns boolean language plpgsql stable as $$
   begin return ${question}; end $$`

/** The statements for one table, which has no policies and grants nothing yet. */
export function statementsFor(table: string, line: Line): string {
  const statements = [`alter table ${table} enable row level security`, `alter table ${table} force row level security`]
  for (const [name, rules] of Object.entries(line) as [AccessRole, Rules][]) {
    for (const [command, rule] of Object.entries(rules) as [Command, Rule][]) {
      const { rows, columns, after } = typeof rule === 'string' ? { rows: rule } : (rule as Exclude<Rule, string>)
      const conditions = {
        select: `using (${rows})`,
        delete: `using (${rows})`,
        insert: `with check (${rows})`,
        update: `using (${rows}) with check (${after ?? rows})`,
      }
      statements.push(
        `grant ${command}${columns ? ` (${columns.join(', ')})` : ''} on ${table} to ${rolesOf[name]}`,
        `create policy ${name}_${command} on ${table} for ${command} to ${rolesOf[name]} ${conditions[command]}`,
      )
    }
  }
  return statements.join(';\n')
}

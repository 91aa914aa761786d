import { sql, type Kysely } from 'kysely'

/** The organisation's work: people, organisations, agreements, approvals, transfers, parcels, procedures, incidents. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements.split(';\n').filter((part) => part.trim())) await sql.raw(statement).execute(db)
}

const statements = `
CREATE TABLE organisations (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  name text NOT NULL,
  sector text NOT NULL,
  is_own boolean NOT NULL DEFAULT false,
  domains text[] NOT NULL DEFAULT '{}',
  switchboard text,
  postal_address text,
  required_methods jsonb NOT NULL DEFAULT '{}',
  tls text CHECK (tls IN ('proven', 'refused')),
  tls_evidence text,
  tls_checked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX organisations_words ON organisations USING gin (to_tsvector('simple', regexp_replace(name, '[^[:alnum:]]+', ' ', 'g')));
CREATE UNIQUE INDEX organisations_one_own ON organisations (is_own) WHERE is_own;

CREATE TABLE people (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organisation_id uuid REFERENCES organisations,
  kind text NOT NULL CHECK (kind IN ('staff', 'professional', 'individual')),
  full_name text NOT NULL,
  email text NOT NULL,
  job_title text,
  department text,
  telephone text,
  telephone_kind text CHECK (telephone_kind IN ('switchboard', 'direct', 'mobile')),
  postal_address text,
  roles text[] NOT NULL DEFAULT '{}',
  line_manager_id uuid REFERENCES people,
  language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'cy')),
  partner_login boolean NOT NULL DEFAULT false,
  cjsm_account boolean NOT NULL DEFAULT false,
  age_recipient text,
  active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX people_email ON people (lower(email));
CREATE INDEX people_words ON people USING gin (to_tsvector('simple', regexp_replace(full_name || ' ' || coalesce(job_title, '') || ' ' || email, '[^[:alnum:]]+', ' ', 'g')));
CREATE INDEX people_organisation ON people (organisation_id);

CREATE TABLE browsers (
  token_hash bytea PRIMARY KEY,
  person_id uuid REFERENCES people,
  signed_in_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX browsers_expiry ON browsers (expires_at);

CREATE TABLE mailed_codes (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  purpose text NOT NULL CHECK (purpose IN ('sign-in', 'collect')),
  subject_id uuid NOT NULL,
  browser_hash bytea NOT NULL,
  code_hash bytea NOT NULL,
  tries_left int NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mailed_codes_subject ON mailed_codes (purpose, subject_id, created_at);

CREATE TABLE passkeys (
  credential_id text PRIMARY KEY,
  person_id uuid NOT NULL REFERENCES people,
  public_key bytea NOT NULL,
  counter bigint NOT NULL,
  transports text[] NOT NULL DEFAULT '{}',
  label text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  used_at timestamptz
);
CREATE TABLE passkey_challenges (
  browser_hash bytea PRIMARY KEY,
  challenge text NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE TABLE api_tokens (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  person_id uuid NOT NULL REFERENCES people,
  token_hash bytea NOT NULL UNIQUE,
  label text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);

CREATE TABLE devices (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  person_id uuid NOT NULL REFERENCES people,
  signing_key bytea NOT NULL,
  sender_recipient text,
  label text NOT NULL,
  enrolled_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz
);
CREATE UNIQUE INDEX devices_key ON devices (person_id, signing_key);

CREATE TABLE team_mailboxes (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organisation_id uuid NOT NULL REFERENCES organisations,
  name text NOT NULL,
  address text NOT NULL,
  owner text NOT NULL,
  members text[] NOT NULL DEFAULT '{}',
  list_version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX team_mailboxes_address ON team_mailboxes (lower(address));
CREATE INDEX team_mailboxes_words ON team_mailboxes USING gin (to_tsvector('simple', regexp_replace(name || ' ' || address, '[^[:alnum:]]+', ' ', 'g')));
CREATE INDEX team_mailboxes_organisation ON team_mailboxes (organisation_id);
CREATE TABLE mailbox_checks (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  mailbox_id uuid NOT NULL REFERENCES team_mailboxes,
  list_version int NOT NULL,
  checked_by uuid NOT NULL REFERENCES people,
  checked_at timestamptz NOT NULL,
  note text NOT NULL
);
CREATE INDEX mailbox_checks_mailbox ON mailbox_checks (mailbox_id, checked_at);

CREATE TABLE agreements (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  kind text NOT NULL,
  title text NOT NULL,
  organisation_ids uuid[] NOT NULL,
  purposes text[] NOT NULL,
  information text NOT NULL,
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  review_on date,
  withdrawn_at timestamptz,
  withdrawn_reason text,
  entered_by uuid NOT NULL REFERENCES people,
  entered_at timestamptz NOT NULL
);
CREATE INDEX agreements_parties ON agreements USING gin (organisation_ids);

CREATE TABLE facility_grants (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  method text NOT NULL,
  role text,
  person_id uuid REFERENCES people,
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  reason text NOT NULL,
  granted_by uuid NOT NULL REFERENCES people,
  granted_at timestamptz NOT NULL,
  ended_at timestamptz,
  CHECK ((role IS NULL) <> (person_id IS NULL))
);

CREATE TABLE transfers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  number bigint GENERATED ALWAYS AS IDENTITY,
  reference text NOT NULL UNIQUE,
  sender_id uuid NOT NULL REFERENCES people,
  state text NOT NULL,
  facts jsonb NOT NULL DEFAULT '{}',
  not_sure text[] NOT NULL DEFAULT '{}',
  recipient_kind text,
  purpose_words text,
  limits_words text,
  information_words text,
  case_reference text,
  method text,
  available_days int,
  decision_id uuid,
  created_at timestamptz NOT NULL,
  sent_at timestamptz,
  expires_at timestamptz,
  closed_at timestamptz
);
CREATE INDEX transfers_sender ON transfers (sender_id, created_at DESC);

CREATE TABLE decisions (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  transfer_id uuid NOT NULL REFERENCES transfers,
  at timestamptz NOT NULL,
  rulebooks jsonb NOT NULL,
  facts jsonb NOT NULL,
  result jsonb NOT NULL
);
CREATE INDEX decisions_transfer ON decisions (transfer_id, at);

CREATE TABLE recipients (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  transfer_id uuid NOT NULL REFERENCES transfers,
  person_id uuid REFERENCES people,
  mailbox_id uuid REFERENCES team_mailboxes,
  organisation_id uuid REFERENCES organisations,
  kind text NOT NULL CHECK (kind IN ('person', 'team', 'individual')),
  full_name text NOT NULL,
  email text NOT NULL,
  job_title text,
  department text,
  telephone text,
  language text NOT NULL DEFAULT 'en',
  link_hash bytea,
  mailbox_proved_at timestamptz,
  acknowledged_at timestamptz,
  collecting_key bytea,
  downloaded_at timestamptz,
  opened_at timestamptz,
  not_for_me_at timestamptz,
  withdrawn_at timestamptz,
  failures int NOT NULL DEFAULT 0,
  chased text[] NOT NULL DEFAULT '{}',
  remind_at timestamptz,
  receipt_event_id uuid,
  statement text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX recipients_once ON recipients (transfer_id, lower(email)) WHERE withdrawn_at IS NULL;

CREATE TABLE admissions (
  browser_hash bytea NOT NULL,
  recipient_id uuid NOT NULL REFERENCES recipients,
  admitted_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (browser_hash, recipient_id)
);

CREATE TABLE recipient_confirmations (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  recipient_id uuid NOT NULL REFERENCES recipients,
  authorised boolean NOT NULL,
  how text NOT NULL,
  detail text NOT NULL,
  by_id uuid NOT NULL REFERENCES people,
  at timestamptz NOT NULL
);
CREATE INDEX recipient_confirmations_recipient ON recipient_confirmations (recipient_id, at);

CREATE TABLE advice_requests (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  transfer_id uuid REFERENCES transfers,
  asked_by uuid NOT NULL REFERENCES people,
  asked_of_role text NOT NULL,
  about_facts text[] NOT NULL DEFAULT '{}',
  question text NOT NULL,
  asked_at timestamptz NOT NULL,
  answer text,
  answer_facts jsonb,
  answered_by uuid REFERENCES people,
  answered_at timestamptz
);
CREATE INDEX advice_requests_open ON advice_requests (asked_of_role) WHERE answered_at IS NULL;
CREATE INDEX advice_requests_transfer ON advice_requests (transfer_id);

CREATE TABLE emergency_certifications (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  transfer_id uuid NOT NULL UNIQUE REFERENCES transfers,
  what_could_happen text NOT NULL,
  why_now text NOT NULL,
  by_id uuid NOT NULL REFERENCES people,
  at timestamptz NOT NULL,
  review_due_at timestamptz NOT NULL,
  reviewed_by uuid REFERENCES people,
  reviewed_at timestamptz,
  review_outcome text,
  review_words text
);

CREATE TABLE exceptions (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  transfer_id uuid NOT NULL REFERENCES transfers,
  fact text NOT NULL,
  ground text NOT NULL,
  reason text NOT NULL,
  role text NOT NULL,
  by_id uuid NOT NULL REFERENCES people,
  at timestamptz NOT NULL
);
CREATE INDEX exceptions_transfer ON exceptions (transfer_id);

CREATE TABLE parcels (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  transfer_id uuid NOT NULL REFERENCES transfers,
  state text NOT NULL CHECK (state IN ('sealing', 'sealed', 'recalled', 'expired', 'destroyed', 'abandoned')),
  part_size_bytes int NOT NULL,
  pq boolean NOT NULL,
  declared_bytes bigint NOT NULL,
  handling text NOT NULL,
  content_size_bytes bigint,
  manifest_size_bytes int,
  manifest_sha256 text,
  parcel_root text,
  device_id uuid REFERENCES devices,
  signature bytea,
  created_at timestamptz NOT NULL,
  sealed_at timestamptz,
  locks_destroyed_at timestamptz,
  destroyed_at timestamptz
);
CREATE UNIQUE INDEX parcels_live ON parcels (transfer_id) WHERE state IN ('sealing', 'sealed');

CREATE TABLE parcel_parts (
  parcel_id uuid NOT NULL REFERENCES parcels,
  n int NOT NULL,
  size_bytes int NOT NULL,
  sha256 text NOT NULL,
  PRIMARY KEY (parcel_id, n)
);

CREATE TABLE locks (
  id uuid PRIMARY KEY,
  parcel_id uuid NOT NULL REFERENCES parcels,
  recipient_id uuid REFERENCES recipients,
  kind text NOT NULL CHECK (kind IN ('passphrase', 'sender', 'key', 'automatic')),
  receipt_public_key bytea NOT NULL,
  age bytea,
  created_at timestamptz NOT NULL,
  destroyed_at timestamptz
);
CREATE INDEX locks_parcel ON locks (parcel_id);

CREATE TABLE keyring (
  day date PRIMARY KEY,
  recipient text NOT NULL,
  destroyed_at timestamptz
);

CREATE TABLE phrase_tellings (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  recipient_id uuid NOT NULL REFERENCES recipients,
  how text NOT NULL CHECK (how IN ('telephone', 'in-person', 'text', 'letter', 'not-reached')),
  number text,
  note text,
  by_id uuid NOT NULL REFERENCES people,
  at timestamptz NOT NULL
);
CREATE INDEX phrase_tellings_recipient ON phrase_tellings (recipient_id);

CREATE TABLE sharing_records (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  transfer_id uuid NOT NULL REFERENCES transfers,
  method text NOT NULL,
  happened_at timestamptz NOT NULL,
  reason text NOT NULL,
  information text NOT NULL,
  authorised_by text,
  how text NOT NULL,
  recipient_name text NOT NULL,
  recipient_job_title text NOT NULL,
  recipient_organisation text NOT NULL,
  recipient_telephone text NOT NULL,
  note text,
  by_id uuid NOT NULL REFERENCES people,
  at timestamptz NOT NULL
);
CREATE INDEX sharing_records_transfer ON sharing_records (transfer_id);

CREATE TABLE incidents (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  transfer_id uuid REFERENCES transfers,
  kind text NOT NULL,
  what_happened text NOT NULL,
  when_noticed timestamptz NOT NULL,
  reported_by uuid REFERENCES people,
  reported_at timestamptz NOT NULL,
  recorded_by uuid REFERENCES people,
  recorded_words text,
  recorded_at timestamptz
);
CREATE INDEX incidents_transfer ON incidents (transfer_id)
`

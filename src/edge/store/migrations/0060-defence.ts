import { sql, type Kysely } from 'kysely'

/** Sessions that end when unused, confirmations of dangerous acts, and limits that all nodes share. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements.split(';\n').filter((part) => part.trim())) await sql.raw(statement).execute(db)
}

const statements = `
ALTER TABLE browsers
  ADD COLUMN id uuid NOT NULL DEFAULT uuidv7(),
  ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN label text NOT NULL DEFAULT 'A browser';
CREATE UNIQUE INDEX browsers_id ON browsers (id);
CREATE INDEX browsers_person ON browsers (person_id);

CREATE TABLE sign_ins (
  person_id uuid PRIMARY KEY REFERENCES people,
  last_at timestamptz NOT NULL,
  before_at timestamptz
);

ALTER TABLE mailed_codes
  DROP CONSTRAINT mailed_codes_purpose_check,
  ADD CONSTRAINT mailed_codes_purpose_check CHECK (purpose IN ('sign-in', 'collect', 'confirm')),
  ADD COLUMN act_hash bytea NOT NULL DEFAULT '';
DROP INDEX mailed_codes_subject;
CREATE INDEX mailed_codes_browser ON mailed_codes (browser_hash);
CREATE INDEX mailed_codes_expiry ON mailed_codes (expires_at);

ALTER TABLE passkey_challenges
  ADD COLUMN act_hash bytea NOT NULL DEFAULT '',
  DROP CONSTRAINT passkey_challenges_pkey,
  ADD PRIMARY KEY (browser_hash, act_hash);
CREATE INDEX passkey_challenges_expiry ON passkey_challenges (expires_at);

CREATE TABLE rates (
  key bytea PRIMARY KEY,
  used int NOT NULL,
  ends_at timestamptz NOT NULL
);
CREATE INDEX rates_end ON rates (ends_at);
`

import { sql, type Kysely } from 'kysely'

/** Rulebooks as officers change them: drafts, and the versions that were published. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements.split(';\n').filter((part) => part.trim())) await sql.raw(statement).execute(db)
}

// `number` tells the newest publication: they are made one after the other, each one more than the last.
const statements = `
CREATE TABLE rulebook_drafts (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  rulebook text NOT NULL,
  text text NOT NULL,
  cases text NOT NULL,
  state text NOT NULL CHECK (state IN ('draft', 'offered', 'published', 'withdrawn')),
  authors uuid[] NOT NULL CHECK (cardinality(authors) > 0),
  made_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  offered_by uuid REFERENCES people,
  offered_at timestamptz,
  proof jsonb,
  CHECK (state <> 'offered' OR offered_by IS NOT NULL)
);
CREATE INDEX rulebook_drafts_open ON rulebook_drafts (rulebook, id) WHERE state IN ('draft', 'offered');

CREATE TABLE rulebook_versions (
  number int PRIMARY KEY,
  rulebook text NOT NULL,
  version text NOT NULL,
  sha256 text NOT NULL CHECK (sha256 = encode(sha256(convert_to(text, 'UTF8')), 'hex')),
  text text NOT NULL,
  cases text NOT NULL,
  draft_id uuid UNIQUE REFERENCES rulebook_drafts,
  offered_by uuid REFERENCES people,
  approved_by uuid REFERENCES people,
  published_at timestamptz NOT NULL,
  CHECK (offered_by <> approved_by)
);
CREATE UNIQUE INDEX rulebook_versions_newest ON rulebook_versions (rulebook, number DESC);

CREATE INDEX transfers_open ON transfers (id) WHERE state IN ('draft', 'ready', 'asking')
`

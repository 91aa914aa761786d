import { sql, type Kysely } from 'kysely'

/** What a backup must carry besides rows, and the mark that keeps a restored register from being signed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The blobs that rows speak of. Whoever keeps blobs under other keys adds them here.
  await sql`
    create view kept_blobs as
      select 'parcels/' || parcel_id || '/content/' || n || '-' || sha256 as key, size_bytes::bigint, sha256
      from parcel_parts join parcels on parcels.id = parcel_id
      where state in ('sealing', 'sealed')
      union all
      select 'parcels/' || id || '/manifest-' || manifest_sha256, manifest_size_bytes, manifest_sha256
      from parcels
      where state in ('sealing', 'sealed') and manifest_sha256 is not null`.execute(db)
  await sql`
    create table register_restored (
      only_row boolean primary key default true check (only_row),
      at timestamptz not null default now()
    )`.execute(db)
}

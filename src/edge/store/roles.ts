import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { Store } from '#edge/store/database'

/**
 * As whom a program connects. owner: makes and changes the tables; nobody who serves requests. app: the server, which
 * may do nothing until a context says for whom (`context.ts`). keeper: gives the register's events their places.
 * erasure: forgets.
 */
export type DatabaseRole = 'owner' | 'app' | 'keeper' | 'erasure'

/** What the server becomes for a transaction, by the context of its work. */
const contextRoles = ['safehand_system', 'safehand_staff', 'safehand_outside']
const connecting = ['safehand_app', 'safehand_keeper', 'safehand_erasure']
export const databaseRoles = [...connecting, ...contextRoles]

const list = (names: readonly string[]) => `array[${names.map((name) => `'${name}'`).join(', ')}]`

/**
 * Makes the roles that are missing. Roles belong to all databases of a server and locks to one, so that another may be
 * making the same at the same time: whoever comes second finds it made.
 */
export const makeRoles = `do $$
declare
  wanted text;
begin
  foreach wanted in array ${list(databaseRoles)} loop
    if not exists (select from pg_roles where rolname = wanted) then
      begin
        execute format('create role %I noinherit', wanted);
      exception when duplicate_object or unique_violation then
      end;
    end if;
  end loop;
  foreach wanted in array ${list(contextRoles)} loop
    if not pg_has_role('safehand_app', wanted, 'set') then
      begin
        execute format('grant %I to safehand_app with inherit false, set true', wanted);
      exception when unique_violation or internal_error then
      end;
    end if;
  end loop;
  -- Who made a role may grant it, and so far not become it.
  if not pg_has_role('safehand_erasure', 'set') then
    grant safehand_erasure to current_user with inherit false, set true;
  end if;
end $$`

/** Lets programs connect as the roles themselves: on our own server, which only this account of this machine reaches. */
export const letRolesConnect = connecting.map((name) => `alter role ${name} login`).join('; ')

/**
 * Whether the server's login may do what the server must, and no more: whatever is done in its name, nobody can change
 * the tables, or see past the policies.
 *
 * @returns `database-login-wrong` with a sentence otherwise
 */
export async function checkLogin({ pool }: Pick<Store, 'pool'>): Promise<Outcome<undefined>> {
  // Asked of the connection itself, before anything is set on it.
  const { rows } = await pool.query<{
    mighty: string | null
    owned: string | null
    inherits: boolean
    open: string | null
  }>(
    `select
      (select min(rolname) from pg_roles where (rolsuper or rolbypassrls) and pg_has_role(session_user, oid, 'member'))
        as mighty,
      (select min(relname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname in ('public', 'jobs') and pg_has_role(session_user, relowner, 'member')) as owned,
      exists (select from pg_roles where rolname in (session_user, 'safehand_app')
        and exists (select from unnest($1::text[]) as role where pg_has_role(rolname, role, 'usage')))
        as inherits,
      (select min(relname) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
        and not (relrowsecurity and relforcerowsecurity)) as open`,
    [contextRoles],
  )
  const { mighty, owned, inherits, open } = rows[0]!
  const unsafe = (detail: string) => fail('database-login-wrong', { detail })
  if (mighty !== null) return unsafe(`It is ${mighty}, or can become it, which is above all policies.`)
  if (owned !== null) return unsafe(`It owns ${owned}, or can become its owner.`)
  if (inherits) return unsafe('It has by itself what it should have only for one request: grant WITH INHERIT FALSE.')
  if (open !== null) return unsafe(`The table ${open} is not protected by row-level security.`)
  return ok()
}

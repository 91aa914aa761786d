import { createHash, createHmac } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import { sql } from 'kysely'
import { rates, type RateName } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { NoteSigner } from '#core/register/note'
import type { Db } from '#edge/store/database'

/** What counting needs of the house. */
interface Counting {
  db: Db
  /** The same on every node; never in the database. */
  ratesKey: Uint8Array
  now(): Date
}

/**
 * The key under which counted things are hashed, so that the table tells nobody's address. It follows from the
 * register's key, which every node has and no backup of the database holds: Ed25519 signs the same text alike each time.
 */
export const ratesKeyOf = async (signer: NoteSigner): Promise<Uint8Array> =>
  createHash('sha256')
    .update(await signer.sign(new TextEncoder().encode('safehand/rates/v1')))
    .digest()

const keyOf = ({ ratesKey }: Counting, name: RateName, what: string) =>
  createHmac('sha256', ratesKey).update(`${name}\0${what}`).digest()

/**
 * Counts one use against a rate, in one statement, so that parallel uses on many nodes cannot share one.
 *
 * @param what - whom or what it is counted for: an address, a person's id
 * @returns nothing; or `too-many-requests` with the seconds until the window ends
 */
export async function countUse(house: Counting, name: RateName, what: string): Promise<Outcome<undefined>> {
  const { most, minutes } = rates[name]
  const now = house.now()
  const { used, endsAt } = await house.db
    .insertInto('rates')
    .values({ key: keyOf(house, name, what), used: 1, endsAt: new Date(now.valueOf() + minutes * 60_000) })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet({
        used: sql`CASE WHEN rates.ends_at <= ${now} THEN 1 ELSE LEAST(rates.used + 1, ${most + 1}) END`,
        endsAt: sql`CASE WHEN rates.ends_at <= ${now} THEN excluded.ends_at ELSE rates.ends_at END`,
      }),
    )
    .returning(['used', 'endsAt'])
    .executeTakeFirstOrThrow()
  if (used <= most) return ok()
  return fail('too-many-requests', {
    retryAfterSeconds: Math.max(1, Math.ceil((endsAt.valueOf() - now.valueOf()) / 1000)),
  })
}

/** Gives a use back that was counted before it was known to be right. */
export const giveUseBack = (house: Counting, name: RateName, what: string) =>
  house.db
    .updateTable('rates')
    .set((eb) => ({ used: eb('used', '-', 1) }))
    .where('key', '=', keyOf(house, name, what))
    .where('used', '>', 0)
    .execute()

/** Takes out what no longer counts. */
export const tidyRates = (db: Db, now: Date) => db.deleteFrom('rates').where('endsAt', '<=', now).execute()

/** What one client has as its network address: an IPv4 address, or the 64 bits of IPv6 that a household is given. */
export function networkOf(address: string): string {
  const [plain] = address.split('%')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain!)?.[1]
  if (mapped) return mapped
  if (!isIPv6(plain!)) return plain!
  // As the URL parser writes it, there is one way to write an address; its groups are then counted out.
  const [head, tail] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split('::')
  const left = head!.split(':').filter(Boolean)
  const right = tail?.split(':').filter(Boolean) ?? []
  const gap = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0')
  return `${[...left, ...gap, ...right].slice(0, 4).join(':')}::/64`
}

/** A list of addresses and networks, such as `10.0.0.0/8`. @returns undefined when one of them cannot be read */
export function networkList(entries: readonly string[]): BlockList | undefined {
  const list = new BlockList()
  try {
    for (const entry of entries) {
      const [address, bits, ...more] = entry.split('/')
      const family = isIPv6(address!) ? 'ipv6' : 'ipv4'
      // Everybody is no list of proxies.
      if (more.length > 0 || (bits !== undefined && !/^[1-9]\d{0,2}$/.test(bits))) return undefined
      if (bits === undefined) list.addAddress(address!, family)
      else list.addSubnet(address!, Number(bits), family)
    }
  } catch {
    return undefined
  }
  return list
}

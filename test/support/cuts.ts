import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { sql } from 'kysely'
import { formatVkey } from '#core/register/note'
import { orThrow } from '#core/kit/outcome'
import type { Blobs } from '#edge/blobs/blobs'
import type { House } from '#edge/house'
import { openRegister } from '#edge/keeper/installation'
import { keepOnce, type Keeper } from '#edge/keeper/keeper'
import type { Tiles } from '#edge/keeper/tiles'
import { openKeyring, type Keyring } from '#edge/keyring'
import { openDatabase } from '#edge/store/database'
import { buildApp } from '#shell/web/app'
import { allRoutes } from '#shell/web/routes'
import { isWrite, startCuttingProxy, type Cut } from '#test/cutting-proxy'
import { Browser, type TestHouse } from '#test/house'

/** Thrown where the process is no more. */
export class Killed extends Error {}

/** Which write of those to come is the last, and whether it is still made. */
export interface CutAt {
  n: number
  when: Exclude<Cut, null>
}

/** Every write that one process of a Safehand makes, counted; and one that it does not outlive. */
export class Cuts {
  /** What each write was since writes are watched; `isKept`: whether something stays when the process ends after it. */
  writes: { what: string; isKept: boolean }[] = []
  isKilled = false
  #isWatching = false
  #at: CutAt | null = null
  #onKill = () => {}

  /** Counts from here on, and ends the process at this write. */
  watch(at: CutAt | null): void {
    this.#isWatching = true
    this.writes = []
    this.#at = at
  }

  onKill(kill: () => void): void {
    this.#onKill = kill
  }

  /** Counts a write that is about to be made, and says whether it is the last. */
  next(what: string, isKept: boolean): Cut {
    if (!this.#isWatching) return null
    this.writes.push({ what, isKept })
    return this.#at?.n === this.writes.length - 1 ? this.#at.when : null
  }

  kill(): void {
    this.isKilled = true
    this.#onKill()
  }

  /** One write that is not the database's. */
  async act<T>(what: string, effect: () => Promise<T>): Promise<T> {
    this.check()
    const cut = this.next(what, true)
    if (cut === 'before') this.kill()
    this.check()
    const result = await effect()
    if (cut === 'after') this.kill()
    this.check()
    return result
  }

  /** A process that is no more does nothing. */
  check(): void {
    if (this.isKilled) throw new Killed('The process was killed')
  }
}

/** One process of a Safehand, on the database, blobs, register and keys of a house, that ends at its cut. */
export interface CutProcess {
  house: House
  app: Awaited<ReturnType<typeof buildApp>>
  cuts: Cuts
  /** A browser that goes on in this process with the cookies it had. */
  browser: (before?: Browser) => Browser
  stop: () => Promise<void>
}

/** Starts such a process. It has a connection to the database of its own, which is cut when it is killed. */
export async function startProcess(base: TestHouse, cuts: Cuts): Promise<CutProcess> {
  const cleanings: (() => Promise<void>)[] = []
  const proxy = await startCuttingProxy(
    { after: (clean) => cleanings.push(clean) },
    base.open('app').connectionString,
    (text, isInside) => {
      if (text !== 'commit' && !isWrite.test(text)) return null
      return cuts.next(text.slice(0, 80).replaceAll(/\s+/g, ' '), text === 'commit' || !isInside)
    },
  )
  // Whatever else this process had under way ends with it.
  proxy.onCut = () => cuts.kill()
  cuts.onKill(proxy.kill)
  const name = `cut-${randomUUID()}`
  const url = `${proxy.url}&application_name=${name}`
  const store = openDatabase({ url })
  const keeperStore = openDatabase({ url: url.replace('safehand_app', 'safehand_keeper'), role: 'keeper' })
  const { config } = base.house
  const { tiles, signer } = orThrow(await openRegister(base.house.db, config))
  const cutTiles: Tiles = {
    read: tiles.read,
    write: (path, bytes) => cuts.act(`publish ${path}`, () => tiles.write(path, bytes)),
  }
  const keeper: Keeper = {
    origin: signer.vkey.name,
    vkey: formatVkey(signer.vkey),
    tiles: cutTiles,
    once: () => keepOnce({ db: keeperStore.db, tiles: cutTiles, signer }),
    nudge: () => {},
    trouble: () => undefined,
    stop: async () => {},
  }
  const house: House = {
    ...base.house,
    db: store.db,
    system: store.db,
    confine: store.confine,
    blobs: cutBlobs(base.house.blobs, cuts),
    keeper,
    keyring: cutKeyring(openKeyring(join(config.keysFolder, 'keyring'), config.postQuantum), cuts),
  }
  const app = await buildApp(house, allRoutes(house.policy), {
    folder: import.meta.dirname,
    url: '/assets/test',
    version: '0',
  })
  return {
    house,
    app,
    cuts,
    browser(before) {
      const browser = new Browser(app)
      for (const [name, value] of before?.cookies ?? []) browser.cookies.set(name, value)
      return browser
    },
    async stop() {
      await app.close()
      for (const each of [store, keeperStore]) await each.close().catch(() => {})
      for (const clean of cleanings) await clean()
      // Its connections end when the server notices, and with them what they had locked.
      const left = sql<{ n: number }>`select count(*) as n from pg_stat_activity where application_name = ${name}`
      while ((await left.execute(base.house.db)).rows[0]!.n > 0) await rest(2)
    },
  }
}

const cutBlobs = (blobs: Blobs, cuts: Cuts): Blobs => ({
  put: (key, source, expected) => cuts.act('put a blob', () => blobs.put(key, source, expected)),
  remove: (key) => cuts.act('remove a blob', () => blobs.remove(key)),
  removeAll: (folder) => cuts.act('remove blobs', () => blobs.removeAll(folder)),
  async read(key, range) {
    cuts.check()
    return blobs.read(key, range)
  },
  async size(key) {
    cuts.check()
    return blobs.size(key)
  },
  async *list(folder) {
    cuts.check()
    yield* blobs.list(folder)
  },
})

const cutKeyring = (keyring: Keyring, cuts: Cuts): Keyring => ({
  recipientFor: (day) => cuts.act('make the identity of a day', () => keyring.recipientFor(day)),
  destroy: (day) => cuts.act('destroy the identity of a day', () => keyring.destroy(day)),
  async release(lock, day) {
    cuts.check()
    return keyring.release(lock, day)
  },
  find: (day) => keyring.find(day),
  days: () => keyring.days(),
})

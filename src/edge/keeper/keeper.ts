import { fail, ok, type Outcome, type Problem } from '#core/kit/outcome'
import { formatVkey, type NoteSigner } from '#core/register/note'
import type { TrustPolicy } from '#core/register/policy'
import { asOnlyKeeper, isRestored, readHead } from '#edge/keeper/head'
import { publish } from '#edge/keeper/publish'
import { sequence } from '#edge/keeper/sequence'
import type { Tiles } from '#edge/keeper/tiles'
import { gatherFrom } from '#edge/keeper/witness'
import type { Db } from '#edge/store/database'

/** What a keeper needs. Its origin is the name in the signer's key. */
export interface KeeperParts {
  db: Db
  tiles: Tiles
  /** Where registers that were closed before this one are published, by their numbers. */
  closedTiles?: (number: number) => Tiles
  signer: NoteSigner
  /** Set: its witnesses are asked to cosign what is published. Unset: nobody is. */
  trust?: TrustPolicy
  /** How long to rest when nobody nudges. */
  restMs: number
  /** Told of a problem or an error when it is another than in the round before. */
  report: (what: Problem | Error) => void
}

/** Whoever sequences, signs and publishes. Any number may run; they take turns. */
export interface Keeper {
  /** The register's name: its address without scheme and trailing slash. */
  origin: string
  /** The key with which receipts are checked. */
  vkey: string
  tiles: Tiles
  closedTiles?: (number: number) => Tiles
  /** The witnesses, and how many of them are enough. */
  trust?: TrustPolicy
  /** One round: everything recorded before is signed and published after, unless another keeper is at it. */
  once: () => Promise<Outcome<void>>
  /** Says that something was recorded; does not wait. */
  nudge: () => void
  /** What kept its last round from being sound; undefined when nothing did. */
  trouble: () => Problem | Error | undefined
  /** Ends after the round under way. */
  stop: () => Promise<void>
}

/**
 * Signs and publishes all that is recorded.
 *
 * @returns nothing, also when another keeper is at work; or the problem `keeper-restored`, `keeper-behind`,
 *   `keeper-differs` or `keeper-elsewhere`, and then nothing was signed
 */
export function keepOnce({ db, tiles, signer }: Pick<KeeperParts, 'db' | 'tiles' | 'signer'>): Promise<Outcome<void>> {
  return asOnlyKeeper<Outcome<void>>(db, ok(), async (connection) => {
    if (await isRestored(connection)) return fail('keeper-restored')
    for (;;) {
      const head = await readHead(connection, signer)
      if (!head.ok) return head
      const edge = await publish(connection, tiles, head.value, signer.vkey)
      if (!edge.ok) return edge
      if ((await sequence(connection, signer, edge.value)) === 0) return ok()
    }
  })
}

/** Starts a keeper, which works at once, whenever nudged and after each rest, until it is stopped. */
export function startKeeper(parts: KeeperParts): Keeper {
  let isStopping = false
  let wake = () => {}
  let isNudged = false
  let turn: Promise<unknown> = Promise.resolve()
  let lastReport = ''
  let trouble: Problem | Error | undefined
  const report = (what: Problem | Error) => {
    const text = what instanceof Error ? what.message : JSON.stringify(what)
    if (text !== lastReport) parts.report(what)
    lastReport = text
  }
  const gathering = parts.trust && gatherFrom({ ...parts, trust: parts.trust }, parts.report)
  const once = () => {
    const round = turn.then(() => keepOnce(parts))
    turn = round.catch(() => {})
    return round
  }
  const rest = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, parts.restMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const work = async () => {
    while (!isStopping) {
      isNudged = false
      try {
        const done = await once()
        trouble = done.ok ? undefined : done.problem
        if (trouble) report(trouble)
        else lastReport = ''
        // Not waited for: a witness that is slow holds up nobody.
        gathering?.look().catch(report)
      } catch (error) {
        trouble = error as Error
        report(trouble)
      }
      if (!isStopping && !isNudged) await rest()
    }
  }
  const nudge = () => {
    isNudged = true
    wake()
  }
  const working = work()
  return {
    origin: parts.signer.vkey.name,
    vkey: formatVkey(parts.signer.vkey),
    tiles: parts.tiles,
    ...(parts.closedTiles && { closedTiles: parts.closedTiles }),
    ...(parts.trust && { trust: parts.trust }),
    once,
    nudge,
    trouble: () => trouble,
    async stop() {
      isStopping = true
      wake()
      await working
      await gathering?.stop()
    },
  }
}

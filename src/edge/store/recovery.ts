import { setTimeout as rest } from 'node:timers/promises'
import { DatabaseError } from 'pg'
import { limits } from '#core/kit/limits'
import { ProblemError } from '#core/kit/outcome'
import type { Store } from '#edge/store/database'

/** A server that goes down, crashed, or is starting, stopping or recovering. */
const isOnItsWay = ({ code }: DatabaseError) => code === '57P01' || code === '57P02' || code === '57P03'

const stillRecovers = 'The database recovers from a crash and does not answer yet. Try again when it does.'

/**
 * Waits until a database answers: after a crash it recovers first, and refuses whoever asks meanwhile.
 *
 * @param isOurs - it is our own server, which is brought back when it is gone; of somebody else's it is said at once that
 *   nobody is there, since its address may be wrong
 * @throws ProblemError `unavailable` when it still recovers after `databaseRecoveryWaitMs`; what came instead of an
 *   answer, at once, where waiting would not help
 */
export async function untilRecovered({ pool }: Pick<Store, 'pool'>, isOurs: boolean): Promise<void> {
  const until = Date.now() + limits.databaseRecoveryWaitMs
  for (;;) {
    try {
      const client = await pool.connect()
      client.release()
      return
    } catch (error) {
      const mayCome = error instanceof DatabaseError ? isOnItsWay(error) : isOurs
      if (!mayCome) throw error
      if (Date.now() > until) throw new ProblemError({ slug: 'unavailable', detail: stillRecovers })
    }
    await rest(limits.databaseRecoveryPollMs)
  }
}

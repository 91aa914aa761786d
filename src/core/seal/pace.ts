import { limits } from '#core/kit/limits'

/**
 * How many parts are on their way at once: one at first, then so many that each arrives in time on the line as it is.
 * Three fill a quick line while the server puts one on its disk; on a slow one they would share what one needs, and the
 * server breaks off what takes longer than `limits.requestMs`.
 *
 * @param nowMs - a clock that never goes back
 * @returns does `send` when there is room for it; `hasArrived` says of its answer whether the part is there
 */
export function newPace(nowMs: () => number) {
  let room = 1
  let underWay = 0
  const waiting: (() => void)[] = []
  return async <T>(send: () => Promise<T>, hasArrived: (answer: T) => boolean): Promise<T> => {
    while (underWay >= room) await new Promise<void>((resolve) => waiting.push(resolve))
    underWay += 1
    const [fromMs, shared] = [nowMs(), underWay]
    let aloneMs = Infinity
    try {
      const answer = await send()
      if (hasArrived(answer)) aloneMs = (nowMs() - fromMs) / shared
      return answer
    } finally {
      underWay -= 1
      room = Math.min(limits.partsAtOnce, Math.max(1, Math.floor(limits.partMs / aloneMs)))
      for (const wake of waiting.splice(0)) wake()
    }
  }
}

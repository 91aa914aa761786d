/** Tells how far something is. */
export type OnBytes = (doneBytes: number, totalBytes: number) => void

const tellEveryMs = 100

/**
 * The same, told ten times a second at most, and always at the end: parts that leave, or thousands of small files, would
 * keep the page busy with saying so.
 */
export function nowAndThen(tell: OnBytes): OnBytes {
  let toldAtMs = -tellEveryMs
  return (doneBytes, totalBytes) => {
    const nowMs = performance.now()
    if (nowMs - toldAtMs < tellEveryMs && doneBytes < totalBytes) return
    toldAtMs = nowMs
    tell(doneBytes, totalBytes)
  }
}

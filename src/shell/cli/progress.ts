import type { Io } from '#shell/cli/command'

const units = ['bytes', 'kB', 'MB', 'GB', 'TB']

/** Shown while a server that has gone away is asked again. */
export const waitingWords = 'Waiting for the server…'

/** A number of bytes in words: `12 bytes`, `3.4 MB`. */
export function sizeWords(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  const count = bytes / 1_000 ** power
  return `${power === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[power]}`
}

const timeWords = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`

/**
 * A bar for work of a known size on a terminal; nothing elsewhere.
 *
 * @returns a function to be told the bytes done and in all
 */
export function progressBar({ status }: Io, verb: string): (doneBytes: number, totalBytes: number) => void {
  const startedAt = performance.now()
  let shownAt = -Infinity
  return (doneBytes, totalBytes) => {
    const now = performance.now()
    const isDone = doneBytes >= totalBytes
    if (!status || (now - shownAt < 100 && !isDone)) return
    shownAt = now
    if (isDone) return status('')
    const share = doneBytes / totalBytes
    const perSecond = (doneBytes / Math.max(1, now - startedAt)) * 1_000
    const bar = '█'.repeat(Math.round(share * 24)).padEnd(24, '░')
    const left =
      perSecond > 0 ? `, ${sizeWords(perSecond)} a second, ${timeWords((totalBytes - doneBytes) / perSecond)} left` : ''
    status(`${verb} ${bar} ${Math.floor(share * 100)} % of ${sizeWords(totalBytes)}${left}`)
  }
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']

/** A size as people say it, in SI units as the policy counts: `1.2 MB`. */
export function sizeWords(sizeBytes: number, language: string | string[] = 'en-GB'): string {
  const place = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, sizeBytes)) / 3))
  const digits = { maximumFractionDigits: place > 0 && sizeBytes / 1000 ** place < 100 ? 1 : 0 }
  const style = { style: 'unit', unit: units[place]!, unitDisplay: place === 0 ? 'long' : 'short' } as const
  return new Intl.NumberFormat(language, { ...style, ...digits }).format(sizeBytes / 1000 ** place)
}

/** How long something will still take, in words that do not pretend to be exact. */
export function timeLeftWords(seconds: number): string {
  if (seconds < 10) return 'a few seconds left'
  if (seconds < 60) return `about ${Math.ceil(seconds / 10) * 10} seconds left`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} left`
  const hours = Math.round(seconds / 3600)
  return `about ${hours} ${hours === 1 ? 'hour' : 'hours'} left`
}

/** The last of the past is what counts: a line that was slow a minute ago says nothing about the next. */
const windowMs = 15_000
const leastMs = 1_500

export interface Pace {
  bytesPerSecond: number
  secondsLeft: number
}

/** Measures how fast something goes. `note` is told where it stands and answers undefined until it can tell. */
export function paceOf(totalBytes: number) {
  let seen: { doneBytes: number; atMs: number }[] = []
  return {
    note(doneBytes: number, atMs: number): Pace | undefined {
      seen = [...seen.filter((each) => atMs - each.atMs <= windowMs), { doneBytes, atMs }]
      const first = seen[0]!
      const elapsedMs = atMs - first.atMs
      if (elapsedMs < leastMs || doneBytes <= first.doneBytes) return undefined
      const bytesPerSecond = ((doneBytes - first.doneBytes) / elapsedMs) * 1000
      return { bytesPerSecond, secondsLeft: (totalBytes - doneBytes) / bytesPerSecond }
    },
  }
}

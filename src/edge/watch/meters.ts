import { assert } from '#core/kit/outcome'

/** What tells one series of a meter from another. Values are ours, from short lists: never what somebody sent. */
export type Labels = Record<string, string>

/** One thing that is measured, as the exposition shows it. */
export interface Family {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  samples: { suffix?: string; labels?: Labels; value: number }[]
}

/** A gauge with one number, or one for each value of a label. */
export const gauge = (name: string, help: string, samples: number | Family['samples']): Family => ({
  name,
  help,
  type: 'gauge',
  samples: typeof samples === 'number' ? [{ value: samples }] : samples,
})

/** Something counted since the process began. */
export interface Counter {
  add(labels: Labels, by?: number): void
  family(): Family
}

export function counter(name: string, help: string): Counter {
  const series = new Map<string, { labels: Labels; value: number }>()
  return {
    add(labels, by = 1) {
      const key = JSON.stringify(labels)
      const one = series.get(key) ?? { labels, value: 0 }
      one.value += by
      series.set(key, one)
    },
    family: () => ({ name, help, type: 'counter', samples: [...series.values()] }),
  }
}

/** Durations in seconds, counted by the first of `bounds` that they do not exceed. */
export function durations(name: string, help: string, bounds: readonly number[]) {
  const series = new Map<string, { labels: Labels; counts: number[]; sum: number }>()
  return {
    add(labels: Labels, seconds: number): void {
      const key = JSON.stringify(labels)
      const one = series.get(key) ?? { labels, counts: [...bounds, Infinity].map(() => 0), sum: 0 }
      one.sum += seconds
      for (const [place, bound] of [...bounds, Infinity].entries()) if (seconds <= bound) one.counts[place]! += 1
      series.set(key, one)
    },
    family: (): Family => ({
      name,
      help,
      type: 'histogram',
      samples: [...series.values()].flatMap(({ labels, counts, sum }) => [
        ...counts.map((value, place) => ({
          suffix: '_bucket',
          labels: { ...labels, le: place < bounds.length ? String(bounds[place]) : '+Inf' },
          value,
        })),
        { suffix: '_sum', labels, value: sum },
        { suffix: '_count', labels, value: counts.at(-1)! },
      ]),
    }),
  }
}

/** What a scraper reads. @source Prometheus text exposition format 0.0.4 */
export function exposition(families: readonly Family[]): string {
  const lines = families.flatMap(({ name, help, type, samples }) => {
    assert(/^safehand_[a-z_]+$/.test(name), `${name} is no name of a metric`)
    return [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples.map(({ suffix = '', labels = {}, value }) => `${name}${suffix}${labelsOf(labels)} ${value}`),
    ]
  })
  return `${lines.join('\n')}\n`
}

function labelsOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`)}"`,
  )
  return pairs.length > 0 ? `{${pairs.join(',')}}` : ''
}

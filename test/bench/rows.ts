/** What every group of the benchmark makes: rows, each a ratio inside one run with its goal in words. */

export interface Row {
  row: string
  ours: string
  theirs: string
  ratio: number
  goal: string
}

/** What `npm run bench` was asked for. */
export interface Asked {
  /** How often everything is measured; medians are shown. */
  rounds: number
  /** The size of the file, in GiB. */
  gib: number
  /** The size of the larger one for memory, in GiB. */
  memoryGib: number
}

export const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!

/** The median of the rounds with the least and the most. */
export function shown(numbers: number[], unit: string, digits = 2): string {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)]
  return `${median(numbers).toFixed(digits)} ${unit} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

/** The value below which this share of the numbers lies. */
export const percentile = (numbers: number[], share: number) =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]!

/**
 * How hard the hostile tests try. `npm test` takes the short form; `npm run test:hostile` the full one.
 *
 * Settings: HOSTILE_SEED repeats a run; HOSTILE_REQUESTS and HOSTILE_MINUTES (for each parser) say how much.
 */
const number = (name: string, usual: number): number => Number(process.env[name] ?? usual)

const isFull = process.env.HOSTILE_FULL === 'yes'
const requests = number('HOSTILE_REQUESTS', isFull ? 100_000 : 600)
const injected = Math.round(requests / 3)

export const effort = {
  isFull,
  seed: number('HOSTILE_SEED', Math.floor(Math.random() * 2 ** 31)),
  /** Requests handed to the program in this process, and sent to one that listens. */
  injected,
  sent: requests - injected,
  /** Requests to one world, before the next is made. */
  batch: isFull ? 500 : 200,
  /** For each parser. */
  parserMs: number('HOSTILE_MINUTES', isFull ? 10 : 1 / 300) * 60_000,
}

import { withoutWords } from '#edge/watch/without-words'

/** Logs for a part of the server that is no request, one line of JSON each: a problem as it is, an error without its words. */
export const logFor =
  (part: string) =>
  (what: unknown): void =>
    console.error(
      JSON.stringify({ level: 50, time: Date.now(), part, what: what instanceof Error ? withoutWords(what) : what }),
    )

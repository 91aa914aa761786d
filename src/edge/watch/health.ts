import { limits } from '#core/kit/limits'
import type { Standing } from '#edge/watch/standing'

/** The parts that are judged. */
export type Part = 'database' | 'register' | 'mail' | 'disk'

/** What is wrong, part by part: empty when Safehand is well. Names no version, no address and nobody. */
export function judge({
  database,
  registerTrouble,
  sendsMail,
  diskFreeBytes,
}: Standing): Partial<Record<Part, string>> {
  const wrong: Partial<Record<Part, string>> = {}
  if (!database) wrong.database = 'It does not answer.'
  if (registerTrouble) wrong.register = `Nothing is signed: ${registerTrouble}.`
  else if (database && database.eventWaitMs > limits.eventWaitMs) wrong.register = 'Events wait too long to be signed.'
  if (sendsMail && database && database.mailWaitMs > limits.mailWaitMs) wrong.mail = 'Mail waits too long to be sent.'
  if (diskFreeBytes < limits.diskFreeBytes) wrong.disk = 'There is too little room on the disk.'
  return wrong
}

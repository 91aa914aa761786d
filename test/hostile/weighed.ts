/** Loaded into a server before it starts: told by SIGUSR2, it collects all garbage and says how many bytes it still holds. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

async function weigh(): Promise<void> {
  // What was held by something with a finaliser goes only at the next collection.
  for (let round = 0; round < 3; round += 1) {
    collectGarbage()
    await nextTurn()
  }
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  console.log(JSON.stringify({ weighed: heap + external }))
}

process.on('SIGUSR2', () => void weigh())

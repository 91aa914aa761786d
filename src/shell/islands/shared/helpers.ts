import type { PayloadCipher } from '#core/seal/stream'
import { sodiumCipher, webTools, type SealTools } from '#core/seal/tools'
import type { CipherAnswer, CipherAsk } from '#shell/islands/cipher-worker'
import { startWorker } from '#shell/islands/shared/workers'

/** Runs that are done here before helpers are started: a letter is sealed before one has begun. */
const runsAlone = 16
const helpersMax = 3

/** Another worker that has said it is ready. Without an answer it has failed. */
interface Helper {
  ask(ask: CipherAsk): Promise<CipherAnswer | undefined>
  waiting: number
}

const helpers = new Set<Helper>()

/** Starts a worker that ends with this one. What it was asked when it fails comes back unanswered. */
function startHelper(): void {
  const worker = startWorker('cipher')
  const waiting: ((answer?: CipherAnswer) => void)[] = []
  const helper: Helper = {
    ask: (ask) =>
      new Promise((resolve) => {
        waiting.push(resolve)
        worker.postMessage(ask)
      }),
    get waiting() {
      return waiting.length
    },
  }
  worker.addEventListener('message', ({ data }: MessageEvent<'ready' | CipherAnswer | undefined>) => {
    if (data === 'ready') helpers.add(helper)
    else waiting.shift()?.(data)
  })
  worker.addEventListener('error', () => {
    helpers.delete(helper)
    for (const answer of waiting.splice(0)) answer()
  })
}

let runs = 0

/** Asks the helper that has least to do, when there is one. */
async function help(ask: CipherAsk): Promise<CipherAnswer | undefined> {
  runs += 1
  if (runs === runsAlone) for (let n = 1; n <= helpersMax && n < navigator.hardwareConcurrency; n += 1) startHelper()
  let free: Helper | undefined
  for (const helper of helpers) if (!free || helper.waiting < free.waiting) free = helper
  return free?.ask(ask)
}

/** libsodium in as many workers as there are processors to spare, and here while none is ready. */
const helpedCipher: PayloadCipher = async (streamKey) => {
  const here = await sodiumCipher(streamKey)
  return {
    async seal(run, into) {
      const answer = await help({ act: 'seal', streamKey, run })
      if (answer) into.set(answer.bytes)
      else await here.seal(run, into)
    },
    async open(run) {
      const answer = await help({ act: 'open', streamKey, run })
      return answer ? { plain: answer.bytes, isWhole: answer.isWhole } : here.open(run)
    },
  }
}

/** The tools of a worker. A service worker may start no other. */
export const workerTools = (): Promise<SealTools> => webTools('Worker' in globalThis ? helpedCipher : sodiumCipher)

/** Seals and sends beside the page, so that the page stays quick. It ends with the page, and its phrases with it. */
import { newWords } from '#shell/islands/shared/new-words'
import { nowAndThen } from '#shell/islands/shared/progress'
import { sealAndSend, type Addressee, type Anew, type SealOrder } from '#shell/islands/shared/sealing'
import type { Holder } from '#shell/islands/shared/sender-key'
import { Refused, type Said, type Waiting } from '#shell/islands/shared/server'

export type SealAsk =
  | { kind: 'seal'; order: SealOrder }
  | { kind: 'relock'; order: Holder & { transferId: string; recipientId: string } }

export type SealNews =
  | { kind: 'begun'; isKept: boolean }
  | { kind: 'anew'; why: Anew }
  | { kind: 'checking'; checkedBytes: number; arrivedBytes: number }
  | { kind: 'progress'; doneBytes: number; totalBytes: number }
  | { kind: 'waiting'; waiting: Waiting }
  | { kind: 'sent'; addressees: Addressee[]; keepsKey: boolean }
  | { kind: 'relocked'; phrase: string | undefined }
  | { kind: 'refused'; said: Said }
  | { kind: 'failed' }

const tell = (news: SealNews) => postMessage(news)

async function answer(ask: SealAsk): Promise<SealNews> {
  if (ask.kind === 'relock') return { kind: 'relocked', phrase: await newWords(ask.order) }
  const sent = await sealAndSend(ask.order, {
    onBegun: (isKept) => tell({ kind: 'begun', isKept }),
    onAnew: (why) => tell({ kind: 'anew', why }),
    onChecking: (checkedBytes, arrivedBytes) => tell({ kind: 'checking', checkedBytes, arrivedBytes }),
    onProgress: nowAndThen((doneBytes, totalBytes) => tell({ kind: 'progress', doneBytes, totalBytes })),
    onWaiting: (waiting) => tell({ kind: 'waiting', waiting }),
  })
  return { kind: 'sent', ...sent }
}

addEventListener('message', ({ data }: MessageEvent<SealAsk>) => {
  answer(data).then(tell, (error: unknown) => {
    tell(error instanceof Refused ? { kind: 'refused', said: error.said } : { kind: 'failed' })
    // Rethrown for whoever looks at the console: it names what failed and holds nothing that was sealed.
    if (!(error instanceof Refused)) throw error
  })
})

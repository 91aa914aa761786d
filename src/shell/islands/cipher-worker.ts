/** Seals and opens runs for another worker, where the browser has no cipher of its own: see `shared/helpers.ts`. */
import type { Bytes } from '#core/kit/bytes'
import { sealedSize, type Run } from '#core/seal/stream'
import { sodiumCipher } from '#core/seal/tools'

export interface CipherAsk {
  act: 'seal' | 'open'
  streamKey: Bytes
  run: Run
}

/** What came out. `isWhole` is false when a chunk did not open: `bytes` ends before it. */
export interface CipherAnswer {
  bytes: Bytes
  isWhole: boolean
}

async function answer({ act, streamKey, run }: CipherAsk): Promise<CipherAnswer> {
  const cipher = await sodiumCipher(streamKey)
  if (act === 'open') {
    const { plain: bytes, isWhole } = await cipher.open(run)
    return { bytes, isWhole }
  }
  const bytes = new Uint8Array(sealedSize(run.bytes.length))
  await cipher.seal(run, bytes)
  return { bytes, isWhole: true }
}

/** Answers leave in the order of what was asked. One that cannot be given is empty: whoever asked does it then. */
let answered = sodiumCipher(new Uint8Array(32)).then(() => postMessage('ready'))
addEventListener('message', ({ data }: MessageEvent<CipherAsk>) => {
  const answering = answered.then(() => answer(data))
  answered = answering.then(
    (given) => postMessage(given, { transfer: [given.bytes.buffer] }),
    () => postMessage(undefined),
  )
})

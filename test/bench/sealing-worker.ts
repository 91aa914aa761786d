/** In a browser: seals a file to nowhere, or does with it only what any sealing must: read it, and call WebCrypto. */
import { limits } from '#core/kit/limits'
import { piecesOfBlob } from '#core/seal/flow'
import { identityFrom, recipientOf } from '#core/seal/locks'
import { sealParcel } from '#core/seal/seal'
import { chunkBytes } from '#core/seal/stream'
import { webTools } from '#core/seal/tools'

const mib = 2 ** 20
const details = { reference: '', marking: '', message: '', purpose: '', limits: '', handling: '', keepUntil: null }

async function seal(file: File): Promise<void> {
  const source = {
    path: 'file',
    type: 'file' as const,
    sizeBytes: file.size,
    modifiedAtMs: 0,
    read: () => piecesOfBlob(file, 8 * mib),
  }
  const identity = identityFrom(new Uint8Array(32).fill(1), true)
  const sealed = await sealParcel({
    parcelId: '0192f0c1-2222-7333-8444-555566667777',
    details,
    pq: true,
    partSizeBytes: 8 * mib,
    sources: [source],
    locks: [{ kind: 'key', recipientId: 'one', to: { recipient: await recipientOf(identity) } }],
    tools: await webTools(),
    putPart: async () => {},
  })
  if (!sealed.ok) throw new Error(sealed.problem.slug)
}

/** Reading, two digests and a cipher, each in the size in which it is quickest, with nothing made of what comes out. */
async function bare(file: File): Promise<void> {
  const { subtle } = globalThis.crypto
  const name = 'ChaCha20-Poly1305'
  const key = await subtle.importKey('raw-secret' as 'raw', new Uint8Array(32), name, false, ['encrypt'])
  for await (const piece of piecesOfBlob(file, 8 * mib)) {
    const of = (sizeBytes: number) =>
      Array.from({ length: piece.length / sizeBytes }, (_, n) => piece.subarray(n * sizeBytes, (n + 1) * sizeBytes))
    await Promise.all([
      subtle.digest('SHA-256', piece),
      ...of(limits.digestSliceBytes).map((slice) => subtle.digest('SHA-256', slice)),
      ...of(chunkBytes).map((chunk) => subtle.encrypt({ name, iv: new Uint8Array(12) }, key, chunk)),
    ])
  }
}

addEventListener('message', ({ data }: MessageEvent<{ act: 'seal' | 'bare'; file: File }>) => {
  const started = performance.now()
  void (data.act === 'seal' ? seal : bare)(data.file).then(
    () => postMessage((performance.now() - started) / 1_000),
    (error: unknown) => postMessage(String(error)),
  )
})

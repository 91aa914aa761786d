/** In a browser: seals a file to nowhere, or does with it only what any sealing must: read it, and call WebCrypto. */
import { piecesOfBlob } from '#core/seal/flow'
import { identityFrom, recipientOf } from '#core/seal/locks'
import { sealParcel } from '#core/seal/seal'
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
  const [slice, part] = [new Uint8Array(64 * mib), new Uint8Array(8 * mib)]
  let [readBytes, underWay] = [0, [] as Promise<unknown>[]]
  for await (const piece of piecesOfBlob(file, 8 * mib)) {
    for (let at = 0; at < piece.length; at += 65_536)
      underWay.push(subtle.encrypt({ name, iv: new Uint8Array(12) }, key, piece.slice(at, at + 65_536)))
    const before = readBytes
    readBytes += piece.length
    const passes = (size: number) => Math.floor(before / size) < Math.floor(readBytes / size)
    if (passes(part.length)) underWay.push(subtle.digest('SHA-256', part))
    if (passes(slice.length)) underWay.push(subtle.digest('SHA-256', slice))
    if (underWay.length < 48) continue
    await Promise.all(underWay)
    underWay = []
  }
  await Promise.all(underWay)
}

addEventListener('message', ({ data }: MessageEvent<{ act: 'seal' | 'bare'; file: File }>) => {
  const started = performance.now()
  void (data.act === 'seal' ? seal : bare)(data.file).then(
    () => postMessage((performance.now() - started) / 1_000),
    (error: unknown) => postMessage(String(error)),
  )
})

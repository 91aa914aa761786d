/**
 * Seals one file to one file, or opens it again, as the command line does: run by bench.ts in a process of its own, so
 * that its time and memory can be taken from outside.
 */
import { randomUUID } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'
import { fromBase64, toBase64 } from '#core/kit/bytes'
import { orThrow } from '#core/kit/outcome'
import { identityFrom, openLock, recipientOf } from '#core/seal/locks'
import { openParcel } from '#core/seal/open'
import { sealParcel } from '#core/seal/seal'
import { nodeTools } from '#edge/seal/node-tools'
import { readFlow } from '#shell/cli/file-bytes'
import { saveAll } from '#shell/cli/saving'
import { sourcesOf } from '#shell/cli/sources'

// As src/main.ts does.
setFlagsFromString('--semi-space-growth-factor=1')

const parcelId = '0192f0c1-2222-7333-8444-555566667777'
const partSizeBytes = 8 * 2 ** 20
const readBytes = 2 ** 20
const identity = identityFrom(new Uint8Array(32).fill(1), true)
const details = { reference: '', marking: '', message: '', purpose: '', limits: '', handling: '', keepUntil: null }

async function seal(from: string, to: string): Promise<void> {
  const out = await open(to, 'w')
  const sealed = await sealParcel({
    parcelId,
    details,
    pq: true,
    partSizeBytes,
    sources: await sourcesOf([from]),
    locks: [{ kind: 'key', recipientId: 'one', to: { recipient: await recipientOf(identity) } }],
    tools: nodeTools,
    putPart: async (n, bytes) => {
      await out.write(bytes, 0, bytes.length, n * partSizeBytes)
    },
  })
  await out.close()
  const { locks, manifestAge } = orThrow(sealed)
  await writeFile(`${to}.json`, JSON.stringify({ lock: locks[0], manifest: toBase64(manifestAge) }))
}

async function unseal(from: string, to: string): Promise<void> {
  const kept = JSON.parse(await readFile(`${from}.json`, 'utf8'))
  const lock = orThrow(
    await openLock(fromBase64(kept.lock.age), { identity }, { parcelId, lockId: kept.lock.id }, nodeTools),
  )
  const content = await open(from)
  const fetchContent = (start: number) => readFlow(content, readBytes, start)
  const parcel = orThrow(
    await openParcel({ lock, manifestAge: fromBase64(kept.manifest), fetchContent, tools: nodeTools }),
  )
  await saveAll(parcel, { folder: to, name: randomUUID() })
  if (!parcel.isWhole()) throw new Error('The parcel did not open whole')
  await content.close()
}

const [mode, from, to] = process.argv.slice(2)
await (mode === 'seal' ? seal : unseal)(from!, to!)

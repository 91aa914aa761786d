import { Worker } from 'node:worker_threads'
import { type ContentWork, type OpenJob, type SealedPart, type SealJob } from '#core/seal/content'
import { lane, type Item } from '#edge/seal/lane'

/** What the thread is started with. */
export type Task = { act: 'seal'; job: SealJob } | { act: 'open'; job: OpenJob }

/** Does a task on blocks in a thread of its own, which ends with the flow. */
async function* inThread<Out extends Item>(task: Task, blocks: AsyncIterable<Item>): AsyncGenerator<Out> {
  const worker = new Worker(new URL(import.meta.resolve('#edge/seal/elsewhere-worker')), {
    workerData: task,
    // Each chunk leaves 64 KiB of garbage behind few objects: small and frequent collections are the cheap ones.
    resourceLimits: { maxYoungGenerationSizeMb: 1 },
  })
  const { send, receive, fail, stop } = lane<Out>(worker, blocks)
  worker.on('error', fail)
  const sending = send().catch(fail)
  try {
    yield* receive()
  } finally {
    stop()
    await Promise.all([sending, worker.terminate()])
  }
}

/** Ciphers and digests of content in another thread, while this one reads, writes and hashes files. */
export const elsewhere: ContentWork = {
  sealParts: (job, runs) => inThread<SealedPart>({ act: 'seal', job }, runs),
  async *openTar(job, parts) {
    for await (const { bytes } of inThread({ act: 'open', job }, parts)) yield bytes
  },
}

/** Seals or opens content in a thread of its own: see `elsewhere.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { contentWork } from '#core/seal/content'
import { type Block } from '#core/seal/flow'
import { type Task } from '#edge/seal/elsewhere'
import { lane, type Item } from '#edge/seal/lane'
import { threadTools } from '#edge/seal/node-tools'

const task = workerData as Task

async function* work(): AsyncGenerator<Item> {
  if (task.act === 'seal') yield* contentWork.sealParts(task.job, receive(), threadTools)
  else for await (const bytes of contentWork.openTar(task.job, receive(), threadTools)) yield { bytes }
}

const { send, receive, tellFailure } = lane<Block>(parentPort!, work())
await send().catch(tellFailure)

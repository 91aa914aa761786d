import { once } from 'node:events'
import type { MessagePort, Worker } from 'node:worker_threads'
import { type Bytes } from '#core/kit/bytes'
import { ProblemError, type Problem } from '#core/kit/outcome'

/** What may be on its way to the other side before one more item follows: two parts, or sixteen runs. */
const aheadBytes = 16 * 2 ** 20

/** What flows between threads: bytes, handed over and not copied, and whatever belongs to them. */
export interface Item {
  bytes: Bytes
  /** Takes the memory back when the other side is done with it. */
  free?: (bytes: Bytes) => void
}

type Letter =
  | { kind: 'item'; item: Item }
  | { kind: 'taken'; sizeBytes: number }
  | { kind: 'spent'; bytes: Bytes }
  | { kind: 'end' }
  | { kind: 'failed'; problem?: Problem; error: unknown }

/**
 * One end of a flow of items between two threads and of another one back. Each side sends no more than the other has
 * room for, and the memory of what was handed over goes back to where it came from.
 */
export function lane<In extends Item>(port: MessagePort | Worker, out: AsyncIterable<Item>) {
  const came: Letter[] = []
  let wake = () => {}
  let underWayBytes = 0
  let isOver = false
  let free: Item['free']
  const post = (letter: Letter, bytes?: Bytes) => port.postMessage(letter, bytes ? [bytes.buffer] : [])
  const roomed = new EventTarget()
  port.on('message', (letter: Letter) => {
    if (letter.kind === 'spent') free?.(letter.bytes)
    else if (letter.kind === 'taken') {
      underWayBytes -= letter.sizeBytes
      roomed.dispatchEvent(new Event('room'))
    } else {
      came.push(letter)
      wake()
    }
  })

  async function send(): Promise<void> {
    for await (const { free: give, ...item } of out) {
      free = give
      while (underWayBytes >= aheadBytes && !isOver) await once(roomed, 'room')
      if (isOver) return
      underWayBytes += item.bytes.length
      post({ kind: 'item', item }, item.bytes)
    }
    post({ kind: 'end' })
  }

  async function* receive(): AsyncGenerator<In> {
    for (;;) {
      const letter = came.shift()
      if (!letter) await new Promise<void>((resolve) => (wake = resolve))
      else if (letter.kind === 'item') {
        const sizeBytes = letter.item.bytes.length
        yield { ...letter.item, free: (bytes: Bytes) => post({ kind: 'spent', bytes }, bytes) } as In
        post({ kind: 'taken', sizeBytes })
      } else if (letter.kind === 'failed') throw letter.problem ? new ProblemError(letter.problem) : letter.error
      else if (letter.kind === 'end') return
    }
  }

  /** Has whoever receives here fail. */
  const fail = (error: unknown) => {
    came.push({ kind: 'failed', error })
    wake()
  }
  const tellFailure = (error: unknown) =>
    post({ kind: 'failed', error, ...(error instanceof ProblemError ? { problem: error.problem } : {}) })
  /** Has `send` come back, and let go of what it sends: nobody takes it any more. */
  const stop = () => {
    isOver = true
    roomed.dispatchEvent(new Event('room'))
  }
  return { send, receive, fail, tellFailure, stop }
}

import { Worker } from 'node:worker_threads'
import { limits } from '#core/kit/limits'
import { fail, ok, type Outcome } from '#core/kit/outcome'
import type { ProblemSlug } from '#core/kit/problems'
import type { Analysis } from '#core/policy/analyse'
import type { Comparison } from '#core/policy/compare'
import type { ReadDraft } from '#features/rulebooks/reading'

/** Numbers of cases can be larger than JSON's numbers: they are kept as text. */
type Counted<T> = T extends bigint ? string : T extends object ? { [K in keyof T]: Counted<T[K]> } : T

/** How one case came out. */
export interface CaseResult {
  id: string
  title: string
  isOwn: boolean
  /** What differs from what should come out; nothing when it passed. */
  differences: string[]
}

/** What looking at a draft came to, as it is kept with it. */
export interface Proof {
  /** Of which texts: see `ReadDraft.of`. */
  of: string
  cases: CaseResult[]
  /** Unset, as is the comparison, where it could not be done; `trouble` says why. */
  analysis?: Counted<Analysis>
  comparison?: Counted<Comparison>
  trouble?: ProblemSlug
}

export type Task = Pick<ReadDraft, 'before' | 'after' | 'runs'>

/** Whether a draft may be published: every case passes, and looking at all of them found nothing. */
export const passes = ({ cases, analysis, trouble }: Proof): boolean =>
  trouble === undefined &&
  analysis !== undefined &&
  analysis.findings.length === 0 &&
  cases.every(({ differences }) => differences.length === 0)

let running = 0

/**
 * Runs the cases of a draft, analyses it and compares it with what is in force: in a thread of its own, which may take
 * so long and so much memory and no more. The server answers others meanwhile.
 *
 * @param patienceMs - how long it may take; tests give it less
 * @returns the proof, with `rulebooks-tangled` as its trouble where that was not enough; or `proofs-busy`
 */
export async function prove(
  { before, after, runs, of }: Task & Pick<Proof, 'of'>,
  patienceMs: number = limits.proofMs,
): Promise<Outcome<Proof>> {
  if (running >= limits.proofsAtOnce) return fail('proofs-busy')
  running += 1
  try {
    const found = await inThread({ before, after, runs }, patienceMs)
    return ok({ cases: [], trouble: 'rulebooks-tangled', ...found, of })
  } finally {
    running -= 1
  }
}

/** What the thread says; undefined when it needed more time or memory than it may have. */
function inThread(task: Task, patienceMs: number): Promise<Omit<Proof, 'of'> | undefined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.resolve('#features/rulebooks/proving-worker')), {
      workerData: task,
      resourceLimits: { maxOldGenerationSizeMb: limits.proofMegabytes },
    })
    const patience = setTimeout(() => void worker.terminate(), patienceMs)
    let said: string | undefined
    worker.on('message', (text: string) => (said = text))
    worker.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? undefined : reject(error),
    )
    worker.on('exit', () => {
      clearTimeout(patience)
      resolve(said === undefined ? undefined : { trouble: undefined, ...JSON.parse(said) })
    })
  })
}

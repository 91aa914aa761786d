import { randomUUID } from 'node:crypto'
import { fromKysely, PgBoss, type Job, type JobResult } from 'pg-boss'
import { limits } from '#core/kit/limits'
import { assert } from '#core/kit/outcome'
import { jobsSchema } from '#edge/jobs/install'
import type { JobName } from '#edge/jobs/names'
import type { Store, Tx } from '#edge/store/database'
import { withoutWords } from '#edge/watch/without-words'

/** What a job knows: ids of rows, never what they say. Finished jobs stay in the database for a while. */
export type JobIds = Record<string, string>

/** The jobs of this process. Any number of processes may share a database; each job runs in one of them at a time. */
export interface Jobs {
  /**
   * Does every job of a name from now on, a few at a time. The handler gets the job's ids and a signal that fires when
   * it has run for too long; when it throws, the job is tried again, later each time.
   */
  work(name: JobName, handler: (ids: JobIds, signal: AbortSignal) => Promise<void>): Promise<void>
  /** Enqueues a job by the clock for as long as the database lives. `cron` is in UTC and at most once a minute. */
  repeat(name: JobName, cron: string): Promise<void>
  /** Lets the jobs that run come to their end, for a while, and stops. */
  stop(): Promise<void>
}

/**
 * Enqueues a job in the transaction of the change that wants it: it exists when the change does, and not otherwise.
 *
 * @param ids - ids only
 * @param options - `startAfter`: not before then; `singletonKey`: nothing happens when a job of this name and key is
 *   waiting already
 */
export async function enqueue(
  tx: Tx,
  name: JobName,
  ids: JobIds,
  options: { startAfter?: Date; singletonKey?: string } = {},
): Promise<void> {
  for (const id of Object.values(ids)) assert(/^[\w-]{1,64}$/.test(id), `jobs hold ids only (${name})`)
  const boss = new PgBoss({ db: fromKysely(tx.withoutPlugins()), schema: jobsSchema })
  await boss.send(name, ids, { singletonKey: randomUUID(), ...options })
}

/** Each of two workers takes a few jobs at a time and settles each by itself: a slow job holds up few others. */
const workOptions = {
  localConcurrency: 2,
  batchSize: limits.jobsAtOnce,
  perJobResults: true,
  burstWhenBatchFull: true,
  pollingIntervalSeconds: limits.jobPollSeconds,
  notifyPollingIntervalSeconds: limits.jobPollSeconds,
} as const

/**
 * Starts to look for jobs. The database must be migrated.
 *
 * @param log - takes one line; none ever holds what a job was about, only its name, id and the kind of error
 */
export async function startJobs(store: Store, log: (line: string) => void = console.error): Promise<Jobs> {
  const boss = new PgBoss({
    connectionString: store.connectionString,
    application_name: 'safehand-jobs',
    max: limits.jobConnections,
    schema: jobsSchema,
    migrate: false,
    useListenNotify: true,
  })
  boss.on('error', (error) => log(`jobs: ${withoutWords(error)}`))
  boss.on('warning', ({ message }) => log(`jobs: ${message}`))
  await boss.start()
  return {
    async work(name, handler) {
      await boss.work<JobIds, never, typeof workOptions>(name, workOptions, (jobs) => Promise.all(jobs.map(one)))

      async function one(job: Job<JobIds>): Promise<JobResult> {
        try {
          await handler(job.data, job.signal)
          return { id: job.id, status: 'completed' }
        } catch (error) {
          const what = withoutWords(error)
          log(`job ${name} ${job.id}: ${what}`)
          // Not the error itself: its words are kept with the job, and may be about a person.
          return { id: job.id, status: 'failed', output: { what: what.split('\n')[0] } }
        }
      }
    },
    async repeat(name, cron) {
      await boss.schedule(name, cron, {}, { tz: 'UTC', singletonKey: name })
    },
    stop: () => boss.stop({ timeout: limits.jobStopMs }),
  }
}

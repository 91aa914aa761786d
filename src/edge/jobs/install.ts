import type { Kysely } from 'kysely'
import { fromKysely, PgBoss, type Queue } from 'pg-boss'
import { limits } from '#core/kit/limits'
import { jobNames } from '#edge/jobs/names'

/** The schema that the jobs' tables live in, apart from ours. */
export const jobsSchema = 'jobs'

const options: Omit<Queue, 'name'> = {
  retryLimit: limits.jobRetries,
  retryDelay: limits.jobRetrySeconds,
  retryBackoff: true,
  retryDelayMax: limits.jobRetrySecondsMax,
  expireInSeconds: limits.jobSeconds,
  retentionSeconds: limits.jobWaitSeconds,
  deleteAfterSeconds: limits.jobKeptSeconds,
  notify: true,
}

/** Brings the tables of the jobs up to date and makes every queue. Called by `migrate`, under its lock. */
export async function installJobs<T>(db: Kysely<T>): Promise<void> {
  const boss = new PgBoss({
    db: fromKysely(db.withoutPlugins()),
    schema: jobsSchema,
    supervise: false,
    schedule: false,
    registerInstance: false,
  })
  boss.on('error', () => {})
  await boss.start()
  try {
    for (const name of jobNames) {
      // Short: at most one job of a key waits at a time. `enqueue` gives each job a key of its own unless told one.
      await boss.createQueue(name, { ...options, policy: 'short' })
      await boss.updateQueue(name, options)
    }
  } finally {
    await boss.stop({ graceful: false })
  }
}

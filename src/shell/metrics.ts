import { createServer } from 'node:http'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Standing } from '#edge/watch/standing'
import { exposition, gauge, type Family } from '#edge/watch/meters'

/**
 * Answers `GET /metrics` for a Prometheus, apart from the pages: a listener of its own, so that no proxy hands it on.
 *
 * @param read - what there is to show, asked afresh each time
 * @returns how to end it
 */
export async function serveMetrics(
  at: { host: string; port: number },
  read: () => Promise<Family[]>,
): Promise<() => Promise<void>> {
  const lag = monitorEventLoopDelay()
  lag.enable()
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') return void response.writeHead(404).end()
    read().then(
      (families) => {
        const text = exposition([...families, ...ofProcess(lag.percentile(99) / 1e9)])
        lag.reset()
        response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8').end(text)
      },
      () => response.writeHead(503).end(),
    )
  })
  server.listen(at.port, at.host)
  await once(server, 'listening')
  return async () => {
    lag.disable()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

const ofProcess = (lagSeconds: number): Family[] => [
  gauge('safehand_process_resident_bytes', 'Memory of the server process.', process.memoryUsage.rss()),
  gauge('safehand_process_heap_bytes', 'Memory of JavaScript objects.', process.memoryUsage().heapUsed),
  {
    name: 'safehand_process_cpu_seconds_total',
    help: 'Processor time used.',
    type: 'counter',
    samples: [{ value: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6 }],
  },
  gauge('safehand_process_uptime_seconds', 'Time since the start.', process.uptime()),
  gauge(
    'safehand_event_loop_lag_seconds',
    'Delay that 99 of 100 turns did not exceed since the last look.',
    lagSeconds,
  ),
]

const byState = (counts: Record<string, number>) =>
  Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }))

/** An installation's standing as gauges. A database that does not answer leaves its own out. */
export function standingFamilies({ database, registerTrouble, diskFreeBytes }: Standing): Family[] {
  return [
    gauge('safehand_database_up', 'Whether the database answers.', database ? 1 : 0),
    gauge('safehand_register_sound', 'Whether the keeper’s last round was sound.', registerTrouble ? 0 : 1),
    gauge('safehand_disk_free_bytes', 'Room where the data folder is.', diskFreeBytes),
    ...(database
      ? [
          gauge('safehand_register_events', 'Events of the register.', [
            { labels: { state: 'waiting' }, value: database.eventsWaiting },
            { labels: { state: 'signed' }, value: database.eventsSigned },
            { labels: { state: 'published' }, value: database.eventsPublished },
          ]),
          gauge('safehand_register_wait_seconds', 'Age of the oldest event that waits.', database.eventWaitMs / 1000),
          gauge('safehand_mails', 'Mails by state.', byState(database.mails)),
          gauge('safehand_mail_wait_seconds', 'Age of the oldest mail that waits.', database.mailWaitMs / 1000),
          gauge('safehand_parcels', 'Parcels by state.', byState(database.parcels)),
          gauge('safehand_jobs', 'Jobs by state; finished ones of the last day.', byState(database.jobs)),
        ]
      : []),
  ]
}

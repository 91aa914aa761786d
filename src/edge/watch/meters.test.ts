import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counter, durations, exposition, gauge } from '#edge/watch/meters'

test('what is counted, measured and timed is shown as Prometheus reads it', () => {
  const requests = counter('safehand_requests_total', 'Requests.')
  requests.add({ route: '/a/:b', class: '2xx' })
  requests.add({ route: '/a/:b', class: '2xx' }, 2)
  requests.add({ route: 'say "\\"\n', class: '4xx' })
  const seconds = durations('safehand_request_seconds', 'Durations.', [0.1, 1])
  for (const taken of [0.1, 0.5, 7]) seconds.add({ route: '/' }, taken)
  const text = exposition([requests.family(), seconds.family(), gauge('safehand_disk_free_bytes', 'Room.', 12)])
  assert.equal(
    text,
    `# HELP safehand_requests_total Requests.
# TYPE safehand_requests_total counter
safehand_requests_total{route="/a/:b",class="2xx"} 3
safehand_requests_total{route="say \\"\\\\\\"\\n",class="4xx"} 1
# HELP safehand_request_seconds Durations.
# TYPE safehand_request_seconds histogram
safehand_request_seconds_bucket{route="/",le="0.1"} 1
safehand_request_seconds_bucket{route="/",le="1"} 2
safehand_request_seconds_bucket{route="/",le="+Inf"} 3
safehand_request_seconds_sum{route="/"} 7.6
safehand_request_seconds_count{route="/"} 3
# HELP safehand_disk_free_bytes Room.
# TYPE safehand_disk_free_bytes gauge
safehand_disk_free_bytes 12
`,
  )
})

test('a name that is not ours is refused, so that nothing sent to us can become one', () => {
  assert.throws(() => exposition([gauge('safehand_x{}', 'Wrong.', 1)]), /no name of a metric/)
})

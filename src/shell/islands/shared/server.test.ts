import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formTokenHeader,
  jsonAnswered,
  jsonTo,
  Refused,
  untilAnswered,
  type Waiting,
} from '#shell/islands/shared/server'

// Browsers have these on their global; the timers are real, so each test waits for one pause at most.
Object.assign(globalThis, { addEventListener: () => {}, removeEventListener: () => {} })

const answers = (...all: (Response | Error)[]) => {
  const left = [...all]
  return async () => {
    const next = left.shift()!
    if (next instanceof Error) throw next
    return next
  }
}
const problem = (status: number, body: unknown) => Response.json(body, { status })

test('a lost network is waited for, and the page is told when it begins and when it is over', async () => {
  const told: Waiting[] = []
  const answer = await untilAnswered(answers(new TypeError('Failed to fetch'), new Response('yes')), (waiting) =>
    told.push(waiting),
  )
  assert.equal(await answer.text(), 'yes')
  assert.deepEqual(told, ['connection', undefined])
})

test('a server that cannot just now is asked again', async () => {
  const answer = await untilAnswered(answers(problem(503, {}), new Response(null, { status: 204 })))
  assert.equal(answer.status, 204)
})

test('what the server refuses is not asked again, and carries its words', async () => {
  const body = {
    type: 'http://localhost/problems/parcel-days',
    title: 'Too long',
    next: 'Choose fewer.',
    detail: 'At most 28.',
    clause: 'D39',
  }
  await assert.rejects(untilAnswered(answers(problem(422, body))), (error: unknown) => {
    assert.ok(error instanceof Refused)
    assert.deepEqual(error.said, {
      slug: 'parcel-days',
      title: 'Too long',
      next: 'Choose fewer.',
      detail: 'At most 28.',
      clause: 'D39',
    })
    return true
  })
})

test('a server without room left is not waited for: the person is told', async () => {
  const full = { type: 'http://localhost/problems/storage-full' }
  await assert.rejects(untilAnswered(answers(problem(507, full))), { message: 'Safehand has no room left' })
})

test('a refusal without words of its own gets ours', async () => {
  await assert.rejects(untilAnswered(answers(new Response('<html>', { status: 400 }))), {
    message: 'Safehand cannot do this just now',
  })
})

test('a mistake of our own is not taken for a lost network', async () => {
  await assert.rejects(untilAnswered(answers(new RangeError('wrong'))), RangeError)
})

test('where there is no page of one’s own the token comes from one; when it is out of date it is read again, once', async () => {
  const asked: string[] = []
  let page = 'first'
  const expired = problem(403, { type: 'http://localhost/problems/form-expired' })
  globalThis.fetch = async (url, init) => {
    if (url === '/genuine') return new Response(`<meta name="form-token" content="${page}">`)
    const token = new Headers(init?.headers).get('safehand-form-token')!
    asked.push(token)
    return token === 'second' ? new Response(null, { status: 204 }) : expired.clone()
  }
  assert.deepEqual(await formTokenHeader(), { 'safehand-form-token': 'first' })
  page = 'second'
  assert.equal((await untilAnswered(jsonTo('/api/x', {}))).status, 204)
  assert.deepEqual(asked, ['first', 'second'])
  page = 'third'
  globalThis.fetch = async (url) =>
    url === '/genuine'
      ? new Response(`<meta name="form-token" content="${page}">`)
      : (asked.push('again'), expired.clone())
  await assert.rejects(untilAnswered(jsonTo('/api/x', {})), Refused)
  assert.equal(asked.length, 4, 'not a third time')
})

test('whose session has ended is waited for, and the same request goes on with the token of the new one', async () => {
  const tokens: string[] = []
  const told: Waiting[] = []
  let page = 'ended'
  globalThis.fetch = async (url, init) => {
    if (url === '/genuine') return new Response(`<meta name="form-token" content="${page}">`)
    const token = new Headers(init?.headers).get('safehand-form-token')!
    tokens.push(token)
    return token === 'again' ? new Response(null, { status: 204 }) : problem(401, { type: '/problems/sign-in-needed' })
  }
  await untilAnswered(jsonTo('/api/x', {}), (waiting) => {
    told.push(waiting)
    page = 'again'
  })
  assert.deepEqual(told, ['sign-in', undefined])
  assert.deepEqual(new Set(tokens.slice(0, -1)), new Set(['third', 'ended']))
  assert.equal(tokens.at(-1), 'again')
  await assert.rejects(
    untilAnswered(answers(problem(401, { type: '/problems/sign-in-needed' }))),
    { message: 'You need to sign in' },
    'where nobody is told, nobody is waited for',
  )
})

test('a token that could not be read is read again, and spoils no later request', async () => {
  // Another copy of the module, as in a worker that has just begun.
  const copy = new URL('./server.ts?worker', import.meta.url).href
  const worker = (await import(copy)) as { jsonTo: typeof jsonTo; untilAnswered: typeof untilAnswered }
  let isReached = false
  globalThis.fetch = async (url) => {
    if (url !== '/genuine') return new Response(null, { status: 204 })
    if (isReached) return new Response('<meta name="form-token" content="read">')
    isReached = true
    throw new TypeError('Failed to fetch')
  }
  assert.equal((await worker.untilAnswered(worker.jsonTo('/api/x', {}))).status, 204)
})

test('an answer that breaks off in the middle is asked for again', async () => {
  const broken = new ReadableStream({ start: (body) => body.error(new TypeError('network error')) })
  const said = await jsonAnswered<{ is: string }>(answers(new Response(broken), Response.json({ is: 'whole' })))
  assert.deepEqual(said, { is: 'whole' })
})

import { fail, ok } from '#core/kit/outcome'
import type { House } from '#edge/house'
import { latestCheckpoint } from '#edge/keeper/head'
import { tilesOf } from '#edge/keeper/installation'
import { receiptFor } from '#edge/keeper/receipt'
import { closedRegisters, trustOf } from '#edge/keeper/registers'
import { raw, screen, type Route } from '#edge/web/route'
import { eventsOf } from '#features/transfers/queries'
import { transferOf } from '#features/transfers/transfer'

const checkPage = screen({
  path: '/register/check',
  who: 'anyone',
  summary: 'Check a receipt, in this browser alone',
  view: 'register/views/check',
  load: async ({ house }) => {
    const { vkey } = house.keeper
    // The key alone while there is one; after that the keys of all, as their receipts go on being shown.
    const key = (await closedRegisters(house.db)).length > 0 ? await trustOf(house.db) : vkey
    return ok({ title: 'Check a receipt', vkey, key, islands: ['check-receipt'] })
  },
})

/** Where registers are published: the first at /register, those begun later below it by their numbers. */
const places = [
  { path: '/register', which: '' },
  { path: '/register/:n', which: ' of a register that was begun when another was closed' },
]

/** The newest checkpoint of a register; undefined before its first, and where there is no such register. */
async function checkpointOf({ db }: House, number: number): Promise<string | undefined> {
  const closed = await closedRegisters(db)
  return number === closed.length + 1 ? latestCheckpoint(db) : closed[number - 1]?.checkpoint
}

/** The number in an address; none at all for one that is not written as a register's is. */
const numberOf = ({ n }: Record<string, string>): number =>
  n === undefined ? 1 : /^(?:[2-9]|[1-9]\d{1,5})$/.test(n) ? Number(n) : NaN

const checkpoints = places.map(({ path, which }) =>
  raw({
    method: 'GET',
    path: `${path}/checkpoint`,
    who: 'anyone',
    summary: `The newest checkpoint${which}: a signed note (C2SP tlog-checkpoint)`,
    handle: async ({ house, params }, _request, reply) => {
      const note = await checkpointOf(house, numberOf(params))
      if (note === undefined) return fail(params.n === undefined ? 'proof-not-ready' : 'not-found')
      void reply.type('text/plain; charset=utf-8').header('cache-control', 'max-age=5')
      return ok(note)
    },
  }),
)

const tiles = places.map(({ path, which }) =>
  raw({
    method: 'GET',
    path: `${path}/tile/*`,
    who: 'anyone',
    summary: `A tile or a bundle of entries${which} (C2SP tlog-tiles)`,
    handle: async ({ house, params }, _request, reply) => {
      const tile = params['*'] ?? ''
      // Only the paths the format knows; anything else is no tile, whatever the folder may hold.
      if (!/^(?:\d{1,2}|entries)\/(?:x\d{3}\/)*\d{3}(?:\.p\/\d{1,3})?$/.test(tile)) return fail('not-found')
      const bytes = await tilesOf(house.config, numberOf(params)).read(`tile/${tile}`)
      if (!bytes) return fail('not-found')
      void reply.type('application/octet-stream').header('cache-control', 'public, max-age=31536000, immutable')
      return ok(Buffer.from(bytes))
    },
  }),
)

const proof = raw({
  method: 'GET',
  path: '/api/transfers/:transfer/proofs/:event',
  who: 'signed-in',
  summary: 'The proof of one event of a transfer, a tlog-proof that checks offline',
  handle: async (visit, _request, reply) => {
    const transfer = await transferOf(visit)
    if (!transfer.ok) return transfer
    const event = (await eventsOf(visit.house.db, transfer.value.id)).find(({ id }) => id === visit.params.event)
    if (!event) return fail('not-found')
    visit.house.keeper.nudge()
    const receipt = await receiptFor(visit.house.db, visit.house.keeper, event.id)
    if (!receipt.ok) return receipt
    void reply
      .type('text/plain; charset=utf-8')
      .header('content-disposition', `attachment; filename="${transfer.value.reference}-${event.name}.tlog-proof"`)
    return ok(receipt.value)
  },
})

export const routes: Route[] = [checkPage, ...checkpoints, ...tiles, proof]

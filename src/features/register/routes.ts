import { fail, ok } from '#core/kit/outcome'
import { latestCheckpoint } from '#edge/keeper/head'
import { receiptFor } from '#edge/keeper/receipt'
import { raw, screen, type Route } from '#edge/web/route'
import { eventsOf } from '#features/transfers/queries'
import { transferOf } from '#features/transfers/transfer'

const checkPage = screen({
  path: '/register/check',
  who: 'anyone',
  summary: 'Check a receipt, in this browser alone',
  view: 'register/views/check',
  load: async ({ house }) => ok({ title: 'Check a receipt', vkey: house.keeper.vkey, islands: ['check-receipt'] }),
})

const checkpoint = raw({
  method: 'GET',
  path: '/register/checkpoint',
  who: 'anyone',
  summary: 'The newest checkpoint: a signed note (C2SP tlog-checkpoint)',
  handle: async ({ house }, _request, reply) => {
    const note = await latestCheckpoint(house.db)
    if (note === undefined) return fail('proof-not-ready')
    void reply.type('text/plain; charset=utf-8').header('cache-control', 'max-age=5')
    return ok(note)
  },
})

const tile = raw({
  method: 'GET',
  path: '/register/tile/*',
  who: 'anyone',
  summary: 'A tile or a bundle of entries (C2SP tlog-tiles)',
  handle: async ({ house, params }, _request, reply) => {
    const path = params['*'] ?? ''
    // Only the paths the format knows; anything else is no tile, whatever the folder may hold.
    if (!/^(?:\d{1,2}|entries)\/(?:x\d{3}\/)*\d{3}(?:\.p\/\d{1,3})?$/.test(path)) return fail('not-found')
    const bytes = await house.keeper.tiles.read(`tile/${path}`)
    if (!bytes) return fail('not-found')
    void reply.type('application/octet-stream').header('cache-control', 'public, max-age=31536000, immutable')
    return ok(Buffer.from(bytes))
  },
})

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

export const routes: Route[] = [checkPage, checkpoint, tile, proof]

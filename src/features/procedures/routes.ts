import { limits } from '#core/kit/limits'
import { fail, ok } from '#core/kit/outcome'
import { recordEvent } from '#edge/keeper/record'
import { choice, fields, line, optional, telephone, text } from '#edge/web/fields'
import { action, screen, type Route, type Visit } from '#edge/web/route'
import { decideNow, unmet } from '#features/transfers/decision'
import { recipientsOf, personDetails, updateTransfer } from '#features/transfers/queries'
import { change } from '#features/transfers/change'
import { transferOf } from '#features/transfers/transfer'
import { insertSharingRecord, sharingRecordsOf } from '#features/procedures/queries'

const timeOfDay = (title: string) => ({
  ...line(title, 5),
  pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
  wrong: `Enter ${title} like 16:40`,
})

const recordForm = screen({
  path: '/transfers/:transfer/sent/:method',
  who: 'signed-in',
  summary: 'Record that it was sent another way: what every record of sharing holds (W78)',
  view: 'procedures/views/sent',
  load: async (visit) => {
    const transfer = await transferOf(visit)
    if (!transfer.ok) return transfer
    const method = visit.house.policy.vocabulary.methods.get(visit.params.method!)
    if (!method) return fail('not-found')
    const decided = await decideNow(visit.house.db, visit.house, transfer.value)
    if (!decided.ok) return decided
    const [recipient] = await recipientsOf(visit.house.db, transfer.value.id)
    const person = recipient?.personId ? await personDetails(visit.house.db, recipient.personId) : undefined
    const chosen = decided.value.decision.methods[visit.params.method!]!
    return ok({
      title: visit.params.method === 'telephone' ? 'Record the call' : 'I sent it this way',
      transfer: transfer.value,
      method: visit.params.method,
      methodName: method.name,
      obligations: chosen.obligations,
      recipient,
      organisation: person?.organisation ?? (recipient?.kind === 'individual' ? 'Member of the public' : ''),
      backUrl: `/transfers/${transfer.value.id}/decision`,
    })
  },
})

const saveRecord = action({
  path: '/transfers/:transfer/sent/:method',
  who: 'signed-in',
  summary: 'Keep the record of sharing another way',
  fields: fields({
    outcome: optional(choice('what happened', ['spoke', 'no-answer', 'wrong-person'] as const)),
    time: optional(timeOfDay('the time')),
    reason: text('the reason for sharing'),
    information: line('what kind of information it was'),
    authorisedBy: optional(line('who authorised it', limits.nameCharacters)),
    recipientName: line('the recipient’s name', limits.nameCharacters),
    recipientJobTitle: line('the recipient’s job title', limits.nameCharacters),
    recipientOrganisation: line('the recipient’s organisation', limits.nameCharacters),
    recipientTelephone: telephone('the recipient’s telephone number'),
    note: optional(text('a note')),
  }),
  again: recordForm,
  run: async (visit, body) => {
    const method = visit.params.method!
    if (method === 'telephone' && body.outcome !== 'spoke') {
      return body.outcome === undefined
        ? fail('form-incomplete', { fields: { outcome: 'Choose what happened' } })
        : fail('not-disclosed')
    }
    const done = await change(visit, async (tx, transfer) => {
      const decided = await decideNow(tx, visit.house, transfer)
      if (!decided.ok) return decided
      const chosen = decided.value.decision.methods[method]
      if (chosen?.outcome !== 'ALLOW' && chosen?.outcome !== 'ALLOW_WITH') return fail('method-not-allowed')
      const gates = unmet(chosen)
      if (gates.length > 0) return fail('gates-open', { detail: gates.map((gate) => gate.says).join(' ') })
      const { outcome: _outcome, time, authorisedBy, note, ...rest } = body
      const happenedAt = time ? todayAt(visit.now, time) : visit.now
      const { id } = await insertSharingRecord(tx, {
        ...rest,
        transferId: transfer.id,
        method,
        happenedAt,
        authorisedBy: authorisedBy ?? null,
        note: note ?? null,
        how: method,
        byId: visit.actor.id,
        at: visit.now,
      })
      const isOnlyFirst = method === 'telephone' && transfer.facts.artefact !== 'conversation'
      await updateTransfer(
        tx,
        transfer.id,
        isOnlyFirst
          ? {
              purposeWords: transfer.purposeWords ?? body.reason,
              informationWords: transfer.informationWords ?? body.information,
            }
          : {
              state: 'recorded',
              method,
              sentAt: happenedAt,
              closedAt: visit.now,
              purposeWords: transfer.purposeWords ?? body.reason,
              informationWords: transfer.informationWords ?? body.information,
            },
      )
      await recordEvent(
        tx,
        'sharing-recorded',
        { transfer: transfer.id, record: id, method, happenedAt: happenedAt.toISOString() },
        { transferId: transfer.id, at: visit.now },
      )
      return ok()
    })
    return done
  },
  then: (_result, visit) => `/transfers/${visit.params.transfer}`,
})

const londonTime = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Europe/London',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})

/** Today at a time of day in London; yesterday if that has not come yet. */
export function todayAt(now: Date, time: string): Date {
  const [hours, minutes] = time.split(':').map(Number) as [number, number]
  const parts = londonTime.formatToParts(now)
  const value = (type: string) => Number(parts.find((part) => part.type === type)!.value)
  const minutesAgo = (value('hour') * 60 + value('minute') - (hours * 60 + minutes) + 1440) % 1440
  return new Date(now.valueOf() - minutesAgo * 60_000)
}

/** The records of sharing another way, on the transfer's page. */
export async function panel(visit: Visit, transferId: string) {
  const records = await sharingRecordsOf(visit.house.db, transferId)
  if (records.length === 0) return undefined
  const { methods } = visit.house.policy.vocabulary
  return {
    view: 'procedures/views/panel',
    model: { records: records.map((record) => ({ ...record, methodName: methods.get(record.method)?.name })) },
  }
}

export const routes: Route[] = [recordForm, saveRecord]

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { aHouse } from '#test/house'

const { browser } = await aHouse({ after }, { rulebooks: ['council', 'practitioner'] })
const priya = await browser('Priya Nair')

/** A transfer to the school's office, whose mail server takes no protected email, ready for its files. */
async function aReadyTransfer(method: string): Promise<string> {
  const grace = await browser('Grace Oduya')
  const { found: schools } = await grace.post<{ found: { organisationId: string }[] }>('/api/organisations/search', {
    words: 'Millbrook',
  })
  await grace.post(`/api/organisations/${schools[0]!.organisationId}/profile`, {
    tls: 'refused',
    tlsEvidence: 'A report came back',
    tlsCheckedOn: '2026-01-01',
  })
  const { id } = await priya.post<{ id: string }>('/api/transfers')
  const at = `/api/transfers/${id}`
  const { found } = await priya.post<{ found: { kind: string; id: string; email: string }[] }>(`${at}/who/search`, {
    q: 'Jo',
  })
  const office = found.find(({ email }) => email === 'office@millbrook.example')!
  await priya.post(`${at}/who`, { to: `${office.kind}:${office.id}` })
  await priya.post(`${at}/ask/sensitivity`, { 'council-class': 'restricted' })
  await priya.post(`${at}/ask/what`, { artefact: 'file', size: 'at-most-12000000', informationWords: 'Case notes' })
  await priya.post(`${at}/ask/people`, { sensitivity: 'high', people: 'at-most-1' })
  await priya.post(`${at}/ask/why`, { purpose: 'protect-someone', purposeWords: 'To protect', urgency: 'no-rush' })
  await priya.post(`${at}/ask/planned`, { planned: 'no' })
  const { recipients } = await priya.get<{ recipients: { id: string }[] }>(`${at}/decision`)
  for (const recipient of recipients)
    await priya.post(`${at}/recipients/${recipient.id}/confirm`, {
      authorised: 'yes',
      how: 'switchboard',
      detail: 'Rang',
    })
  await priya.post(`${at}/method`, { method })
  return id
}

test('where a rulebook wants the password told another way, no parcel opens by its mailbox alone', async () => {
  const id = await aReadyTransfer('encrypted_email')
  const begun = await priya.post<{ recipients: { lockKinds: string[] }[]; automaticRecipient?: string }>(
    `/api/transfers/${id}/parcel`,
    { sizeBytes: 1000, fileCount: 1, availableDays: 14 },
  )
  assert.deepEqual(
    begun.recipients.map(({ lockKinds }) => lockKinds),
    [['passphrase']],
  )
  assert.equal(begun.automaticRecipient, undefined)
})

import { toBase64 } from '#core/kit/bytes'
import { parseCheckpoint } from '#core/register/checkpoint'
import { parseNote } from '#core/register/note'
import type { House } from '#edge/house'
import { latestCheckpoint } from '#edge/keeper/head'
import type { Letter, RegisterLine } from '#edge/mail/compose'
import { holdMail } from '#edge/mail/outbox'
import type { Db, Tx } from '#edge/store/database'
import { staffById } from '#features/people/queries'
import type { RecipientRow, TransferRow } from '#features/transfers/queries'

/** The register as it stands, for the foot of a mail: its readers become witnesses. Undefined before the first checkpoint. */
async function registerLine(db: Db | Tx, vkey: string): Promise<RegisterLine | undefined> {
  const checkpoint = await latestCheckpoint(db)
  const note = checkpoint === undefined ? undefined : parseNote(checkpoint)
  const state = note?.ok ? parseCheckpoint(note.value.text) : undefined
  if (!state?.ok) return undefined
  const [, keyFingerprint] = vkey.split('+')
  return { size: state.value.size, root: toBase64(state.value.root), keyFingerprint: keyFingerprint! }
}

/** Holds a mail to a recipient, in their language, with the register's newest checkpoint under it. */
export async function writeToRecipient(tx: Tx, house: House, recipient: RecipientRow, letter: Letter): Promise<void> {
  const line = await registerLine(tx, house.keeper.vkey)
  await holdMail(tx, {
    to: recipient.email,
    letter,
    language: recipient.language === 'cy' ? 'cy' : 'en',
    transferId: recipient.transferId,
    ...(line ? { registerLine: line } : {}),
  })
}

/** Holds a mail to a transfer's sender; nothing when they have left. The letter is told where the transfer's page is. */
export async function writeToSender(
  tx: Tx,
  house: House,
  transfer: Pick<TransferRow, 'id' | 'senderId'>,
  letter: (url: string) => Letter,
): Promise<void> {
  const sender = await staffById(tx, transfer.senderId)
  if (!sender) return
  const url = `${house.config.publicUrl}/transfers/${transfer.id}`
  await holdMail(tx, { to: sender.email, letter: letter(url), language: 'en', transferId: transfer.id })
}

import { parseAddress } from '#core/kit/address'
import { limits } from '#core/kit/limits'
import { orThrow } from '#core/kit/outcome'
import { enqueue } from '#edge/jobs/runner'
import { compose, type Language, type Letter, type MailLink, type RegisterLine } from '#edge/mail/compose'
import { newId, type Db, type Tx } from '#edge/store/database'

/**
 * Puts a mail into the outbox, in the transaction of what it is about: it goes out when that is committed, and not
 * otherwise. Without SMTP it stays here.
 *
 * @returns the mail's id; throws `ProblemError` with `address-malformed`, which undoes the transaction
 */
export async function holdMail(
  tx: Tx,
  mail: { to: string; letter: Letter; language: Language; transferId?: string; registerLine?: RegisterLine },
): Promise<string> {
  const { links, ...composed } = compose(mail.letter, mail)
  const id = newId()
  await tx
    .insertInto('outgoingMail')
    .values({
      id,
      ...composed,
      links: JSON.stringify(links),
      recipient: orThrow(parseAddress(mail.to)),
      language: mail.language,
      transferId: mail.transferId ?? null,
    })
    .execute()
  await enqueue(tx, 'deliver-mail', { id }, { singletonKey: id })
  return id
}

/** A mail as the outbox shows it. */
export interface HeldMail {
  id: string
  to: string
  subject: string
  /** Empty once the mail is sent: what it said is not kept. */
  text: string
  links: MailLink[]
  state: 'held' | 'sent' | 'refused'
  createdAt: Date
}

/** The newest mails, newest first, `mailListMax` at most; only those to one address, or about one transfer, if said. */
export async function listMail(
  db: Db | Tx,
  only: { to?: string | undefined; transferId?: string | undefined } = {},
): Promise<HeldMail[]> {
  const rows = await db
    .selectFrom('outgoingMail')
    .select(['id', 'recipient', 'subject', 'text', 'links', 'state', 'createdAt'])
    .$if(only.to !== undefined, (query) => query.where('recipient', '=', only.to!))
    .$if(only.transferId !== undefined, (query) => query.where('transferId', '=', only.transferId!))
    .orderBy('createdAt', 'desc')
    .orderBy('id', 'desc')
    .limit(limits.mailListMax)
    .execute()
  return rows.map(({ recipient, text, links, ...mail }) => ({
    ...mail,
    to: recipient,
    text: text ?? '',
    links: links ?? [],
  }))
}

/** Enqueues every mail that is held, after SMTP was set or came back. @returns how many */
export async function deliverHeld(tx: Tx): Promise<number> {
  const held = await tx.selectFrom('outgoingMail').select('id').where('state', '=', 'held').execute()
  for (const { id } of held) await enqueue(tx, 'deliver-mail', { id }, { singletonKey: id })
  return held.length
}

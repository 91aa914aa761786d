import type { ColumnType, Generated } from 'kysely'
import type { Language, MailLink } from '#edge/mail/compose'

interface OutgoingMailTable {
  id: Generated<string>
  recipient: string
  language: Language
  subject: string
  /** Null once the mail is sent or refused, like `html` and `links`. */
  text: string | null
  html: string | null
  links: ColumnType<MailLink[] | null, string, null>
  transferId: string | null
  state: Generated<'held' | 'sent' | 'refused'>
  /** Times a hand-over began. More than one for a mail that is sent: it may have arrived more than once. */
  tries: Generated<number>
  /** The SMTP reply code with which the mail was refused for good. */
  refusal: number | null
  createdAt: Generated<Date>
  settledAt: Date | null
}

export interface MailTables {
  outgoingMail: OutgoingMailTable
}

import { isIP } from 'node:net'
import { createTransport, type SentMessageInfo, type Transporter } from 'nodemailer'
import type SMTPConnection from 'nodemailer/lib/smtp-connection'
import { sql } from 'kysely'
import { limits } from '#core/kit/limits'
import type { Db } from '#edge/store/database'

/**
 * The handler of the job `deliver-mail`: hands one mail of the outbox, if it is still held, to the relay that `smtpUrl`
 * names (`smtp://` or `smtps://`, with user and password if it wants them). TLS with a certificate for that name is
 * required, except to this machine itself. Without `smtpUrl` mails stay in the outbox.
 *
 * A mail is handed over at least once: a process killed between the relay's yes and our note of it hands it over again,
 * under the same Message-ID, by which mail systems recognise the copy. `tries` says when that may have happened.
 *
 * @throws when another try may help. A mail that the relay refuses for good becomes `refused`.
 */
export function mailDelivery(
  db: Db,
  config: { smtpUrl?: string | undefined; from: string },
): (id: string) => Promise<void> {
  if (config.smtpUrl === undefined) return async () => {}
  const transport = createTransport(transportOptions(new URL(config.smtpUrl)))
  return (id) => deliver(db, transport, config.from, id)
}

async function deliver(db: Db, transport: Transporter<SentMessageInfo>, from: string, id: string): Promise<void> {
  const mail = await db
    .updateTable('outgoingMail')
    .set({ tries: sql`tries + 1` })
    .where('id', '=', id)
    .where('state', '=', 'held')
    .returning(['recipient', 'subject', 'text', 'html'])
    .executeTakeFirst()
  if (!mail) return
  let refusal: number | null = null
  try {
    await transport.sendMail({
      from,
      to: { name: '', address: mail.recipient },
      subject: mail.subject,
      text: mail.text!,
      html: mail.html!,
      messageId: `<${id}@${from.slice(from.lastIndexOf('@') + 1).replace('>', '')}>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  } catch (error) {
    refusal = refusalOf(error)
    if (refusal === null) throw error
  }
  const settled = { state: refusal === null ? ('sent' as const) : ('refused' as const), refusal, settledAt: new Date() }
  await db
    .updateTable('outgoingMail')
    .set({ ...settled, text: null, html: null, links: null })
    .where('id', '=', id)
    .execute()
}

/** The reply with which the relay refused this mail for good, or null when another try may help. */
function refusalOf(error: unknown): number | null {
  const { code, responseCode } = error as SMTPConnection.SMTPError
  const isAboutTheMail = code === 'EENVELOPE' || code === 'EMESSAGE'
  return isAboutTheMail && responseCode !== undefined && responseCode >= 500 ? responseCode : null
}

function transportOptions(url: URL) {
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  const secure = url.protocol === 'smtps:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: Number(url.port) || (secure ? 465 : 587),
    secure,
    requireTLS: !isHere,
    ignoreTLS: isHere,
    ...(url.username && { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }),
    tls: { rejectUnauthorized: true, ...(!isIP(host) && { servername: host }) },
    connectionTimeout: limits.smtpWaitMs,
    greetingTimeout: limits.smtpWaitMs,
    dnsTimeout: limits.smtpWaitMs,
    socketTimeout: limits.smtpWaitMs,
  }
}

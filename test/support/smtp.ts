import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { TLSSocket } from 'node:tls'

/** What the relay answers instead of yes, by command; 'hang up' takes the mail and never answers. */
export interface Replies {
  RCPT?: string
  DATA?: string
}

/** A mail as the relay took it. */
export interface TakenMail {
  from: string
  to: string
  /** Headers and body as they came, lines ended by '\n'. */
  raw: string
}

/**
 * The least mail relay that one can speak real SMTP with: takes every mail into memory. With a certificate it offers
 * STARTTLS.
 */
export async function startRelay(
  t: { after(clean: () => Promise<void>): void },
  { address = '127.0.0.1', tls }: { address?: string; tls?: { key: string; cert: string } } = {},
) {
  const relay = { mails: [] as TakenMail[], commands: [] as string[], replies: {} as Replies, url: '' }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.write('220 relay.example\r\n')
    converse(socket)
  })

  function converse(socket: Socket): void {
    let mail: TakenMail = { from: '', to: '', raw: '' }
    let inData = false
    const say = (line: string) => socket.write(`${line}\r\n`)
    socket.on('error', () => {})
    const lines = createInterface({ input: socket, crlfDelay: Infinity })
    lines.on('line', (line) => {
      if (inData) {
        if (line !== '.') {
          mail.raw += `${line.replace(/^\./, '')}\n`
          return
        }
        inData = false
        if (!relay.replies.DATA || relay.replies.DATA === 'hang up') relay.mails.push(mail)
        mail = { from: '', to: '', raw: '' }
        if (relay.replies.DATA === 'hang up') socket.destroy()
        else say(relay.replies.DATA ?? '250 taken')
        return
      }
      const command = line.slice(0, line.search(/[ ]|$/)).toUpperCase()
      relay.commands.push(command)
      if (command === 'EHLO') {
        say(tls && !(socket instanceof TLSSocket) ? '250-relay.example\r\n250 STARTTLS' : '250 relay.example')
      } else if (command === 'STARTTLS' && tls) {
        lines.removeAllListeners()
        lines.close()
        socket.write('220 go on\r\n', () => converse(new TLSSocket(socket, { isServer: true, ...tls })))
      } else if (command === 'MAIL') {
        mail.from = line
        say('250 yes')
      } else if (command === 'RCPT') {
        mail.to = line
        say(relay.replies.RCPT ?? '250 yes')
      } else if (command === 'DATA') {
        inData = true
        say('354 go on')
      } else if (command === 'QUIT') {
        say('221 goodbye')
        socket.end()
      } else say('502 no')
    })
  }

  server.listen(0, address)
  await once(server, 'listening')
  const bound = server.address()
  if (typeof bound !== 'object' || !bound) throw new Error('the relay listens on a port')
  relay.url = `smtp://${address}:${bound.port}`
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return relay
}

import { mkdtemp, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const socketName = '.s.PGSQL.5432'

/** A statement that may change something. */
export const isWrite = /^(insert|update|delete|merge|with|create|drop|alter|truncate)\b/

/** What is done with a statement: cut `before` the server hears of it, or `after` it did it and before we hear of that. */
export type Cut = 'before' | 'after' | null

/** A statement on its way, and whether it stands in a transaction that was begun. */
export type OnStatement = (text: string, isInside: boolean) => Cut

/**
 * Stands between us and a Postgres behind a socket folder, reads the statements that pass, and cuts the connection where
 * it is told to: at the next commit, or wherever `onStatement` says; `onCut` is told. `kill` cuts every connection, and lets none in any more.
 */
export async function startCuttingProxy(
  t: { after(clean: () => Promise<void>): void },
  url: string,
  onStatement?: OnStatement,
) {
  const proxy = { url: '', cutAtCommit: null as Cut, onCut: () => {}, kill }
  const behind = new URL(url).searchParams.get('host')!
  const folder = await mkdtemp(join(tmpdir(), 'safehand-proxy-'))
  const sockets = new Set<Socket>()
  let isKilled = false
  function kill(): void {
    isKilled = true
    for (const socket of sockets) socket.destroy()
  }
  const decide: OnStatement =
    onStatement ??
    ((text) => {
      if (text !== 'commit') return null
      const cut = proxy.cutAtCommit
      proxy.cutAtCommit = null
      return cut
    })

  const server = createServer((client) => {
    if (isKilled) {
      client.destroy()
      return
    }
    const upstream = connect(join(behind, socketName))
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        for (const each of [client, upstream]) each.destroy()
      })
    }
    let isCutting = false
    // Questions, each of which the server answers with one ReadyForQuery; starting is one too.
    let unanswered = 1
    let isInside = false
    let hasWritten = false
    const cut = () => {
      client.destroy()
      proxy.onCut()
    }
    const onStatement = (text: string): Cut => {
      hasWritten ||= isInside && isWrite.test(text)
      // Where nothing was written, a commit ends nothing.
      const decided = text === 'commit' && !hasWritten ? null : decide(text, isInside)
      if (/^(begin|start transaction)/.test(text)) {
        isInside = true
        hasWritten = false
      }
      if (/^(commit|rollback)/.test(text)) isInside = false
      return decided
    }
    const asked = readMessages(false)
    client.on('data', (bytes) => {
      let decided: Cut = null
      for (const { type, body } of asked(bytes)) {
        if (type === 'Q' || type === 'S') unanswered += 1
        // What one write holds is cut as one: what stands before a commit goes with it.
        if (type === 'Q' || type === 'P') decided = onStatement(textOf(type, body)) ?? decided
      }
      if (decided === 'before') return cut()
      isCutting ||= decided === 'after'
      return void upstream.write(bytes)
    })
    const answers = readMessages(true)
    upstream.on('data', (bytes) => {
      for (const { type } of answers(bytes)) if (type === 'Z') unanswered -= 1
      if (!isCutting) return void client.write(bytes)
      // Not at the first answer: what was sent with the statement is answered before it, and before it is done.
      if (unanswered === 0) cut()
    })
  })
  server.listen(join(folder, socketName))
  await once(server, 'listening')
  proxy.url = url.replace(encodeURIComponent(behind), encodeURIComponent(folder))
  t.after(async () => {
    kill()
    server.close()
    await rm(folder, { recursive: true, force: true })
  })
  return proxy
}

/**
 * Reads messages as they come, each of a type and a length. The first of a client has no type.
 *
 * @source PostgreSQL 18, Frontend/Backend Protocol, Message Formats
 */
function readMessages(isStarted: boolean): (bytes: Buffer) => { type: string; body: Buffer }[] {
  let rest: Buffer = Buffer.alloc(0)
  return (bytes) => {
    rest = Buffer.concat([rest, bytes])
    const messages = []
    for (;;) {
      const head = isStarted ? 1 : 0
      if (rest.length < head + 4) return messages
      const end = head + rest.readInt32BE(head)
      if (rest.length < end) return messages
      messages.push({ type: isStarted ? String.fromCharCode(rest[0]!) : '', body: rest.subarray(head + 4, end) })
      isStarted = true
      rest = rest.subarray(end)
    }
  }
}

/** The text of a statement is in Query, and in Parse after the name of the prepared statement. */
function textOf(type: 'Q' | 'P', body: Buffer): string {
  const from = type === 'P' ? body.indexOf(0) + 1 : 0
  return body.subarray(from, body.indexOf(0, from)).toString().trim().toLowerCase()
}

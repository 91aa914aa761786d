/**
 * Asks a server for pages at a steady pace, whatever it answers, in a process of its own: `asker.ts ORDER`, with an
 * order as JSON. Each is timed from when it was due, so that a server that stalls cannot hide the time by being asked
 * less. Writes the times in milliseconds as JSON.
 */
import { Agent, request } from 'node:http'
import { setTimeout as rest } from 'node:timers/promises'

export interface Order {
  asked: { url: string; cookie: string }[]
  perSecond: number
  seconds: number
}

const agent = new Agent({ keepAlive: true })

const answered = ({ url, cookie }: Order['asked'][0]) =>
  new Promise<void>((resolve, reject) => {
    request(url, { agent, headers: { accept: 'text/html', cookie } }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${url}: ${answer.statusCode}`))
      answer.on('error', reject).on('end', resolve).resume()
    })
      .on('error', reject)
      .end()
  })

async function ask({ asked, perSecond, seconds }: Order): Promise<number[]> {
  const begun = performance.now() + 100
  const one = async (n: number) => {
    const dueAt = begun + (n * 1_000) / perSecond
    await rest(dueAt - performance.now())
    await answered(asked[n % asked.length]!)
    return performance.now() - dueAt
  }
  return Promise.all(Array.from({ length: perSecond * seconds }, (_, n) => one(n)))
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify(await ask(JSON.parse(process.argv[2]!) as Order)))
  agent.destroy()
}

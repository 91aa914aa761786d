/**
 * Sends parts and fetches contents, many at once, in a process of its own: `carrier.ts ORDER`, with an order as JSON.
 * Every part has the same bytes; nothing is sealed, so that only the carrying is measured. Writes how many
 * seconds after the beginning each upload, download and file was done, as JSON.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, rm } from 'node:fs/promises'
import { Agent, request, type RequestOptions } from 'node:http'
import { join } from 'node:path'
import { bytesHeaders } from '#test/sending'

export interface Order {
  uploads: { url: string; headers: Record<string, string>; parts: number }[]
  downloads: { url: string; headers: Record<string, string> }[]
  /** Parts of one upload, or files, on their way at once. */
  inFlight: number
  /** Set: as many files of a part's size are written there, durably, as bare as can be. */
  files?: { folder: string; count: number }
}
export type Carried = Record<'uploads' | 'downloads' | 'files', number[]>

export const partBytes = 8 * 2 ** 20
const part = Buffer.alloc(partBytes, 'Safehand')
export const partSha256 = createHash('sha256').update(part).digest('hex')

const agent = new Agent({ keepAlive: true })

async function send(url: string, options: RequestOptions, body?: Buffer): Promise<void> {
  const asked = request(url, { agent, ...options }).end(body)
  const [answer] = await once(asked, 'response')
  answer.resume()
  await once(answer, 'end')
  if (answer.statusCode >= 300 || !answer.complete) throw new Error(`${url}: ${answer.statusCode}`)
}

/** Does a numbered work so often, a few at a time. */
async function times(count: number, inFlight: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const one = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, one))
}

async function carry({ uploads, downloads, inFlight, files }: Order): Promise<Carried> {
  const started = performance.now()
  const done = async (work: Promise<void>) => {
    await work
    return (performance.now() - started) / 1_000
  }
  const put = ({ url, headers, parts }: Order['uploads'][0]) =>
    times(parts, inFlight, (n) =>
      send(`${url}/${n}`, { method: 'PUT', headers: { ...headers, ...bytesHeaders(partSha256) } }, part),
    )
  const write = async ({ folder, count }: NonNullable<Order['files']>) => {
    await mkdir(folder)
    await times(count, inFlight, async (n) => {
      const file = await open(join(folder, String(n)), 'w')
      await file.write(part)
      await file.datasync()
      await file.close()
    })
  }
  const [sent, fetched, written] = await Promise.all([
    Promise.all(uploads.map((each) => done(put(each)))),
    Promise.all(downloads.map(({ url, headers }) => done(send(url, { headers })))),
    Promise.all(files ? [done(write(files))] : []),
  ])
  if (files) await rm(files.folder, { recursive: true })
  return { uploads: sent, downloads: fetched, files: written }
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify(await carry(JSON.parse(process.argv[2]!) as Order)))
  agent.destroy()
}

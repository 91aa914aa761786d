/** What the machine itself can do with a gibibyte on one core, and its disk: nothing is quicker than these together. */
import { createCipheriv, createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { median, shown, type Asked, type Row } from './rows.ts'

const mib = 2 ** 20
const gib = 1_024 * mib
const part = randomFillSync(new Uint8Array(8 * mib))
const parts = gib / part.length
const chunkBytes = 64 * 1_024

function hash(): void {
  const sha256 = createHash('sha256')
  for (let n = 0; n < parts; n += 1) sha256.update(part)
  sha256.digest()
}

function cipher(): void {
  for (let at = 0; at < gib; at += chunkBytes) {
    const start = at % part.length
    const sealing = createCipheriv('chacha20-poly1305', new Uint8Array(32), new Uint8Array(12), { authTagLength: 16 })
    sealing.update(part.subarray(start, start + chunkBytes))
    sealing.final()
  }
}

/** The system clears every page of memory that is new. */
function newMemory(): void {
  for (let n = 0; n < parts; n += 1) Buffer.allocUnsafeSlow(64 * mib).fill(1, 0, part.length)
}

async function disk(folder: string): Promise<void> {
  const file = await open(join(folder, 'physical'), 'w')
  for (let n = 0; n < parts; n += 1) await file.write(part)
  await file.sync()
  await file.close()
}

/** From one socket of this process to another: both ends are one core's work. */
async function loopback(): Promise<void> {
  const server = createServer((socket) => socket.resume())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const arrived = once(server, 'connection').then(([other]) => once(other, 'end'))
  for (let n = 0; n < parts; n += 1) if (!socket.write(part)) await once(socket, 'drain')
  socket.end()
  await arrived
  server.close()
}

export async function physicalRows({ rounds }: Asked, folder: string): Promise<Row[]> {
  const works: [string, () => void | Promise<void>][] = [
    ['SHA-256 of 1 GiB', hash],
    ['ChaCha20-Poly1305 of 1 GiB in chunks of 64 KiB', cipher],
    ['1 GiB of new memory', newMemory],
    ['1 GiB onto the disk, forced', async () => disk(folder)],
    ['1 GiB through loopback', loopback],
  ]
  const taken = new Map<string, number[]>(works.map(([name]) => [name, []]))
  for (let round = 0; round < rounds; round += 1)
    for (const [name, work] of works) {
      const started = performance.now()
      await work()
      taken.get(name)!.push((performance.now() - started) / 1_000)
    }
  const one = median(taken.get('SHA-256 of 1 GiB')!)
  return [...taken].map(([name, seconds]) => ({
    row: `the machine: ${name}`,
    ours: shown(seconds, 's'),
    theirs: `${one.toFixed(2)} s for SHA-256`,
    ratio: median(seconds) / one,
    goal: 'reported',
  }))
}

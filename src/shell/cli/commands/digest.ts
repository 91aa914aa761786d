import { open } from 'node:fs/promises'
import { toHex } from '#core/kit/bytes'
import { ProblemError } from '#core/kit/outcome'
import { fileDigest } from '#core/seal/tools'
import { nodeTools } from '#edge/seal/node-tools'
import { CalledWrongly, type Command } from '#shell/cli/command'

/** `safehand digest`: the same digest that a parcel's list of contents has for the file. */
export const digest: Command = {
  summary: 'Print the digest of files, as lists of contents have it',
  usage: `safehand digest FILE…

The SHA-256 of a file up to 16 MiB; above that the SHA-256 over the SHA-256s of its slices of 512 KiB.`,
  async run({ positionals, json, io }) {
    if (positionals.length === 0) throw new CalledWrongly('Name at least one file.')
    const found = []
    for (const file of positionals) found.push({ file, digest: await digestOf(file) })
    io.out(
      json
        ? JSON.stringify(found)
        : found.map((each) => `${each.digest}  ${each.file.replaceAll('\n', '\\n')}`).join('\n'),
    )
    return 0
  },
}

async function digestOf(path: string): Promise<string> {
  const unreadable = (why: string) => new ProblemError({ slug: 'file-unreadable', detail: `${path}: ${why}.` })
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(error.code === 'ENOENT' ? 'There is no such file' : (error.code ?? 'It cannot be opened'))
  })
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw unreadable('It is not a file')
    const running = fileDigest(stats.size, nodeTools)
    let readBytes = 0
    for await (const piece of file.createReadStream({ highWaterMark: 1024 * 1024, autoClose: false })) {
      readBytes += (piece as Buffer).length
      if (readBytes > stats.size) break
      await running.update(piece as Buffer)
    }
    if (readBytes !== stats.size) throw new ProblemError({ slug: 'file-changed', detail: `It is ${path}` })
    return toHex(await running.finish())
  } finally {
    await file.close()
  }
}

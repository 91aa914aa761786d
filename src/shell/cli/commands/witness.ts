import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fail, orThrow } from '#core/kit/outcome'
import { formatVkey, keyTypes, parseVkey, type Vkey } from '#core/register/note'
import { serveWitness } from '#edge/witness/serve'
import { openWitness, witnessSigner } from '#edge/witness/store'
import { CalledWrongly, type Command } from '#shell/cli/command'

/** `safehand witness`: a program of its own, for the registers of others; it needs no database. */
export const witness: Command = {
  summary: 'Witness the registers of other organisations',
  usage: `safehand witness --name NAME --log KEY [--log KEY ...] [--data FOLDER] [--host ADDRESS] [--port N]
safehand witness --vkey [--name NAME] [--data FOLDER]

  --name NAME     what the witness is called, such as witness.example/register; needed the first time
  --log KEY       the key of a register that it is to witness; several times for several
  --data FOLDER   its own folder, with its key and what it has signed (default: ~/safehand-witness)
  --host ADDRESS  default 127.0.0.1
  --port N        default 8090
  --vkey          print the witness's key, and make it first when it is new

Never put the folder back from a backup: a witness that has forgotten what it signed could sign another past.`,
  options: {
    name: { type: 'string' },
    log: { type: 'string', multiple: true },
    data: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string' },
    vkey: { type: 'boolean' },
  },
  async run({ values, positionals, json, io }) {
    if (positionals.length > 0) throw new CalledWrongly(`There is nothing to do with ${positionals[0]}.`)
    const logs = ((values.log ?? []) as string[]).map(logOf)
    if (logs.length === 0 && !values.vkey) throw new CalledWrongly('Name a register with --log.')
    const port = Number(values.port ?? 8090)
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new CalledWrongly('--port is no port.')
    const folder = resolve((values.data as string | undefined) ?? join(homedir(), 'safehand-witness'))
    const name = values.name as string | undefined
    if (values.vkey) {
      const vkey = formatVkey(orThrow(await witnessSigner(folder, name)).vkey)
      io.out(json ? JSON.stringify({ vkey }) : vkey)
      return 0
    }
    const opened = orThrow(await openWitness(folder, name, logs))
    const vkey = formatVkey(opened.vkey)
    const host = (values.host as string | undefined) ?? '127.0.0.1'
    const { url, close } = await serveWitness(opened, { host, port }, (error) => io.err(error.message))
    io.out(json ? JSON.stringify({ url, vkey }) : `The witness ${vkey} is ready at ${url}`)
    await new Promise<void>((stop) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop())
    })
    await close()
    await opened.close()
    return 0
  },
}

function logOf(key: string): Vkey {
  const vkey = orThrow(parseVkey(key))
  if (vkey.type !== keyTypes.ed25519) orThrow(fail('vkey-malformed', { detail: `${key} is the key of a witness.` }))
  return vkey
}

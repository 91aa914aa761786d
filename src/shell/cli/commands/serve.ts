import { readConfig } from '#config'
import type { Command } from '#shell/cli/command'
import { printProblem } from '#shell/cli/command'
import { startSafehand } from '#shell/start'

export const serve: Command = {
  summary: 'Run Safehand until it is stopped',
  usage: `safehand serve [--demonstration] [--data FOLDER] [--port N] [--host ADDRESS]

  --demonstration  invented people, an outbox instead of mail, this machine only
  --data FOLDER    where everything is kept (default: ~/safehand, or .safehand for a demonstration)
  --port N         default 8080
  --host ADDRESS   default 127.0.0.1; another needs SAFEHAND_URL with https

Settings from the environment: SAFEHAND_URL, SAFEHAND_DATA, SAFEHAND_KEYS, SAFEHAND_SMTP, SAFEHAND_MAIL_FROM,
DATABASE_URL, SAFEHAND_TRUST_PROXY=ADDRESSES, SAFEHAND_LOCKS=x25519, SAFEHAND_WITNESSES, SAFEHAND_LOG.`,
  options: {
    demonstration: { type: 'boolean' },
    data: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string' },
  },
  async run(call) {
    const config = readConfig(call.values as never, call.io.env)
    if (!config.ok) return printProblem(config.problem, call)
    const started = await startSafehand(config.value)
    if (!started.ok) return printProblem(started.problem, call)
    const { url, stop } = started.value
    call.io.out(
      call.json
        ? JSON.stringify({ url, demonstration: config.value.demonstration })
        : `Safehand is ready at ${url}${config.value.demonstration ? '/demonstration' : ''}`,
    )
    const asked = new Promise<undefined>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(undefined))
    })
    const lost = await Promise.race([asked, started.value.lost])
    if (lost) {
      call.io.err(`The database is gone and does not come back: ${lost.message}`)
      // Nothing can be ended in order without it.
      process.exit(1)
    }
    await stop()
    return 0
  },
}

import { readConfig } from '#config'
import type { Command } from '#shell/cli/command'
import { printProblem } from '#shell/cli/command'
import { startSafehand } from '#shell/start'

/** The first lets requests under way end; another waits for none. */
const signals = ['SIGINT', 'SIGTERM'] as const

export const serve: Command = {
  summary: 'Run Safehand until it is stopped',
  usage: `safehand serve [--demonstration] [--data FOLDER] [--port N] [--host ADDRESS]

  --demonstration  invented people, an outbox instead of mail, this machine only
  --data FOLDER    where everything is kept (default: ~/safehand, or .safehand for a demonstration)
  --port N         default 8080
  --host ADDRESS   default 127.0.0.1; another needs SAFEHAND_URL with https

Settings from the environment: SAFEHAND_URL, SAFEHAND_DATA, SAFEHAND_KEYS, SAFEHAND_SMTP, SAFEHAND_MAIL_FROM,
DATABASE_URL, DATABASE_MIGRATE_URL, SAFEHAND_TRUST_PROXY=ADDRESSES, SAFEHAND_LOCKS=x25519, SAFEHAND_RULEBOOKS=IDS,
SAFEHAND_WITNESSES, SAFEHAND_METRICS=ADDRESS:PORT, SAFEHAND_LOG.
A file of such a name in $CREDENTIALS_DIRECTORY (systemd) counts as the setting.`,
  options: {
    demonstration: { type: 'boolean' },
    data: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string' },
  },
  async run(call) {
    const config = readConfig(call.values as never, call.io.env)
    if (!config.ok) return printProblem(config.problem, call)
    // Listened to from the beginning: told to end while it starts, it starts, then ends as it should.
    const asked = Promise.withResolvers<undefined>()
    let again = () => {}
    const onSignal = () => {
      again()
      asked.resolve(undefined)
    }
    for (const signal of signals) process.on(signal, onSignal)
    const started = await startSafehand(config.value)
    if (!started.ok) return printProblem(started.problem, call)
    const { url, stop, cut } = started.value
    call.io.out(
      call.json
        ? JSON.stringify({ url, demonstration: config.value.demonstration })
        : `Safehand is ready at ${url}${config.value.demonstration ? '/demonstration' : ''}`,
    )
    const lost = await Promise.race([asked.promise, started.value.lost])
    if (lost) {
      call.io.err(`The database is gone and does not come back: ${lost.message}`)
      // Nothing can be ended in order without it.
      process.exit(1)
    }
    again = cut
    await stop()
    return 0
  },
}

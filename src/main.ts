import { runSafehand } from '#shell/cli/safehand'

process.exitCode = await runSafehand(process.argv.slice(2))
